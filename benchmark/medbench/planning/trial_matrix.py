"""From a study to its trials, in the order they are run, with the stages they share. Trains nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medbench.data.audit_findings import PARTS
from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.errors import Skip, UsageError
from medbench.identity.identity import identities_once
from medbench.interfaces import Augmenter, Classifier, TrainingSet
from medbench.planning.arm_tree import arms_of, extractor_of, warn_without_control
from medbench.planning.arms import Arm, Skipped
from medbench.planning.check_cut import check_cut
from medbench.planning.leak_staircase import arms_under
from medbench.planning.plan import Plan
from medbench.planning.seed_block import BLOCK, SEEDS, in_block
from medbench.planning.stage_plan import Keys, StageJobs
from medbench.planning.study import Study
from medbench.planning.training_draws import describe_draws
from medbench.planning.trials_of_arm import TrialsOfArm
from medbench.planning.yardsticks import SHARE, Yardsticks, root_of, trainings
from medbench.protocols.corruptions import corruptions_of
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.protocols.protocol_text import with_share
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import did_you_mean, listing
from medbench.text import counted
from medbench.trial.trial import Trial


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
    trained: dict[tuple[str, str], list[set[str]]] = field(default_factory=dict)

    def resolve(self, arm: Arm) -> tuple[Augmenter, Classifier]:
        """Return the recipes of an arm."""
        return (
            self.catalogue.resolve("augmenter", arm.augmenter),
            self.catalogue.resolve("classifier", arm.classifier),
        )


@dataclass(frozen=True)
class _Place:
    """A data set under a protocol."""

    source: DatasetDescription
    text: str
    rule: EvaluationProtocol


@dataclass(frozen=True)
class _Trained:
    """What is trained in every cell of a place.

    Attributes:
        arms: Trained with every seed of the study.
        more: Further seeds by arm, trained after all arms.
        block: Arms that one fold trains with every pair of seeds of :data:`medbench.planning.seed_block.SEEDS`.
    """

    arms: Sequence[Arm]
    more: Mapping[Arm, Sequence[int]]
    block: Sequence[Arm] = ()


# The order in which a study becomes a plan, once, from top to bottom.
def expand(
    study: Study, catalogue: Catalogue, sources: Sequence[DatasetDescription], *, most: int | None = None
) -> Plan:
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
    for source in sources if study.positive else ():
        _check_positive(study.positive, source.text, source.samples.classes)
    study, said = _with_primary(study, catalogue)
    builder = _Builder(study, catalogue, _stage_jobs(catalogue, sources))
    builder.warnings += said
    rules = {text: protocol(text) for text in study.protocols}
    builder.warnings += _warnings_of(sources, rules)
    augmenters = [r for text in study.augmenters for r in catalogue.matching("augmenter", text)]
    if not augmenters:
        raise UsageError("no augmenter is named; give one with -a, see `medbench plugins list`.")
    arms: dict[str, tuple[Arm, ...]] = {}
    for source in sources:
        arms[source.text], skipped = arms_of(study, catalogue, source, augmenters)
        builder.skipped += skipped
        if study.controls:
            builder.warnings += [f"{source.text}: {why}" for why in warn_without_control(arms[source.text], catalogue)]
    yardsticks = _yardsticks(builder, sources, rules, arms)
    if most is not None:
        _check_number(builder, rules, arms, yardsticks, most)
    every = [_Place(with_test_set(source, rule), text, rule) for source in sources for text, rule in rules.items()]
    for place in every:
        corruptions_of(place.rule.corrupted, place.source.dimensions)  # raises where none is made for such images
    places = [place for place in every if _is_feasible(builder, place)]
    feasible = {(place.source.text, place.text) for place in places}
    yardsticks = tuple(y for y in yardsticks if (y.dataset, y.protocol) in feasible)
    for place in places:
        of_place = [y for y in yardsticks if (y.dataset, y.protocol) == (place.source.text, place.text)]
        with identities_once():
            _plan_place(builder, place, arms[place.source.text], of_place)
    if not builder.trials:
        reasons = "; ".join(sorted({skip.reason for skip in builder.skipped}))
        raise UsageError(f"nothing is left to run: {reasons}; choose another classifier or augmenter.")
    return Plan(
        study,
        tuple(sources),
        arms,
        # Yardsticks last. One that is an arm of another protocol of the study as well is one trial.
        tuple({trial.id: trial for trial in (*builder.trials, *builder.later)}.values()),
        dict(sorted(builder.stages.planned.items(), key=lambda item: item[1].depth)),
        builder.stages_of,
        tuple(builder.skipped),
        tuple(builder.warnings),
        yardsticks,
        trained_on=tuple(describe_draws(*place, groups) for place, groups in sorted(builder.trained.items())),
    )


def _check_positive(positive: str, dataset: str, classes: Sequence[str]) -> None:
    """Refuse a positive class that is none of two.

    Raises:
        UsageError: If the data set has no such class, or not two.
    """
    if positive not in classes:
        hint = did_you_mean(positive, classes)
        known = listing([repr(str(name)) for name in classes])  # a name may hold a comma
        raise UsageError(f"{dataset} has no class {positive!r}{hint}; positive = is one of {known}.")
    if len(classes) != 2:
        raise UsageError(f"{dataset} has {len(classes)} classes; positive = needs two, leave it out.")


def _with_primary(study: Study, catalogue: Catalogue) -> tuple[Study, list[str]]:
    """Write the primary comparison as boards write it; drop one that is no part of what is asked, and say so.

    Raises:
        UsageError: If it names no augmenter, or several.
    """
    if not study.primary:
        return study, []
    parts, kinds, is_asked = [], (("augmenter", study.augmenters), ("classifier", study.classifiers)), True
    for text, (kind, texts) in zip(study.primary.split(" / "), kinds, strict=False):
        named = [catalogue.spec(r) for r in catalogue.matching(kind, text)]
        if len(named) != 1:
            raise UsageError(f"primary = {study.primary!r} names {counted(len(named), kind)}; write one of them.")
        is_asked &= named[0] in {catalogue.spec(r) for other in texts for r in catalogue.matching(kind, other)}
        parts += named
    name = " / ".join(parts)
    if is_asked:
        return study.model_copy(update={"primary": name}), []
    said = f"the study's primary comparison, {name}, is no part of this run, so all are tested together"
    return study.model_copy(update={"primary": ""}), [said]


def _stage_jobs(catalogue: Catalogue, sources: Sequence[DatasetDescription]) -> StageJobs:
    rows = {source.text: source.samples for source in sources}
    return StageJobs(catalogue, rows, {source.text: source.others for source in sources})


def _warnings_of(sources: Sequence[DatasetDescription], rules: Mapping[str, EvaluationProtocol]) -> list[str]:
    """Return what is said of the data sets; of how the parts of an official cut differ only where it is used."""
    official = any(rule.name == "official" for rule in rules.values())
    return [
        f"{source.text}: {warning}"
        for source in sources
        for warning in source.warnings
        if official or not warning.startswith(PARTS)
    ] + [
        f"{source.text}: of the tested images, {warning}"
        for source in sources
        for other in source.tested.values()
        for warning in other.warnings
        if not warning.startswith(PARTS)
    ]


def _check_number(
    builder: _Builder,
    rules: Mapping[str, EvaluationProtocol],
    arms: Mapping[str, Sequence[Arm]],
    yardsticks: Sequence[Yardsticks],
    most: int,
) -> None:
    """Refuse a study of more than `most` trials."""
    study = builder.study
    cells = study.repeats * study.seeds * sum(rule.folds(study.folds) for rule in rules.values())
    n_trials = cells * sum(map(len, arms.values())) + sum(
        study.repeats * protocol(y.protocol).folds(study.folds) * (len(y.more) + study.seeds) for y in yardsticks
    )
    if study.seed_block:
        of_block = sum(len(in_block(of_data, builder.catalogue)) for of_data in arms.values())
        n_trials += len(SEEDS) ** 2 * of_block * sum(rule.is_honest for rule in rules.values())
    if n_trials > most:
        raise UsageError(
            f"this is {counted(n_trials, 'training run')}: {cells:,} folds, repeats and seeds a method; ask for less, "
            "or add --yes."
        )


def _is_feasible(builder: _Builder, place: _Place) -> bool:
    """Say whether a data set has the patients that a protocol draws; where not, note what is left out and why."""
    study, rule, samples = builder.study, place.rule, place.source.samples
    folds = rule.folds(study.folds)
    try:
        for repeat in range(study.repeats if rule.patients else 0):
            for fold in range(folds):
                rule.arrange(samples, Cut(fold, folds, repeat), lambda train, *held: (TrainingSet(train), *held))
    except Skip as skip:
        builder.skipped.append(Skipped(place.source.text, "", "", str(skip), protocol=place.text))
        return False
    return True


def _yardsticks(
    builder: _Builder,
    sources: Sequence[DatasetDescription],
    rules: Mapping[str, EvaluationProtocol],
    arms: Mapping[str, Sequence[Arm]],
) -> tuple[Yardsticks, ...]:
    """Choose the control of every honest board, and how often it is trained."""
    study, found = builder.study, list[Yardsticks]()
    for source in sources if study.yardsticks and study.controls else ():
        for board in dict.fromkeys(arm.board or arm.classifier for arm in arms[source.text]):
            root = root_of(arms[source.text], board)
            recipes = [builder.resolve(arm) for arm in arms[source.text] if (arm.board or arm.classifier) == board]
            number = trainings(study.spending, recipes, seeds=study.seeds)
            found += [
                Yardsticks(source.text, text, board, *root.key, with_share(text, SHARE), study.seeds, number)
                for text, rule in rules.items()
                if root is not None and rule.is_honest
            ]
    return tuple(found)


def _plan_place(builder: _Builder, place: _Place, arms: Sequence[Arm], yardsticks: Sequence[Yardsticks]) -> None:
    """Plan the trials of a place: arms, the seed block, and yardsticks."""
    study = builder.study
    roots = {y.key: y for y in yardsticks}
    of_roots = [arm for arm in arms if arm.key in roots]
    more = {arm: roots[arm.key].more for arm in of_roots}
    block = in_block(arms, builder.catalogue) if study.seed_block and place.rule.is_honest else ()
    _plan_trials(builder, place, _Trained(arms_under(study, place.text, arms), more, block))
    for fewer in {y.fewer for y in yardsticks}:
        place_of_fewer = _Place(place.source, fewer, protocol(fewer))
        _plan_trials(builder, place_of_fewer, _Trained((), dict.fromkeys(of_roots, range(study.seeds))))


def _plan_trials(builder: _Builder, place: _Place, trained: _Trained) -> None:
    """Plan the trials of arms, cell by cell; those of `more` and `block` are run after all others."""
    study, source = builder.study, place.source
    folds = place.rule.folds(study.folds)
    recipes = {arm: builder.resolve(arm) for arm in (*trained.arms, *trained.more, *trained.block)}
    of_arms = {
        arm: TrialsOfArm(
            Trial(source.text, place.text, 0, 0, folds, 0, 0, arm.augmenter, arm.classifier, study.spending,
                  data=source.data, arm=arm.made_by),
            extractor_of(study, builder.catalogue, recipes[arm][0]),
        )
        for arm in recipes
    }  # fmt: skip
    every_cell = [(seed, seed, arm, builder.trials) for seed in range(study.seeds) for arm in trained.arms]
    every_cell += [(seed, seed, arm, builder.later) for arm, seeds in trained.more.items() for seed in seeds]
    of_block = [(*seeds, arm, builder.later) for arm in trained.block for seeds in itertools.product(SEEDS, SEEDS)]
    for repeat, fold in itertools.product(range(study.repeats), range(folds)):
        checked = check_cut(source, place.rule, Cut(fold, folds, repeat), study.waive)
        for begin, warning in checked.warnings.items():
            if not any(known.startswith(begin) for known in builder.warnings):
                builder.warnings.append(warning)
        builder.trained.setdefault((source.text, place.text), []).append(set(checked.train.groups.tolist()))
        keys: Keys = {}
        for seed, stage_seed, arm, trials in every_cell + (of_block if (repeat, fold) == BLOCK else []):
            trial = of_arms[arm].trial(repeat, fold, seed, stage_seed)
            trials.append(trial)
            builder.stages_of[trial.id] = tuple(builder.stages.of_trial(*recipes[arm], trial, checked, keys))
