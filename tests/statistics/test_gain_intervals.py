"""The interval of a gain against closed forms, scipy and an explicit bootstrap; sentences 4 and 6 of the statistics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.gain_intervals import Interval, intervals, rarest
from medbench.statistics.patient_scores import ArmScores, Cell, score
from medbench.statistics.pool_images_by_patient import Units

SEEDS = st.integers(0, 2**32)


def named(n: int) -> np.ndarray:
    return np.array([f"p{i:05d}" for i in range(n)])


def arm(correct: np.ndarray, labels: np.ndarray, clusters: np.ndarray | None = None) -> ArmScores:
    """Return an arm of which only what an interval is computed from is known; `correct` has one row a repeat."""
    names = named(len(labels))
    known = names if clusters is None else clusters
    return ArmScores(names, known, labels, np.atleast_2d(correct).astype(float), 0.0, 0.0, 0.0, np.zeros(0), 0.0)


def family(rng: np.random.Generator, n_arms: int, n: int = 80, repeats: int = 3) -> dict[str, tuple]:
    """Return arms with a shared control, in which an arm differs from it on a quarter of the patients."""
    labels = np.r_[0, 0, 1, 1, rng.integers(0, 2, n - 4)]
    control = rng.random((repeats, n)) < 0.7
    pairs = {}
    for j in range(n_arms):
        changed = rng.random((repeats, n)) < 0.25
        pairs[f"arm {j}"] = (
            arm(np.where(changed, rng.random((repeats, n)) < 0.7, control), labels),
            arm(control, labels),
        )
    return pairs


def ends(found: Mapping[str, Interval]) -> np.ndarray:
    return np.array([(i.value, i.low, i.high, i.low_single, i.high_single, i.standard_error) for i in found.values()])


@given(
    seed=SEEDS,
    folds=st.sampled_from([1, 1, 2, 5, 10]),
    repeats=st.integers(1, 5),
    k=st.integers(2, 4),
    overlap=st.sampled_from([0.0, 0.25, 0.8, 0.95]),
)
@settings(max_examples=60, deadline=None)
def test_sentence_4_the_interval_is_the_formula_by_hand(
    seed: int, folds: int, repeats: int, k: int, overlap: float
) -> None:
    """In float64: V_both once; what draws share and the degrees of freedom of Satterthwaite on an official cut."""
    rng = np.random.default_rng(seed)
    labels = np.r_[np.repeat(np.arange(k), 2), rng.integers(0, k, 40)]
    one, other = rng.random((2, repeats, len(labels))) < 0.6

    found = intervals({"a": (arm(one, labels), arm(other, labels))}, folds=folds, overlap=overlap)["a"]

    d = (one.astype(float) - other).mean(0)
    v_pat = sum(d[labels == c].var() / (labels == c).sum() for c in range(k)) / k**2
    of_repeats = [np.mean([(one[r] * 1.0 - other[r])[labels == c].mean() for c in range(k)]) for r in range(repeats)]
    v_train = np.var(of_repeats, ddof=1) / repeats if repeats > 1 else 0.0
    df = int(np.bincount(labels).min()) - 1
    apart = one * 1.0 - other - d
    within = [((apart[:, labels == c] - apart[:, labels == c].mean(1)[:, None]) ** 2).sum() for c in range(k)]
    sizes = [(labels == c).sum() * k for c in range(k)]
    v_both = sum(w / n**2 for w, n in zip(within, sizes, strict=True)) / repeats / max(1, repeats - 1)
    if folds > 1:
        v_train = max(0.0, v_train - v_both)
        unstable = repeats * v_both / v_pat if repeats > 1 and v_pat else 0.0
        v_pat += max(1 / (folds - 1), min(1.0, unstable)) * max(0.0, v_pat - v_both)
    else:
        v_train *= 1 + repeats * overlap / (1 - overlap) if overlap <= 0.8 else 1
    v_pat = max(v_pat, sum(1 / (n + 2) ** 2 for n in np.bincount(labels)) / k**2)
    if folds == 1 and v_train:
        df = max(1, min(df, int((v_pat + v_train) ** 2 / (v_pat**2 / df + v_train**2 / (repeats - 1)) + 1e-9)))
    error = math.sqrt(v_pat + v_train)
    assert found.value == pytest.approx(np.mean(of_repeats))
    assert found.standard_error == pytest.approx(error)
    assert found.df == df
    half = stats.t.ppf(0.975, df) * error
    assert (found.low, found.high) == pytest.approx((max(-1, found.value - half), min(1, found.value + half)))
    assert (found.low_single, found.high_single) == pytest.approx((found.low, found.high))


def bootstrap(values: np.ndarray, clusters: np.ndarray, labels: np.ndarray, draws: int) -> np.ndarray:
    """Draw clusters with replacement, each within the stratum of its highest label; ``float64 (draws,)`` class means.

    The independent reference of the closed form: mean over the classes in a draw of the mean value of each.
    """
    names, inverse = np.unique(clusters, return_inverse=True)
    stratum = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(stratum, inverse, labels)
    of_class = np.zeros((2, labels.max() + 1, len(names)))  # sums of values, counts
    np.add.at(of_class, (slice(None), labels, inverse), np.stack([values, np.ones(len(values))]))
    rng, totals = np.random.default_rng(0), 0.0
    for label in np.unique(stratum):
        members = of_class[:, :, stratum == label]
        totals = totals + members[:, :, rng.integers(0, members.shape[2], (draws, members.shape[2]))].sum(-1)
    means = totals[0] / np.maximum(totals[1], 1)
    return means.sum(0) / (totals[1] > 0).sum(0)


def test_sentence_4_the_variance_of_patients_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    one, control = family(rng, 1, n=200)["arm 0"]
    found = intervals({"a": (one, control)}, folds=1)["a"]

    drawn = bootstrap((one.correct - control.correct).mean(0), one.clusters, one.labels, 8000)

    assert found.between_patients == pytest.approx(drawn.var(), rel=0.05)


@pytest.mark.parametrize("mixed", [False, True])
def test_sentence_6_images_are_units_and_patients_their_clusters(mixed: bool) -> None:
    """Against the bootstrap of whole patients, which knows of no linearisation."""
    rng = np.random.default_rng(2)
    clusters = np.repeat(named(150), 3)
    labels = rng.integers(0, 2, 450) if mixed else np.repeat(np.arange(150) % 2, 3)
    of_patient = np.repeat(rng.choice([0.2, 0.9], 150), 3)
    one, other = (rng.random((1, 450)) < of_patient), rng.random((1, 450)) < 0.5
    pair = arm(one, labels, clusters), arm(other, labels, clusters)

    found = intervals({"a": pair}, folds=1)["a"]

    drawn = bootstrap((one * 1.0 - other)[0], clusters, labels, 8000)
    assert found.between_patients == pytest.approx(drawn.var(), rel=0.06)
    alone = intervals({"a": (arm(one, labels), arm(other, labels))}, folds=1)["a"]
    assert found.standard_error > 1.1 * alone.standard_error
    assert found.df == rarest(pair[0]) - 1
    assert found.df < alone.df


def test_sentence_4_joint_over_arms_by_max_t() -> None:
    """Two independent comparisons stand a multivariate t apart; scipy integrates it."""
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 2
    ones, zeros = rng.random((4, 1, 200)) < 0.5, arm(np.zeros((1, 200)), labels)
    d = ones - ones.mean(-1, keepdims=True)
    q, _ = np.linalg.qr(np.concatenate([np.eye(2)[labels], d[:, 0].T], axis=1))  # orthogonal within both classes
    pairs = {f"arm {j}": (arm(q[:, 2 + j][None], labels), zeros) for j in range(4)}

    found = intervals(pairs, folds=5)

    mvt = stats.multivariate_t(np.zeros(4), np.eye(4), df=99, seed=0)
    draws = np.abs(mvt.rvs(400_000, random_state=0)).max(1)
    assert found["arm 0"].critical == pytest.approx(np.quantile(draws, 0.95), rel=0.015)
    assert found["arm 0"].df == 99


def test_what_comparisons_share_of_the_patients_counts_once() -> None:
    """The same comparison three times is one as to patients; noise of training counts as drawn apart for each."""
    once, often = (family(np.random.default_rng(4), 1, repeats=r)["arm 0"] for r in (1, 3))

    alone = intervals({"a": once}, folds=5)["a"].critical
    thrice = intervals(dict.fromkeys("abc", once), folds=5)["a"].critical
    noisy = intervals(dict.fromkeys("abc", often), folds=1)["a"]

    assert thrice == pytest.approx(alone, rel=0.02)
    assert (
        1.03 * stats.t.ppf(0.975, noisy.df) < noisy.critical < 1.01 * stats.t.ppf((1 + 0.95 ** (1 / 3)) / 2, noisy.df)
    )


@given(seed=SEEDS, n_arms=st.integers(1, 5), where=st.integers(0, 5), repeats=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_adding_an_arm_never_narrows_what_is_there(seed: int, n_arms: int, where: int, repeats: int) -> None:
    pairs = family(np.random.default_rng(seed), n_arms + 1, repeats=repeats)
    names = list(pairs)
    added = names.pop(min(where, n_arms))

    fewer = intervals({name: pairs[name] for name in names}, folds=5)
    more = intervals(pairs, folds=5)

    assert set(more) == {*fewer, added}
    for name, found in fewer.items():
        assert more[name].low <= found.low + 1e-6
        assert more[name].high >= found.high - 1e-6
        assert (more[name].value, more[name].standard_error) == pytest.approx((found.value, found.standard_error))
        assert more[name].comparisons == found.comparisons + 1


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_sentence_9_what_was_looked_at_before_widens_too(seed: int) -> None:
    pairs = family(np.random.default_rng(seed), 2)

    seen = [intervals(pairs, folds=5, unseen=u)["arm 0"] for u in (0, 1, 4, 10)]

    widths = [i.high - i.low for i in seen]
    assert widths == sorted(widths)
    assert widths[-1] > 1.05 * widths[0]
    assert [i.comparisons for i in seen] == [2, 3, 6, 12]


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_the_order_of_patients_and_of_arms_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = family(rng, 3)
    order = rng.permutation(80)

    def shuffled(a: ArmScores) -> ArmScores:
        return ArmScores(
            a.names[order], a.clusters[order], a.labels[order], a.correct[:, order], 0.0, 0.0, 0.0, a.recalls, 0.0
        )

    moved = {name: (shuffled(a), shuffled(b)) for name, (a, b) in reversed(pairs.items())}

    found, again = intervals(pairs, folds=5), intervals(moved, folds=5)

    assert ends({name: again[name] for name in found}) == pytest.approx(ends(found), abs=1e-6)


@given(seed=SEEDS, repeats=st.integers(1, 4), folds=st.integers(1, 10))
@settings(max_examples=20, deadline=None)
def test_an_interval_holds_its_gain_and_its_single_range(seed: int, repeats: int, folds: int) -> None:
    pairs = family(np.random.default_rng(seed), 2, repeats=repeats)

    found = intervals(pairs, folds=folds)
    backwards = intervals({name: (control, one) for name, (one, control) in pairs.items()}, folds=folds)

    for name, (one, control) in pairs.items():
        i, back = found[name], backwards[name]
        assert i.low <= i.low_single <= i.value <= i.high_single <= i.high
        difference = (one.correct - control.correct).mean(0)
        assert i.value == pytest.approx(np.mean([difference[one.labels == k].mean() for k in np.unique(one.labels)]))
        assert (back.low_single, back.high_single) == pytest.approx((-i.high_single, -i.low_single))


def test_sentence_4_training_noise_widens_and_repeats_are_no_patients() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(100) % 2
    one, other = rng.random(100) < 0.8, rng.random(100) < 0.6
    once = intervals({"a": (arm(one, labels), arm(other, labels))}, folds=5)["a"]
    thrice = intervals({"a": (arm(np.tile(one, (3, 1)), labels), arm(np.tile(other, (3, 1)), labels))}, folds=5)["a"]
    noisy = rng.random((3, 100)) < np.array([[0.6], [0.7], [0.9]])
    with_noise = intervals({"a": (arm(noisy, labels), arm(np.tile(other, (3, 1)), labels))}, folds=5)["a"]

    assert math.isnan(once.between_trainings)
    assert thrice.between_trainings == 0
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    of_repeats = (noisy * 1.0 - other).mean(1)
    assert 0 < with_noise.between_trainings < of_repeats.var(ddof=1) / 3


def test_sentence_6_an_official_cut_adds_the_training_draws_and_no_allowance() -> None:
    pairs = family(np.random.default_rng(6), 1)

    official, folds = intervals(pairs, folds=1)["arm 0"], intervals(pairs, folds=5)["arm 0"]

    assert official.between_patients < folds.between_patients < official.between_patients * 5 / 4
    one, control = pairs["arm 0"]
    d = one.correct - control.correct
    of_repeats = np.mean([d[:, one.labels == k].mean(1) for k in (0, 1)], axis=0)
    assert official.between_trainings == pytest.approx(of_repeats.var(ddof=1) / 3)
    assert folds.between_trainings < official.between_trainings
    shared = intervals(pairs, folds=1, overlap=0.5)["arm 0"]
    assert shared.between_trainings == pytest.approx(official.between_trainings * 3 * (1 / 3 + 1))


def test_noise_that_patients_have_apart_is_counted_once_over_folds() -> None:
    """Arm and control decide by chance, anew in every repeat: all variance is within repeats, and none beside it."""
    rng, labels = np.random.default_rng(13), np.arange(200) % 2
    found = []
    for _ in range(200):
        one, other = (arm(rng.random((3, 200)) < 0.7, labels) for _ in range(2))
        found.append(intervals({"a": (one, other)}, folds=5)["a"])

    truth = 2 * 0.7 * 0.3 / (3 * 200)
    assert np.mean([i.between_patients for i in found]) == pytest.approx(truth, rel=0.05)
    # V_train of 2 degrees of freedom less its mean, where positive: 1 / e of it.
    assert np.mean([i.between_trainings for i in found]) == pytest.approx(truth / math.e, rel=0.35)


def test_what_moves_all_patients_at_once_is_counted_whole() -> None:
    """A repeat in which every patient is decided rightly more often: V_train, less next to nothing."""
    labels = np.arange(400) % 2
    right = np.array([[True] * 400, [False, False, True, True] * 100, [False] * 400])

    found = intervals({"a": (arm(right, labels), arm(np.zeros((3, 400)), labels))}, folds=5)["a"]

    # In one repeat of three every patient is off the mean of its class by 1/2, and moves the gain by 1/800.
    v_both = 400 * (1 / 800) ** 2 * (1 - 1 / 3) / (3 * 2)
    assert found.between_trainings == pytest.approx(0.25 / 3 - v_both, rel=1e-9)


@pytest.mark.parametrize("repeats", [2, 3, 10])
def test_few_training_draws_of_an_official_cut_cost_degrees_of_freedom(repeats: int) -> None:
    """Down to those of the draws alone where patients hardly vary; jointly at the level that the patients' t had."""
    rng, labels = np.random.default_rng(14), np.arange(400) % 2
    right = rng.random((repeats, 1)) < rng.random((repeats, 400)) * 1e-9 + np.linspace(0, 1, repeats)[:, None]
    swing = np.linspace(0, 1, repeats)[:, None] * np.ones((1, 400)) + 1e-6 * right
    pairs = {n: (arm(swing, labels), arm(np.zeros((repeats, 400)), labels)) for n in "ab"}

    alone, joint = intervals({"a": pairs["a"]}, folds=1)["a"], intervals(pairs, folds=1)["a"]

    assert alone.df == repeats - 1
    assert alone.critical == pytest.approx(stats.t.ppf(0.975, repeats - 1))
    assert joint.df == repeats - 1 + 2  # the other comparison is half of the four that a family's mean counts for
    assert joint.critical > stats.t.ppf(0.975, joint.df)
    assert joint.critical < 1.05 * stats.t.ppf(1 - 0.0253 / 2, joint.df)
    assert intervals(pairs, folds=5)["a"].df == 199


