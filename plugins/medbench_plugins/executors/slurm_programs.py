"""The programs of SLURM: how they are called, and what their answers say."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

LIVING = frozenset({
    "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "RESIZING", "SUSPENDED", "STOPPED", "REQUEUE_FED",
    "REQUEUE_HOLD", "SPECIAL_EXIT", "SIGNALING", "STAGE_OUT", "RESV_DEL_HOLD",
})  # fmt: skip
STEP_SECONDS = 0.1
WHOLE_RANGES = {"SLURM_BITSTR_LEN": "0"}
"""Else a list of tasks is cut after 64 characters."""

NEVER = re.compile(
    r"invalid (partition|account|qos|job array|feature|generic resource|wckey|reservation|node name|time|option)|"
    r"(unrecognized|unknown|ambiguous) option|option requires an argument|requested time limit is invalid|"
    r"(node|partition) configuration .*not available|memory specification can ?not be satisfied|permission denied",
    re.IGNORECASE,
)
"""What sbatch says of a request that it would refuse again: nothing is won by waiting."""
_GONE = re.compile(r"invalid job id|already complet", re.IGNORECASE)


@dataclass(frozen=True)
class States:
    """What SLURM says of jobs.

    Attributes:
        of: State and exit code by "17_0"; by "17_*" for the tasks of an array that are not listed one by one.
    """

    of: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def find(self, job: str) -> tuple[str, str]:
        """Return state and exit code of a job, two empty texts where nothing is said of it."""
        return self.of.get(job) or self.of.get(f"{job.partition('_')[0]}_*") or ("", "")


def read_states(text: str) -> States:
    """Read lines of ``JobID|State|ExitCode``; tasks that never began stand in one line, as ``17_[0-2,5%4]``."""
    listed, ranges = dict[str, tuple[str, str]](), dict[str, tuple[str, str]]()
    for line in text.splitlines():
        if line.count("|") < 2:
            continue
        name, state, code, *_ = line.strip().split("|")
        said = (re.split(r"[ +]", state)[0], code)
        array, bracket, tasks = name.partition("_[")
        if bracket:
            ranges |= {f"{array}_{task}": said for task in _expand(tasks.partition("]")[0])}
        if "_" not in name or "..." in tasks:  # said of the array, or of tasks whose list was cut
            listed[f"{array}_*"] = said
        elif not bracket:
            listed[name] = said
    return States(ranges | listed)


def _expand(tasks: str) -> Iterator[str]:
    """Yield the numbers of ``0-2,5,7-11:2%4``; what is no number, as the dots of a list that was cut, is left out."""
    for part in tasks.partition("%")[0].split(","):
        if found := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip()):
            first, last, step = found[1], found[2] or found[1], found[3] or "1"
            yield from map(str, range(int(first), int(last) + 1, max(1, int(step))))


def number_of(answer: str) -> str:
    """Return the number of the job that sbatch submitted, with or without ``--parsable``; "" where it tells none."""
    alone = re.search(r"^\s*(\d+)(?:;\S*)?\s*$", answer, re.MULTILINE)
    said = alone or re.search(r"submitted batch job (\d+)", answer, re.IGNORECASE)
    return said[1] if said else ""


def last_line(text: str) -> str:
    """Return the last line of what a program said, as half a sentence."""
    return (text.strip().splitlines() or ["no message"])[-1].strip().rstrip(".")


def cancel(words: list[str], seconds: float) -> str:
    """Cancel jobs; return why that failed, "" where it did not or they had ended."""
    try:
        said = ask("scancel", *words, seconds=seconds)
    except subprocess.TimeoutExpired:
        return f"scancel has not answered for {seconds:g} s"
    except OSError as error:
        return f"scancel: {error.strerror or error}"
    if said.returncode == 0 or (said.stderr.strip() and all(map(_GONE.search, said.stderr.strip().splitlines()))):
        return ""
    return f"scancel ended with {said.returncode}: {last_line(said.stderr)}"


def ask(
    *words: str,
    seconds: float,
    over: threading.Event | None = None,
    grace_s: float = 0.0,
    meanwhile: Callable[[], None] = lambda: None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program in a session of its own: Ctrl-C in our terminal is no message to it.

    Args:
        words: The program and its arguments.
        seconds: How long it may take.
        over: Once this is set, it has `grace_s` seconds left.
        grace_s: See there.
        meanwhile: Called several times a second.
        variables: Environment variables beside our own.

    Raises:
        OSError: If it does not start.
        subprocess.TimeoutExpired: If it was ended, for either reason.
    """
    late = time.monotonic() + seconds
    closing = False
    process = subprocess.Popen(  # noqa: S603
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True, env={**os.environ, **(variables or {})},
    )  # fmt: skip
    with process:
        while True:
            try:
                out, err = process.communicate(timeout=STEP_SECONDS)
                return subprocess.CompletedProcess(words, process.returncode, out, err)
            except subprocess.TimeoutExpired:
                meanwhile()
            if over is not None and over.is_set() and not closing:
                closing, late = True, min(late, time.monotonic() + grace_s)
            if time.monotonic() >= late:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and what it started, which would hold our pipes open
                process.communicate()
                raise subprocess.TimeoutExpired(words, seconds)
