"""Read a bundle: everything that can be checked of it without the data set."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from medbench.data.audit_official_cut import waived_leaks
from medbench.data.external_test import tested_facts
from medbench.data.find_phantom import PHANTOM
from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.planning.yardsticks import MOST, SHARE
from medbench.protocols.external import match_classes
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.protocols.protocol_text import with_share
from medbench.publishing.bundle import allowed_texts, canonical_json, predictions_csv, schemas, zip_container
from medbench.publishing.bundle.planned_trials import planned_trials
from medbench.publishing.bundle.predictions_csv import SubmittedPredictions
from medbench.publishing.bundle.zip_container import MANIFEST, MEMBERS, SIGNATURE, Member
from medbench.publishing.refusals import Refused
from medbench.registry.recipes import parse
from medbench.trial.trial import Trial

CellOf = tuple[str, str, int, int]
"""(data set, protocol, repeat, fold)."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle that is what it says of itself.

    Attributes:
        sha256: Of the file.
        size: Bytes of the file.
        manifest: Bytes of ``manifest.json``.
        signature: Bytes of ``manifest.sig``, or None.
        method: The card.
        plan: What was asked.
        record: The plan as JSON values, for :func:`medbench.boards.build.boards`.
        trials: Planned ones, by id.
        results: Of those that have one.
        failures: Of the others.
        stages: By key.
        environment: What it was made with.
        claims: Boards as the submitter's machine computed them.
        members: Where the members lie.
        repeated: Trials whose predictions are those of another, byte for byte: pairs of ids. The same arm, cell and
            seeds under another protocol may rightly predict the same, and is left out.
    """

    sha256: str
    size: int
    manifest: bytes
    signature: bytes | None
    method: schemas.Method
    plan: schemas.PlanRecord
    record: Mapping[str, Any]
    trials: Mapping[str, Trial]
    results: Mapping[str, schemas.TrialResult]
    failures: Mapping[str, schemas.TrialFailure]
    stages: Mapping[str, schemas.Stage]
    environment: schemas.Environment
    claims: tuple[Mapping[str, Any], ...]
    members: Mapping[str, Member] = field(repr=False)
    repeated: tuple[tuple[str, str], ...] = ()

    def data_of(self, dataset: str, text: str) -> str:
        """Return the fingerprint of what a protocol of the plan arranges: of an external test, of both data sets."""
        source = next(s for s in self.record["sources"] if s["dataset"] == dataset)
        return str(tested_facts(source, protocol(text))["data"])

    def n_classes(self, dataset: str) -> int:
        """Return how many classes a data set of the plan has."""
        return len(next(s.classes for s in self.plan.sources if s.dataset == dataset))

    def predictions(self) -> Iterator[tuple[str, SubmittedPredictions]]:
        """Yield what every trial predicted, one at a time."""
        known: dict[str, str] = {}
        for key in sorted(self.results):
            member = predictions_csv.name_of(key)
            data = self.members[member].unpack(member)
            yield key, predictions_csv.read(data, member, self.n_classes(self.trials[key].dataset), known)

    def watched_of(self, key: str) -> SubmittedPredictions | None:
        """Return what a trial predicted for the patients that were watched; None where the bundle does not say."""
        member = predictions_csv.name_of_watched(key)
        if member not in self.members:
            return None
        data = self.members[member].unpack(member)
        return predictions_csv.read(data, member, self.n_classes(self.trials[key].dataset), {})

    @property
    def watched(self) -> int:
        """How many trials tell what they predicted for the patients that were watched."""
        return sum(name.startswith(predictions_csv.WATCHED) for name in self.members)

    @property
    def watchable(self) -> int:
        """How many trials with a result could tell it."""
        return sum(predictions_csv.needs_watched(self.trials[key], self.plan.study) for key in self.results)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check all that stands in it against itself.

    Raises:
        Refused: For the first thing that is wrong.
    """
    data, members = zip_container.read(path)
    return read_members(data, members)


