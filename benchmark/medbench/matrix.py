"""The matrix: from a study to arms, trials and the stages they share. Spends nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medbench import audit
from medbench.arms import Arm as Arm
from medbench.arms import Checked, TrainedOn
from medbench.arms import Skipped as Skipped
from medbench.errors import LeakError, Skip, UsageError
from medbench.findings import WAIVABLE, waived_leaks
from medbench.identity import core_code, digest, identity
from medbench.interfaces import Augmenter, Classifier, TrainingSet, cut_in_two, needs, source_of
from medbench.plugins import Catalogue
from medbench.protocols import Cut, EvaluationProtocol, protocol, with_share
from medbench.recipes import listing, parameters_of, with_inner
from medbench.samples import Samples
from medbench.sources import Described
from medbench.stages import ENCODER, features_made_of, ids_of, recipe_of, stage_key
from medbench.staircase import taking_part
from medbench.study import Study
from medbench.transfer import name_of, named_in
from medbench.trial import Trial, parts
from medbench.yardsticks import SHARE, Yardsticks, root_of, trainings


@dataclass(frozen=True)
class StageJob:
    """A stage to fit once.

    Attributes:
        key: What it is stored under.
        stage: How people call the recipe: its text where it is registered, else its name.
        recipe: SHA-256 of the recipe, by which a job finds it; ENCODER for a classifier's own encoder.
        on: What it is fitted on: "pixels", "features", or the name of another data set.
        trial: One of the trials that need it; its cut gives the samples.
        depth: 0 for a stage that needs no other.
        needs: Keys of stages that must be there first.
    """

    key: str
    stage: str
    trial: Trial
    recipe: str = ""
    on: str = "pixels"
    depth: int = 0
    needs: tuple[str, ...] = ()


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
    trials: list[Trial] = field(default_factory=list)
    later: list[Trial] = field(default_factory=list)
    stages: dict[str, StageJob] = field(default_factory=dict)
    stages_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    others: dict[str, Mapping[str, Samples]] = field(default_factory=dict)
    trained: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _identities: dict[str, Any] = field(default_factory=dict)
    _names: dict[Any, tuple[str, str]] = field(default_factory=dict)

    def identity(self, text: str, recipe: Any) -> Any:
        if text not in self._identities:
            self._identities[text] = digest(identity(recipe))
        return self._identities[text]

    def named(self, stage: Any) -> tuple[str, str]:
        """Return how people call a stage, and the SHA-256 of its recipe."""
        if stage not in self._names:
            try:
                text = self.catalogue.spec(stage)
            except (UsageError, TypeError):  # it is not registered: a part of another recipe
                text = stage.name
            self._names[stage] = text, recipe_of(stage)
        return self._names[stage]


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
    builder = _Builder(study, catalogue, others={source.text: source.others for source in sources})
    builder.warnings += [f"{source.text}: {said}" for source in sources for said in source.warnings]
    texts = list(dict.fromkeys(study.protocols))
    rules = [protocol(text) for text in texts]
    augmenters = [r for text in study.augmenters for r in catalogue.matching("augmenter", text)]
    if not augmenters:
        raise UsageError("no augmenter is named; give one with -a, see `medbench plugins list`.")
    arms: dict[str, tuple[Arm, ...]] = {}
    for source in sources:
        tree = _tree(augmenters, catalogue, controls=study.controls, companions=study.companions)
        names = {catalogue.spec(a) for a in augmenters}
        found: dict[tuple[str, str], Arm] = {}
        for classifier in _classifiers(builder, source):
            # Where a classifier claims something itself, augmenters meet their controls under its last control only.
            wanted = tree if _control(classifier) is None or not study.controls else augmenters
            for arm in _arms(builder, source, wanted, classifier, names):
                found.setdefault(arm.key, arm)
        arms[source.text] = tuple(found.values())
    cells = study.repeats * study.seeds * sum(rule.folds(study.folds) for rule in rules)
    yardsticks = _yardsticks(builder, sources, dict(zip(texts, rules, strict=True)), arms)
    n_trials = cells * sum(map(len, arms.values())) + sum(
        study.repeats * protocol(y.protocol).folds(study.folds) * (len(y.more) + study.seeds) for y in yardsticks
    )
    if most is not None and n_trials > most:
        raise UsageError(
            f"this is {n_trials:,} trials: {cells:,} folds, repeats and seeds an arm; ask for less, or add --yes."
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
            _trials(builder, source, rule, text, taking_part(study, text, arms[source.text]), more)
            for fewer in {y.fewer for y in mine}:
                _trials(builder, source, protocol(fewer), fewer, (), dict.fromkeys(of_roots, range(study.seeds)))
    if not builder.trials:
        reasons = "; ".join(sorted({skip.reason for skip in builder.skipped}))
        raise UsageError(f"nothing is left to run: {reasons}; choose another classifier or augmenter.")
    stages = dict(sorted(builder.stages.items(), key=lambda item: item[1].depth))
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


def _classifiers(builder: _Builder, source: Described) -> list[Classifier]:
    catalogue, texts = builder.catalogue, builder.study.classifiers
    if texts:
        asked = [r for text in texts for r in catalogue.matching("classifier", text)]
        chains = [list(_lineage(r)) if builder.study.controls else [r] for r in asked]
        return list({catalogue.spec(r): r for chain in chains for r in reversed(chain)}.values())  # globs may overlap
    for classifier in catalogue.items("classifier"):
        if f"{source.dimensions}d" in classifier.takes:
            return [classifier]
    raise UsageError(f"no registered classifier takes {source.dimensions}-D images; give one with -c.")


def _control(classifier: Classifier) -> Classifier | None:
    return getattr(classifier, "control", None)


def _lineage(classifier: Classifier) -> Iterator[Classifier]:
    """Yield a classifier, its control, the control of that, and so on."""
    yield classifier
    while (control := _control(classifier)) is not None:
        classifier = control
        yield classifier


def _tree(
    augmenters: Sequence[Augmenter], catalogue: Catalogue, *, controls: bool, companions: bool
) -> list[Augmenter]:
    """Return the augmenters with their companions, their ancestors and the plain one, ancestors first, each once."""
    ordered: list[Augmenter] = []

    def add(augmenter: Augmenter) -> None:
        if controls and augmenter.control is not None:
            add(augmenter.control)
        if augmenter not in ordered:
            ordered.append(augmenter)

    for augmenter in augmenters:
        add(augmenter)
        for companion in getattr(augmenter, "companions", ()) if companions else ():
            add(companion)
    if controls:
        for augmenter in catalogue.items("augmenter"):
            if not augmenter.gives and augmenter not in ordered:
                ordered.append(augmenter)
    return ordered


def misfit(augmenter: Augmenter, classifier: Classifier, dimensions: int) -> str:
    """Say why a combination makes no sense; empty where it does."""
    takes = classifier.takes
    if augmenter.space == "features":
        cut = cut_in_two(classifier)
        if cut is None:
            return f"{classifier.name} cannot be cut into an encoder and a head"
        takes = cut[1].takes | {f"{d}d" for d in (2, 3) if f"{d}d" in takes}
    if f"{dimensions}d" not in takes:
        has = " and ".join(sorted(t.upper().replace("D", "-D") for t in takes if t in ("2d", "3d")))
        return f"{classifier.name} takes {has or 'no'} images, the data are {dimensions}-D"
    if missing := augmenter.gives - takes:
        return f"{classifier.name} does not take the {' and '.join(sorted(missing))} that {augmenter.name} gives"
    wanted = {f"{d}d" for d in (2, 3)} & set(getattr(augmenter, "takes", ()))
    if wanted and f"{dimensions}d" not in wanted:
        return f"{augmenter.name} does not work on {dimensions}-D images"
    return ""


def _arms(
    builder: _Builder, source: Described, tree: Sequence[Augmenter], classifier: Classifier, asked: set[str]
) -> Iterator[Arm]:
    catalogue = builder.catalogue
    text = catalogue.spec(classifier)
    for augmenter in tree:
        name = catalogue.spec(augmenter)
        if reason := misfit(augmenter, classifier, source.dimensions):
            if name in asked or not builder.study.controls:
                builder.skipped.append(Skipped(source.text, name, text, reason))
            continue
        control, over = augmenter.control, _control(classifier)
        others = [(n, builder.others[source.text][n]) for n in sorted(map(name_of, named_in(augmenter, classifier)))]
        scored = _scored_with(builder, augmenter)
        below = name if over is not None else catalogue.spec(control) if control is not None else ""
        yield Arm(
            name,
            text,
            control=below,
            over=catalogue.spec(over) if over is not None else "",
            board=catalogue.spec(list(_lineage(classifier))[-1]) if builder.study.controls else text,
            plain=not augmenter.gives and over is None,
            asked=name in asked,
            outside=bool(others) or any(_is_outside(recipe) for recipe in (augmenter, classifier)),
            made_by=digest(
                [
                    builder.identity(f"augmenter {name}", augmenter),
                    builder.identity(f"classifier {text}", classifier),
                    core_code(),
                    *([n, rows.made_of, len(rows)] for n, rows in others),
                    *(builder.identity(f"extractor {e}", catalogue.resolve("extractor", e)) for e in (scored,) if e),
                ]
            ),
        )


def _is_outside(recipe: Any) -> bool:
    """Say whether a recipe, or one in its fields, names a file: of weights, for training sees no other."""
    return any(isinstance(value, Path) for part in with_inner(recipe) for value in parameters_of(part).values())


def _trials(
    builder: _Builder,
    source: Described,
    rule: EvaluationProtocol,
    text: str,
    arms: Sequence[Arm],
    more: Mapping[Arm, Sequence[int]],
) -> None:
    """Plan the trials of arms with the study's seeds, and further ones that are run after all of them.

    Args:
        builder: Takes trials and stages.
        source: Data set.
        rule: Protocol.
        text: Its text.
        arms: Trained with every seed of the study.
        more: Further seeds by arm.
    """
    study, catalogue = builder.study, builder.catalogue
    spending = study.spending
    folds = rule.folds(study.folds)
    recipes = {
        arm: (
            catalogue.resolve("augmenter", arm.augmenter),
            catalogue.resolve("classifier", arm.classifier),
        )
        for arm in (*arms, *more)
    }
    wanted = [(seed, arm, builder.trials) for seed in range(study.seeds) for arm in arms]
    wanted += [(seed, arm, builder.later) for arm, seeds in more.items() for seed in seeds]
    for repeat in range(study.repeats):
        for fold in range(folds):
            cut = Cut(fold, folds, repeat)
            train = _checked_cut(builder, source, rule, cut)
            builder.trained.setdefault((source.text, text), []).append(len(set(train.groups.tolist())))
            keys: dict[tuple[str, ...], str] = {}
            for seed, arm, trials in wanted:
                trial = Trial(
                    source.text, text, repeat, fold, folds, seed, seed, arm.augmenter, arm.classifier, spending,
                    data=source.data, arm=arm.made_by,
                )  # fmt: skip
                scored = _scored_with(builder, recipes[arm][0])
                trial = dataclasses.replace(trial, id=digest(trial.to_json()), extractor=scored)
                trials.append(trial)
                builder.stages_of[trial.id] = tuple(_stages_of(builder, *recipes[arm], trial, train, keys))


def _stages_of(
    builder: _Builder,
    augmenter: Augmenter,
    classifier: Classifier,
    trial: Trial,
    train: Samples,
    keys: dict[tuple[str, ...], str],
) -> Iterator[str]:
    """Yield the keys of every stage a trial needs, encoder first; plan those that are new."""
    encoder, head = parts(augmenter, classifier)
    where = _Where(train, train.made_of)
    if encoder is not None:
        inner = tuple(_needed(builder, encoder, trial, where, keys))
        key = _key(builder, encoder, f"{ENCODER} of {trial.classifier}", trial, where, keys)
        _plan_stage(builder, StageJob(key, ENCODER, trial, ENCODER, needs=inner))
        yield from inner
        yield key
        where = _Where(train, features_made_of(train.made_of, key), "features", (*inner, key))
    extractor = builder.catalogue.resolve("extractor", trial.extractor) if trial.extractor else None
    for recipe in (augmenter, head, extractor):
        yield from _needed(builder, recipe, trial, where, keys)


def _scored_with(builder: _Builder, augmenter: Augmenter) -> str:
    """Return the extractor that an arm's made rows are scored with; empty for the usual one, and where none are made.

    So another extractor is part of what a trial is only where it can change what the trial stores.
    """
    text, catalogue = builder.study.extractor, builder.catalogue
    if not text or augmenter.space != "pixels" or "samples" not in augmenter.gives:
        return ""
    usual = next(iter(catalogue.items("extractor")), None)
    return "" if catalogue.resolve("extractor", text) == usual else text


@dataclass(frozen=True, eq=False)
class _Where:
    """What a stage is fitted on: rows, what they were made of, how a job finds them, what must be there before."""

    train: Samples
    made_of: str
    on: str = "pixels"
    before: tuple[str, ...] = ()


def _needed(
    builder: _Builder, recipe: Any, trial: Trial, where: _Where, keys: dict[tuple[str, ...], str]
) -> Iterator[str]:
    for stage in needs(recipe):
        place, other = where, source_of(stage)
        if other is not None:
            name = name_of(other)
            rows = builder.others[trial.dataset][name]
            place = _Where(rows, rows.made_of, name)
        inner = tuple(_needed(builder, stage, trial, place, keys))
        if not getattr(stage, "stored", True):
            yield from inner
            continue
        text, code = builder.named(stage)
        key = _key(builder, stage, code, trial, place, keys)
        _plan_stage(builder, StageJob(key, text, trial, code, place.on, needs=(*place.before, *inner)))
        yield from inner
        yield key


def _key(
    builder: _Builder, stage: Any, code: str, trial: Trial, where: _Where, keys: dict[tuple[str, ...], str]
) -> str:
    """Return a stage's key, computed once a cut."""
    known = (code, str(trial.stage_seed), where.made_of)
    if known not in keys:
        keys[known] = stage_key(
            stage, made_of=where.made_of, ids=ids_of(where.train), stage_seed=trial.stage_seed, budget=trial.budget
        )
    return keys[known]


