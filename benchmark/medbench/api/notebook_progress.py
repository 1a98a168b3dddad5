"""Progress in a notebook: one cell that is redrawn in place, without a widget library."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

from medbench.api.run_progress import RunProgress, decoding_text
from medbench.text import clean

REDRAW_SECONDS = 0.5
KEPT = 6
"""Sentences that are shown below the bar; the last ones."""


def is_notebook() -> bool:
    """Say whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:  # importing it takes half a second
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookProgress:
    """Shows decoding and a run in the output of a cell; a :class:`medbench.running.watcher.Watcher`."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._sentences: list[str] = []
        self._run = RunProgress()
        self._title, self._done, self._total = "", 0, 0
        self._drawn = 0.0

    def say(self, text: str) -> None:
        """Show a sentence."""
        self._sentences.append(clean(text))
        self._draw(now=True)

    problem = say

    def decoding(self, what: str, done: int, total: int) -> None:
        """Show how many images of a data set are decoded."""
        self._title, self._done, self._total = decoding_text(clean(what), done, total), done, total
        self._draw(now=done == total)

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Show what is to be done."""
        self._run = RunProgress(runs=trials, generators=stages)
        self._sentences.append(self._run.planned(hits))
        self._count()
        self._draw(now=True)

    def started(self, job: str, label: str, kind: str) -> None:
        """Show that a job runs."""
        self._run.started(job, clean(label), kind)
        self._draw()

    def progress(self, job: str, step: int, total: int) -> None:
        """Show the training step that a job has reached."""
        self._run.progress(job, step, total)
        self._draw()

    def time_left(self, seconds: float | None, is_guess: bool) -> None:
        """Show how long the run still takes."""
        self._run.tell(seconds, is_guess)
        self._count()
        self._draw()

    def finished(self, job: str, status: str, note: str) -> None:
        """Show that a job ended."""
        name = self._run.name(job)
        self._run.finished(job, status)
        if note:
            self._sentences.append(clean(f"{status}: {name}: {note}"))
        self._count()
        self._draw(now=self._done == self._total)

    def _count(self) -> None:
        self._title, self._done = self._run.line, self._run.done
        self._total = self._run.runs + self._run.generators

    def _draw(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._drawn < REDRAW_SECONDS:
            return
        from IPython.display import HTML, display

        self._drawn = time.monotonic()
        shown = HTML(self._html())
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def _html(self) -> str:
        lines = []
        if self._total:
            title = html.escape(self._title)
            bar = f'<progress max="{self._total}" value="{self._done}" aria-label="{title}"></progress>'
            lines.append(f"{bar} {title}")
        lines += map(html.escape, self._run.running())
        lines += map(html.escape, self._sentences[-KEPT:])
        return "<br>".join(lines)
