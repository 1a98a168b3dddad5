"""From a store and a plan's record to the members of a bundle."""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench import __version__
from medbench.boards.build import boards
from medbench.boards.metric_columns import metrics_of
from medbench.data.external_test import tested_facts
from medbench.data.find_phantom import PHANTOM
from medbench.errors import DataError, StoreError, UsageError
from medbench.interfaces import Metric
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle import allowed_texts, predictions_csv, zip_container
from medbench.publishing.bundle.board_numbers import board_numbers
from medbench.publishing.bundle.brier_score import with_positive_brier
from medbench.publishing.bundle.canonical_json import dump
from medbench.publishing.bundle.planned_trials import planned_trials
from medbench.publishing.bundle.schemas import MOST_LOOKS, SCHEMA, Method
from medbench.registry.recipes import parse
from medbench.running.numerics import instruction_set
from medbench.store.store import Store
from medbench.store.trial_files import Stored
from medbench.trial.stages import read_stage
from medbench.trial.trial import Predictions, Trial

COMMON = {"root", "user", "home", "localhost", "admin", "runner", "ubuntu", "debian", "docker", "nobody", "medbench"}
"""Names of machines and accounts that tell nothing."""
_OF_SOURCE = ("dataset", "data", "images", "patients", "class_patients", "classes", "dimensions", "unit", "publish")


def members_of(
    store: Store, record: Mapping[str, Any], method: Method, metrics: Sequence[Metric] = ()
) -> dict[str, bytes]:
    """Return every member of the bundle of a run but the manifest.

    Args:
        store: Where its results are.
        record: Of its plan, as stored.
        method: The card.
        metrics: Those at hand: what other code computed is computed again, as those who verify will.

    Raises:
        DataError: If a data set's card does not let predictions be published.
        UsageError: If trials are missing, or generated images are among the scored ones.
        Refused: MB912 where something must not leave this machine.
    """
    _check_publishable(record)
    wanted = planned_trials(record)
    found = {key: row for key, trial in wanted.items() if (row := store.find(trial)) is not None}
    if missing := len(wanted) - len(found):
        raise UsageError(
            f"{missing} of {len(wanted)} planned training runs have no result yet; give the same "
            "`medbench run` again first."
        )
    done = {key: row for key, row in found.items() if row.status == "done"}
    values = {
        "method.json": method.model_dump(),
        "plan.json": _plan_json(store, record, wanted),
        "trials.json": {"trials": [_trial_json(wanted[key], row, metrics) for key, row in sorted(done.items())]},
        "failures.json": {"failures": [
            {"spec": _spec_json(wanted[key], row), "kind": row.failure.kind}
            for key, row in sorted(found.items()) if row.failure is not None
        ]},
        "generators.json": {"generators": _stages(store, done.values())},
        "environment.json": _environment(done.values()),
        "claims.json": {"boards": [board_numbers(board) for board in boards(store, record, fair=True)]},
    }  # fmt: skip
    names = names_of_this_machine()
    for member, value in values.items():
        allowed_texts.scan(member, value, names=names)
    made = {member: dump(value) for member, value in values.items()}
    scanned: set[str] = set()
    for member, known in _predictions(Study.model_validate(record["study"]), wanted, done):
        ids = [str(name) for name in known.ids.tolist()]
        allowed_texts.scan(member, [name for name in ids if name not in scanned], names=names)
        scanned.update(ids)
        made[member] = predictions_csv.write(ids, known.probabilities)
    return made


def _predictions(
    study: Study, trials: Mapping[str, Trial], done: Mapping[str, Stored]
) -> Iterator[tuple[str, Predictions]]:
    """Yield what was predicted by member: of the test part, and of the watched patients where a table needs them."""
    for key, row in sorted(done.items()):
        yield predictions_csv.name_of(key), row.predictions()
        if row.has_watched and predictions_csv.needs_watched(trials[key], study):
            yield predictions_csv.name_of_watched(key), row.watched()


def manifest_of(members: Mapping[str, bytes]) -> bytes:
    """Return ``manifest.json`` of these members."""
    packed = {name: zip_container.pack(data) for name, data in members.items()}
    files = {
        name: {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "packed_bytes": len(packed[name]),
            "packed_sha256": hashlib.sha256(packed[name]).hexdigest(),
        }
        for name, data in members.items()
    }
    return dump({"schema": SCHEMA, "medbench": __version__, "files": files})


def names_of_this_machine() -> list[str]:
    """Return what must not stand in a bundle: names of this machine, of its user and of the user's home."""
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    return sorted({n for n in (host, host.partition(".")[0], user, Path.home().name) if len(n) > 3} - COMMON)


def _check_publishable(record: Mapping[str, Any]) -> None:
    for source in (every for one in record["sources"] for every in (one, *one.get("tests", {}).values())):
        if source["publish"] == "nothing" and not source["dataset"].startswith(PHANTOM):
            raise DataError(
                f'{source["dataset"]}: its recipe says publish = "nothing", since ids or labels may be a person\'s or '
                "may not be passed on; bundle a run on synthetic images (--phantom) instead."
            )
    for text in record["study"]["protocols"]:
        if "synthetic-scored" in protocol(text).switches:
            raise UsageError(
                f"{text} scores generated images, which nobody else has; bundle a run without that protocol."
            )


