"""Every check of a bundle that needs more than itself: our data set, our recipes, our statistics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medbench import __version__
from medbench.boards.board import Board
from medbench.boards.build import best, boards
from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.errors import LeakError, MedbenchError
from medbench.interfaces import TrainingSet
from medbench.planning.arm_names import arm_name
from medbench.planning.arms import Checked
from medbench.planning.double_steps_trials import plan_double_steps
from medbench.planning.plan import Plan
from medbench.planning.study import Study
from medbench.planning.trial_matrix import expand
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle.board_numbers import EXACT, across_versions, board_numbers, difference
from medbench.publishing.bundle.brier_score import with_negative_brier
from medbench.publishing.bundle.predictions_csv import SubmittedPredictions, name_of_watched
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.publishing.bundle.zip_container import MEMBERS
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.check_class_frequencies import (
    ExpectedFrequencies,
    FrequencyCheck,
    expected_frequencies,
    with_noise_pixels,
)
from medbench.publishing.verify.our_data import no_files
from medbench.publishing.verify.outcome import OTHER_STUDY, Report
from medbench.publishing.verify.recompute import record_of, store_result, store_the_rest
from medbench.publishing.verify.signs_of_invention import NAME, Signs
from medbench.registry.catalogue import Catalogue
from medbench.samples import Samples
from medbench.store.store import Store
from medbench.tables.answer import answer_of
from medbench.tables.board_notes import mark_notes, without_fair_gain
from medbench.tables.wording import gain_and_range
from medbench.text import clean, counted, listed
from medbench.trial.metrics import measure, metric_name
from medbench.trial.prior_correction import correct_prior
from medbench.trial.trial import Trial


def note_structure(bundle: Bundle, report: Report, *, accept_repeated: bool = False) -> None:
    """Note what reading the bundle has shown."""
    report.add("structure", f"{len(bundle.members)} members as the manifest says, strict JSON, no text that acts")
    n, failed = len(bundle.trials), len(bundle.failures)
    said = f"{n} of {n} planned training runs, {failed} of them failed or made no sense"
    # No number of a table rests on it (planned_trials).
    block = "; those of --seed-block stay on the author's machine" * bundle.plan.study.seed_block
    report.add("completeness", f"{said}{block}")
    watched = "none for watched patients, so no gain at a fair threshold"
    if bundle.watched:
        watched = f"those for watched patients of {bundle.watched} of {counted(bundle.watchable, 'training run')}"
    report.add(
        "predictions", f"probabilities sum to 1, all methods tested the same images, folds share none; {watched}"
    )
    if not bundle.repeated:
        report.add("repeated predictions", "none")
        return
    one, other = (_name_with_protocol(bundle.trials[key]) for key in bundle.repeated[0])
    report.add(
        "repeated predictions",
        f"{len(bundle.repeated)} training runs predicted exactly what another did, the first {other} as {one}"
        + ("; accepted by who published it" if accept_repeated else ""),
        "flagged",
        holds_back=not accept_repeated,
    )


def check_against_data(
    bundle: Bundle,
    found: Mapping[str, DatasetDescription],
    missing: Mapping[str, str],
    catalogue: Catalogue,
    folder: Path,
    report: Report,
) -> None:
    """Check everything that needs the data set, and compute every board again.

    Args:
        bundle: As read.
        found: Our data sets.
        missing: Why we have not the others, by data set.
        catalogue: What is registered here.
        folder: An empty one.
        report: Takes checks and boards.

    Raises:
        Refused: For the first thing that is wrong.
    """
    for name, why in missing.items():
        report.add("data set", why if why.startswith(name) else f"{name}: {why}", "unknown")
    claims = [claim for claim in bundle.claims if claim["dataset"] in missing]
    if found:
        for source in bundle.plan.sources:
            if source.dataset in found:
                _check_source(source, found[source.dataset], report)
                for name, other in source.tests.items():
                    _check_source(other, found[source.dataset].tested[name], report)
        plan = _plan(bundle, found, catalogue, report)
        store = Store(folder / "store")
        _check_trials(bundle, found, catalogue, store, report)
        store_the_rest(store, bundle, found)
        built = boards(store, record_of(bundle, found, plan), fair=True)
        _check_claims(bundle, [board_numbers(board) for board in built], found, report)
        for board in built if bundle.watched else ():
            report.add("fair threshold", _fair_gains(board))
        _check_double_steps(bundle, built, report)
        report.boards += [
            {**board_numbers(b), "recomputed": True, "sentences": list(map(clean, _sentences(b)))} for b in built
        ]
    report.boards += [{**claim, "recomputed": False, "sentences": []} for claim in claims]


def _check_source(source: Any, mine: DatasetDescription, report: Report) -> None:
    ours = mine.facts()
    for key in ("classes", "images", "patients", "class_patients", "unit", "dimensions", "publish"):
        if ours[key] != getattr(source, key):
            theirs = getattr(source, key)
            raise Refused(
                "MB926", f"{source.dataset}: {key} are {_short(ours[key])} here, {_short(theirs)} in the bundle."
            )
    if mine.data == source.data:
        report.add("data set", f"{source.dataset}: the same bytes as here")
    else:  # ids, labels and cuts decide about numbers; pixels may be decoded otherwise by another library
        report.add(
            "data set",
            f"{source.dataset}: the same images and labels, decoded to other pixels here, by another library or of "
            "another release",
            "flagged",
        )


def _plan(bundle: Bundle, found: Mapping[str, DatasetDescription], catalogue: Catalogue, report: Report) -> Plan | None:
    """Work out anew what the study amounts to: nothing left out, nothing added, controls as recipes say."""
    study = study_in_bundle(bundle.plan.study)
    try:
        for kind, texts in (("augmenter", study.augmenters), ("classifier", study.classifiers)):
            for text in texts:
                for recipe in catalogue.matching(kind, text):
                    no_files(recipe)
        plan = expand(study, catalogue, list(found.values()), most=2 * MEMBERS)
        checked = [c for c in bundle.plan.checked if c.dataset in found]
        wanted = [*plan.trials, *(plan_double_steps(plan, checked, catalogue).trials if checked else ())]
    except LeakError as error:
        raise Refused("MB925", str(error)) from None
    except (MedbenchError, StopIteration, KeyError) as error:
        report.add("methods and training runs", str(error), "unknown")
        return None
    ours = {trial_key(trial) for trial in wanted}
    theirs = {trial_key(trial) for trial in bundle.trials.values() if trial.dataset in found}
    arms = all(
        list(map(_without_code, plan.arms[name])) == list(map(_without_code, bundle.plan.arms[name])) for name in found
    )
    if ours == theirs and arms:
        report.add("methods and training runs", f"what the study amounts to: {len(ours)} training runs")
        return plan
    odd = sorted(map(_in_words, ours ^ theirs)) or ["methods are compared with other ones"]
    said = (
        f"{len(ours - theirs)} training runs of the study are not in the bundle, {len(theirs - ours)} are no part of it"
    )
    if not _same_version(bundle):
        made = f"made by medbench {_versions(bundle)}, here is {__version__}: {said}"
        report.add("methods and training runs", made, "unknown", code=OTHER_STUDY)
        return None
    raise Refused(OTHER_STUDY, f"{said}, the first: {clean(odd[0])[:200]}.")


DREW_NESTED = "0.1.0"
"""Version whose draws of training patients overlapped; see :meth:`.EvaluationProtocol.arrange`."""


def _same_version(bundle: Bundle) -> bool:
    """Say whether a bundle's trials were run by this version, whose defaults and sentences are the same."""
    return bundle.environment.medbench == [__version__]