def read_members(data: bytes, members: Mapping[str, Member]) -> Bundle:
    """Check the members of a bundle against each other; see :func:`read_bundle`."""
    raw = {name: members[name].unpack(name) for name in (MANIFEST, *zip_container.DOCUMENTS)}
    values = {name: canonical_json.load(of_member, name) for name, of_member in raw.items()}
    _check_schema(values[MANIFEST])
    found = {name: _validate(name, raw[name], values[name]) for name in raw}
    _check_manifest(found[MANIFEST], members)
    for name, value in values.items():
        if name != MANIFEST:
            allowed_texts.scan(name, value)
    plan: schemas.PlanRecord = found["plan.json"]
    record = values["plan.json"] | {"warnings": [], "sources": list(map(_with_notes, values["plan.json"]["sources"]))}
    _check_plan(plan)
    trials = planned_trials(record)
    ran = _check_planned({r.spec.id: r for r in found["trials.json"].trials}, trials, len(found["trials.json"].trials))
    failures = found["failures.json"].failures
    failed = _check_planned({f.spec.id: f for f in failures}, trials, len(failures))
    _check_complete(trials, ran, failed, members)
    _check_watched(trials, ran, plan.study, members)
    stages = {stage.key: stage for stage in found["generators.json"].generators}
    _check_stages(ran, stages, len(found["generators.json"].generators))
    bundle = Bundle(
        hashlib.sha256(data).hexdigest(),
        len(data),
        raw[MANIFEST],
        members[SIGNATURE].unpack(SIGNATURE) if SIGNATURE in members else None,
        found["method.json"],
        plan,
        record,
        trials,
        ran,
        failed,
        stages,
        found["environment.json"],
        tuple(values["claims.json"]["boards"]),
        members,
        tuple(_repeated_predictions(found[MANIFEST], trials)),
    )
    _check_cells(bundle)
    return bundle