def _plan_json(store: Store, record: Mapping[str, Any], wanted: Mapping[str, Trial]) -> dict[str, Any]:
    study = {**record["study"], "about": "", "published": [], "smoke": None}
    if study["extractor"]:
        study["extractor"] = parse(study["extractor"]).name  # its parameters name a file here
    if study["inflation"]:
        study["inflation"] = {**study["inflation"], "note": ""}
    skipped = [{**skip, "reason": allowed_texts.keep_allowed(skip["reason"])} for skip in record["skipped"]]
    unseen: dict[str, dict[str, int]] = {}
    for source in record["sources"]:
        rows = [row for row in store.rows(source["dataset"]) if row.status == "done"]
        for text in dict.fromkeys(study["protocols"]):
            data = tested_facts(source, protocol(text))["data"]
            mine = [r.trial for r in rows if (r.trial.protocol, r.trial.data) == (text, data)]
            of_plan = {(t.augmenter, t.classifier, t.budget) for t in wanted.values() if t.protocol == text}
            every = {(t.augmenter, t.classifier, t.budget) for t in mine}
            if len(every - of_plan) > MOST_LOOKS:
                raise UsageError(f"more than {MOST_LOOKS:,} other methods were tried on these folds; publish "
                                 "from a store of its own.")  # fmt: skip
            unseen.setdefault(source["dataset"], {})[text] = len(every - of_plan)
    return {
        "study": study,
        "sources": [_source_json(source) for source in record["sources"]],
        "arms": record["arms"],
        "skipped": skipped,
        "yardsticks": list(record.get("yardsticks", ())),
        "checked": list(record.get("checked", ())),
        "unseen": unseen,  # looks: whatever was scored on these folds widens the ranges, shown or not
    }


def _source_json(source: Mapping[str, Any]) -> dict[str, Any]:
    tests = {name: _source_json(other) for name, other in source.get("tests", {}).items()}
    return {key: source[key] for key in _OF_SOURCE} | ({"tests": tests} if tests else {})


def _spec_json(trial: Trial, row: Stored) -> dict[str, Any]:
    extractor = parse(row.trial.extractor).name if row.trial.extractor else ""
    return {**trial.to_json(), **({"extractor": extractor} if extractor else {})}


def _trial_json(trial: Trial, row: Stored, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "spec": _spec_json(trial, row),
        "cost": row.cost,
        "facts": _numeric_facts(row.facts),
        "counts": row.counts,
        "metrics": with_positive_brier(metrics_of(row, metrics)),
        "scores": row.scores,
        "scored": row.scored,
        "frequencies": list(row.frequencies),
        "leaks": list(row.leaks),
        "stages": row.stages,
    }


def _numeric_facts(facts: Mapping[str, Any]) -> dict[str, float | bool]:
    """Keep numbers: what a recipe says in words may name files and people."""
    return {k: v for k, v in facts.items() if isinstance(v, bool | int | float) and math.isfinite(v)}


def _stages(store: Store, rows: Iterable[Stored]) -> list[dict[str, Any]]:
    waiting, found = {key for row in rows for key in row.stages}, dict[str, dict[str, Any]]()
    while waiting:
        key = waiting.pop()
        folder = store.stage_folder(key)
        if folder is None:
            raise StoreError(
                f"stages/{key[:16]}: is missing in the result store, training runs need it; copy the whole store."
            )
        stage = read_stage(folder)
        found[key] = {
            "key": key,
            "stage": allowed_texts.keep_allowed(stage["stage"]) or "stage",
            "sha256": stage["sha256"],
            "cost": stage["cost"],
            "facts": _numeric_facts(stage.get("facts", {})),
            "fitted_on": stage.get("fitted_on", 0),
            "stages": stage.get("stages", {}),
        }
        waiting |= set(found[key]["stages"]) - set(found)
    return [found[key] for key in sorted(found)]


def _environment(rows: Collection[Stored]) -> dict[str, Any]:
    """Put together what the results say they were made with."""
    known = [json.loads((row.folder / "result.json").read_text())["provenance"] for row in rows]
    recipes = [recipe for p in known for recipe in p.get("recipes", ())]

    def every(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        made: dict[str, set[str]] = {}
        for name, value in pairs:
            made.setdefault(name, set()).add(value)
        return {name: sorted(values) for name, values in sorted(made.items())}

    plugins = {
        (p["name"], p["distribution"] if p["version"] else "", p["version"])  # a folder's name is the user's own
        for of_row in known
        for p in of_row.get("plugins", ())
    }
    return {
        "medbench": sorted({p["medbench"] for p in known if "medbench" in p}),
        "python": sorted({p["python"] for p in known if "python" in p}),
        "platforms": sorted({p["platform"] for p in known if "platform" in p}),
        "devices": sorted({allowed_texts.keep_allowed(str(row.cost["device"])) for row in rows}),
        "isa": instruction_set(),
        "libraries": every((n, v) for r in recipes for n, v in r["libraries"].items()),
        "plugins": [dict(zip(("name", "distribution", "version"), p, strict=True)) for p in sorted(plugins)],
        "code": every((n, v) for r in recipes for n, v in r["code"].items()),
    }