@pytest.mark.parametrize(("rare", "half"), [(20, 4.9), (52, 2.0), (485, 0.21)])
def test_an_arm_that_decides_alike_has_the_width_that_one_patient_makes(rare: int, half: float) -> None:
    """As if one further patient of each class were decided otherwise, so 20 rare patients are no proof of no effect."""
    labels = np.repeat([0, 1], [5 * rare, rare])
    one = arm(np.ones((3, len(labels))), labels)

    found = intervals({"a": (one, one)}, folds=1)["a"]

    least = math.sqrt((1 / (5 * rare + 2) ** 2 + 1 / (rare + 2) ** 2) / 4)
    assert found.value == 0
    assert found.high == -found.low == pytest.approx(stats.t.ppf(0.975, rare - 1) * least)
    assert 100 * found.high == pytest.approx(half, rel=0.06)


def test_what_draws_share_no_further_repeat_takes_away() -> None:
    """At 40 draws of one pool of which each takes half, the range is still that of two disjoint draws' mean."""
    rng, labels = np.random.default_rng(21), np.arange(4000) % 2
    level = 0.02 * rng.standard_normal((40, 1))
    one, other = arm(np.broadcast_to(0.7 + level, (40, 4000)), labels), arm(np.full((40, 4000), 0.7), labels)

    apart, shared = (intervals({"a": (one, other)}, folds=1, overlap=o)["a"] for o in (0.0, 0.5))

    of_one = level.var(ddof=1)
    assert apart.between_trainings == pytest.approx(of_one / 40)
    assert shared.between_trainings == pytest.approx(of_one * (1 / 40 + 1))


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "repeats"), [(400, 4), (150, 6), (200, 10)])
def test_ranges_hold_for_draws_of_one_pool(pool: int, repeats: int) -> None:
    """Means of 100 of `pool` numbers, disjoint while they last, of which the truth is the population's mean."""
    rng, labels, hits, naive = np.random.default_rng(22), np.arange(2000) % 2, [], []
    for _ in range(300):
        effect, draws = rng.standard_normal(pool), []
        for r in range(repeats):
            place = r % (pool // 100)
            queue = rng.permutation(pool) if not place else queue  # noqa: F821
            draws.append(queue[place * 100 : (place + 1) * 100])
        level = 0.1 * np.array([effect[drawn].mean() for drawn in draws])[:, None]
        shared = [len(set(a) & set(b)) / 100 for a, b in itertools.combinations(map(tuple, draws), 2)]
        one = arm(np.broadcast_to(0.5 + level, (repeats, 2000)), labels), arm(np.full((repeats, 2000), 0.5), labels)
        for found, overlap in ((hits, float(np.mean(shared))), (naive, 0.0)):
            i = intervals({"a": one}, folds=1, overlap=overlap)["a"]
            found.append(i.low <= 0 <= i.high)

    assert np.mean(hits) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)
    assert pool == 400 or np.mean(naive) < 0.9


