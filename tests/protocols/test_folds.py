"""Cuts: no group is parted, classes are spread, and the same bits come out for ever."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from medbench.errors import DataError, UsageError
from medbench.interfaces import TrainingSet
from medbench.protocols.folds import Cut, assign_folds, cut_samples
from medbench.protocols.leaks import find_leaks
from medbench.protocols.protocol import LEAKY, PROTOCOLS, EvaluationProtocol, protocol
from medbench.protocols.protocol_text import seeded_as, with_leaks
from medbench.protocols.subsets import draw_images
from medbench.samples import Samples
from medbench.testing import toy_samples


def samples_of(sizes: list[int], labels: list[int]) -> Samples:
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    n = len(groups)
    return Samples(
        x=np.zeros((n, 0), np.uint8),
        labels=np.repeat(labels, sizes).astype(np.int64),
        ids=np.array([f"i{i}" for i in range(n)]),
        patients=groups,
        groups=groups,
        sources=((),) * n,
        classes=("a", "b"),
    )


def unchanged(train: Samples, *held: Samples) -> tuple[object, ...]:
    return TrainingSet(train), *held


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 1)), min_size=20, max_size=120),
    st.integers(2, 7),
    st.integers(0, 3),
)
def test_no_group_is_in_two_parts_and_every_row_is_tested_once(
    groups: list[tuple[int, int]], folds: int, repeat: int
) -> None:
    samples = samples_of([size for size, _ in groups], [label for _, label in groups])
    if min(len({g for g, y in zip(samples.groups, samples.labels, strict=True) if y == k}) for k in (0, 1)) < folds:
        return
    tested: list[str] = []
    for fold in range(folds):
        train, validation, test = cut_samples(samples, Cut(fold, folds, repeat))
        parts = [set(p.groups.tolist()) for p in (train, validation, test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert len(train) + len(validation) + len(test) == len(samples)
        tested += test.ids.tolist()

    assert sorted(tested) == sorted(samples.ids.tolist())


def test_classes_are_spread_about_as_well_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    samples = samples_of(rng.integers(1, 4, 300).tolist(), (rng.random(300) < 0.17).astype(int).tolist())

    def spread(folds: np.ndarray) -> float:
        shares = [samples.labels[folds == f].mean() for f in range(5)]
        return float(np.std(shares))

    ours = spread(assign_folds(samples.groups, samples.labels, 5, salt="0"))
    theirs = np.zeros(len(samples), dtype=int)
    reference = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for fold, (_, test) in enumerate(reference.split(samples.labels, samples.labels, samples.groups)):
        theirs[test] = fold

    assert ours <= max(1.5 * spread(theirs), 0.01)


def test_the_same_input_gives_the_same_folds_on_every_machine() -> None:
    rng = np.random.default_rng(7)
    samples = samples_of(rng.integers(1, 5, 200).tolist(), (rng.random(200) < 0.3).astype(int).tolist())

    folds = assign_folds(samples.groups, samples.labels, 5, salt="2")

    golden = "2332072ab0fefe84"
    assert hashlib.sha256(folds.astype("<i8").tobytes()).hexdigest()[:16] == golden


GOLDEN_SIZES = {  # images a patient, and the folds; the first two are those of the first version
    "alike": ([4] * 60, "fab95f4ce5b63058"),
    "ddti": ([1] * 60 + [2] * 20 + [3] * 10, "cbf266541702cf60"),
    "a few with a hundred": ([100] * 4 + [60] * 3 + [2] * 17 + [1] * 46, "d0cde677a184a05e"),
}


@pytest.mark.parametrize("name", GOLDEN_SIZES)
def test_every_fold_tests_its_share_of_the_patients_of_a_class(name: str) -> None:
    """By images alone, two folds of the last would test one patient of a class and three sixteen."""
    sizes, golden = GOLDEN_SIZES[name]
    labels = [n % 7 < 2 for n in range(len(sizes))]
    samples = samples_of(sizes, [int(label) for label in labels])
    tested = [cut_samples(samples, Cut(fold, 5, 0))[2] for fold in range(5)]

    for k in (0, 1):
        patients = [len(set(part.patients[part.labels == k].tolist())) for part in tested]
        fair = sum(patients) / 5
        assert all(abs(n - fair) < 1.5 for n in patients)
    folds = np.array([[name in set(part.ids.tolist()) for part in tested].index(True) for name in samples.ids.tolist()])
    assert hashlib.sha256(folds.astype("<i8").tobytes()).hexdigest()[:16] == golden


@pytest.mark.parametrize("rare", [14, 20, 33])
def test_no_fold_tests_a_single_rare_patient_of_fourteen(rare: int) -> None:
    """Sizes as they come, one to ten images a patient: by images alone, 35 of 60 such cuts had such a fold."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sizes = rng.geometric(0.35, 60 + rare)
        samples = samples_of(sizes.tolist(), [0] * 60 + [1] * rare)
        folds = assign_folds(samples.groups, samples.labels, 5, salt=str(seed), evenly=True)

        tested = [len(set(samples.groups[(folds == f) & (samples.labels == 1)].tolist())) for f in range(5)]
        assert max(tested) - min(tested) <= 2
        assert min(tested) >= rare // 5 - 1 + (rare == 14)


