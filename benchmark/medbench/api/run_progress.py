"""How far a run is, in words that terminal, pipe and notebook share. The unit is a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

from medbench.running.time_left import about, at_least
from medbench.text import counted


def step_text(step: int, total: int) -> str:
    """Say which step a job has reached; after its last one it is tested, and generated images are scored."""
    return f"step {step:,} of {total:,}" if step < total else "trained; testing and scoring"


def decoding_text(what: str, done: int, total: int) -> str:
    """Say how many images are decoded, or how many files were found where `total` is 0, as nobody knows it yet."""
    if not total:
        return f"{what}: {done:,} so far" if done else what
    return f"{what}: {done:,} of {counted(total, 'image')}"


def far_text(done: int, total: int) -> str:
    """Return the same for a narrow column."""
    return f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""


@dataclass
class RunProgress:
    """How far a run is.

    Attributes:
        runs: Training runs to do.
        generators: Generators to train, each once for all training runs that need it.
        runs_done: Those that ended, also without a result.
        generators_done: Likewise.
        left: How long it still takes, in words; "" while nothing is known.
    """

    runs: int = 0
    generators: int = 0
    runs_done: int = 0
    generators_done: int = 0
    left: str = ""
    _kinds: dict[str, str] = field(default_factory=dict)
    _labels: dict[str, str] = field(default_factory=dict)
    _steps: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Training runs and generators that ended."""
        return self.runs_done + self.generators_done

    @property
    def counts(self) -> str:
        """How many are done: ``2 of 15 training runs done, 1 of 3 generators``."""
        generators = f", {self.generators_done} of {counted(self.generators, 'generator')}" if self.generators else ""
        return f"{self.runs_done} of {counted(self.runs, 'training run')} done{generators}"

    @property
    def line(self) -> str:
        """How far it is, in one line: ``2 of 15 training runs done, 1 of 3 generators, about 2 min left``."""
        left = f", {self.left}" if self.left and self.done < self.runs + self.generators else ""
        return f"{self.counts}{left}"

    def planned(self, hits: int) -> str:
        """Return what is to be done, in one line.

        Args:
            hits: Training runs that are stored already.
        """
        had = f"{counted(hits, 'training run', 'are')} stored already" if hits else ""
        if not self.runs + self.generators:
            return f"nothing to do{', ' * bool(had)}{had}"
        generators = f" and {counted(self.generators, 'generator')} to train" if self.generators else " to do"
        return f"{counted(self.runs, 'training run')}{generators}{'; ' * bool(had)}{had}"

    def tell(self, seconds: float | None, is_guess: bool) -> None:
        """Keep how long it still takes; None where that is not known."""
        if seconds is None:
            self.left = ""
        else:
            self.left = f"{at_least(seconds)} left (a first guess)" if is_guess else f"{about(seconds)} left"

    def started(self, job: str, label: str, kind: str) -> None:
        """Count a job among those that run."""
        self._kinds[job], self._labels[job] = kind, label

    def progress(self, job: str, step: int, total: int) -> None:
        """Keep the step that a job has reached."""
        self._steps[job] = (step, total)

    def finished(self, job: str, status: str) -> None:
        """Count a job among those that ended, unless it is tried again."""
        kind = self._kinds.pop(job, "trial")
        self._labels.pop(job, None)
        self._steps.pop(job, None)
        if status != "again":
            self.generators_done += kind == "stage"
            self.runs_done += kind == "trial"

    def name(self, job: str) -> str:
        """Name a job that runs; a generator is called one."""
        label = self._labels.get(job, "")
        return f"generator {label}" if label and self._kinds.get(job) == "stage" else label

    def running(self) -> list[str]:
        """Name what runs, each with the step it has reached."""
        names = []
        for job in self._labels:
            step, total = self._steps.get(job, (0, 0))
            names.append(self.name(job) + (f", {step_text(step, total)}" if total else ""))
        return names

    def running_text(self) -> str:
        """Return what runs behind a colon, or nothing."""
        names = self.running()
        return f": {'; '.join(names)}" if names else ""
