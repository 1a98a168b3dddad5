"""How many changed copies of training pictures `copies-pixels` and `copies-least` find, and how often they are wrong.

    python docs/benchmarks/memoriser.py [FOLDER ...] [--phantom NAME] [--patients 200] [--size 64] [--seed 0]

A FOLDER holds pictures directly, or one folder of pictures a class; what stands before the first "_" of a name is its
patient. Phantoms are drawn besides. Patients are cut in three: half are what a memoriser was fitted on, a quarter
sets the limit, a quarter says how often a picture that nobody copied is called a copy. Patients who share a picture
are one, as in medbench's own cuts.

With --bound the share of copies that `copies-least` shows at least, of as many copies, and of as many pictures that
nobody copied over --draws other cuts: the share of cuts in which it is above 0. `BreastMNIST` (a file of MedMNIST)
can be given as a FOLDER ending in .npz.

Printed for each set: pictures of the three parts, the limit, wrong alarms and, for each change, the share found, all in
percent. All changes are of pixels from 0 to 255; a blur of 1 is the standard deviation in pixels.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from medbench.registry.plugins import load
from medbench_plugins.generator_scores.copied_pictures import copy_limit, least_share
from medbench_plugins.generator_scores.likeness import find_most_alike

PROMISED = ("copy", "noise 10", "blur 1", "mirror", "contrast")
PICTURES = (".png", ".jpg", ".jpeg")


def changes(x: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ``uint8 (n, 1, height, width)`` as a memoriser could give it back, by the name of the change."""
    f = x.astype(np.float64)

    def written(values: np.ndarray) -> np.ndarray:
        return np.clip(np.round(values), 0, 255).astype(np.uint8)

    middle = f.mean((2, 3), keepdims=True)
    return {
        "copy": x,
        "noise 10": written(f + rng.normal(0, 10, f.shape)),
        "blur 1": written(ndimage.gaussian_filter(f, (0, 0, 1, 1))),
        "mirror": x[..., ::-1],
        "contrast": written(middle + rng.choice([0.7, 1.3], (len(x), 1, 1, 1)) * (f - middle)),
        "noise 25": written(f + rng.normal(0, 25, f.shape)),
        "shift 3": np.roll(x, 3, axis=3),
        "turn 5": written(ndimage.rotate(f, 5, axes=(2, 3), reshape=False, mode="nearest", order=1)),
        "blend": written(0.75 * f + 0.25 * f[rng.permutation(len(f))]),
    }


def from_folder(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures ``uint8 (n, 1, size, size)`` and their patients."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in PICTURES)
    x = [np.asarray(Image.open(f).convert("L").resize((size, size), Image.Resampling.BOX))[None] for f in files]
    return np.stack(x), np.array([f.stem.partition("_")[0] for f in files])


def from_archive(file: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of a file of MedMNIST ``uint8 (n, 1, size, size)``, each a patient of its own."""
    with np.load(file) as arrays:
        x = np.concatenate([arrays[f"{part}_images"] for part in ("train", "val", "test")])
    shrunk = [np.asarray(Image.fromarray(one).convert("L").resize((size, size), Image.Resampling.BOX)) for one in x]
    return np.stack(shrunk)[:, None], np.arange(len(x)).astype(str)


def from_phantom(name: str, patients: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return drawn pictures of a data set and their patients."""
    dataset = load(installed=False).resolve("dataset", name)
    with tempfile.TemporaryDirectory() as place:
        dataset.phantom(Path(place), seed=seed, patients=patients, null=False)
        records = dataset.index(Path(place)).records
        x = np.stack([pixels for pixels, _ in dataset.read(Path(place), records, size)])
    return x, np.array([record.patient for record in records])


def measure(x: np.ndarray, patients: np.ndarray, seed: int) -> tuple[list[int], float, float, dict[str, float]]:
    """Return the size of the parts, the limit, the share of wrong alarms, and the share found of each change."""
    rng = np.random.default_rng(seed)
    who, inverse = np.unique(one_a_picture(x, patients), return_inverse=True)
    place = rng.permutation(len(who))[inverse] / len(who)
    train, held_out, fresh = (x[(place >= low) & (place < high)] for low, high in ((0, 0.5), (0.5, 0.75), (0.75, 1)))
    least = copy_limit(held_out, train)
    wrong = float((find_most_alike(fresh, train)[0] >= least).mean())
    found = {
        name: float((find_most_alike(made, train)[0] >= least).mean())
        for name, made in changes(train[rng.permutation(len(train))[:200]], rng).items()
    }
    return [len(train), len(held_out), len(fresh)], least, wrong, found


def measure_bound(x: np.ndarray, patients: np.ndarray, seed: int, draws: int) -> tuple[dict[str, float], int]:
    """Return the share of copies shown at least, by the change, mean over cuts; and cuts in which strangers count."""
    names = one_a_picture(x, patients)
    who, inverse = np.unique(names, return_inverse=True)
    found: dict[str, list[float]] = {}
    false = 0
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        place = rng.permutation(len(who))[inverse] / len(who)
        parts = ((0, 0.5), (0.5, 0.75), (0.75, 1))
        train, held_out, fresh = (x[(place >= low) & (place < high)] for low, high in parts)
        honest = find_most_alike(held_out, train)[0]
        false += least_share(find_most_alike(fresh, train)[0], honest) > 0
        if draw < 3:
            for name, made in changes(train[rng.permutation(len(train))[:200]], rng).items():
                found.setdefault(name, []).append(least_share(find_most_alike(made, train)[0], honest))
    return {name: float(np.mean(of_it)) for name, of_it in found.items()}, false


def one_a_picture(x: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Return patients, with one name for all that are joined by pictures of the same pixels."""
    names, shown_by = patients.copy(), dict[bytes, str]()
    for row, patient in zip(x, patients, strict=True):
        first = shown_by.setdefault(row.tobytes(), patient)
        one, other = names[patients == first][0], names[patients == patient][0]
        names[names == other] = one
    return names


def main() -> None:
    """Print a row a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--phantom", nargs="*", default=["ddti:benign-malignant", "vindr-spinexr:case-1"])
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bound", action="store_true", help="show copies-least instead")
    parser.add_argument("--draws", type=int, default=100)
    asked = parser.parse_args()
    sets = {f.name: (from_archive if f.suffix == ".npz" else from_folder)(f, asked.size) for f in asked.folders}
    for name in asked.phantom:
        drawn = from_phantom(name, asked.patients, asked.size, asked.seed)
        sets[f"phantom {name.partition(':')[0]}"] = drawn
    heads: tuple[str, ...] = ()
    for name, (x, patients) in sets.items() if asked.bound else ():
        shown, false = measure_bound(x, patients, asked.seed, asked.draws)
        heads = heads or tuple(shown)
        print(
            f"{name}, wrong in {false} of {asked.draws} cuts; shown at least, in percent: "
            + ", ".join(f"{k} {100 * v:.0f}" for k, v in shown.items())
        )
    for name, (x, patients) in () if asked.bound else sets.items():
        sizes, least, wrong, found = measure(x, patients, asked.seed)
        if not heads:
            heads = tuple(found)
            print(f"{'set':<22}{'pictures':>13}{'limit':>7}{'wrong':>7}" + "".join(f"{h:>10}" for h in heads))
        numbers = "".join(f"{100 * found[h]:>10.0f}" for h in heads)
        print(f"{name:<22}{'/'.join(map(str, sizes)):>13}{least:>7.3f}{100 * wrong:>7.1f}{numbers}", flush=True)


if __name__ == "__main__":
    main()