def _with_notes(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what boards are told of a data set where nobody noted anything."""
    tests = {name: _with_notes(other) for name, other in source.get("tests", {}).items()}
    return {**source, "notes": [], "across": {}, **({"tests": tests} if tests else {})}


def _check_schema(manifest: Any) -> None:
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != schemas.SCHEMA or isinstance(schema, bool):
        shown = schema if isinstance(schema, int) else "unknown"
        raise Refused(
            "MB908", f"the bundle's schema is {shown}, this medbench knows {schemas.SCHEMA}; update medbench."
        )


def _validate(name: str, raw: bytes, value: Any) -> Any:
    """Read a member as its model; every string in it must be a plain one."""
    for place, text in allowed_texts.strings(value):
        if not text or allowed_texts.RECIPE.fullmatch(text):
            continue
        try:
            allowed_texts.check_text(text, "a text")
        except ValueError as error:
            raise Refused("MB909", f"{name}: {_printable(place)}: {error}.") from None
    model: type[BaseModel] = schemas.OF_MEMBER[name]
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise Refused("MB909", f"{name}: {_printable(place)}: {_printable(problem['msg'])}.") from None


def _printable(text: str) -> str:
    return text.encode("unicode_escape").decode()[:160]


def _check_manifest(manifest: schemas.Manifest, members: Mapping[str, Member]) -> None:
    others = [name for name in members if name not in (MANIFEST, SIGNATURE)]
    if odd := sorted(set(others) ^ set(manifest.files)):
        raise Refused("MB907", f"{_printable(odd[0])} is in the manifest or in the zip, and not in both.")
    for name in others:
        told, member = manifest.files[name], members[name]
        if (told.packed_bytes, told.packed_sha256) != (len(member.packed), hashlib.sha256(member.packed).hexdigest()):
            raise Refused("MB907", f"{name} is packed otherwise than the manifest says; fetch the bundle again.")
        held = member.unpack(name)
        if (told.bytes, told.sha256) != (len(held), hashlib.sha256(held).hexdigest()):
            raise Refused("MB907", f"{name} is not what the manifest says; fetch the bundle again.")


def _check_plan(plan: schemas.PlanRecord) -> None:
    """Check a plan before its trials are counted out."""

    def refuse(why: str) -> Refused:
        return Refused("MB920", f"plan.json: {why}.")

    study = plan.study
    names = [source.dataset for source in plan.sources]
    if len(set(names)) < len(names) or set(plan.arms) != set(names) or set(plan.unseen) != set(names):
        raise refuse("its data sets, methods and numbers of tries do not belong together")
    try:
        rules = {text: protocol(text) for text in study.protocols}
    except UsageError as error:
        raise refuse(f"a protocol is none ({_printable(str(error))})") from None
    if any("synthetic-scored" in rule.switches for rule in rules.values()):
        raise refuse("generated images are scored, which nobody else has")
    n_cells = study.repeats * study.seeds * sum(rule.folds(study.folds) for rule in rules.values())
    for source in plan.sources:
        arms = {arm.key: arm for arm in plan.arms[source.dataset]}
        for every in (source, *source.tests.values()):
            if every.publish == "nothing" and not every.dataset.startswith(PHANTOM):
                raise refuse(f"{every.dataset} lets nothing be published")
            if len(every.class_patients) != len(every.classes) or len(set(every.classes)) < len(every.classes):
                raise refuse(f"the classes of {every.dataset} do not fit its patients")
        if why := _why_bad_tests(source, rules.values()):
            raise refuse(why)
        if not arms or len(arms) < len(plan.arms[source.dataset]) or any(_is_bad_arm(arm) for arm in arms.values()):
            raise refuse(f"a method on {source.dataset} stands there twice, has no name or is made by nothing")
        if len(arms) * n_cells > MEMBERS:
            raise refuse(f"it amounts to more than {MEMBERS:,} training runs")
        if not set(plan.unseen[source.dataset]) <= set(rules):
            raise refuse("tries are counted under a protocol that was not planned")
        for y in (y for y in plan.yardsticks if y.dataset == source.dataset):
            known = y.protocol in rules and y.key in arms and y.fewer == with_share(y.protocol, SHARE)
            if not known or y.seeds != study.seeds or y.trainings > max(MOST, 2 * study.seeds):
                raise refuse("further training runs are not those of a planned reference")
        for c in (c for c in plan.checked if c.dataset == source.dataset):
            if c.protocol not in rules or c.key not in arms or arms[c.key].control_key not in arms:
                raise refuse("what is checked at twice the steps is no planned method that is compared with another")
    if {y.dataset for y in plan.yardsticks} | {c.dataset for c in plan.checked} > set(names):
        raise refuse("it names a data set that takes no part")
    if len(plan.checked) > 100 or len(plan.yardsticks) > 1000 or n_cells > MEMBERS:
        raise refuse(f"it amounts to more than {MEMBERS:,} training runs")


def _why_bad_tests(source: schemas.SourceFacts, rules: Iterable[EvaluationProtocol]) -> str:
    """Say why the data sets that are tested are not those of the protocols; "" where they are."""
    external = [rule for rule in rules if rule.is_external]
    if {rule.test for rule in external} != set(source.tests) or any(other.tests for other in source.tests.values()):
        return f"the data sets that {source.dataset} is tested on are not those of its protocols"
    try:
        for rule in external:
            match_classes(source.classes, source.tests[rule.test].classes, rule.classes)
    except UsageError as error:
        return f"{source.dataset}: {_printable(str(error))}"
    return ""


def _is_bad_arm(arm: Arm) -> bool:
    wanted = (arm.augmenter, arm.classifier, *filter(None, (arm.control, arm.over, arm.board)))
    try:
        return any(not allowed_texts.RECIPE.fullmatch(text) or not parse(text) for text in wanted) or not re.fullmatch(
            r"[0-9a-f]{64}", arm.made_by
        )
    except UsageError:
        return True


def _check_planned(found: dict[str, Any], trials: Mapping[str, Trial], count: int) -> dict[str, Any]:
    if len(found) < count:
        raise Refused("MB922", "a training run stands there twice; make the bundle again.")
    for key, entry in found.items():
        spec: Trial = entry.spec
        if key not in trials or spec != _with_extractor(trials[key], spec.extractor):
            name = _printable(
                f"{spec.augmenter} / {spec.classifier}, repeat {spec.repeat}, fold {spec.fold}, seed {spec.seed}"
            )
            raise Refused(
                "MB922",
                f"training run {name} is not what was planned, or its id is not its own; make the bundle again.",
            )
    return found


def _with_extractor(trial: Trial, extractor: str) -> Trial:
    return Trial(**{**vars(trial), "extractor": extractor})


def _check_complete(
    trials: Mapping[str, Trial], ran: Mapping[str, Any], failed: Mapping[str, Any], members: Mapping[str, Member]
) -> None:
    if both := sorted(set(ran) & set(failed)):
        raise Refused("MB922", f"training run {both[0][:8]} both ran and failed; make the bundle again.")
    if missing := [trials[key] for key in trials if key not in ran and key not in failed]:
        t = missing[0]
        raise Refused(
            "MB921",
            f"{len(missing)} of {len(trials)} planned training runs are missing, the first: {t.augmenter} / "
            f"{t.classifier}, {t.protocol}, repeat {t.repeat}, fold {t.fold}, seed {t.seed}; bundle the whole run.",
        )
    there = {name for name in members if name.startswith("predictions/")}
    wanted = {predictions_csv.name_of(key) for key in ran}
    if odd := sorted(there ^ wanted):
        raise Refused("MB903", f"{odd[0]} belongs to no training run, or is missing; make the bundle again.")


def _check_watched(
    trials: Mapping[str, Trial], ran: Mapping[str, Any], study: Study, members: Mapping[str, Member]
) -> None:
    wanted = {predictions_csv.name_of_watched(key) for key in ran if predictions_csv.needs_watched(trials[key], study)}
    there = {name for name in members if name.startswith(predictions_csv.WATCHED)}
    if odd := sorted(there - wanted):
        raise Refused("MB903", f"{odd[0]} belongs to no training run that a table needs it of; make the bundle again.")


def _check_stages(ran: Mapping[str, schemas.TrialResult], stages: Mapping[str, schemas.Stage], count: int) -> None:
    waiting = {key for of_trial in ran.values() for key in of_trial.stages}
    needed: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in stages:
            raise Refused(
                "MB921", f"generator {key[:8]} is not in generators.json, training runs need it; make the bundle again."
            )
        needed.add(key)
        waiting |= set(stages[key].stages) - needed
    if len(needed) != count or len({key[:16] for key in needed}) < len(needed):
        raise Refused(
            "MB922", "generators.json names one twice, or one that no training run needs; make the bundle again."
        )


def _repeated_predictions(manifest: schemas.Manifest, trials: Mapping[str, Trial]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for name, told in sorted(manifest.files.items()):
        if name.startswith("predictions/"):
            key = name[len("predictions/") : -len(".csv")]
            other = first.setdefault(told.sha256, key)
            if other != key and _without_protocol(trials[other]) != _without_protocol(trials[key]):
                yield other, key


def _without_protocol(trial: Trial) -> Trial:
    """A leak that changes nothing in a cell, as a selection that ends the same, leaves the same predictions."""
    return dataclasses.replace(trial, protocol="", id="")


def _check_cells(bundle: Bundle) -> None:
    """Check that all arms tested the same images in a cell, and that the folds of a repeat share none."""
    tested: dict[CellOf, tuple[str, ...]] = {}
    scanned: set[str] = set()
    for key, found in bundle.predictions():
        watched = bundle.watched_of(key)
        for member, part in ((predictions_csv.name_of(key), found), (predictions_csv.name_of_watched(key), watched)):
            ids = part.ids if part is not None else ()
            allowed_texts.scan(member, [name for name in ids if name not in scanned])
            scanned.update(ids)
        trial, ran = bundle.trials[key], bundle.results[key]
        rule = protocol(trial.protocol)
        name = f"{trial.augmenter} / {trial.classifier}, repeat {trial.repeat}, fold {trial.fold}, seed {trial.seed}"
        cell = (trial.dataset, trial.protocol, trial.repeat, trial.fold)
        if tested.setdefault(cell, found.ids) != found.ids:
            raise Refused(
                "MB923", f"{name}: another method tested other images, or in another order; make the bundle again."
            )
        n = bundle.n_classes(trial.dataset)
        if len(ran.frequencies) != n or abs(sum(ran.frequencies) - 1) > predictions_csv.SUM:
            raise Refused("MB927", f"{name}: class frequencies are not {n} numbers that sum to 1.")
        if ran.counts.get("test") not in (None, len(found.ids)):
            raise Refused("MB927", f"{name}: {ran.counts['test']} images tested, {len(found.ids)} predicted.")
        if watched is not None and set(watched.ids) & set(found.ids):
            raise Refused("MB923", f"{predictions_csv.name_of_watched(key)}: an image that was watched is tested too.")
        if not set(ran.leaks) <= rule.leaks | waived_leaks(rule.name, bundle.plan.study.waive):
            raise Refused("MB925", f"{name}: it leaked what the protocol {trial.protocol} does not; run it again.")
    repeats: dict[tuple[str, str, int], list[tuple[str, ...]]] = {}
    for (dataset, text, repeat, _), ids in tested.items():
        repeats.setdefault((dataset, text, repeat), []).append(ids)
    for (_, text, repeat), folds in repeats.items():
        if len(set().union(*folds)) < sum(map(len, folds)):
            raise Refused("MB923", f"{text}, repeat {repeat}: an image is tested in two folds.")
