"""How long a run still takes: from what its jobs took so far, and how far those that run are.

Nothing is known before the first job reports a step. Until then a guess stands for the small network on a CPU, from the
number of steps and the size of the images alone, and is called one; for other networks nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from medbench.planning.calibration import PORTABLE_TIMES
from medbench.planning.double_steps_trials import count_double_steps
from medbench.planning.plan import Plan
from medbench.registry.catalogue import Catalogue
from medbench.running.resume import FEATURES, Job
from medbench.running.watcher import Watcher
from medbench.trial.trial import Trial

SECONDS_PER_STEP = 0.012
"""A step of small-cnn on 32 images of 32 pixels, on one core."""
BESIDE_STEPS = 1.0
"""What a job takes beside its steps, as a guess: its start, its evaluations and what it stores. Without it a job of
four steps seems to say that steps are a hundred times as dear as they are."""
OF_GENERATORS = 4.0
"""How much dearer a step of a generator is than one of a classifier, as a guess."""
FEATURES_SECONDS = 20.0
"""Features of a thousand images under a small network at 224 pixels, on one core."""
EVERY_SECONDS = 0.5
USUAL_SIZE = 64
"""Pixels, where a budget leaves the size to the data set."""
SCORING = 0.3
"""Of what a job took so far, what is left at the least after its last step, as a guess."""
SECONDS_OF_SCORES, SECONDS_PER_SCORED = 0.25, 0.0067
"""Of scoring generated images with every built-in score and the default extractor, and of each image beside: .92 s for
100 and 2.92 s for 400 images of 32 pixels in two classes, CPU time of one core (``score_synthetic``, Intel Xeon,
2026-11-28). Larger images are taken to cost in proportion to their pixels."""
MOST_SCORED = 500
"""Images of a class that are scored at most (:mod:`medbench.trial.generator_scores`)."""
USUAL_SCORED = 300
"""Images, where the size of the data set is not at hand."""
LEAST_SHARE = 0.02
"""Of a job, before what it took is believed."""


@dataclass
class _Running:
    began: float
    share: float = 0.0


@dataclass
class TimedWatcher:
    """Passes on to a watcher what it is told, and says how many seconds are left.

    Attributes:
        watcher: Who is told.
        jobs: What is to be done, by key.
        workers: Jobs at a time.
        now: The clock, in seconds.
        makers: Augmenters whose images are scored.
    """

    watcher: Watcher
    jobs: dict[str, Job]
    workers: int
    now: Callable[[], float] = time.monotonic
    makers: Collection[str] = ()
    _running: dict[str, _Running] = field(default_factory=dict)
    _took: dict[tuple[str, ...], list[float]] = field(default_factory=dict)
    _spent: float = 0.0
    _guessed: float = 0.0
    _told: float | None = None

    @property
    def is_guess(self) -> bool:
        """Whether nothing was measured yet."""
        return not any(group[0] != FEATURES for group in self._took) and all(
            job.share < LEAST_SHARE or not self._is_training(key) for key, job in self._running.items()
        )

    def _is_training(self, key: str) -> bool:
        """Say whether what a job takes tells of others: features are computed, not trained."""
        return key in self.jobs and self.jobs[key].kind != FEATURES

    def seconds(self, left: Iterable[Job]) -> float:
        """Return the seconds that jobs still take, all workers busy.

        Args:
            left: Those that wait or run.
        """
        now, spent, guessed = self.now(), self._spent, self._guessed
        for key, running in self._running.items():
            if running.share >= LEAST_SHARE and self._is_training(key):
                spent += now - running.began
                guessed += running.share * guess_seconds(self.jobs[key], self.makers)
        rate = spent / guessed if guessed > 0 else 1.0
        longest = total = 0.0
        for job in left:
            running_one = self._running.get(job.key)
            seconds = _mean(self._took.get(_group(job))) or rate * guess_seconds(job, self.makers)
            if running_one is not None:
                elapsed, share = now - running_one.began, running_one.share
                seconds = max(0.05 * seconds, seconds - elapsed)
                if share >= 1:  # trained; testing it and scoring its images may take as long again
                    seconds = max(seconds, SCORING * elapsed)
                elif share >= LEAST_SHARE:
                    seconds = elapsed * (1 - share) / share
            total += seconds
            longest = max(longest, seconds)
        return max(longest, total / self.workers)

    def tell(self, waiting: Collection[Job], running: Collection[Job] = ()) -> None:
        """Tell the watcher how many seconds are left; seldom where there are many jobs."""
        told, number = getattr(self.watcher, "time_left", None), len(waiting) + len(running)
        if told is None or not number:
            return
        now = self.now()
        if self._told is None or now - self._told >= EVERY_SECONDS + number / 2000:
            self._told = now
            left = [*waiting, *running]
            is_known = not self.is_guess or all(can_guess(job.task.trial["classifier"]) for job in left)
            told(self.seconds(left) if is_known else None, self.is_guess)

    def started(self, job: str, label: str, kind: str) -> None:
        """Pass it on."""
        self._running[job] = _Running(self.now())
        self.watcher.started(job, label, kind)

    def progress(self, job: str, step: int, total: int) -> None:
        """Pass it on."""
        if job in self._running and total > 0:
            self._running[job].share = min(1.0, step / total)
        self.watcher.progress(job, step, total)

    def finished(self, job: str, status: str, note: str) -> None:
        """Pass it on."""
        running = self._running.pop(job, None)
        if status == "done" and running is not None and job in self.jobs:
            took = self.now() - running.began
            self._took.setdefault(_group(self.jobs[job]), []).append(took)
            if self._is_training(job):
                self._spent += took
                self._guessed += guess_seconds(self.jobs[job], self.makers)
        self.watcher.finished(job, status, note)

    def time_left(self, seconds: float | None, is_guess: bool) -> None:
        """Pass nothing on: it is told by :meth:`tell`."""

    def say(self, text: str) -> None:
        """Pass it on."""
        self.watcher.say(text)

    def problem(self, text: str) -> None:
        """Pass it on."""
        self.watcher.problem(text)

    def decoding(self, what: str, done: int, total: int) -> None:
        """Pass it on."""
        self.watcher.decoding(what, done, total)

    def planned(self, *, stages: int, trials: int, hits: int) -> None:
        """Pass it on."""
        self.watcher.planned(stages=stages, trials=trials, hits=hits)


def guess_seconds(job: Job, makers: Collection[str] = ()) -> float:
    """Guess what a job takes on one core, from its steps, the size of the images and whether it adds some."""
    if job.kind == FEATURES:
        return FEATURES_SECONDS
    trial = Trial.from_json(job.task.trial)
    return guess_seconds_of(
        trial, is_stage=job.kind == "stage", scored=USUAL_SCORED if trial.augmenter in makers else 0
    )


def makers_of_images(plan: Plan, catalogue: Catalogue) -> frozenset[str]:
    """Return the augmenters of a plan that add images, which are scored after every training."""
    recipes = {text: catalogue.resolve("augmenter", text) for text in {t.augmenter for t in plan.trials}}
    return frozenset(text for text, one in recipes.items() if one.space == "pixels" and "samples" in one.gives)


def guess_plan(plan: Plan, workers: int, makers: Collection[str] = ()) -> float:
    """Guess how many seconds a plan takes as a whole, all workers busy; 0 where nothing can be guessed.

    Args:
        plan: What is to be run.
        workers: Jobs at a time.
        makers: Augmenters whose images are scored, as :func:`makers_of_images` gives them.
    """
    if not all(can_guess(trial.classifier) for trial in plan.trials):
        return 0.0
    images = {s.text: min(len(s.samples), MOST_SCORED * len(s.samples.classes)) for s in plan.sources}
    trials = [guess_seconds_of(t, scored=images.get(t.dataset, 0) if t.augmenter in makers else 0) for t in plan.trials]
    each = [
        *trials,
        *[2 * max(trials, default=0.0)] * count_double_steps(plan),
        *(
            FEATURES_SECONDS if stage.is_features else guess_seconds_of(stage.trial, is_stage=True)
            for stage in plan.stages.values()
        ),
    ]
    return max([sum(each) / workers, *each], default=0.0)


def guess_seconds_of(trial: Trial, *, is_stage: bool = False, scored: int = 0) -> float:
    """Guess what a training run takes on one core, its scored images with it, or a stage that it needs."""
    budget = trial.budget
    pixels = ((budget.size or USUAL_SIZE) / 32) ** 2
    of_image = pixels * budget.batch / 32 * (PORTABLE_TIMES if budget.numerics == "portable" else 1)
    if is_stage:
        return BESIDE_STEPS + SECONDS_PER_STEP * OF_GENERATORS * of_image * budget.generator_steps
    scores = SECONDS_OF_SCORES + SECONDS_PER_SCORED * pixels * scored if scored else 0.0
    return BESIDE_STEPS + SECONDS_PER_STEP * of_image * budget.steps * budget.trainings + scores


def can_guess(classifier: str) -> bool:
    """Say whether a guess holds for a network."""
    return classifier.partition("[")[0] == "small-cnn"


def about(seconds: float) -> str:
    """Write a time that is only roughly known: ``about 2 min``, ``about 3 h``, ``less than a minute``."""
    if seconds < 50:
        return "less than a minute"
    minutes = seconds / 60
    if minutes < 100:
        return f"about {max(1, round(minutes))} min"
    return f"about {minutes / 60:.0f} h" if minutes < 48 * 60 else f"about {minutes / 60 / 24:.0f} days"


def at_least(seconds: float) -> str:
    """Write a first guess, which knows nothing of other work on the machine and slower cores."""
    return "at least a minute" if seconds < 50 else about(seconds).replace("about", "at least")


def _group(job: Job) -> tuple[str, ...]:
    return (job.kind, *job.recipes)


def _mean(values: list[float] | None) -> float:
    return sum(values) / len(values) if values else 0.0