def test_one_rare_patient_leaves_every_gain_open() -> None:
    labels = np.array([0] * 10 + [1])
    rng = np.random.default_rng(8)

    found = intervals({"a": (arm(rng.random((2, 11)) < 0.5, labels), arm(np.ones((2, 11)), labels))}, folds=5)["a"]

    assert (found.low, found.high) == (-1, 1)


def test_arms_that_were_tested_differently_are_refused() -> None:
    labels = np.arange(10) % 2
    one, twice = arm(np.ones((1, 10)), labels), arm(np.ones((2, 10)), labels)
    others = ArmScores(named(11)[1:], named(11)[1:], labels, one.correct, 0.0, 0.0, 0.0, np.zeros(0), 0.0)

    for other in (twice, others):
        with pytest.raises(ValueError, match="same patients"):
            intervals({"a": (one, other)}, folds=5)
    assert intervals({}, folds=5) == {}


def test_many_patients_are_summed_in_groups_without_changing_the_range() -> None:
    """Twelve arms with a shared control on 12,000 patients: correlations of one half, as Dunnett tabulated."""
    rng = np.random.default_rng(9)
    labels = np.arange(12_000) % 2
    control = arm(rng.normal(size=(1, 12_000)), labels)
    pairs = {f"arm {j}": (arm(rng.normal(size=(1, 12_000)), labels), control) for j in range(12)}

    found = intervals(pairs, folds=5)["arm 0"]

    assert found.critical == pytest.approx(2.75, abs=0.04)  # Dunnett, two-sided .05, 12 comparisons, infinite df


