"""Measure how long ``medbench site`` takes over 1,000 published entries.

    python docs/benchmarks/site_speed.py [--entries 1000] [--boards 2] [--arms 12] [--trials 180] [--keep FOLDER]

Invents entries in a temporary folder: bundles with the documents that a site reads and `trials` members of
predictions, entries that say the same, and their ledger. None of them would pass ``medbench verify``, and none of their
numbers means anything. Prints seconds by the clock and of its process, the start of Python among them, and what was
written.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.publishing.bundle import canonical_json, signatures, zip_container
from medbench.publishing.entries import ledger
from medbench.publishing.verify import evidence
from medbench.text import printed

WORTH = 2.0
DATA_SETS = {
    "phantom:ddti:benign-malignant": (("benign", "malignant"), (45, 135), 243),
    "phantom:vindr-spinexr": (("normal", "abnormal"), (240, 260), 880),
    "phantom:brain-tumour": (("none", "glioma", "meningioma"), (40, 60, 50), 150),
}
ARMS = ("geometric", "mixup", "cutmix", "trivialaugment", "randaugment", "hybrid", "diffusion", "acgan", "reacgan",
        "hybrid[generator=resample]", "focal")  # fmt: skip


def board(rng: np.random.Generator, dataset: str, *, arms: int, protocol: str = "patients") -> dict[str, Any]:
    """Invent a board: a control, `arms` - 2 arms over it, and the plain arm."""
    classes, counts, images = DATA_SETS[dataset]
    base = float(rng.uniform(0.55, 0.75))
    rows = [_row(rng, "balanced", None, base, len(classes))]
    for name in ARMS[: arms - 2]:
        rows.append(_row(rng, name, "balanced", base, len(classes)))
    rows.append(_row(rng, "none", None, base, len(classes)) | {"plain": True})
    return {
        "dataset": dataset, "phantom": True, "data": hashlib.sha256(dataset.encode()).hexdigest(),
        "protocol": protocol, "leaks": ["copy"] if protocol == "augment-first" else [], "classifier": "small-cnn",
        "unit": "patient", "patients": sum(counts), "images": images, "classes": list(classes),
        "class_patients": list(counts), "looks": arms, "device": "CPU", "rows": rows, "check": None,
        "yardsticks": [{
            "kind": "seeds", "title": "the same, other seeds", "caption": "training noise", "planned": 15, "done": 15,
            "failed": 0, "trainings": 1, "balanced_accuracy": base, "auroc": base + 0.05, "gain": 0.001,
            "gain_low": -0.02, "gain_high": 0.022, "seconds": 60.0,
        }],
    }  # fmt: skip


def _row(rng: np.random.Generator, name: str, control: str | None, base: float, classes: int) -> dict[str, Any]:
    gain, half = float(rng.normal(0.01, 0.03)), float(rng.uniform(0.005, 0.06))
    low, high, auroc = gain - half, gain + half, gain / 2
    shown = base + (gain if control else 0.0)
    return {
        "augmenter": name, "classifier": "small-cnn", "control": control, "control_classifier": None, "plain": False,
        "depth": int(control is not None), "planned": 15, "done": 15, "failed": 0, "skipped": 0,
        "balanced_accuracy": shown, "argmax_balanced_accuracy": shown - 0.01, "accuracy": shown, "auroc": shown + 0.05,
        "macro_f1": shown - 0.02, "recalls": [shown] * classes, "withheld": None, "marks": "", "peak_mb": 512.0,
        "seconds": float(rng.uniform(60, 6000)), "made": 145.0,
        "scores": {"kid-by-class": 0.03} if "gan" in name else {},
        "gain": gain if control else None, "gain_low": low if control else None,
        "gain_high": high if control else None, "gain_auroc": auroc if control else None,
        "word": word(low, high, auroc) if control else None,
    }  # fmt: skip


def word(low: float, high: float, auroc: float) -> str:
    """Read the word off a range, as boards do."""
    low, high = printed(low), printed(high)
    if low > 0:
        return "better" if auroc > 0 else "threshold"
    if high < 0:
        return "worse"
    return "same" if low >= -WORTH and high <= WORTH else "can't tell"


def entry(number: int, *, boards: int = 2, arms: int = 12) -> dict[str, Any]:
    """Invent an entry, without what depends on its bundle."""
    rng = np.random.default_rng(number)
    names = list(DATA_SETS)
    protocols = ["augment-first" if number % 29 == 7 else "patients"]
    of_entry = [board(rng, names[(number + k) % len(names)], arms=arms, protocol=protocols[0]) for k in range(boards)]
    recomputed = number % 10 != 3
    return {
        "schema": 1, "tier": "recomputed" if recomputed else "claimed", "medbench": "0.1.0",
        "signed_by": None, "flags": [],
        "method": {
            "title": f"Synthetic entry {number}", "authors": ["A. Nobody", f"B. Invented {number % 50}"],
            "links": ["https://example.org/paper"], "licence": "CC BY 4.0", "contact": "https://example.org",
            "extra_data": "none", "pretraining": "none",
        },
        "study": {
            "name": "quickstart", "protocols": protocols, "folds": 5, "repeats": 3, "seeds": 1, "worth": WORTH,
            "budget": {"steps": 1500, "batch": 64, "size": None, "threads": 1, "generator_steps": 5000, "tries": 1},
        },
        "boards": [of_it | {"recomputed": recomputed, "sentences": ["chance 50.0", "", "Untuned defaults."]}
                   for of_it in of_entry],
        "environment": {
            "medbench": ["0.1.0"], "python": ["3.11.7"], "platforms": ["Linux x86_64"], "devices": ["cpu"],
            "libraries": {"torch": ["2.15.0"]}, "isa": "avx2",
            "plugins": [{"name": "medbench.augmenters", "distribution": "medbench", "version": "0.1.0"}],
        },
        "checks": [{"name": "sample ids", "outcome": "ok", "code": "", "detail": "the test part, 15 cells"}],
    }  # fmt: skip


def store(folder: Path, value: Mapping[str, Any], *, trials: int = 2, date: str = "2026-01-31", **other: Any) -> str:
    """Write an entry, a bundle that says the same but in `other` documents, and a row of the ledger; return its id."""
    own = [{k: v for k, v in b.items() if k not in ("recomputed", "sentences")} for b in value["boards"]]
    documents: dict[str, Any] = {name: {} for name in zip_container.DOCUMENTS}
    documents |= {"claims.json": {"boards": own}, "method.json": value["method"],
                  "environment.json": value["environment"] | {"code": {}}}  # fmt: skip
    documents |= {f"{name}.json": document for name, document in other.items()}
    members = {name: canonical_json.dump(document) for name, document in documents.items()}
    for number in range(trials):
        key = hashlib.sha256(str(number).encode()).hexdigest()
        members[f"predictions/{key}.csv"] = b"id,p0,p1\n" + b"sample-1,0.25,0.75\n" * 100
    members["manifest.json"] = canonical_json.dump({"files": sorted(members), "medbench": "0.1.0", "schema": 1})
    data = zip_container.write(members)
    sha = hashlib.sha256(data).hexdigest()
    place = folder / sha[:16]
    place.mkdir(parents=True)
    (place / "bundle.medbench.zip").write_bytes(data)
    whole = {**value, "id": sha[:16], "bundle": {"bytes": len(data), "sha256": sha}}
    text = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False)
    (place / "entry.json").write_text(text + "\n", encoding="utf-8")
    add(folder, sha, "published", value["tier"], date=date)
    return sha[:16]


def add(folder: Path, sha: str, event: str, tier: str, *, detail: str = "", date: str = "2026-02-01") -> None:
    """Add a row to the ledger; unlike :func:`.append` it does not read the others again."""
    path = folder / "ledger.jsonl"
    first = {"row": 0, "sha256": ledger.FIRST, "date": date}
    last = json.loads(path.read_bytes().splitlines()[-1]) if path.exists() else first
    row = {"row": last["row"] + 1, "previous": last["sha256"], "date": max(date, last["date"]), "event": event,
           "entry": sha[:16], "tier": tier, "bundle": sha, "detail": detail}  # fmt: skip
    if event == "reproduced":
        row |= {"evidence": told(folder / sha[:16] / "bundle.medbench.zip", sha)}
        row |= {"signature": signed(folder, canonical_json.dump(row))}
    row["sha256"] = hashlib.sha256(canonical_json.dump(row)).hexdigest()
    with path.open("ab") as file:
        file.write(canonical_json.dump(row) + b"\n")


def told(bundle: Path, sha: str) -> dict[str, str]:
    """Return the evidence of a rerun that gave the same bits."""
    _, members = zip_container.read(bundle)
    keys = [name[len("predictions/") : -len(".csv")] for name in members if name.startswith("predictions/")]
    trial = evidence.choose_cell(keys, sha, "salt")
    name = f"predictions/{trial}.csv"
    predicted = hashlib.sha256(members[name].unpack(name)).hexdigest()
    return {"by": "maintainer", "salt": "salt", "trial": trial, "published": predicted, "rerun": predicted}


def signed(folder: Path, statement: bytes) -> str:
    """Sign a row with a key that the folder's maintainers list from now on."""
    private = key()
    public = private.with_suffix(".pub").read_text()
    (folder / evidence.MAINTAINERS).write_text(f'maintainer namespaces="{evidence.NAMESPACE}" {public}')
    return signatures.one_line(signatures.sign(statement, private, namespace=evidence.NAMESPACE))


