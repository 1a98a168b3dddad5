"""How many planted leaks the audit finds, and how often it cries wolf.

    python docs/benchmarks/planted_leaks.py [--each 20] [--medmnist FOLDER]

Twelve kinds, each planted so many times into drawn images. Pictures are written to files and read back through the data
set ``folder``, so what is found is what a user's run would find: *exact copy*, *re-encoded* (JPEG, quality 50 to 90),
*half size*, *brightness* (x 0.75 to 1.25, -20 to +20, clipped), *flip* and *quarter turn* put a changed picture of a
training patient into the test part under another name; *same patient*, *same study* and *slice neighbour* put another
picture there. *Synthetic in test*, *scaler on all data* and *selection on test* are planted into the cut itself.

A planted picture is found where it stands in the group of its source and the official cut is refused by the right name;
a leak of the cut is found where it is named, and nothing else is.

Clean sets follow: links between pictures that nobody planted, on every phantom in two sizes. With ``--medmnist`` also
those in BreastMNIST, which are no false alarms: that release holds many pictures twice.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import medbench
from medbench.data.audit_official_cut import groups_across_cut
from medbench.data.cache import Decoded, decode
from medbench.data.find_phantom import phantom_root
from medbench.protocols.folds import Cut
from medbench.protocols.leaks import find_leaks
from medbench.protocols.protocol import cut_samples
from medbench_datasets.brain_tumour import DATASETS as BRAINS
from medbench_datasets.ddti import DDTI
from medbench_datasets.folder import Folder
from medbench_datasets.fracatlas import DATASETS as FRACTURES
from medbench_datasets.medmnist import MedMNIST
from medbench_datasets.mura import DATASETS as LIMBS
from medbench_datasets.vindr_spinexr import DATASETS as SPINES

WRITTEN, READ = 256, 128  # pixels of the files and of the decoded pictures
Change = Callable[[np.ndarray, np.random.Generator], bytes]


def as_png(picture: np.ndarray) -> bytes:
    """Return a file's bytes; `picture` is ``uint8 (h, w)``."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def as_jpeg(picture: np.ndarray, rng: np.random.Generator) -> bytes:
    """Compress with a quality of 50 to 90."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=int(rng.integers(50, 91)))
    return out.getvalue()


def halved(picture: np.ndarray, rng: np.random.Generator) -> bytes:
    """Shrink to half the side."""
    half = (picture.shape[1] // 2, picture.shape[0] // 2)
    return as_png(np.asarray(Image.fromarray(picture).resize(half, Image.Resampling.BILINEAR)))


def brightened(picture: np.ndarray, rng: np.random.Generator) -> bytes:
    """Change contrast and brightness."""
    changed = picture * rng.uniform(0.75, 1.25) + rng.uniform(-20, 20)
    return as_png(changed.clip(0, 255).astype(np.uint8))


CHANGES: dict[str, Change] = {
    "exact copy": lambda picture, rng: as_png(picture),
    "re-encoded": as_jpeg,
    "half size": halved,
    "brightness": brightened,
    "flip": lambda picture, rng: as_png(np.flip(picture, int(rng.integers(2))).copy()),
    "quarter turn": lambda picture, rng: as_png(np.rot90(picture, int(rng.integers(1, 4))).copy()),
}


def drawn(patients: int) -> Iterator[tuple[str, np.ndarray, int, str]]:
    """Yield id, picture, label and patient of drawn radiographs and ultrasound."""
    for recipe in (FRACTURES[0], DDTI()):
        samples = decode(recipe, phantom_root(recipe, patients=patients), size=WRITTEN).samples()
        for row in range(len(samples)):
            yield str(samples.ids[row]), samples.x[row, 0], int(samples.labels[row]), str(samples.patients[row])


def planted_pictures(kind: str, each: int, folder: Path) -> int:
    """Write pictures and changed copies of some, decode them, and count the copies that are found."""
    rng = np.random.default_rng([each, list(CHANGES).index(kind)])
    first = {patient: (picture, label) for _, picture, label, patient in drawn(max(12, each))}
    chosen = rng.permutation(sorted(first))[:each].tolist()
    rows = [["path", "label", "patient", "part"]]
    for number, (patient, (picture, label)) in enumerate(sorted(first.items())):
        (folder / f"s{number}.png").write_bytes(as_png(picture))
        rows.append([f"s{number}.png", f"class {label}", patient, "train"])
    place = {patient: f"folder/s{number}.png" for number, patient in enumerate(sorted(first))}
    for number, patient in enumerate(chosen):
        picture, label = first[patient]
        (folder / f"c{number}.png").write_bytes(CHANGES[kind](picture, rng))
        rows.append([f"c{number}.png", f"class {label}", f"new {number}", "test"])
    decoded = read(folder, rows)
    samples = decoded.samples()
    group = dict(zip(samples.ids.tolist(), samples.groups.tolist(), strict=True))
    if set(decoded.across) - {"duplicate-across-cut"}:
        return 0
    refused = {group[ids[0]] for ids in decoded.across.get("duplicate-across-cut", ())}
    return sum(
        group[f"folder/c{number}.png"] == group[place[patient]] and group[place[patient]] in refused
        for number, patient in enumerate(chosen)
    )


def planted_people(kind: str, each: int, folder: Path) -> int:
    """Put a picture of a training patient, or of its study, into the test part, and count those that are found."""
    of_patient: dict[str, list[tuple[np.ndarray, int]]] = {}
    for _, picture, label, patient in drawn(8 * each):
        of_patient.setdefault(patient, []).append((picture, label))
    several = sorted(patient for patient, pictures in of_patient.items() if len(pictures) > 1)[:each]
    rows = [["path", "label", "patient", "study", "part"]]
    for number, patient in enumerate(several):
        for k, part in enumerate(("train", "test")):
            picture, label = of_patient[patient][k]
            (folder / f"{number}_{k}.png").write_bytes(as_png(picture))
            who = f"p{number}" if kind == "same patient" else f"p{number}-{k}"
            rows.append([f"{number}_{k}.png", f"class {label}", who, f"exam {number}", part])
    if kind == "same patient":
        rows = [[*row[:3], row[4]] for row in rows]
    return len(read(folder, rows).across.get("patient-across-cut", ()))


def slice_neighbours(each: int) -> int:
    """Put one slice of each patient into the test part, and count the patients that are found."""
    recipe = BRAINS[1]  # eight slices of each brain
    samples = decode(recipe, phantom_root(recipe, patients=max(12, each)), size=32).samples()
    patients = sorted(set(samples.patients.tolist()))[:each]
    parts = np.full(len(samples), "train", dtype=object)
    for patient in patients:
        rows = np.flatnonzero(samples.patients == patient)
        parts[rows[len(rows) // 2]] = "test"
    groups = samples.groups.tolist()
    found = groups_across_cut(samples.ids.tolist(), parts.tolist(), groups, groups)
    return len(found.get("patient-across-cut", ()))


def planted_in_the_cut(kind: str, each: int) -> int:
    """Let a made row be scored, a stage see the test part, or the test part choose weights; count what is named."""
    recipe = DDTI()
    samples = decode(recipe, phantom_root(recipe, patients=60), size=32).samples()
    found = 0
    for number in range(each):
        train, validation, test = cut_samples(samples, Cut(number % 5, 5, number // 5))
        assert not find_leaks(train, validation, test, [frozenset(train.ids.tolist())])
        fitted_on: list[frozenset[str]] = []
        if kind == "synthetic in test":
            made = train.with_synthetic(np.asarray(train.x[:1]), train.labels[:1], maker="m")
            row = made.take([len(made) - 1])
            test = medbench.Samples(**{
                field: (*getattr(test, field), *getattr(row, field)) if field == "sources"
                else np.concatenate([getattr(test, field), getattr(row, field)])
                for field in ("x", "labels", "ids", "patients", "groups", "sources")
            }, classes=test.classes)  # fmt: skip
            wanted = {"synthetic-scored", "copy"}  # it was made from training rows, which is a leak of its own
        elif kind == "scaler on all data":
            fitted_on, wanted = [frozenset(samples.ids.tolist())], {"fitted-on-test"}
        else:
            validation, wanted = test, {"selected-on-test"}
        found += find_leaks(train, validation, test, fitted_on) == wanted
    return found


def read(folder: Path, rows: list[list[str]]) -> Decoded:
    """Write the table of samples and decode the folder."""
    with (folder / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return decode(Folder(), folder, size=READ)


def planted(each: int) -> dict[str, int]:
    """Plant `each` of every kind and return how many of each were found."""
    found = {}
    for kind in CHANGES:
        with tempfile.TemporaryDirectory() as folder:
            found[kind] = planted_pictures(kind, each, Path(folder))
    for kind in ("same patient", "same study"):
        with tempfile.TemporaryDirectory() as folder:
            found[kind] = planted_people(kind, each, Path(folder))
    found["slice neighbour"] = slice_neighbours(each)
    for kind in ("synthetic in test", "scaler on all data", "selection on test"):
        found[kind] = planted_in_the_cut(kind, each)
    return found


def false_alarms(patients: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, size, images and links between pictures, for every phantom at its own size and at 32 pixels."""
    for recipe in (SPINES[0], DDTI(), DDTI(crop="frame"), *BRAINS, LIMBS[0], FRACTURES[0]):
        for size in (recipe.size, 32):
            found = decode(recipe, phantom_root(recipe, patients=patients), size=size).findings
            yield recipe.name, size, found.images, len(found.near)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--medmnist", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MEDBENCH_CACHE"] = cache
        print("planted                found")
        for kind, found in planted(asked.each).items():
            print(f"{kind:<22} {found} of {asked.each}")
        print("\nclean                    px  images  links")
        for name, size, images, links in false_alarms(asked.patients):
            print(f"{name:<24}{size:>3}  {images:>6}  {links:>5}")
        if asked.medmnist:
            found = decode(MedMNIST(), asked.medmnist, size=28).findings
            print(f"{'breastmnist':<24} 28  {found.images:>6}  {len(found.near):>5}")


if __name__ == "__main__":
    main()