@pytest.mark.slow
def test_the_range_of_fitted_networks_covers_their_gain() -> None:
    """Given networks, 60 rare of 240 patients and a true gain of 8 points: about 95 %, so neither 90 nor 99."""
    rng, n = np.random.default_rng(10), 2000
    labels = np.array([0] * 180 + [1] * 60)
    hits = 0
    for _ in range(n):
        change = rng.choice([-1, 0, 1], 240, p=[0.06, 0.80, 0.14])
        found = intervals({"a": (arm(np.maximum(change, 0), labels), arm(np.maximum(-change, 0), labels))}, folds=1)
        hits += found["a"].low <= 0.08 <= found["a"].high

    assert hits / n == pytest.approx(0.95, abs=0.0146)  # 3 SE


@pytest.mark.slow
def test_sentence_5_at_most_one_table_in_twenty_holds_a_wrong_range() -> None:
    """Twelve arms that gain nothing over one control, 30 rare of 100 patients; fitted networks, so no allowance."""
    rng, n = np.random.default_rng(12), 300
    labels = np.array([0] * 70 + [1] * 30)
    wrong = alone = 0
    for _ in range(n):
        arms = [arm(rng.random((1, 100)) < 0.7, labels) for _ in range(13)]
        found = intervals({f"arm {j}": (a, arms[12]) for j, a in enumerate(arms[:12])}, folds=1).values()
        wrong += any(not i.low <= 0 <= i.high for i in found)
        alone += any(not i.low_single <= 0 <= i.high_single for i in found)

    assert wrong / n == pytest.approx(0.05, abs=0.038)  # 3 SE
    assert alone / n > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folds", "lasting", "common"), [(5, 1.0, 0.0), (5, 0.0, 0.0), (1, 0.0, 0.1)], ids=["two", "same", "official"]
)
def test_sentence_5_no_wrong_words_and_no_waste_where_no_arm_helps(folds: int, lasting: float, common: float) -> None:
    """Four arms on 40 rare of 160 patients: learners that differ for good, one retrained, one whose level moves."""
    rng, n = np.random.default_rng(15), 150
    labels = np.array([0] * 120 + [1] * 40)
    hits, wrong = [], 0
    for _ in range(n):
        easy = rng.standard_normal(160) + 1
        arms = []
        for _ in range(5):
            level = common * rng.standard_normal((3, 1))
            own = lasting * rng.standard_normal(160) + 0.5 * rng.standard_normal((3, 160))
            arms.append(arm(easy + own + level > 0, labels))
        found = intervals({f"arm {j}": (a, arms[4]) for j, a in enumerate(arms[:4])}, folds=folds).values()
        hits += [i.low_single <= 0 <= i.high_single for i in found]
        wrong += any(not i.low <= 0 <= i.high for i in found)

    assert wrong / n < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)
    assert 0.925 < np.mean(hits) < 0.993