def _versions(bundle: Bundle) -> str:
    return ", ".join(bundle.environment.medbench) or "of an unknown version"


def study_in_bundle(study: Study) -> Study:
    """Return a study as bundles know it: without its extractor, which is no part of a trial, and its seed block."""
    return study.model_copy(update={"extractor": "", "seed_block": False})


def _without_code(arm: Any) -> Any:
    return dataclasses.replace(arm, made_by="", unchecked=False)


def trial_key(trial: Trial) -> tuple[Any, ...]:
    """Return what a trial is, whatever code it is made by and whichever bytes its data set decodes to."""
    t = trial
    return (t.dataset, t.protocol, t.repeat, t.fold, t.folds, t.seed, t.stage_seed, t.augmenter, t.classifier, t.budget)


def _in_words(what: tuple[Any, ...]) -> str:
    """Name a trial by what :func:`trial_key` returned."""
    dataset, text, repeat, fold, folds, seed, stage_seed, augmenter, classifier, budget = what
    fits = "" if seed == stage_seed else f", generator seed {stage_seed}"
    return (
        f"{augmenter} / {classifier} on {dataset}, {text}, repeat {repeat}, fold {fold} of {folds}, seed {seed}{fits}, "
        f"{budget.steps} steps"
    )


@dataclass(frozen=True)
class _Parts:
    """What a cut gives here.

    Attributes:
        test: Ids of the test part.
        rows: ``int64 (n,)`` rows of these.
        watched: Ids of the validation part.
        watched_rows: ``int64 (m,)`` rows of these.
        train: Without pictures.
        given: Class frequencies that recipes give on it, by augmenter.
    """

    test: tuple[str, ...]
    rows: np.ndarray
    watched: tuple[str, ...]
    watched_rows: np.ndarray
    train: Samples
    given: dict[str, ExpectedFrequencies | None]


