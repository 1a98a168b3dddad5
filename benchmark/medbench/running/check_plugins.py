"""The check of a third party's recipes before their first trial, in a process of its own, once a version of code.

What ``medbench plugins check`` finds only where somebody calls it, a run finds here: entropy from the operating system,
a transform with a generator of its own, undeclared ingredients, changed inputs. A recipe that breaks its contract is
refused before anything is trained. One that could not be checked, since it raised, skipped or died on toy samples, is
run, and its arm carries a mark.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from medbench import testing
from medbench.data.cache_folder import cache_folder
from medbench.errors import ContractError, LeakError, Skip, UsageError
from medbench.identity.identity import digest, identity
from medbench.interfaces import needs
from medbench.planning.plan import Plan
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.registry.describe_recipe import with_inner
from medbench.registry.recipes import kind_of
from medbench.registry.source_lines import last_plugin_line, source_line
from medbench.running.resources import LoadedPlugins, Workers, say_notes
from medbench.store.store import Store

PASSED, FAILED, UNCHECKED = "passed", "failed", "unchecked"
LIMIT_S = 120.0
POLL_SECONDS = 0.25
KINDS = ("augmenter", "generator", "classifier")


@dataclasses.dataclass(frozen=True)
class Part:
    """A third party's recipe that takes part in a study.

    Attributes:
        kind: augmenter, generator or classifier.
        name: As its text, or its name where it is not registered as it stands.
        recipe: The recipe.
    """

    kind: str
    name: str
    recipe: Any

    @property
    def label(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"


def parts_of(catalogue: Catalogue, arms: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Part]]:
    """Yield every third party's recipe that arms reach, with its arm, given as texts of augmenter and classifier."""
    for arm in arms:
        waiting = [catalogue.resolve(kind, text) for kind, text in zip(("augmenter", "classifier"), arm, strict=True)]
        seen: list[Any] = []
        while waiting:
            recipe = waiting.pop(0)
            if recipe in seen:
                continue
            seen.append(recipe)
            waiting += [*list(with_inner(recipe))[1:], *needs(recipe)]
            if catalogue.is_own(recipe):
                continue
            try:
                kind = kind_of(recipe)
                name = catalogue.spec(recipe)
            except (TypeError, UsageError):  # a stage of its own making, or a generator that is not registered
                name = str(recipe.name)
                kind = "generator" if hasattr(recipe, "stored") else "stage"
            if kind in KINDS:
                yield arm, Part(kind, name, recipe)


def check_plugins(
    plan: Plan, store: Store, loaded: LoadedPlugins, workers: Workers, say: Callable[[str], None]
) -> tuple[Plan, Mapping[str, str]]:
    """Check what was not checked before, and return the plan with its arms marked, and the outcome by recipe.

    Raises:
        ContractError: If a recipe breaks its contract.
    """
    arms = list(dict.fromkeys((a.augmenter, a.classifier) for of_data in plan.arms.values() for a in of_data))
    found = list(parts_of(loaded.catalogue, arms))
    if not found:
        return plan, {}
    extent = _extent(plan)
    keys = {part.label: _key(part, extent) for _, part in found}
    outcomes = {label: known for label, key in keys.items() if (known := _recall(key))}
    if len(outcomes) < len(keys):
        task: dict[str, Any] = {"arms": arms, "extent": extent, **loaded.of_task}
        with _alone(store, task) as folder:  # what another runner found meanwhile is remembered
            outcomes |= {label: known for label, key in keys.items() if (known := _recall(key))}
            if len(outcomes) < len(keys):
                limited = dataclasses.replace(workers, limit_s=min(workers.limit_s, LIMIT_S))
                fresh = _run(folder, limited, task | {"known": sorted(outcomes)}, say)
                for label in keys.keys() - outcomes.keys():
                    outcomes[label] = fresh.get(label, f"{UNCHECKED}: its process died")
                    _remember(keys[label], outcomes[label])
    for _, part in found:
        if outcomes[part.label].startswith(FAILED):
            why = outcomes[part.label].partition(": ")[2]
            raise ContractError(
                f"{part.label} breaks its contract, so nothing is run: {why.rstrip('.')} "
                f"({source_line(part.recipe, 'fit')}); mend it, see `medbench plugins check {part.recipe.name}`, or "
                "leave it out."
            )
    loose = {arm for arm, part in found if outcomes[part.label] != PASSED}
    for label, outcome in outcomes.items():
        if outcome != PASSED:
            say(f"note: {label} is {outcome}")
    marked = {
        name: tuple(dataclasses.replace(a, unchecked=(a.augmenter, a.classifier) in loose) for a in of_data)
        for name, of_data in plan.arms.items()
    }
    return dataclasses.replace(plan, arms=marked), dict(sorted(outcomes.items()))