def _plan_stage(builder: _Builder, job: StageJob) -> None:
    if job.key not in builder.stages:
        depth = 1 + max((builder.stages[k].depth for k in job.needs), default=-1)
        builder.stages[job.key] = dataclasses.replace(job, depth=depth)


def _checked_cut(builder: _Builder, source: Described, rule: EvaluationProtocol, cut: Cut) -> Samples:
    """Arrange with nothing prepared: the audit before the first fit. Return what a stage would be fitted on."""
    seen: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        seen.append(train)
        return TrainingSet(train), *held_out

    made, validation, test = rule.arrange(source.samples, cut, prepare)
    unexpected = audit.leaks(made.samples, validation, test) - rule.leaks
    if "same-patient" in unexpected and rule.name == "official":
        _check_official(source, builder.study.waive)
        unexpected -= waived_leaks(rule.name, builder.study.waive)
    if unexpected:
        reasons = "; ".join(audit.LEAKS[leak] for leak in sorted(unexpected))
        learnt = {*made.samples.groups.tolist(), *validation.groups.tolist()}
        shared = sorted(
            digest(group)[:8] for group in learnt & set(test.groups.tolist())
        )  # hashes: a name may be one's
        raise LeakError(
            f"{source.text}: the cut of protocol {rule.name!r} leaks: {reasons} ({len(shared)} groups, by hash "
            f"{listing(shared, 5)}); use --protocol patients, or mend the data set's patients and parts."
        )
    if len(set(made.samples.labels.tolist())) < len(source.samples.classes) or not len(test):
        raise UsageError(
            f"{source.text}: fold {cut.fold} of {cut.folds} leaves a class out of training; use fewer folds."
        )
    rarest = min(len(set(test.patients[test.labels == k].tolist())) for k in range(len(test.classes)))
    warning = f"{source.text}: a test fold has {rarest} patients of the rarest class, 10 are wanted; use fewer folds"
    if rarest < 10 and not any(w.startswith(f"{source.text}: a test fold has") for w in builder.warnings):
        builder.warnings.append(warning)
    return seen[0]


def _check_official(source: Described, waived: Sequence[str]) -> None:
    """Raise a LeakError for the first finding in which an official cut parts a group and which is not waived."""
    for name, groups in source.across.items():
        if name not in waived:
            first = "; ".join(" and ".join(ids) for ids in groups[:3])
            raise LeakError(
                f"{source.text}: the cut of protocol 'official' leaks: {WAIVABLE[name]} "
                f"({len(groups)} groups: {first}); use --protocol patients, train without them by "
                "--protocol official[overlap=drop], mend the data set's patients, files and parts, or accept it with "
                f'waive = ["{name}"] in the study file, which every table will say.'
            )
