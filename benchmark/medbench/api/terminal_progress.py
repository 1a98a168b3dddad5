"""Progress in a terminal: bars where there is one, plain lines where there is none, at least one a minute.

Both count training runs. A generator is trained once for all training runs that need it, and is named beside them.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from medbench.api.run_progress import RunProgress, decoding_text, far_text, step_text
from medbench.running.time_left import about
from medbench.text import clean

FIRST_SECONDS = 3.0
"""After which decoding is reported in a pipe, and from when what is left of it is believed."""
WIDE = 100
"""Columns from which bars are longer."""
QUIET_SECONDS = 30.0
"""The longest that a pipe waits for a line."""


class Display:
    """Shows decoding and a run; both a progress callback and a watcher."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False)
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.run = RunProgress()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._failed: dict[str, str] = {}
        self._overall: TaskID | None = None
        self._began: dict[str, float] = {}
        self._counting: str | None = None
        self._last = time.monotonic()

    def __enter__(self) -> Display:
        if self.live:
            self._bars = Progress(
                TextColumn(
                    "{task.description}", markup=False, table_column=Column(ratio=1, overflow="ellipsis", no_wrap=True)
                ),
                BarColumn(bar_width=8 if self.console.width < WIDE else 16),
                TextColumn("{task.fields[far]}", markup=False, table_column=Column(no_wrap=True, min_width=12)),
                console=self.console,
                transient=True,
                expand=True,
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
        self._last = time.monotonic()
        self.console.print(Text(clean(text)), soft_wrap=self._bars is None)

    # -- progress of decoding --------------------------------------------------------------------------------------

    def decoding(self, what: str, done: int, total: int) -> None:
        """Show how many images are decoded, and how long that still takes; `total` is 0 while nobody knows it."""
        now = time.monotonic()
        elapsed = now - self._began.setdefault(what, now)
        left = f", {about(elapsed * (total - done) / done)} left" if total and done and elapsed > FIRST_SECONDS else ""
        if self._counting not in (None, what) and self._bars is not None:  # what nobody knew the end of has ended
            self._bars.update(self._tasks[self._counting], visible=False)
        self._counting = None if total else what
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(clean(what), total=total or None, far="")
            self._bars.update(
                self._tasks[what], completed=done, visible=not total or done < total, far=far_text(done, total),
                description=f"{clean(what)}{left}",
            )  # fmt: skip
        elif done in (0, total) or now - self._last > (FIRST_SECONDS if elapsed < QUIET_SECONDS else QUIET_SECONDS):
            self.say(decoding_text(what, done, total) + (left if done < total else ""))

    # -- a watcher of the runner -----------------------------------------------------------------------------------

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Show what is to be done."""
        self.run = RunProgress(runs=trials, generators=stages)  # a second plan, as at twice the steps, counts anew
        self.say(self.run.planned(hits))
        if self._bars is not None and trials + stages:
            self._overall = self._bars.add_task(self.run.counts, total=trials + stages, far="")

    def started(self, job: str, label: str, kind: str) -> None:
        """Show that a job runs."""
        self.run.started(job, label, kind)
        if self._bars is not None:
            self._tasks[job] = self._bars.add_task(f"  {clean(self.run.name(job))}", total=None, far="")

    def progress(self, job: str, step: int, total: int) -> None:
        """Show how far a job is."""
        self.run.progress(job, step, total)
        if self._bars is not None and job in self._tasks:
            self._bars.update(self._tasks[job], completed=step, total=total, far=step_text(step, total))

    def time_left(self, seconds: float | None, is_guess: bool) -> None:
        """Show how long the run still takes; in a pipe at least every half minute, with what is being trained."""
        is_first = not self.run.left and seconds is not None
        self.run.tell(seconds, is_guess)
        if self._bars is not None:
            self._show_overall()
        elif is_first or time.monotonic() - self._last > QUIET_SECONDS:
            self.say(f"{self.run.line}{self.run.running_text()}")

    def finished(self, job: str, status: str, note: str) -> None:
        """Show that a job ended."""
        name = self.run.name(job)
        self.run.finished(job, status)
        if self._bars is not None:
            if job in self._tasks:
                self._bars.remove_task(self._tasks.pop(job))
            self._show_overall()
        if note and status == "failed" and name and self._failed.setdefault(note, name) != name:
            self.say(f"{status}: {name}: as {self._failed[note]}")
        elif note:
            self.say(f"{status}: {name}: {note}" if name else f"{status}: {note}")
        elif self._bars is None:
            self.say(f"{self.run.line}: {name} done")

    def _show_overall(self) -> None:
        if self._bars is not None and self._overall is not None:
            self._bars.update(self._overall, description=self.run.counts, completed=self.run.done, far=self.run.left)

    def problem(self, text: str) -> None:
        """Show what an observer's plugin did wrong."""
        self.say(f"warning: {text}")