def _parts(samples: Samples, trial: Trial, dimensions: int, *, nested: bool) -> _Parts:
    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        return TrainingSet(train), *held_out

    made, validation, test = protocol(trial.protocol).arrange(samples, trial.cut, prepare, nested=nested)
    row_of = {name: row for row, name in enumerate(samples.ids.tolist())}
    tested, watched = (tuple(part.ids.tolist()) for part in (test, validation))
    rows, watched_rows = (np.array([row_of[name] for name in ids], dtype=np.int64) for ids in (tested, watched))
    return _Parts(tested, rows, watched, watched_rows, with_noise_pixels(made.samples, dimensions), {})


def _check_trials(
    bundle: Bundle, found: Mapping[str, DatasetDescription], catalogue: Catalogue, store: Store, report: Report
) -> None:
    """Hold every trial against our cut, store it with our labels, and compute its metrics."""
    metrics = {metric_name(m): m for m in catalogue.items("metric")}
    arranged, cuts = dict[tuple[str, str], Samples](), dict[tuple[str, str, Cut], _Parts]()
    unknown: set[str] = set()
    compared, signs, frequencies = 0, Signs(), FrequencyCheck()
    nested = bundle.environment.medbench == [DREW_NESTED]
    scratch = store.root.parent / "asked"
    scratch.mkdir()
    for key, predicted in bundle.predictions():
        trial, told = bundle.trials[key], bundle.results[key]
        if trial.dataset not in found:
            continue
        where = (trial.dataset, trial.protocol, trial.cut)
        if where[:2] not in arranged:
            arranged[where[:2]] = with_test_set(found[trial.dataset], protocol(trial.protocol)).samples
        samples = arranged[where[:2]]
        if where not in cuts:
            cuts[where] = _parts(samples, trial, found[trial.dataset].dimensions, nested=nested)
        parts = cuts[where]
        watched = bundle.watched_of(key)
        _check_ids(trial, parts, predicted, watched)
        _check_counts(trial, told, parts, catalogue, frequencies, scratch)
        result = store_result(store, bundle, key, samples, (predicted, parts.rows), (watched, parts.watched_rows))
        signs.add(trial, result.probabilities, result.labels)
        corrected = correct_prior(result.probabilities, result.frequencies)
        for name, value in with_negative_brier(told.metrics).items():
            if name not in metrics:
                unknown.add(name)
                continue
            ours = measure(metrics[name], result.labels, corrected, quiet=True).value
            compared += 1
            if (value is None) != (ours is None) or (value is not None and abs((ours or 0.0) - value) > EXACT):
                raise Refused("MB930", f"{_name(trial)}: {name} is {ours!r}, the bundle says {value!r}.")
    report.add("sample ids", f"{len(cuts)} test parts, split anew from our data set")
    report.add("metrics", f"{compared} recomputed, none differs")
    if unknown:
        names = ", ".join(sorted(unknown)[:5])
        report.add("other metrics", f"no plugin here provides {names}", "flagged")
    doubted = list(frequencies.sentences())
    for sentence in doubted:
        report.add("class frequencies", sentence, "flagged")
    if not doubted:
        left = f", {frequencies.believed} as the bundle says, as their counts allow" if frequencies.believed else ""
        report.add("class frequencies", f"{frequencies.computed} training runs as their recipes give them here{left}")
    odd = list(signs.sentences())
    for sentence in odd:
        report.add(NAME, sentence, "flagged")
    if not odd:
        report.add(NAME, "none: no scores that are labels, no calibration too good, no training runs nearly the same")


def _check_ids(
    trial: Trial, parts: _Parts, predicted: SubmittedPredictions, watched: SubmittedPredictions | None
) -> None:
    """Refuse predictions of other images than this cut tests, or watches."""
    if predicted.ids != parts.test:
        extra, lacking = set(predicted.ids) - set(parts.test), set(parts.test) - set(predicted.ids)
        order = "" if extra or lacking else ", or in another order"
        raise Refused(
            "MB923",
            f"{_name(trial)}: not the test part of {trial.protocol}, repeat {trial.repeat}, fold {trial.fold}: "
            f"{len(lacking)} images missing, {len(extra)} others{order}.",
        )
    if watched is not None and watched.ids != parts.watched:
        raise Refused(
            "MB923",
            f"{name_of_watched(trial.id)}: not the {len(parts.watched)} images that {_name(trial)} watched, in their "
            "order.",
        )


