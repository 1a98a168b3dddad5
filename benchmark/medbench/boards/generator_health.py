"""Signs of a poor generator and of copied images, from the scores of its synthetic images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

POOR = 6.0
"""How many times as far from real rows as other patients' real rows are, by KID within classes.

``docs/benchmarks/poor_generators.py`` measures what the rule says of good and of bad samples."""
LEAST_COVERED = 0.5
MOST_TOLD = 0.9
TWINS = 0.98
"""A limit of likeness above this is that of held-out images which are nearly training images themselves."""
LEARNABLE = 0.1
"""By how much real images must beat chance before generated ones that do not can be blamed."""


def why_poor(scores: Mapping[str, float]) -> str:
    """Say in a few words why synthetic images are poor; "" where they are not, or where nothing is known.

    They are where KID within classes is above POOR times its spread, the 95th percentile between real rows of
    different patients at the same numbers; where coverage or recall is below half of its floor; where they can be told
    from real ones within their class (AUROC above MOST_TOLD); or where a classifier trained on them knows no more than
    chance, though real images teach it something. The floor of KID itself is no yardstick: it is unbiased, so about 0.

    Args:
        scores: Number by score as an arm has them: ``kid-by-class`` and ``-spread``, ``coverage``, ``recall`` and
            ``tstr`` and their ``-floor``, ``tstr:CLASS``, ``origin``.
    """
    kid, spread = scores.get("kid-by-class"), scores.get("kid-by-class-spread")
    if kid is not None and spread is not None and kid > POOR * spread > 0:
        return f"their KID is {kid / spread:.0f} times what real images of other patients reach"
    covered, floor = scores.get("coverage"), scores.get("coverage-floor")
    if covered is not None and floor is not None and covered < LEAST_COVERED * floor:
        return f"they cover {100 * covered:.0f} % of the real ones, as many real images {100 * floor:.0f} %"
    recall, floor = scores.get("recall"), scores.get("recall-floor")
    if recall is not None and floor is not None and recall < LEAST_COVERED * floor:
        return f"{100 * recall:.0f} % of the real ones are like them, {100 * floor:.0f} % are like as many real images"
    told = scores.get("origin")
    if told is not None and told > MOST_TOLD:
        return f"they can be told from real ones (AUROC {told:.2f})"
    taught, floor = scores.get("tstr"), scores.get("tstr-floor")
    classes = sum(name.startswith("tstr:") and not name.endswith("-floor") for name in scores)
    if taught is not None and floor is not None and classes > 1:
        chance = 1 / classes
        if floor >= chance + LEARNABLE and taught <= chance + LEARNABLE / 5:
            return (
                f"a classifier trained on them knows {100 * taught:.0f} % of real ones, chance is {100 * chance:.0f} %"
            )
    return ""


def count_copies(cells: Iterable[tuple[Mapping[str, float | None], int]]) -> tuple[int, int, int]:
    """Return how many synthetic images are copies of training images, of how many, and of how many none can tell.

    None can tell in a cell whose held-out images are themselves nearly training images, so that the limit from which an
    image counts as a copy is above TWINS: whatever is counted there is no evidence.

    Args:
        cells: Of each cell its scores and the number of synthetic images they were computed from.
    """
    known = [
        (share, made, (scores.get("copies-limit") or 0.0) > TWINS)
        for scores, made in cells
        if (share := scores.get("copies-pixels")) is not None
    ]
    told = [(share, made) for share, made, is_twin in known if not is_twin]
    untold = sum(made for _, made, is_twin in known if is_twin)
    return sum(round(share * made) for share, made in told), sum(made for _, made in told), untold
