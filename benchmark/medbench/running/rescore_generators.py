"""Scores that are new or whose code changed are computed again from stored generators; nothing is trained for them."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.errors import MedbenchError, ResourceError, StoreError
from medbench.identity.identity import digest
from medbench.planning.plan import Plan
from medbench.registry.catalogue import Catalogue
from medbench.running.job import SCORES, Task, work
from medbench.running.resources import LoadedPlugins, Workers, say_notes
from medbench.store import recomputed_scores
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.text import counted
from medbench.trial.score_keys import KEY_OF, extractor_key, is_stale, score_keys, score_of

NOTES_SECONDS = 1.0


@dataclass(frozen=True)
class Rescored:
    """How it went.

    Attributes:
        done: Trials whose scores were computed again.
        kept: Trials that keep what they had, since a generator they need is not stored.
        failed: Trials that keep what they had, since the job failed.
    """

    done: int = 0
    kept: int = 0
    failed: int = 0

    @property
    def sentence(self) -> str:
        """Say it, or nothing where there was nothing to do."""
        said = [f"scores of {counted(self.done, 'training run')} computed again"] * bool(self.done)
        if self.kept:
            said.append(f"{counted(self.kept, 'training run', 'keep')} older scores, their generators are not stored")
        if self.failed:
            said.append(f"{counted(self.failed, 'training run')} could not be scored again; what was stored is kept")
        return ", ".join(said)


def rescore(plan: Plan, store: Store, plugins: LoadedPlugins, workers: Workers, say: Callable[[str], None]) -> Rescored:
    """Score stored generators again where a score or the extractor is new or has other code than then.

    Args:
        plan: Whose trials are scored.
        store: Where they and their generators are.
        plugins: Scores and extractors at hand; without any score, nothing is done.
        workers: Where jobs run.
        say: Called with sentences on how it goes.
    """
    catalogue = plugins.catalogue
    waiting, kept = [], 0
    for stored in _stale(plan, store, catalogue):
        needed = {*stored.stages, *plan.stages_of.get(stored.trial.id, ())}
        stages = {key: str(folder) for key in needed if (folder := store.stage_folder(key)) is not None}
        if len(stages) < len(needed):
            kept += 1
        else:
            waiting.append((stored, stages))
    if not waiting:
        return Rescored(kept=kept)
    say(f"scores of {counted(len(waiting), 'training run')} are new or of other code; computing them, no training")
    done = failed = 0
    for stored, why in _score_all(plan, store, plugins, workers, waiting, say):
        done, failed = done + (not why), failed + bool(why)
        if why:
            say(f"scores of {stored.trial.augmenter} / {stored.trial.classifier}: {why}")
    return Rescored(done, kept, failed)


def _score_all(
    plan: Plan,
    store: Store,
    plugins: LoadedPlugins,
    workers: Workers,
    waiting: list[tuple[Stored, dict[str, str]]],
    say: Callable[[str], None],
) -> Iterator[tuple[Stored, str]]:
    """Yield each trial that was scored, and why it keeps its older scores or nothing."""
    scores = score_keys(plugins.catalogue.items("score"))
    sources = {source.text: source for source in plan.sources}
    running: dict[Future[int], tuple[Stored, Path, str]] = {}
    jobs = workers.start()
    try:
        while waiting or running:
            while waiting and len(running) < workers.count:
                stored, stages = waiting.pop(0)
                if not store.claim(key := digest([SCORES, stored.trial.id])):
                    continue  # another runner is at it
                source = sources[stored.trial.dataset]
                task = Task(SCORES, stored.trial.to_json(), str(source.folder), stages=stages,
                            sources=source.folders_of_others, **plugins.of_task)  # fmt: skip
                folder = store.job_folder(key)
                (folder / "task.json").write_text(json.dumps(dataclasses.asdict(task)))
                future = jobs.submit(work, str(folder), workers.share, workers.limit_s)
                running[future] = (stored, folder, key)
            ended, _ = concurrent.futures.wait(
                running, timeout=NOTES_SECONDS, return_when=concurrent.futures.FIRST_COMPLETED
            )
            say_notes(jobs, say)
            for future in ended:
                stored, folder, key = running[future]
                yield stored, _accept(store, stored, folder, future, scores)
                _forget(store, folder, key)
                del running[future]
    finally:
        try:
            jobs.close()
        finally:
            for _, folder, key in running.values():
                _forget(store, folder, key)
            say_notes(jobs, say)


def _stale(plan: Plan, store: Store, catalogue: Catalogue) -> list[Stored]:
    """Return the trials that have scores, and some of other code than those at hand or none of them."""
    keys = score_keys(catalogue.items("score"))
    usual = next(iter(catalogue.items("extractor")), None)
    of_extractor: dict[str, str] = {}
    found: list[Stored] = []
    if usual is None or not catalogue.items("score"):
        return found
    for trial in plan.trials:
        place = store.place(trial)
        if not (place / "result.json").is_file():
            continue
        try:
            stored = recomputed_scores.read(store.root, place)
        except StoreError:
            continue  # whoever shows it says so
        if stored.trial.id != trial.id or not stored.scored:
            continue
        if trial.extractor not in of_extractor:
            extractor = catalogue.resolve("extractor", trial.extractor) if trial.extractor else usual
            of_extractor[trial.extractor] = extractor_key(extractor)
        if is_stale(stored.scored, extractor=of_extractor[trial.extractor], scores=keys):
            # What was asked for now: a stored specification may name a file of another machine.
            found.append(dataclasses.replace(stored, trial=trial))
    return found


def _accept(store: Store, stored: Stored, folder: Path, future: Future[int], scores: Collection[str]) -> str:
    """Keep what a job left behind; return why there is nothing."""
    if isinstance(error := future.exception(), ResourceError):
        raise error  # no job can be run any more
    try:
        future.result()
        failure = folder / "failure.json"
        if failure.is_file():
            return str(json.loads(failure.read_text())["message"])
        made = json.loads((folder / f"{SCORES}.json").read_text())
        recomputed_scores.write(store.root, stored.folder, _with_others(made, stored, scores))
    except TimeoutError:
        return "it ran past its limit"
    except (ProcessLookupError, concurrent.futures.CancelledError):
        return "its process died"
    except (OSError, ValueError, KeyError, MedbenchError) as error:
        return type(error).__name__
    return ""


def _with_others(made: dict[str, Any], stored: Stored, scores: Collection[str]) -> dict[str, Any]:
    """Add the scores that nobody provides here, where they are of the same extractor's features."""
    if made["scored"].get("sha256") == stored.scored.get("sha256"):
        for name, value in stored.scores.items():
            if (score := score_of(name, stored.scored)) and score not in scores:
                made["scores"][name] = value
                made["scored"][KEY_OF + score] = stored.scored[KEY_OF + score]
    return made


def _forget(store: Store, folder: Path, key: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    store.release(key)
