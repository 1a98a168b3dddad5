"""Who is told how a run goes: a terminal, a notebook, or nobody."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Told how decoding and a run go."""

    def say(self, text: str) -> None:
        """Show a sentence."""

    def decoding(self, what: str, done: int, total: int) -> None:
        """Called as the images of a data set are decoded."""

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Called once the store was searched: generators to fit, trials to run, results that are stored already."""

    def started(self, job: str, label: str, kind: str) -> None:
        """Called when a job is submitted to the executor."""

    def progress(self, job: str, step: int, total: int) -> None:
        """Called with the training step that a job has reached."""

    def finished(self, job: str, status: str, note: str) -> None:
        """Called when a job ended: "done", "failed", "skipped", or "again" where it is tried once more."""

    def problem(self, text: str) -> None:
        """Show what went wrong beside the trials, such as a plugin that failed while it observed them."""


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None: ...
    def decoding(self, what: str, done: int, total: int) -> None: ...
    def planned(self, *, stages: int, trials: int, hits: int) -> None: ...
    def started(self, job: str, label: str, kind: str) -> None: ...
    def progress(self, job: str, step: int, total: int) -> None: ...
    def finished(self, job: str, status: str, note: str) -> None: ...
    def problem(self, text: str) -> None: ...