@functools.cache
def key() -> Path:
    """Make a key that is thrown away with this process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def publish(folder: Path, count: int, *, boards: int = 2, arms: int = 12, trials: int = 2) -> list[str]:
    """Write `count` entries; every seventh is reproduced, every fortieth withdrawn. Return their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = [store(folder, entry(n, boards=boards, arms=arms), trials=trials) for n in range(count)]
    shas = [hashlib.sha256((folder / key / "bundle.medbench.zip").read_bytes()).hexdigest() for key in keys]
    for number, sha in enumerate(shas):
        if number % 7 == 1 and number % 10 != 3 and number % 40 != 5:
            add(folder, sha, "reproduced", "reproduced", detail="one training run agreed", date="2026-02-15")
    for sha in shas[5::40]:
        add(folder, sha, "withdrawn", "withdrawn", detail="its authors found a mistake", date="2026-03-01")
    return keys


def main() -> None:
    """Invent, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("entries", 1000), ("boards", 2), ("arms", 12), ("trials", 180)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--keep", type=Path, help="Write entries and site there and leave them.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        publish(folder / "published", asked.entries, boards=asked.boards, arms=asked.arms, trials=asked.trials)
        started = time.perf_counter()
        run = [sys.executable, "-m", "medbench", "site", str(folder / "published"), "-o", str(folder / "site")]
        subprocess.run(run, check=True)
        seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        files = [path for path in (folder / "site").rglob("*") if path.is_file()]
        print(f"{asked.entries:,} entries of {asked.boards} boards x {asked.arms} arms, {asked.trials} trials each")
        print(f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, {os.cpu_count()} cores, load "
              f"{os.getloadavg()[0]:.0f}, {used.ru_maxrss / 1024:.0f} MB")  # fmt: skip
        print(f"{len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