def cells(
    rng: np.random.Generator, labels: np.ndarray, skill: float, folds: int = 4, repeats: int = 2
) -> dict[Cell, Units]:
    """Return the cells of an arm; the partition depends on the repeat alone."""
    names, n_classes, made = named(len(labels)), int(labels.max()) + 1, {}
    for repeat in range(repeats):
        fold = np.random.default_rng(repeat).permutation(len(labels)) % folds
        for f in range(folds):
            here = fold == f
            logits = rng.normal(size=(here.sum(), n_classes)) + skill * np.eye(n_classes)[labels[here]]
            p = np.exp(logits.round(1)) / np.exp(logits.round(1)).sum(1, keepdims=True)
            made[repeat, f, 0] = Units(names[here], names[here], labels[here], p, p)
    return made


@given(seed=SEEDS, k=st.integers(2, 3))
@settings(max_examples=5, deadline=None)
def test_sentence_6_auroc_is_taken_inside_folds(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % k
    one, other = cells(rng, labels, 1.0), cells(rng, labels, 0.5)

    found = auroc_interval(score(one, k), score(other, k), folds=4)

    def area(u: Units) -> float:
        return float(np.mean([metrics.roc_auc_score(u.labels == j, u.probabilities[:, j]) for j in range(k)]))

    assert found is not None
    gains = np.array([[area(one[r, f, 0]) - area(other[r, f, 0]) for f in range(4)] for r in range(2)])
    assert found.value == pytest.approx(gains.mean())
    assert found.value == pytest.approx(score(one, k).auroc - score(other, k).auroc)
    official = auroc_interval(score(one, k), score(other, k), folds=1, overlap=0.5)
    assert official is not None
    assert found.between_trainings < gains.mean(1).var(ddof=1) / 2
    assert official.between_trainings == pytest.approx(gains.mean(1).var(ddof=1) * (1 / 2 + 1))


def test_sentence_6_the_variance_of_auroc_is_that_of_patients_drawn_inside_each_fold() -> None:
    rng = np.random.default_rng(11)
    labels = (np.arange(300) % 3 == 0).astype(np.int64)
    one, other = cells(rng, labels, 1.0, folds=3, repeats=1), cells(rng, labels, 0.5, folds=3, repeats=1)

    found = auroc_interval(score(one, 2), score(other, 2), folds=3)

    drawn = np.zeros(3000)
    for cell, u in one.items():
        positive = u.labels == 1
        scores = [v.probabilities[:, 1] for v in (u, other[cell])]
        ordered = [np.sign(p[positive][:, None] - p[~positive]) / 2 for p in scores]  # each rare, each other patient
        above = ordered[0] - ordered[1]
        n, m = above.shape
        drawn += [above[rng.integers(0, n, n)][:, rng.integers(0, m, m)].mean() / 3 for _ in range(3000)]
    assert found is not None
    assert found.between_patients == pytest.approx(1.5 * np.var(drawn), rel=0.1)
    assert found.df == 99
    assert found.low == pytest.approx(found.value - stats.t.ppf(0.975, 99) * found.standard_error)


def test_auroc_without_a_fold_that_holds_every_class_is_unknown() -> None:
    u = Units(named(4), named(4), np.zeros(4, dtype=np.int64), np.full((4, 2), 0.5), np.full((4, 2), 0.5))

    one, other = score({(0, 0, 0): u}, 2), score({(0, 0, 0): u, (1, 0, 0): u}, 2)
    assert auroc_interval(one, one, folds=5) is None
    with pytest.raises(ValueError, match="different patients"):
        auroc_interval(one, other, folds=5)