def test_patients_of_one_size_are_dealt_as_ever() -> None:
    """Which keeps every stored fold of such data sets where it was, whatever their labels."""
    rng = np.random.default_rng(3)
    for size in (1, 3, 8):
        samples = samples_of([size] * 80, (rng.random(80) < 0.2).astype(int).tolist())
        labels = np.where(rng.random(len(samples)) < 0.1, 1, samples.labels)
        for salt in "01":
            by_rows = assign_folds(samples.groups, labels, 5, salt=salt)
            assert np.array_equal(assign_folds(samples.groups, labels, 5, salt=salt, evenly=True), by_rows)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1)), min_size=20, max_size=90),
    st.integers(0, 2**32),
    st.integers(2, 5),
)
def test_parts_of_a_cut_are_those_of_its_two_assignments(groups: list[tuple[int, int]], seed: int, folds: int) -> None:
    samples = samples_of([size for size, _ in groups], [label for _, label in groups])
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(len(samples)) < 0.1, 1 - samples.labels, samples.labels)
    samples = replace(samples, labels=labels).take(rng.permutation(len(samples)))
    if min(len(set(samples.groups[samples.labels == k].tolist())) for k in (0, 1)) < folds:
        return

    fold_of = assign_folds(samples.groups, samples.labels, folds, salt="1", evenly=True)
    for fold in range(folds):
        train, validation, test = cut_samples(samples, Cut(fold, folds, 1))
        rest = np.flatnonzero(fold_of != fold)
        watched = assign_folds(samples.groups[rest], samples.labels[rest], 10, salt=f"1|{fold}|validation")
        assert test.ids.tolist() == samples.ids[fold_of == fold].tolist()
        assert validation.ids.tolist() == samples.ids[rest[watched == 0]].tolist()
        assert train.ids.tolist() == samples.ids[rest[watched != 0]].tolist()


def test_repeats_are_different_partitions() -> None:
    samples = toy_samples(120)
    first, second = (assign_folds(samples.groups, samples.labels, 5, salt=str(r)) for r in (0, 1))

    assert (first != second).mean() > 0.5


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_has_exactly_the_leaks_it_declares(name: str) -> None:
    samples = toy_samples(120, images_per_patient=4)
    samples = Samples(**{**vars(samples), "parts": np.where(np.arange(120) < 80, "train", "test")})

    def augment(train: Samples, *held: Samples) -> tuple[object, ...]:
        return TrainingSet(train.with_synthetic(train.x, train.labels, maker="copy")), *held

    rule = EvaluationProtocol(name)  # type: ignore[arg-type]
    made, validation, test = rule.arrange(samples, Cut(0, 5, 0), augment)
    fitted_on = [frozenset(samples.ids.tolist())] if name == "augment-first" else []

    assert find_leaks(made.samples, validation, test, fitted_on) == rule.leaks


def copies(train: Samples, *held: Samples) -> tuple[object, ...]:
    """Prepare a training set with one copy of every image, each naming its own source."""
    sources = [(name,) for name in train.ids.tolist()]
    return TrainingSet(train.with_synthetic(train.x, train.labels, maker="copy", sources=sources)), *held


def of_all(train: Samples, *held: Samples) -> tuple[object, ...]:
    """Prepare a training set with rows that name every image as their source."""
    return TrainingSet(train.with_synthetic(train.x, train.labels, maker="all")), *held