def work(folder: str, device: str) -> int:
    """Check what the task in `folder` names; write one line before and after each, since a recipe may end all."""
    place = Path(folder)
    task = json.loads((place / "task.json").read_text())
    log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    catalogue = plugins.load(folders=[Path(f) for f in task["plugin_folders"]], blocked=task["blocked"])
    extent = testing.quick(**task["extent"])
    done = set(task["known"])
    with (place / "outcomes.txt").open("a") as lines:
        for _, part in parts_of(catalogue, [tuple(arm) for arm in task["arms"]]):
            if part.label in done:
                continue
            done.add(part.label)
            with tempfile.TemporaryDirectory(dir=place) as scratch:
                outcome = _outcome(part, Path(scratch), extent)
            lines.write(json.dumps([part.label, outcome]) + "\n")
            lines.flush()
    return 0


def _outcome(part: Part, folder: Path, extent: testing.Extent) -> str:
    try:
        testing.CHECKS[part.kind](part.recipe, folder, extent)
    except (ContractError, LeakError) as error:
        return f"{FAILED}: {error}"
    except Skip as skip:
        return f"{UNCHECKED}: {skip}"
    except (Exception, SystemExit) as error:  # noqa: BLE001  what it raises on toy samples it need not raise on images
        _, line = last_plugin_line(error)
        return f"{UNCHECKED}: it raised {type(error).__name__} on toy samples{f' ({line})' if line else ''}"
    return PASSED


def _extent(plan: Plan) -> dict[str, int]:
    """Say what toy samples are like: the first data set's images."""
    source = plan.sources[0]
    shape = source.samples.x.shape
    channels = shape[1] if len(shape) == source.dimensions + 2 else 1
    return {"dimensions": source.dimensions, "channels": channels, "classes": len(source.samples.classes)}


@contextlib.contextmanager
def _alone(store: Store, task: Mapping[str, Any]) -> Iterator[Path]:
    """Lend a job folder that is locked: what is not, another runner takes for a dead one's and removes."""
    key = digest(["check", task["arms"]])
    while not store.claim(key):
        time.sleep(POLL_SECONDS)
    folder = store.job_folder(key)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        store.release(key)


def _run(folder: Path, workers: Workers, task: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, str]:
    jobs = workers.executor.start(workers=1, devices=["cpu"])
    try:
        (folder / "task.json").write_text(json.dumps(task))
        future = jobs.submit(work, str(folder), 1.0, workers.limit_s)
        while not concurrent.futures.wait([future], timeout=POLL_SECONDS).done:
            say_notes(jobs, say)
        with contextlib.suppress(TimeoutError, ProcessLookupError, CancelledError):  # what has no outcome says so
            future.result()
        lines = (folder / "outcomes.txt").read_text().splitlines() if (folder / "outcomes.txt").is_file() else []
        return dict(json.loads(line) for line in lines)
    finally:
        jobs.close()
        say_notes(jobs, say)


def _key(part: Part, extent: Mapping[str, int]) -> str:
    checks = [file.read_bytes().hex() for file in sorted(Path(testing.__file__).parent.glob("*.py"))]
    return digest([part.kind, part.name, identity(part.recipe), extent, digest(checks)])


def _recall(key: str) -> str:
    try:
        known = json.loads((cache_folder() / "checks" / f"{key[:32]}.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(known["outcome"]) if isinstance(known, dict) and known.get("key") == key and "outcome" in known else ""


def _remember(key: str, outcome: str) -> None:
    if outcome.startswith(FAILED):
        return
    path = cache_folder() / "checks" / f"{key[:32]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"key": key, "outcome": outcome}))
        fresh.replace(path)
    except OSError:
        return  # it is checked again next time
