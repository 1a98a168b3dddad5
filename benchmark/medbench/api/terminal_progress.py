"""Progress in a terminal: bars where there is one, plain lines where there is none."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from medbench.text import clean, counted

QUIET_SECONDS = 5.0


class Display:
    """Shows decoding and a run; both a progress callback and a watcher."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False)
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._labels: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._overall: TaskID | None = None
        self._total = self._finished = 0
        self._last = self._started = time.monotonic()

    def __enter__(self) -> Display:
        if self.live:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(Text(clean(text)), soft_wrap=True)

    # -- progress of decoding --------------------------------------------------------------------------------------

    def decoding(self, what: str, done: int, total: int) -> None:
        """Show how many images are decoded."""
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(clean(what), total=total)
            self._bars.update(self._tasks[what], completed=done, visible=done < total)
        elif done in (0, total) or time.monotonic() - self._last > QUIET_SECONDS:
            self._last = time.monotonic()
            self.say(f"{what}: {done} of {counted(total, 'image')}")

    # -- a watcher of the runner -----------------------------------------------------------------------------------

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Show what is to be done."""
        self._total, self._finished = stages + trials, 0  # a second plan, as of a check at twice the steps, counts anew
        self._started = time.monotonic()
        had = f", {counted(hits, 'result', 'are')} there already" if hits else ""
        if self._total:
            self.say(f"{counted(trials, 'trial')} and {counted(stages, 'generator')} to fit{had}")
            if self._bars is not None:
                self._overall = self._bars.add_task("all", total=self._total)
        else:
            self.say(f"nothing to do{had}")

    def started(self, job: str, label: str, kind: str) -> None:
        """Show that a job runs."""
        self._labels[job] = label
        if self._bars is not None:
            self._tasks[job] = self._bars.add_task(f"  {clean(label)}"[:44], total=None)

    def progress(self, job: str, step: int, total: int) -> None:
        """Show how far a job is."""
        if self._bars is not None and job in self._tasks:
            self._bars.update(self._tasks[job], completed=step, total=total)

    def finished(self, job: str, status: str, note: str) -> None:
        """Show that a job ended."""
        label = self._labels.pop(job, "")
        if status != "again":
            self._finished += 1
        if self._bars is not None:
            if job in self._tasks:
                self._bars.remove_task(self._tasks.pop(job))
            if self._overall is not None:
                self._bars.update(self._overall, completed=self._finished)
        if note and status == "failed" and label and self._failed.setdefault(note, label) != label:
            self.say(f"{status}: {label}: as {self._failed[note]}")
        elif note:
            self.say(f"{status}: {label}: {note}" if label else f"{status}: {note}")
        elif self._bars is None:
            seconds = time.monotonic() - self._started
            self.say(f"[{self._finished}/{self._total}, {seconds:.0f} s] {label}")

    def problem(self, text: str) -> None:
        """Show what an observer's plugin did wrong."""
        self.say(f"warning: {text}")


def can_draw_trees(stream: Any) -> bool:
    """Say whether a stream's encoding has the characters of a tree."""
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf")
