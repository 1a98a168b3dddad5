"""The programs of SLURM: how they are called, and what their answers say."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping

STEP_SECONDS = 0.1

_BAD = re.compile(r"error|fatal|invalid|unrecognized|ambiguous|unknown option|requires an argument", re.IGNORECASE)
_HINT = re.compile(r"\btry .*--help", re.IGNORECASE)
_OF_ALL_LIMITS = re.compile("accounting/QOS policy")  # follows the name of the limit
_PREFIX = re.compile(r"^sbatch: (error: |fatal: )?")
_GONE = re.compile(r"invalid job id|already complet", re.IGNORECASE)


def number_of(answer: str) -> str:
    """Return the number of the job that sbatch submitted, with or without ``--parsable``; "" where it tells none."""
    alone = re.search(r"^\s*(\d+)(?:;\S*)?\s*$", answer, re.MULTILINE)
    said = alone or re.search(r"submitted batch job (\d+)", answer, re.IGNORECASE)
    return said[1] if said else ""


def last_line(text: str) -> str:
    """Return the last line of what a program said, as half a sentence."""
    return (text.strip().splitlines() or ["no message"])[-1].strip().rstrip(".")


def complaint(text: str) -> str:
    """Return what a program complains of as half a sentence, without greetings and hints at ``--help``."""
    lines = list(dict.fromkeys(line.strip().rstrip(".") for line in text.splitlines() if line.strip()))
    bad = [line for line in lines if _BAD.search(line) and not _HINT.search(line)] or lines[-1:] or ["no message"]
    bad = [line for line in bad if not _OF_ALL_LIMITS.search(line)] or bad
    return "; ".join([bad[0], *(_PREFIX.sub("", line) for line in bad[1:])])


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
        subprocess.TimeoutExpired: If it was ended, for either reason; ``stderr`` has what it had said.
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
                out, err = process.communicate()
                raise subprocess.TimeoutExpired(words, seconds, out, err)
