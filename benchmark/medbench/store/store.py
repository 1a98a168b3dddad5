"""Results as files: one immutable folder a trial, renamed into place when it is complete.

The first complete result of an id wins, so nothing is half there, lost or double. Every table is derived from these
folders and can be thrown away; copying two stores into one another is their union.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from medbench import sealed_records
from medbench.errors import MedbenchError, ResourceError, StoreError
from medbench.machine_faults import find_machine_fault
from medbench.store.durable_files import shorten_log, sync_folder, sync_tree, write_durably
from medbench.store.folder_names import (
    JOB_NAME,
    SLUG,
    STAGE_NAME,
    TRIAL_NAME,
    attempt_of,
    holds_files,
    holds_record,
    is_trial,
    slug,
)
from medbench.store.recomputed_scores import read
from medbench.store.trial_files import Failure, Stored, read_stored, write_failure
from medbench.trial.stages import check_stage
from medbench.trial.trial import Trial

SCHEMA = 1
MARK = "medbench-store.json"


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
                write_durably(mark, json.dumps({"schema": SCHEMA}).encode())
            except OSError as error:
                raise _not_written(root, error) from None
        try:
            schema = int(json.loads(mark.read_text())["schema"])
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(
                f'{mark}: is damaged; restore it with {{"schema": {SCHEMA}}}, nothing else is lost.'
            ) from None
        if schema > SCHEMA:
            raise StoreError(f"{root}: written by a newer medbench (schema {schema} > {SCHEMA}); update medbench.")
        self.notes: list[str] = []
        """What was moved aside, for whoever shows what a run does."""
        self._lock_file: int | None = None

    # -- places ----------------------------------------------------------------------------------------------------

    def place(self, trial: Trial) -> Path:
        """Return the folder a trial's result has or would have."""
        return self.root.joinpath(*_names(trial))

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
            raise _not_written(folder, error) from None
        return folder

    def sweep(self) -> None:
        """Remove the job folders of runners that were killed; a living runner holds the lock of its jobs."""
        for folder in sorted((self.root / ".jobs").glob("*-*")):
            if not JOB_NAME.fullmatch(folder.name):
                continue  # what a file manager left there
            key = folder.name.partition("-")[0]
            if self.claim(key):
                shutil.rmtree(folder, ignore_errors=True)
                self.release(key)

    # -- reading ---------------------------------------------------------------------------------------------------

    def find(self, trial: Trial, listed: dict[Path, list[str]] | None = None) -> Stored | None:
        """Return the stored row of exactly this trial id, the result before a failure.

        None also where the machine interrupted it, and where its folder is not whole: it is to be run then.

        Args:
            trial: What is looked for.
            listed: What folders hold, each listed once; handed on from trial to trial of one search.

        Raises:
            StoreError: If its result is damaged.
        """
        place = self.place(trial)
        if (stored := self._find_in(place, trial)) is not None:
            return stored
        found = (self._find_in(folder, trial) for folder in self._failures(place, listed))
        return next((stored for stored in found if stored is not None), None)

    def _find_in(self, folder: Path, trial: Trial) -> Stored | None:
        if not holds_record(folder):
            return None
        stored = self._read(folder)
        return stored if stored.trial.id == trial.id and stored.status != "interrupted" else None

    def rows(self, dataset: str | None = None) -> Iterator[Stored]:
        """Yield every row, sorted by folder: results, and the latest failure of trials without one.

        A trial that the machine interrupted is one where it has neither result nor failure. Folders with names that the
        store does not give are none of it: file managers and sync clients leave copies behind.

        Raises:
            StoreError: If one is damaged.
        """
        for protocol in self._protocols(dataset):
            attempts: dict[str, list[str]] = {}
            for name in sorted(filter(TRIAL_NAME.fullmatch, os.listdir(protocol))):
                attempts.setdefault(name.partition(".failed-")[0], []).append(name)
            for base, of_trial in sorted(attempts.items()):
                if of_trial[0] == base and os.path.isfile(f"{protocol}/{base}/result.json"):
                    yield self._read(protocol / base)  # almost all of them, so nothing else is looked at
                    continue
                of_trial = [name for name in of_trial if is_trial(protocol / name)]
                if base in of_trial:
                    yield self._read(protocol / base)
                    continue
                latest_first = [self._read(protocol / name) for name in sorted(of_trial, key=attempt_of, reverse=True)]
                if latest_first:
                    yield next((row for row in latest_first if row.status != "interrupted"), latest_first[0])

    def folders(self) -> Iterator[Path]:
        """Yield the folder of every result and failure, sound or not, sorted."""
        for protocol in self._protocols():
            yield from sorted(p for p in protocol.iterdir() if is_trial(p))

    def stages(self) -> Iterator[Path]:
        """Yield the folder of every stage, sound or not, sorted."""
        yield from sorted(
            p for p in (self.root / "stages").glob("*") if STAGE_NAME.fullmatch(p.name) and holds_files(p)
        )

    def foreign(self) -> Iterator[Path]:
        """Yield what lies among results and is not the store's, sorted: left by file managers, or copies."""
        own = {MARK, "stages"}
        for top in sorted(self.root.iterdir()):
            if top.name in own or (top.name.startswith(".") and top.name not in (".DS_Store",)):
                continue
            levels = [[top], sorted(top.glob("*")), sorted(top.glob("*/*"))]
            clutter = [p for level in levels for p in level if not (p.is_dir() and SLUG.fullmatch(p.name))]
            yield from (p for p in clutter if not any(other in p.parents for other in clutter))
        for protocol in self._protocols():
            yield from sorted(p for p in protocol.iterdir() if not (p.is_dir() and TRIAL_NAME.fullmatch(p.name)))

    def check(self, folder: Path) -> Stored:
        """Read a row and compare all files of its folder with what was stored.

        Raises:
            StoreError: If it is damaged.
        """
        stored = self._read(folder)
        stored.check()
        if stored.status == "done":
            stored.predictions()
        return stored

    def set_aside(self, path: Path) -> Path:
        """Move what is damaged out of the way, into ``.damaged``; nothing is ever deleted there."""
        name = "--".join(path.relative_to(self.root).parts)
        aside = self.root / ".damaged" / f"{name}.{uuid.uuid4().hex[:8]}"
        try:
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
        except OSError as error:
            raise _not_written(path, error) from None
        self.notes.append(f"{path}: is damaged and was moved to {aside}")
        return aside

    def _protocols(self, dataset: str | None = None) -> Iterator[Path]:
        tops = [self.root / slug(dataset)] if dataset else sorted(self.root.iterdir())
        for top in tops:
            if top.name == "stages" or not SLUG.fullmatch(top.name) or not top.is_dir():
                continue
            for place in sorted(top.glob("*/*")):
                if SLUG.fullmatch(place.name) and SLUG.fullmatch(place.parent.name) and place.is_dir():
                    yield place

    def _read(self, folder: Path) -> Stored:
        stored = read(self.root, folder)
        *above, name = folder.parts[len(self.root.parts) :]
        if _names(stored.trial) != (*above, name.partition(".failed-")[0]):
            raise sealed_records.damage_error(folder, "it holds another trial")
        return stored

    def _failures(self, place: Path, listed: dict[Path, list[str]] | None = None) -> list[Path]:
        listed = {} if listed is None else listed
        if place.parent not in listed:
            names = os.listdir(place.parent) if place.parent.is_dir() else ()
            listed[place.parent] = [name for name in names if ".failed-" in name]
        begin = f"{place.name}.failed-"
        found = (place.with_name(name) for name in listed[place.parent] if name.startswith(begin))
        return sorted((p for p in found if is_trial(p)), key=lambda p: attempt_of(p.name), reverse=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def claim(self, key: str) -> bool:
        """Take the lock of a trial or stage; the kernel drops it when this process ends.

        One byte of one file stands for a key, so there are no lock files to clean up.
        """
        if self._lock_file is None:
            try:
                self._lock_file = os.open(self.root / ".locks", os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise _not_written(self.root, error) from None
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
        """Move a finished job's folder into place; where a whole one is there already, that one stays.

        What is there and is not whole is moved aside first.
        """
        for leftover in ("task.json", "progress.json"):
            (job / leftover).unlink(missing_ok=True)
        shorten_log(job / "log.txt")
        try:
            sync_tree(job)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists() and not _is_whole(place):
                self.set_aside(place)
            if not place.exists():
                job.rename(place)
                sync_folder(place.parent)
        except OSError as error:
            raise ResourceError(
                f"{place}: cannot be stored ({error.strerror}); free space, then run the same command."
            ) from None
        shutil.rmtree(job, ignore_errors=True)
        return place

    def accept_failure(self, job: Path, trial: Trial, failure: Failure) -> Path:
        """Store a failure or skip beside where the result would be."""
        place = self.place(trial)
        try:
            write_failure(job, trial, failure)
        except OSError as error:
            raise _not_written(job, error) from None
        attempts = [attempt_of(p.name) for p in self._failures(place)]
        return self.accept(job, place.with_name(f"{place.name}.failed-{max(attempts, default=0) + 1}"))


def _names(trial: Trial) -> tuple[str, str, str, str]:
    """Return the names of the folders that a trial's result is in, from the store's root down to its own."""
    return (
        slug(trial.dataset),
        f"{slug(trial.augmenter)}--{slug(trial.classifier)}",
        slug(trial.protocol),
        f"r{trial.repeat}-f{trial.fold}-s{trial.seed}-{trial.id[:8]}",
    )


def _is_whole(folder: Path) -> bool:
    """Say whether a folder holds a result, failure or stage whose files are those that were stored."""
    try:
        if (folder / "stage.json").is_file():
            check_stage(folder)
        else:
            stored = read_stored(folder)
            stored.check()
            if stored.status == "done":
                stored.predictions()
    except StoreError:
        return False
    return True


def _not_written(place: Path, error: OSError) -> MedbenchError:
    fault = find_machine_fault(error)
    if fault is not None:
        return ResourceError(f"{place}: cannot be written ({error.strerror}): {fault[1]}")
    return StoreError(f"{place}: cannot be written ({error.strerror}); give another --results.")
