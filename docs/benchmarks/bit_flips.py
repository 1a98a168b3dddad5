"""Flip bits of a store and of what was decoded, one at a time, and count the changes that nobody is told of.

A run on a phantom is made once. Then, again and again, one random bit of one random file is flipped, the board is
printed and the cache is opened as a run opens it, and the file is put back. A flip goes *unnoticed* if the board, the
predictions behind it, or what a run would train on is another and neither an error nor a note says so.

    python docs/benchmarks/bit_flips.py --flips 1000

Files are drawn first and bits second, so that small records are hit as often as large arrays. Logs and locks are left
out: nothing is read from them.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("BIT_FLIPS") or tempfile.mkdtemp(prefix="bit-flips-"))
os.environ["BIT_FLIPS"] = str(FOLDER)  # for workers, which import this file
os.environ["MEDBENCH_CACHE"] = str(FOLDER / "cache")
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "toys"))

from click.testing import CliRunner  # noqa: E402

from medbench.cli import cli  # noqa: E402
from medbench.data.cache import Decoded, decode  # noqa: E402
from medbench.data.find_phantom import phantom_root  # noqa: E402
from medbench.errors import MedbenchError  # noqa: E402
from medbench.planning.plan_records import open_record  # noqa: E402
from medbench.trial.stages import load_state  # noqa: E402
from toys import ToyData  # noqa: E402

RESULTS = FOLDER / "runs"
RUN = (
    "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "3", "--repeats", "1", "--no-yardsticks",
    "--workers", "1", "--plugins-dir", str(Path(__file__).parents[2] / "tests" / "toys"), "-p", "no:medbench.scores",
    "--executor", "forks", "--results", str(RESULTS),
)  # fmt: skip


class Notes(logging.Handler):
    """Collects what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def opened() -> Decoded:
    """Open the decoded data as a run does: its phantom is looked for first."""
    return decode(ToyData(), phantom_root(ToyData(), patients=120), size=8, prefix="phantom:")


def numbers() -> str:
    """Return a digest of the board, the predictions, the stages and the pixels that a command would use now."""
    shown = CliRunner().invoke(cli, ["leaderboard", "--results", str(RESULTS)], standalone_mode=False)
    if shown.exception is not None:
        raise shown.exception
    store, _ = open_record(RESULTS, None)
    sha = hashlib.sha256(shown.output.encode())
    for row in store.rows():
        p = row.predictions()
        sha.update(f"{row.trial} {row.metrics} {row.frequencies} {row.stages} {p.ids.tolist()}".encode())
        sha.update(p.probabilities.tobytes() + p.labels.tobytes())
    for folder in store.stages():
        for name, array in sorted(load_state(folder)[0].items()):
            sha.update(name.encode() + array.tobytes())
    samples = opened().samples()
    sha.update(samples.x.tobytes() + samples.labels.tobytes() + f"{samples.ids} {samples.groups}".encode())
    return sha.hexdigest()


def main() -> None:
    """Flip, look, put back, count."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--flips", type=int, default=1000)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    made = CliRunner().invoke(cli, RUN, standalone_mode=False)
    if made.exception is not None:
        raise made.exception
    notes = Notes()
    logger = logging.getLogger("medbench")
    logger.addHandler(notes)
    logger.propagate = False
    whole = numbers()
    assert not notes.said, notes.said
    kept = shutil.copytree(FOLDER, FOLDER.with_name(FOLDER.name + "-whole"))
    files = sorted(
        p.relative_to(FOLDER)
        for p in FOLDER.rglob("*")
        if p.is_file() and p.stat().st_size and p.name not in ("log.txt", ".locks")
    )
    rng = np.random.default_rng(options.seed)
    told: Counter[str] = Counter()
    for number in range(options.flips):
        name = files[rng.integers(len(files))]
        content = bytearray((FOLDER / name).read_bytes())
        bit = int(rng.integers(8 * len(content)))
        content[bit // 8] ^= 1 << bit % 8
        (FOLDER / name).write_bytes(content)
        notes.said.clear()
        try:
            outcome = "no number changed" if numbers() == whole else "UNNOTICED"
        except MedbenchError as error:
            outcome = f"error, exit code {error.exit_code}"
        except Exception as error:  # noqa: BLE001  a traceback is a fault of its own, and counted
            outcome = f"TRACEBACK {type(error).__name__}"
        if notes.said:
            outcome = "note, made again" if outcome == "no number changed" else f"note, {outcome}"
        told[outcome] += 1
        if outcome.isupper() or outcome.startswith("TRACEBACK"):
            print(f"{outcome}: bit {bit} of {name}", flush=True)
        if notes.said or not (FOLDER / name).is_file():
            shutil.rmtree(FOLDER / "cache")
            shutil.copytree(kept / "cache", FOLDER / "cache")
        else:
            shutil.copyfile(kept / name, FOLDER / name)
        if number % 100 == 99:
            print(number + 1, dict(told), flush=True)
    print(f"{options.flips:,} flips over {len(files)} files: {', '.join(f'{n:,} {o}' for o, n in told.most_common())}")
    shutil.rmtree(FOLDER)
    shutil.rmtree(kept)


if __name__ == "__main__":
    main()
