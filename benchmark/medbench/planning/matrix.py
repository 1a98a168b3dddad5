"""The matrix: from a study to its trials, with their arms and the stages they share. Spends nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medbench.data.audit_findings import WAIVABLE, waived_leaks
from medbench.data.sources import Described
from medbench.errors import LeakError, Skip, UsageError
from medbench.identity.identity import digest
from medbench.interfaces import TrainingSet
from medbench.planning.arm_tree import arms_of, scored_with, without_gain
from medbench.planning.arms import Arm, Checked, Skipped, TrainedOn
from medbench.planning.leak_staircase import taking_part
from medbench.planning.seed_block import BLOCK, SEEDS, in_block
from medbench.planning.stage_plan import StageJob, StageJobs
from medbench.planning.study import Study
from medbench.planning.yardsticks import SHARE, Yardsticks, root_of, trainings
from medbench.protocols.folds import Cut, without_overlap
from medbench.protocols.leaks import LEAKS, find_leaks
from medbench.protocols.protocol import EvaluationProtocol, protocol, with_share
from medbench.registry.plugins import Catalogue
from medbench.registry.recipes import listing
from medbench.samples import Samples
from medbench.text import counted
from medbench.trial.trial import Trial


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a study amounts to.

    Attributes:
        study: What was asked.
        sources: Its data sets.
        arms: By data set.
        trials: In the order they are run.
        stages: By key, in the order they are fitted.
        stages_of: Keys of the stages a trial needs, by trial id.
        skipped: What was left out and why.
        warnings: Sentences about the design.
        yardsticks: Of every honest board that compares something.
        checked: What is trained at twice the steps once everything else is done; empty before that.
        trained_on: How many patients each protocol trains on.
    """

    study: Study
    sources: tuple[Described, ...]
    arms: Mapping[str, tuple[Arm, ...]]
    trials: tuple[Trial, ...]
    stages: Mapping[str, StageJob]
    stages_of: Mapping[str, tuple[str, ...]]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()
    yardsticks: tuple[Yardsticks, ...] = ()
    checked: tuple[Checked, ...] = ()
    trained_on: tuple[TrainedOn, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what a store keeps of a plan, so that tables know what was planned, as JSON values."""
        return {
            "study": self.study.model_dump(),
            "sources": [source.facts() for source in self.sources],
            "arms": {name: [dataclasses.asdict(arm) for arm in arms] for name, arms in self.arms.items()},
            "skipped": [dataclasses.asdict(skip) for skip in self.skipped],
            "warnings": list(self.warnings),
            "yardsticks": [dataclasses.asdict(y) for y in self.yardsticks],
            "checked": [dataclasses.asdict(c) for c in self.checked],
            "trained_on": [dataclasses.asdict(t) for t in self.trained_on],
        }


@dataclass
class _Builder:
    study: Study
    catalogue: Catalogue
    stages: StageJobs
    trials: list[Trial] = field(default_factory=list)
    later: list[Trial] = field(default_factory=list)
    stages_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    trained: dict[tuple[str, str], list[int]] = field(default_factory=dict)


def expand(study: Study, catalogue: Catalogue, sources: Sequence[Described], *, most: int | None = None) -> Plan:
    """Work out every trial and stage of a study.

    Args:
        study: What is asked.
        catalogue: What is registered.
        sources: Its data sets.
        most: More trials than that are refused, before any of them is worked out.

    Raises:
        UsageError: If nothing is left to run, names are unknown, or there are too many trials.
        LeakError: If an honest protocol's cut parts a group, before anything is trained.
    """
    if study.extractor:  # a wrong name, a missing file and a bad field show before anything is planned
        getattr(catalogue.resolve("extractor", study.extractor), "check", lambda: None)()
    builder = _Builder(study, catalogue, StageJobs(catalogue, {source.text: source.others for source in sources}))
    builder.warnings += [f"{source.text}: {said}" for source in sources for said in source.warnings]
    texts = list(dict.fromkeys(study.protocols))
    rules = [protocol(text) for text in texts]
    augmenters = [r for text in study.augmenters for r in catalogue.matching("augmenter", text)]
    if not augmenters:
        raise UsageError("no augmenter is named; give one with -a, see `medbench plugins list`.")
    arms: dict[str, tuple[Arm, ...]] = {}
    for source in sources:
        arms[source.text], skipped = arms_of(study, catalogue, source, augmenters)
        builder.skipped += skipped
        if study.controls:
            builder.warnings += [f"{source.text}: {said}" for said in without_gain(arms[source.text], catalogue)]
    cells = study.repeats * study.seeds * sum(rule.folds(study.folds) for rule in rules)
    yardsticks = _yardsticks(builder, sources, dict(zip(texts, rules, strict=True)), arms)
    n_trials = cells * sum(map(len, arms.values())) + sum(
        study.repeats * protocol(y.protocol).folds(study.folds) * (len(y.more) + study.seeds) for y in yardsticks
    )
    if study.seed_block:
        of_block = sum(len(in_block(of_data, catalogue)) for of_data in arms.values())
        n_trials += len(SEEDS) ** 2 * of_block * sum(rule.is_honest for rule in rules)
    if most is not None and n_trials > most:
        raise UsageError(
            f"this is {counted(n_trials, 'trial')}: {cells:,} folds, repeats and seeds an arm; ask for less, or add "
            "--yes."
        )
    left = {
        source.text: {
            text: rule for text, rule in zip(texts, rules, strict=True) if _is_feasible(builder, source, rule, text)
        }
        for source in sources
    }
    yardsticks = tuple(y for y in yardsticks if y.protocol in left[y.dataset])
    for source in sources:
        for text, rule in left[source.text].items():
            mine = [y for y in yardsticks if (y.dataset, y.protocol) == (source.text, text)]
            roots = {y.key: y for y in mine}
            of_roots = [arm for arm in arms[source.text] if arm.key in roots]
            more = {arm: roots[arm.key].more for arm in of_roots}
            block = in_block(arms[source.text], catalogue) if study.seed_block and rule.is_honest else ()
            _trials(builder, source, rule, text, taking_part(study, text, arms[source.text]), more, block)
            for fewer in {y.fewer for y in mine}:
                _trials(builder, source, protocol(fewer), fewer, (), dict.fromkeys(of_roots, range(study.seeds)))
    if not builder.trials:
        reasons = "; ".join(sorted({skip.reason for skip in builder.skipped}))
        raise UsageError(f"nothing is left to run: {reasons}; choose another classifier or augmenter.")
    stages = dict(sorted(builder.stages.planned.items(), key=lambda item: item[1].depth))
    return Plan(
        study,
        tuple(sources),
        arms,
        # Yardsticks last. One that is an arm of another protocol of the study as well is one trial.
        tuple({trial.id: trial for trial in (*builder.trials, *builder.later)}.values()),
        stages,
        builder.stages_of,
        tuple(builder.skipped),
        tuple(builder.warnings),
        yardsticks,
        trained_on=tuple(
            TrainedOn(*place, sum(counts) / len(counts)) for place, counts in sorted(builder.trained.items())
        ),
    )


def _is_feasible(builder: _Builder, source: Described, rule: EvaluationProtocol, text: str) -> bool:
    """Say whether a data set has the patients that a protocol wants; where not, note what is left out and why."""
    study = builder.study
    folds = rule.folds(study.folds)
    try:
        for repeat in range(study.repeats if rule.patients else 0):
            for fold in range(folds):
                rule.arrange(source.samples, Cut(fold, folds, repeat), lambda train, *held: (TrainingSet(train), *held))
    except Skip as skip:
        builder.skipped.append(Skipped(source.text, "", "", str(skip), protocol=text))
        return False
    return True


def _yardsticks(
    builder: _Builder,
    sources: Sequence[Described],
    rules: Mapping[str, EvaluationProtocol],
    arms: Mapping[str, Sequence[Arm]],
) -> tuple[Yardsticks, ...]:
    """Choose the control of every honest board, and how often it is trained."""
    study, catalogue, found = builder.study, builder.catalogue, list[Yardsticks]()
    for source in sources if study.yardsticks and study.controls else ():
        for board in dict.fromkeys(arm.board or arm.classifier for arm in arms[source.text]):
            root = root_of(arms[source.text], board)
            recipes = [
                (catalogue.resolve("augmenter", arm.augmenter), catalogue.resolve("classifier", arm.classifier))
                for arm in arms[source.text]
                if (arm.board or arm.classifier) == board
            ]
            number = trainings(study.spending, recipes, seeds=study.seeds)
            found += [
                Yardsticks(source.text, text, board, *root.key, with_share(text, SHARE), study.seeds, number)
                for text, rule in rules.items()
                if root is not None and rule.is_honest
            ]
    return tuple(found)


def _trials(
    builder: _Builder,
    source: Described,
    rule: EvaluationProtocol,
    text: str,
    arms: Sequence[Arm],
    more: Mapping[Arm, Sequence[int]],
    block: Sequence[Arm] = (),
) -> None:
    """Plan the trials of arms with the study's seeds, and further ones that are run after all of them.

    Args:
        builder: Takes trials and stages.
        source: Data set.
        rule: Protocol.
        text: Its text.
        arms: Trained with every seed of the study.
        more: Further seeds by arm.
        block: Arms that one fold trains with every pair of seeds of :data:`medbench.planning.seed_block.SEEDS`.
    """
    study, catalogue = builder.study, builder.catalogue
    spending = study.spending
    folds = rule.folds(study.folds)
    recipes = {
        arm: (
            catalogue.resolve("augmenter", arm.augmenter),
            catalogue.resolve("classifier", arm.classifier),
        )
        for arm in (*arms, *more, *block)
    }
    wanted = [(seed, seed, arm, builder.trials) for seed in range(study.seeds) for arm in arms]
    wanted += [(seed, seed, arm, builder.later) for arm, seeds in more.items() for seed in seeds]
    pairs = [(*both, arm, builder.later) for arm in block for both in itertools.product(SEEDS, SEEDS)]
    for repeat in range(study.repeats):
        for fold in range(folds):
            cut = Cut(fold, folds, repeat)
            train = _checked_cut(builder, source, rule, cut)
            builder.trained.setdefault((source.text, text), []).append(len(set(train.groups.tolist())))
            keys: dict[tuple[str, ...], str] = {}
            for seed, stage_seed, arm, trials in wanted + (pairs if (repeat, fold) == BLOCK else []):
                trial = Trial(
                    source.text, text, repeat, fold, folds, seed, stage_seed, arm.augmenter, arm.classifier, spending,
                    data=source.data, arm=arm.made_by,
                )  # fmt: skip
                scored = scored_with(study, catalogue, recipes[arm][0])
                trial = dataclasses.replace(trial, id=digest(trial.to_json()), extractor=scored)
                trials.append(trial)
                builder.stages_of[trial.id] = tuple(builder.stages.of_trial(*recipes[arm], trial, train, keys))


def _checked_cut(builder: _Builder, source: Described, rule: EvaluationProtocol, cut: Cut) -> Samples:
    """Arrange with nothing prepared: the audit before the first fit. Return what a stage would be fitted on."""
    seen: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        seen.append(train)
        return TrainingSet(train), *held_out

    made, validation, test = rule.arrange(source.samples, cut, prepare)
    unexpected = find_leaks(made.samples, validation, test) - rule.leaks
    if "same-patient" in unexpected and rule.name == "official":
        _check_official(source, builder.study.waive)
        unexpected -= waived_leaks(rule.name, builder.study.waive)
    if unexpected:
        reasons = "; ".join(LEAKS[leak] for leak in sorted(unexpected))
        learnt = {*made.samples.groups.tolist(), *validation.groups.tolist()}
        shared = sorted(
            digest(group)[:8] for group in learnt & set(test.groups.tolist())
        )  # hashes: a name may be one's
        raise LeakError(
            f"{source.text}: the cut of protocol {rule.name!r} leaks: {reasons} ({counted(len(shared), 'group')}, by "
            f"hash {listing(shared, 5)}); use --protocol patients, or mend the data set's patients and parts."
        )
    fewer = "; use fewer folds" if cut.folds > 2 else ""
    lacking = sorted(set(range(len(source.samples.classes))) - set(made.samples.labels.tolist()))
    if lacking or not len(test):
        where = f"fold {cut.fold} of {cut.folds}" if cut.folds > 1 else "the official cut"
        raise UsageError(f"{source.text}: {where} {_left_out(source, rule, cut, lacking)}.")
    rarest = min(len(set(test.patients[test.labels == k].tolist())) for k in range(len(test.classes)))
    part = "a test fold" if cut.folds > 1 else "the test part"
    warning = f"{source.text}: {part} has {counted(rarest, 'patient')} of the rarest class, 10 are wanted{fewer}"
    if rule.overlap == "drop":
        _tell_dropped(builder, source)
    if rarest < 10 and not any(w.startswith(f"{source.text}: {part} has") for w in builder.warnings):
        builder.warnings.append(warning)
    return seen[0]


def _check_official(source: Described, waived: Sequence[str]) -> None:
    """Raise a LeakError for the first finding in which an official cut parts a group and which is not waived."""
    for name, groups in source.across.items():
        if name not in waived:  # the whole list is the audit's
            first = "; ".join(" and ".join(ids) for ids in groups[:3])
            raise LeakError(
                f"{source.text}: the cut of protocol 'official' leaks: {WAIVABLE[name]} "
                f"({_in_images(source, name)}{counted(len(groups), 'group')}: {first}); use --protocol patients, train "
                f"without them by --protocol official[overlap=drop]{_dropped(source)}, mend the data set's patients, "
                "files and parts, or accept it with "
                f'waive = ["{name}"] in the study file, which every table will say.'
            )


def _left_out(source: Described, rule: EvaluationProtocol, cut: Cut, lacking: Sequence[int]) -> str:
    """Say what a cut leaves nobody of, and what to do about it."""
    if not lacking:
        return "has no image to test; use --protocol patients"
    s, k = source.samples, lacking[0]
    rows = s.labels == k
    if rule.name == "official" and s.parts is not None:
        rows = rows & (s.parts == "train")
    groups = counted(len(set(s.groups[rows].tolist())), "patient")
    told = f"leaves class {s.classes[k]!r} out of training: it has {groups}"
    if rule.name == "official":
        return f"{told} in the training part; use --protocol patients, or add patients of it there"
    if cut.folds > 2:
        return f"{told}; use fewer folds, or add patients of it"
    return f"{told}, and one to train on, one to watch the training and one to test are needed; add some or drop it"


def _tell_dropped(builder: _Builder, source: Described) -> None:
    """Warn once how many training images an official cut goes without."""
    s = source.samples
    trained = int((s.parts == "train").sum()) if s.parts is not None else 0
    n = len(s) - len(without_overlap(s))
    warning = (
        f"{source.text}: official[overlap=drop] trains without {n:,} of {counted(trained, 'image')}, which share a "
        "patient or a picture with the test part"
    )
    if warning not in builder.warnings:
        builder.warnings.append(warning)


def _in_images(source: Described, name: str) -> str:
    """Count the test images of a finding; empty while they are not decoded."""
    if not source.overlap:
        return ""
    n = source.overlap["twins" if name == "duplicate-across-cut" else "patients"]
    return f"{n:,} of {counted(source.overlap['tested'], 'test image')} in "


def _dropped(source: Described) -> str:
    if not source.overlap:
        return ""
    return (
        f" (which leaves out {source.overlap['dropped']:,} of {counted(source.overlap['trained'], 'training image')})"
    )