@pytest.mark.parametrize("switch", [name for name in LEAKY if name != "steps"])
@pytest.mark.parametrize("base", ["patients", "official"])
def test_a_switch_leaks_what_it_says_and_no_other_does(base: str, switch: str) -> None:
    samples = toy_samples(120, images_per_patient=4)
    samples = Samples(**{**vars(samples), "parts": np.where(np.arange(120) < 80, "train", "test")})
    switches = {switch, "copies"} if switch == "synthetic-scored" else {switch}
    rule = protocol(with_leaks(base, switches))
    if base == "official" and switch == "images":  # an official cut has images and patients where its owner put them
        return
    made, validation, test = rule.arrange(samples, Cut(0, 1 if base == "official" else 5, 0), copies)
    on_all = {"copies", "fitted-on-all", "scaler-on-all", "encoder-on-all", "generator-on-all"}
    fitted_on = [frozenset(samples.ids.tolist())] if switches & on_all else []

    found = find_leaks(made.samples, validation, test, fitted_on)

    assert found <= rule.leaks
    # Copies of one test image stay out of what is fitted on all images; what all of them went into does not.
    assert found == rule.leaks - ({"copy"} if switch in ("fitted-on-all", "generator-on-all") else set())
    assert test.is_real.all() == ("synthetic-scored" not in switches)


def test_what_was_made_of_all_images_stays_in_training_where_it_was_fitted_on_all() -> None:
    samples = toy_samples(100, images_per_patient=2)
    rule = protocol("patients[leak=fitted-on-all]")

    made, validation, test = rule.arrange(samples, Cut(0, 5, 0), of_all)

    assert (~made.samples.is_real).sum() == 100
    assert validation.is_real.all()
    assert test.is_real.all()
    assert find_leaks(made.samples, validation, test) == {"copy"}


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(sorted(LEAKY))), st.integers(0, 4), st.integers(0, 2))
def test_the_same_real_images_are_scored_whatever_switches_are_on(on: set[str], fold: int, repeat: int) -> None:
    samples = toy_samples(60, images_per_patient=2)
    on = on | {"copies"} if "synthetic-scored" in on else on
    rule, base = protocol(with_leaks("patients", on)), protocol("images" if "images" in on else "patients")

    _, _, test = rule.arrange(samples, Cut(fold, 5, repeat), copies)
    _, _, expected = base.arrange(samples, Cut(fold, 5, repeat), unchanged)

    assert sorted(test.ids[test.is_real].tolist()) == sorted(expected.ids.tolist())


@pytest.mark.parametrize("switch", ["copies", "fitted-on-all", "generator-on-all"])
def test_real_images_are_scored_even_where_none_is_trained_on(switch: str) -> None:
    def only_made(train: Samples, *held: Samples) -> tuple[object, ...]:
        made = train.with_synthetic(train.x, train.labels, maker="all")
        return TrainingSet(made.take(~made.is_real)), *held

    made, _, test = protocol(f"patients[leak={switch}]").arrange(toy_samples(60), Cut(0, 5, 0), only_made)

    assert not made.samples.is_real.any()
    assert test.is_real.all()
    assert len(test)


def test_steps_grow_with_made_rows_only_where_that_is_the_leak() -> None:
    made = copies(toy_samples(30))[0]

    assert protocol("patients[leak=steps]").steps(100, made) == 200  # type: ignore[arg-type]
    assert protocol("patients").steps(100, made) == 100  # type: ignore[arg-type]
    assert protocol("patients[leak=steps]").steps(100, TrainingSet(toy_samples(30))) == 100


def test_leaks_are_written_in_one_order_and_seeds_do_not_depend_on_them() -> None:
    text = with_leaks("augment-first", ["selection", "copies"])

    assert text == "patients[leak=copies/selection]"
    assert with_leaks("official[train=3/4]", ["images"]) == "official[train=3/4,leak=images]"
    assert with_leaks(text, []) == "patients"
    assert seeded_as(text) == "patients"
    assert seeded_as("official[train=3/4,leak=images]") == "official[train=3/4]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patients[leak=copys]", "no leak is named 'copys' (did you mean 'copies'?)"),
        ("patients[leak=synthetic-scored]", "needs copies"),
    ],
)
def test_a_leak_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        protocol(text)


