"""Results as files: one immutable folder a trial, renamed into place when it is complete.

The first complete result of an id wins, so nothing is half there, lost or double. Every table is derived from these
folders and can be thrown away; copying two stores into one another is their union.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from medbench.errors import ResourceError, StoreError
from medbench.kept_scores import read
from medbench.stored import Failure, Stored
from medbench.trial import Trial

SCHEMA = 1
MARK = "medbench-store.json"
LOG_LIMIT = 10 * 2**20


class Store:
    """A folder of results.

    Args:
        root: The folder; made where it does not exist.
        create: False refuses a folder that is no store.

    Raises:
        StoreError: If the folder cannot be written, is a file, or was written by a newer medbench.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root
        mark = root / MARK
        if not mark.is_file():
            if root.exists() and not root.is_dir():
                raise StoreError(f"{root} is a file, not a folder of results; give another --results.")
            if not create:
                raise StoreError(f"{root}: no results here yet; run `medbench run` first or give another --results.")
            try:
                root.mkdir(parents=True, exist_ok=True)
                _write_durably(mark, json.dumps({"schema": SCHEMA}).encode())
            except OSError as error:
                raise StoreError(f"{root}: cannot be written ({error.strerror}); give another --results.") from None
        try:
            schema = int(json.loads(mark.read_text())["schema"])
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(
                f'{mark}: is damaged; restore it with {{"schema": {SCHEMA}}}, nothing else is lost.'
            ) from None
        if schema > SCHEMA:
            raise StoreError(f"{root}: written by a newer medbench (schema {schema} > {SCHEMA}); update medbench.")
        self._lock_file: int | None = None

    # -- places ----------------------------------------------------------------------------------------------------

    def place(self, trial: Trial) -> Path:
        """Return the folder a trial's result has or would have."""
        arm = f"{slug(trial.augmenter)}--{slug(trial.classifier)}"
        name = f"r{trial.repeat}-f{trial.fold}-s{trial.seed}-{trial.id[:8]}"
        return self.root / slug(trial.dataset) / arm / slug(trial.protocol) / name

    def stage_place(self, key: str) -> Path:
        """Return the folder a fitted stage has or would have."""
        return self.root / "stages" / key[:16]

    def stage_folder(self, key: str) -> Path | None:
        """Return the folder of a stored stage, or None."""
        folder = self.stage_place(key)
        return folder if (folder / "stage.json").is_file() else None

    def job_folder(self, name: str) -> Path:
        """Make an empty folder for a job on the store's own file system."""
        folder = self.root / ".jobs" / f"{name[:16]}-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be made ({error.strerror}); free space or give another --results."
            ) from None
        return folder

    def sweep(self) -> None:
        """Remove the job folders of runners that were killed; a living runner holds the lock of its jobs."""
        for folder in sorted((self.root / ".jobs").glob("*")):
            key = folder.name.partition("-")[0]
            if self.claim(key):
                shutil.rmtree(folder, ignore_errors=True)
                self.release(key)

    # -- reading ---------------------------------------------------------------------------------------------------

    def find(self, trial: Trial) -> Stored | None:
        """Return the stored row of exactly this trial id, the result before a failure; None also where the machine
        interrupted it."""
        place = self.place(trial)
        for folder in [place, *self._failures(place)]:
            if (folder / "spec.json").is_file():
                stored = read(self.root, folder)
                if stored.trial.id == trial.id and stored.status != "interrupted":
                    return stored
        return None

    def rows(self, dataset: str | None = None) -> Iterator[Stored]:
        """Yield every row, sorted by folder: results, and the latest failure of trials without one.

        A trial that the machine interrupted is one where it has neither result nor failure.
        """
        tops = [self.root / slug(dataset)] if dataset else sorted(p for p in self.root.iterdir() if p.is_dir())
        for top in tops:
            if top.name.startswith(".") or top.name == "stages" or not top.is_dir():
                continue
            for protocol in sorted(p for p in top.glob("*/*") if p.is_dir()):
                yield from self._rows_in(protocol)

    def _rows_in(self, protocol: Path) -> Iterator[Stored]:
        names = sorted(p.name for p in protocol.iterdir() if (p / "spec.json").is_file())
        attempts: dict[str, list[str]] = {}
        for name in names:
            attempts.setdefault(name.partition(".failed-")[0], []).append(name)
        for base, of_trial in sorted(attempts.items()):
            if base in of_trial:
                yield read(self.root, protocol / base)
                continue
            latest_first = [read(self.root, protocol / name) for name in sorted(of_trial, key=_attempt, reverse=True)]
            yield next((row for row in latest_first if row.status != "interrupted"), latest_first[0])

    def _failures(self, place: Path) -> list[Path]:
        found = place.parent.glob(f"{place.name}.failed-*") if place.parent.is_dir() else ()
        return sorted(found, key=lambda p: _attempt(p.name), reverse=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def claim(self, key: str) -> bool:
        """Take the lock of a trial or stage; the kernel drops it when this process ends.

        One byte of one file stands for a key, so there are no lock files to clean up.
        """
        if self._lock_file is None:
            try:
                self._lock_file = os.open(self.root / ".locks", os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise StoreError(
                    f"{self.root}: cannot be written ({error.strerror}); give another --results."
                ) from None
        try:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(key[:12], 16))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise StoreError(  # waiting for a lock that cannot be had would be waiting for ever
                f"{self.root}: its file system has no locks ({error.strerror}); give --results on a local disk."
            ) from None
        return True

    def release(self, key: str) -> None:
        """Give a lock back."""
        if self._lock_file is not None:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN, 1, int(key[:12], 16))

    def accept(self, job: Path, place: Path) -> Path:
        """Move a finished job's folder into place; where a result is there already, that one stays."""
        for leftover in ("task.json", "progress.json"):
            (job / leftover).unlink(missing_ok=True)
        _shorten(job / "log.txt")
        try:
            sync_tree(job)
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                job.rename(place)
                _sync_folder(place.parent)
        except OSError as error:
            raise ResourceError(
                f"{place}: cannot be stored ({error.strerror}); free space, then run the same command."
            ) from None
        shutil.rmtree(job, ignore_errors=True)
        return place

    def accept_failure(self, job: Path, trial: Trial, failure: Failure) -> Path:
        """Store a failure or skip beside where the result would be."""
        place = self.place(trial)
        (job / "spec.json").write_text(json.dumps(trial.to_json(), indent=1, sort_keys=True))
        (job / "failure.json").write_text(json.dumps({"kind": failure.kind, "message": failure.message}, indent=1))
        (job / "result.json").unlink(missing_ok=True)
        attempts = [_attempt(p.name) for p in self._failures(place)]
        return self.accept(job, place.with_name(f"{place.name}.failed-{max(attempts, default=0) + 1}"))


def slug(text: str) -> str:
    """Turn a name with parameters into a folder's name; the full text stands in ``spec.json``."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return plain[:96] or "x"


def sync_tree(folder: Path) -> None:
    """Flush every file of a folder, and the folder, to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def _attempt(name: str) -> int:
    number = name.rpartition(".failed-")[2]
    return int(number) if number.isdigit() else 0


def _shorten(log: Path) -> None:
    if log.is_file() and log.stat().st_size > LOG_LIMIT:
        with log.open("r+b") as file:
            file.truncate(LOG_LIMIT)
            file.seek(0, os.SEEK_END)
            file.write(b"\n[the log went on; it was cut here]\n")
