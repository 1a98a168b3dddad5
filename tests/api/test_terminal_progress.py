"""Progress: one unit, the time left, a line every half minute in a pipe, names as wide as the terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from medbench.api import terminal_progress
from medbench.api.run_progress import RunProgress
from medbench.api.terminal_progress import Display
from medbench.interfaces import Budget
from medbench.running import time_left
from medbench.running.time_left import TimedWatcher, about, guess_plan
from medbench.running.watcher import Silent
from medbench.trial.trial import Trial

TRIAL = Trial("toy", "patients", 0, 0, 3, 0, 0, "balanced", "small-cnn", Budget(600, 32, 32, generator_steps=600))


class Rows:
    """400 images of two classes."""

    classes = ("no", "yes")

    def __len__(self) -> int:
        return 400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(terminal_progress.time, "monotonic", lambda: now[0])
    return now


def job(key: str, *, kind: str = "trial", recipe: str = "balanced", network: str = "small-cnn") -> Any:
    task = SimpleNamespace(trial={**TRIAL.to_json(), "classifier": network}, stage=recipe if kind == "stage" else "")
    return SimpleNamespace(key=key, kind=kind, task=task, recipes=("small-cnn", recipe))


def test_a_second_plan_is_counted_from_its_start(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        for plan, trials in (("study", 3), ("check", 2)):
            display.planned(stages=0, trials=trials, hits=0)
            for number in range(trials):
                display.started(f"{plan}{number}", plan, "trial")
                display.finished(f"{plan}{number}", "done", "")
    said = capsys.readouterr().err

    assert "3 training runs to do" in said
    assert [line[:6] for line in said.splitlines() if ": " in line] == [
        "1 of 3",
        "2 of 3",
        "3 of 3",
        "1 of 2",
        "2 of 2",
    ]


def test_generators_are_named_beside_training_runs_and_never_added_to_them(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with Display() as display:
        display.planned(stages=3, trials=15, hits=2)
        display.time_left(170.0, True)
        display.started("g", "AC-GAN, fold 1", "stage")
        display.progress("g", 168, 600)
        display.time_left(160.0, False)
        clock[0] = 45.0
        display.time_left(120.0, False)
        display.finished("g", "done", "")
        display.started("t", "class balancing, fold 1", "trial")
        display.finished("t", "done", "")
        display.finished("gone", "failed", "why")
    lines = capsys.readouterr().err.splitlines()

    assert lines == [
        "15 training runs and 3 generators to train; 2 training runs are stored already",
        "0 of 15 training runs done, 0 of 3 generators, at least 3 min left (a first guess)",
        "0 of 15 training runs done, 0 of 3 generators, about 2 min left: generator AC-GAN, fold 1, step 168 of 600",
        "0 of 15 training runs done, 1 of 3 generators, about 2 min left: generator AC-GAN, fold 1 done",
        "1 of 15 training runs done, 1 of 3 generators, about 2 min left: class balancing, fold 1 done",
        "failed: why",
    ]


def test_decoding_says_what_is_left_of_it(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with Display() as display:
        for seconds, done in ((0, 0), (2, 10), (4, 20), (5, 25), (60, 300), (240, 1200)):
            clock[0] = seconds
            display.decoding("decoding ddti", done, 1200)

    assert capsys.readouterr().err.splitlines() == [
        "decoding ddti: 0 of 1,200 images",
        "decoding ddti: 20 of 1,200 images, about 4 min left",
        "decoding ddti: 300 of 1,200 images, about 3 min left",
        "decoding ddti: 1,200 of 1,200 images",
    ]


def test_what_nobody_knows_the_end_of_is_counted(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    with Display() as display:
        for seconds, found in ((1, 1024), (4, 2048), (5, 3072)):
            clock[0] = seconds
            display.decoding("listing the files", found, 0)
        display.decoding("reading names and tables", 0, 0)

    assert capsys.readouterr().err.splitlines() == ["listing the files: 2,048 so far", "reading names and tables"]


@pytest.mark.parametrize("width", [80, 120])
def test_names_are_as_wide_as_the_terminal(width: int) -> None:
    name = "hybrid: ReACGAN images, Small CNN, repeat 1, fold 1"
    screen = io.StringIO()
    display = Display()
    display.console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    display.live = True
    with display:
        display.planned(stages=0, trials=1, hits=0)
        display.started("t", name, "trial")
        display.progress("t", 3, 600)
        display.time_left(100.0, False)
        display._bars.refresh()  # type: ignore[union-attr]

    shown = screen.getvalue()
    assert "0 of 1 training run done" in shown
    assert "about 2 min left" in shown
    assert name in shown


def test_what_is_left_follows_what_was_measured() -> None:
    now = [0.0]
    jobs = {key: job(key) for key in "abcd"} | {"g": job("g", kind="stage", recipe="acgan")}
    told: list[tuple[float | None, bool]] = []
    watcher = SimpleNamespace(started=lambda *_: None, progress=lambda *_: None, finished=lambda *_: None,
                              time_left=lambda *of_it: told.append(of_it))  # fmt: skip
    timed = TimedWatcher(watcher, jobs, 1, now=lambda: now[0])  # type: ignore[arg-type]

    timed.tell(list(jobs.values()))
    assert told[-1] == (pytest.approx(4 * 8.2 + 29.8), True)  # a second each beside the steps
    TimedWatcher(watcher, {"v": job("v", network="vgg16")}, 1).tell([job("v", network="vgg16")])  # type: ignore[arg-type]
    assert told.pop() == (None, True)
    timed.started("a", "", "trial")
    now[0] = 10.0
    timed.progress("a", 300, 600)  # half of it took 10 s, so that all take 20 s, and a generator so many times as long
    timed.tell(list(jobs.values()))
    assert told[-1] == (pytest.approx(10 + 3 * 20 + 20 * 29.8 / 8.2), False)
    now[0] = 30.0
    timed.finished("a", "done", "")
    left = [jobs[key] for key in "bcdg"]
    timed.tell(left)
    assert told[-1] == (pytest.approx(3 * 30 + 30 * 29.8 / 8.2), False)
    timed.started("g", "", "stage")
    now[0] = 40.0
    timed.finished("g", "again", "")
    assert timed.seconds(left) == pytest.approx(3 * 30 + 30 * 29.8 / 8.2)
    assert TimedWatcher(Silent(), jobs, 4).seconds(list(jobs.values())) == pytest.approx(29.8)  # the longest alone
    plan = SimpleNamespace(trials=(TRIAL, TRIAL), stages={}, sources=(), study=SimpleNamespace(check_steps=False))
    made = SimpleNamespace(**{**vars(plan), "sources": (SimpleNamespace(text="toy", samples=Rows()),)})
    assert guess_plan(plan, 2) == pytest.approx(8.2)  # type: ignore[arg-type]
    scoring = 0.25 + 0.0067 * 400  # of what "balanced" would add, were it a method that adds images
    assert guess_plan(made, 1, {"balanced"}) == pytest.approx(2 * (8.2 + scoring))  # type: ignore[arg-type]
    assert guess_plan(made, 1) == pytest.approx(2 * 8.2)  # type: ignore[arg-type]


def test_what_features_take_tells_nothing_of_training() -> None:
    now, jobs = [0.0], {"f": job("f", kind="features"), "a": job("a")}
    timed = TimedWatcher(Silent(), jobs, 1, now=lambda: now[0])  # type: ignore[arg-type]
    before = timed.seconds([jobs["a"]])
    timed.started("f", "", "features")
    now[0] = 1000.0
    timed.progress("f", 500, 1000)
    assert (timed.is_guess, timed.seconds([jobs["a"]])) == (True, before)
    timed.finished("f", "done", "")
    assert (timed.is_guess, timed.seconds([jobs["a"]])) == (True, before)


def test_a_watcher_that_wants_no_time_is_told_none() -> None:
    told: list[str] = []
    bare = SimpleNamespace(say=told.append)
    TimedWatcher(bare, {"a": job("a")}, 1).tell([job("a")])  # type: ignore[arg-type]
    assert not told


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "less than a minute"),
        (55, "about 1 min"),
        (150, "about 2 min"),
        (7300, "about 2 h"),
        (400000, "about 5 days"),
    ],
)
def test_a_rough_time_is_called_rough(seconds: float, said: str) -> None:
    assert about(seconds) == said
    assert time_left.EVERY_SECONDS < 1


def test_nothing_to_do_is_said() -> None:
    assert RunProgress().planned(9) == "nothing to do, 9 training runs are stored already"


def test_a_first_guess_is_a_lower_end_and_scoring_is_named() -> None:
    run = RunProgress(runs=1)
    run.started("t", "hybrid, fold 1", "trial")
    run.progress("t", 60, 60)
    run.tell(20.0, is_guess=True)

    assert run.left == "at least a minute left (a first guess)"
    assert run.running() == ["hybrid, fold 1, trained; testing and scoring"]