def test_an_honest_protocol_shows_only_training_samples_to_prepare() -> None:
    samples = toy_samples(100)
    seen: list[Samples] = []

    def prepare(train: Samples, *held: Samples) -> tuple[object, ...]:
        seen.append(train)
        return TrainingSet(train), *held

    _, validation, test = EvaluationProtocol("patients").arrange(samples, Cut(1, 5, 0), prepare)

    assert not set(seen[0].groups.tolist()) & (set(test.groups.tolist()) | set(validation.groups.tolist()))


def test_select_on_test_trains_on_no_test_patient() -> None:
    train, validation, test = EvaluationProtocol("select-on-test").arrange(toy_samples(100), Cut(0, 5, 0), unchanged)

    assert set(validation.ids.tolist()) == set(test.ids.tolist())
    assert not set(train.samples.groups.tolist()) & set(test.groups.tolist())


def test_a_subsample_is_drawn_by_group_and_differs_between_repeats() -> None:
    train = toy_samples(200, images_per_patient=2)
    drawn = draw_images(train, "40/20", salt="0")

    assert drawn.class_counts.tolist() == [40, 20]
    assert all((drawn.groups == g).sum() == (train.groups == g).sum() for g in set(drawn.groups.tolist()))
    assert set(drawn.ids.tolist()) != set(draw_images(train, "40/20", salt="1").ids.tolist())


@pytest.mark.parametrize(("wanted", "says"), [("400/20", "wants 400"), ("40", "names 1 classes")])
def test_a_subsample_that_cannot_be_drawn_says_why(wanted: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        draw_images(toy_samples(100), wanted, salt="0")


def test_too_few_patients_for_the_folds_says_how_many_work() -> None:
    with pytest.raises(DataError, match=r"class 'class 0' has 3 patients, too few for 5 folds; use --folds 3"):
        cut_samples(toy_samples(12), Cut(0, 5, 0))


def test_an_unknown_protocol_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'patients'"):
        protocol("patient")
    with pytest.raises(UsageError, match="counts with slashes"):
        protocol("patients[train=many]")


def test_an_official_cut_keeps_the_test_part_shut() -> None:
    samples = toy_samples(100)
    samples = Samples(**{**vars(samples), "parts": np.where(np.arange(100) < 60, "train", "test")})
    rule = EvaluationProtocol("official")

    cuts = [rule.arrange(samples, Cut(0, 1, repeat), unchanged) for repeat in (0, 1)]

    assert rule.folds(5) == 1
    assert all(set(test.ids.tolist()) == set(samples.ids[60:].tolist()) for _, _, test in cuts)
    assert set(cuts[0][1].ids.tolist()) != set(cuts[1][1].ids.tolist())
    with pytest.raises(DataError, match="no official cut"):
        rule.arrange(toy_samples(20), Cut(0, 1, 0), unchanged)


def drawn_by(text: str, samples: Samples, repeat: int, *, nested: bool) -> set[str]:
    """Return the patients that a repeat of an official cut trains on."""
    seen: list[Samples] = []

    def keep(train: Samples, *held: Samples) -> tuple[object, ...]:
        seen.append(train)
        return TrainingSet(train), *held

    protocol(text).arrange(samples, Cut(0, 1, repeat), keep, nested=nested)
    return set(seen[0].patients.tolist())


def test_draws_of_an_official_cut_are_disjoint_while_there_are_patients() -> None:
    """And of results of before, each repeat drew anew, a larger number holding every smaller one."""
    samples = toy_samples(300, images_per_patient=2)
    samples = Samples(**{**vars(samples), "parts": np.where(np.arange(300) < 240, "train", "test")})

    draws = [drawn_by("official[patients=30]", samples, r, nested=False) for r in range(6)]
    assert [len(draw) for draw in draws] == [30] * 6
    assert not any(draws[a] & draws[b] for a in range(3) for b in range(a))  # 108 of 120 are not watched
    assert not any(draws[a] & draws[b] for a in range(3, 6) for b in range(3, a))
    assert draws[3] not in draws[:3]

    before = [drawn_by("official[patients=30]", samples, r, nested=True) for r in range(4)]
    assert any(before[a] & before[b] for a in range(4) for b in range(a))
    assert before[1] < drawn_by("official[patients=60]", samples, 1, nested=True)
