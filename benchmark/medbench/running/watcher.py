"""Who is told how a run goes: a terminal, a notebook, or nobody."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Told how decoding and a run go."""

    def say(self, text: str) -> None:
        """Show a sentence."""

    def decoding(self, what: str, done: int, total: int) -> None:
        """Called as the images of a data set are decoded; `total` is 0 while nobody knows it."""

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Called once the store was searched: generators to train, training runs, results that are stored."""

    def started(self, job: str, label: str, kind: str) -> None:
        """Called when a job is submitted to the executor."""

    def progress(self, job: str, step: int, total: int) -> None:
        """Called with the training step that a job has reached."""

    def finished(self, job: str, status: str, note: str) -> None:
        """Called when a job ended: "done", "failed", "skipped", or "again" where it is tried once more."""

    def time_left(self, seconds: float | None, is_guess: bool) -> None:
        """Called several times a second with the seconds that are left; a watcher may lack it.

        Args:
            seconds: All workers busy; None where nothing is known yet.
            is_guess: Nothing was measured yet.
        """

    def problem(self, text: str) -> None:
        """Show what went wrong beside the training runs, such as a plugin that failed while it observed them."""


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None: ...
    def decoding(self, what: str, done: int, total: int) -> None: ...
    def planned(self, *, stages: int, trials: int, hits: int) -> None: ...
    def started(self, job: str, label: str, kind: str) -> None: ...
    def progress(self, job: str, step: int, total: int) -> None: ...
    def finished(self, job: str, status: str, note: str) -> None: ...
    def time_left(self, seconds: float | None, is_guess: bool) -> None: ...
    def problem(self, text: str) -> None: ...
