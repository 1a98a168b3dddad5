"""How often the mark `g`, generator poor, is given to good and to bad samples of drawn images.

    python docs/benchmarks/poor_generators.py [--phantom NAME ...] [--patients 120] [--size 32] [--draws 10]

Each draw draws other patients. Two thirds are training images, a third is held out. Made images are, from good to bad:

unseen      images of further patients: what a perfect generator would draw
resample    training images again
blur 2, 4   training images shrunk to a half or a quarter of their sides, and back
mixed up    training images under labels that are drawn anew
one each    one training image a class, again and again
noise       gray values drawn pixel by pixel

Printed: the share of draws with the mark, and the medians of what it is read off: KID within classes over its spread,
coverage and recall over their floors, `origin`, and `tstr` with its floor.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import medbench
from medbench.boards.generator_health import why_poor
from medbench.registry.plugins import load
from medbench.testing import SandboxContext
from medbench.trial.generator_scores import score_synthetic
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.generator_scores.by_class import Origin, TrainedOnMade
from medbench_plugins.generator_scores.kid import KIDByClass
from medbench_plugins.generator_scores.neighbours import Coverage, Recall
from medbench_plugins.generators.placebos import Blur, Resample


def drawn(name: str, patients: int, size: int, seed: int) -> medbench.Samples:
    """Return a phantom's images, ``uint8 (n, channels, size, size)``."""
    dataset = load(installed=False).resolve("dataset", name)
    with tempfile.TemporaryDirectory() as place:
        dataset.phantom(Path(place), seed=seed, patients=patients, null=False)
        index = dataset.index(Path(place))
        x = np.stack([pixels for pixels, _ in dataset.read(Path(place), index.records, size)])
    patient = np.array([record.patient for record in index.records])
    return medbench.Samples(
        x=x,
        labels=np.array([record.label for record in index.records]),
        ids=np.array([record.id for record in index.records]),
        patients=patient,
        groups=patient,
        sources=((),) * len(x),
        classes=index.classes,
        made_of="phantom",
    )


def samples_of(
    train: medbench.Samples, unseen: medbench.Samples, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return generated images and their labels, by the name of what made them."""
    rng, labels = np.random.default_rng(seed), train.labels
    with tempfile.TemporaryDirectory() as place:
        context = SandboxContext(Path(place), base=seed)
        made = {
            name: (recipe.fit(train, context).sample(labels, seed), labels)
            for name, recipe in (("resample", Resample()), ("blur 2", Blur(size=train.x.shape[-1] // 2)),
                                 ("blur 4", Blur(size=train.x.shape[-1] // 4)))
        }  # fmt: skip
    first = np.array([np.flatnonzero(labels == k)[0] for k in range(len(train.classes))])
    noise = rng.integers(0, 256, train.x.shape, dtype=np.uint8)
    return {
        "unseen": (unseen.x, unseen.labels),
        **made,
        "mixed up": (made["resample"][0], rng.permutation(labels)),
        "one each": (train.x[first[labels]], labels),
        "noise": (noise, labels),
    }


def main() -> None:
    """Print a row a kind of samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantom", nargs="*", default=["ddti:benign-malignant", "vindr-spinexr:case-1"])
    for name, value in (("--patients", 120), ("--size", 32), ("--draws", 10)):
        parser.add_argument(name, type=int, default=value)
    asked = parser.parse_args()
    scores = [KIDByClass(), Coverage(), Recall(), Origin(), TrainedOnMade()]
    for name in asked.phantom:
        found: dict[str, list[tuple[float, ...]]] = {}
        for draw in range(asked.draws):
            samples, unseen = (drawn(name, asked.patients, asked.size, 2 * draw + i) for i in range(2))
            who = np.random.default_rng(draw).permutation(np.unique(samples.patients))
            held = np.isin(samples.patients, who[: len(who) // 3])
            train, held_out = samples.take(~held), samples.take(held)
            for kind, (x, labels) in samples_of(train, unseen, draw).items():
                training = train.with_synthetic(x, labels, maker=kind)
                result = score_synthetic(
                    training, held_out, extractor=RandomConvolutions(), scores=scores, seed=draw
                )  # fmt: skip
                assert result is not None
                v = result.values
                ratios = v["kid-by-class"] / v["kid-by-class-spread"], v["coverage"] / v["coverage-floor"]
                more = v["recall"] / v["recall-floor"], v["origin"], v["tstr"], v["tstr-floor"]
                found.setdefault(kind, []).append((float(bool(why_poor(v))), *ratios, *more))
        print(f"\n{name}, {asked.patients} patients, {asked.draws} draws")
        heads = ("KID/spread", "coverage/floor", "recall/floor", "origin", "tstr", "tstr floor")
        print(f"{'images':<14}{'marked g':>10}" + "".join(f"{head:>15}" for head in heads))
        for kind, of_kind in found.items():
            marked = f"{int(sum(row[0] for row in of_kind))} of {len(of_kind)}"
            medians = np.median(np.array(of_kind)[:, 1:], axis=0)
            print(f"{kind:<14}{marked:>10}" + "".join(f"{value:>15.2f}" for value in medians), flush=True)


if __name__ == "__main__":
    main()