def _check_counts(
    trial: Trial, told: Any, parts: _Parts, catalogue: Catalogue, frequencies: FrequencyCheck, folder: Path
) -> None:
    """Refuse counts and frequencies that this cut and the recipe cannot give."""
    counts = told.counts
    n_watched = len(parts.watched)
    if counts.get("validation", n_watched) != n_watched or counts.get("real", 0) > len(parts.train):
        raise Refused("MB927", f"{_name(trial)}: trained and validated on other numbers of images than this split has.")
    if not protocol(trial.protocol).is_honest:
        return
    if trial.augmenter not in parts.given:
        try:
            recipe = catalogue.resolve("augmenter", trial.augmenter)
            parts.given[trial.augmenter] = expected_frequencies(recipe, parts.train, folder)
        except MedbenchError:
            parts.given[trial.augmenter] = None
    ours = parts.given[trial.augmenter]
    if why := frequencies.add(trial, np.array(told.frequencies), ours, counts, parts.train.class_counts):
        raise Refused("MB927", f"{_name(trial)}: class frequencies: {why}.")


def _check_claims(
    bundle: Bundle, ours: Sequence[dict[str, Any]], found: Mapping[str, DatasetDescription], report: Report
) -> None:
    theirs, same = [claim for claim in bundle.claims if claim["dataset"] in found], _same_version(bundle)
    if len(ours) != len(theirs):
        raise Refused("MB930", f"there are {len(ours)} tables, the bundle says {len(theirs)}.")
    for one, other in zip(ours, theirs, strict=True):
        mine, its = (one, other) if same else (across_versions(one), across_versions(other))
        if differs := difference(mine, its):
            where, here, there = differs
            name = f"{one['dataset']}, {one['protocol']}, {one['classifier']}"
            raise Refused(
                "MB930", f"{name}: {_field_name(one, where)} is {_short(here)}, the bundle says {_short(there)}."
            )
    n = sum(len(board["rows"]) for board in ours)
    report.add(
        "tables",
        f"{counted(len(ours), 'table')}, {counted(n, 'method')}: every number"
        + (", interval and verdict" if same else "")
        + " is what we compute"
        + ("" if same else f"; intervals and verdicts are by the rules of medbench {_versions(bundle)}"),
    )


def _fair_gains(board: Board) -> str:
    """Say what every method of a table gains, as declared and at a fair threshold; why nothing is said."""
    title = f"{board.source['dataset']}, {board.protocol}, {board.classifier}"
    found = [(row, row.gain, row.fair.gain) for row in board.all_rows if row.gain and row.fair and row.fair.gain]
    said = [
        f"{arm_name(row.arm)} {gain_and_range(gain)}, at a fair threshold {gain_and_range(fair)}"
        for row, gain, fair in found
    ]
    return f"{title}: {'; '.join(said) or 'no gain at one: ' + (listed(without_fair_gain(board)) or 'it leaks')}"


def _field_name(board: Mapping[str, Any], where: str) -> str:
    """Name a field of a row by its arm."""
    if not where.startswith("rows["):
        return where
    number, _, rest = where.removeprefix("rows[").partition("]")
    row = board["rows"][int(number)]
    return f"{rest.lstrip('.') or 'row'} of {row['augmenter']} / {row['classifier']}"


def _check_double_steps(bundle: Bundle, built: Sequence[Any], report: Report) -> None:
    """See that what was trained for longer is the best arm of its board, and not one that was chosen."""
    for checked in bundle.plan.checked:
        for board in built:
            if (board.source["dataset"], board.protocol, board.classifier) == _board_key(checked):
                row = best(board)
                if row is None or row.arm.key != checked.key:
                    raise Refused("MB925", f"{checked.augmenter}: checked at twice the steps, and not the best method.")


def _board_key(checked: Checked) -> tuple[str, str, str]:
    return checked.dataset, checked.protocol, checked.board


def _name(trial: Trial) -> str:
    return f"{trial.augmenter} / {trial.classifier}, repeat {trial.repeat}, fold {trial.fold}, seed {trial.seed}"


def _name_with_protocol(trial: Trial) -> str:
    """Name a trial among those of other protocols."""
    return f"{_name(trial)} ({trial.protocol})"


def _sentences(board: Board) -> list[str]:
    """Return what is said under a board, the answer first."""
    found = answer_of(board)
    first = (found.sentence, found.largest, *found.why_no_verdict)
    return [text for text in (*first, *found.warnings, *mark_notes(board), *found.notes) if text]


def _short(value: Any) -> str:
    return clean(repr(value))[:100]
