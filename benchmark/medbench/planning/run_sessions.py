"""When a run began and ended, and where its images lay, session by session: files beside the record of its plan.

They are read for the wall time and for commands that are printed ready to type. Nothing else rests on them: no id, no
number, no bundle; a run of before has none, and a session that was killed has no end.
"""

from __future__ import annotations

import glob
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medbench.identity.identity import digest
from medbench.store.check_store import PLANS
from medbench.store.store import Store
from medbench.text import duration

SUFFIX = ".session"


@dataclass(frozen=True)
class RunSession:
    """One call of ``medbench run``.

    Attributes:
        begin: Seconds since 1970.
        end: Likewise; None where the session runs still, or was killed.
        data: Folders of the images, as whole paths, some as NAME=FOLDER.
        file: Study file, as a whole path; "" for none.
    """

    begin: float
    end: float | None = None
    data: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class OpenSession:
    """A session that runs.

    Attributes:
        path: Its file.
        session: As it began.
    """

    path: Path
    session: RunSession

    def end(self) -> None:
        """Note that it ended."""
        self.write(replace(self.session, end=time.time()))

    def drop(self) -> None:
        """Remove its file: nothing was left to run."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return

    def write(self, session: RunSession) -> None:
        """Write its file; a store that cannot be written to is left as it is."""
        fresh = self.path.with_suffix(".part")
        try:
            fresh.write_text(json.dumps(asdict(session)))
            fresh.replace(self.path)
        except OSError:
            return


def begin_session(
    store: Store, record: Mapping[str, Any], *, begin: float, data: Sequence[str] = (), file: str = ""
) -> OpenSession:
    """Note that a run has begun.

    Args:
        store: Where the results are.
        record: Of the plan.
        begin: Seconds since 1970.
        data: Folders of the images, some as NAME=FOLDER.
        file: Study file; "" for none.
    """
    path = store.root / PLANS / f"{_stem(record)}.{uuid.uuid4().hex[:12]}{SUFFIX}"
    places = tuple(map(_whole, data))
    opened = OpenSession(path, RunSession(begin, None, places, os.path.abspath(file) if file else ""))
    opened.write(opened.session)
    return opened


def run_sessions(store: Store, record: Mapping[str, Any]) -> tuple[RunSession, ...]:
    """Return the sessions of a run, the first begun first; those whose file is damaged are left out."""
    found = []
    for path in (store.root / PLANS).glob(f"{glob.escape(_stem(record))}.*{SUFFIX}"):
        try:
            value = json.loads(path.read_text())
            begin, end = float(value["begin"]), value["end"]
            data = tuple(str(folder) for folder in value["data"])
            found.append(RunSession(begin, None if end is None else float(end), data, str(value["file"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return tuple(sorted(found, key=lambda session: session.begin))


def wall_time(sessions: Sequence[RunSession]) -> str:
    """Say how long a run took by the clock, hours without a session left out: ``5 min``; "" where nobody knows.

    Sessions at the same time, as of parts on a cluster, count once. One without an end makes it "more than".
    """
    seconds, until = 0.0, 0.0
    for session in sessions:
        if session.end is not None and session.end > until:
            seconds += session.end - max(session.begin, until)
            until = session.end
    if not seconds:
        return ""
    more = "more than " if any(session.end is None for session in sessions) else ""
    times = f", in {len(sessions)} sessions" if len(sessions) > 1 else ""
    return f"{more}{duration(seconds)}{times}"


def _stem(record: Mapping[str, Any]) -> str:
    # What is checked at twice the steps is chosen in the middle of a run.
    return f"{record['study']['name']}-{digest({**record, 'checked': []})[:8]}"


def _whole(folder: str) -> str:
    name, equals, path = folder.partition("=")
    is_named = equals and not Path(folder).exists() and "/" not in name
    return f"{name}={os.path.abspath(path)}" if is_named else os.path.abspath(folder)
