"""What every built-in score of generated images is called, what it measures and which way is better, for people.

A score's own ``summary`` is part of the code that results are identified by, so the words for people stand here;
tables, reports, the site and ``medbench list scores`` take them from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

HIGHER, LOWER, HALF, LIKE_REAL = "higher is better", "lower is better", ".5 is best", "near real images is best"


@dataclass(frozen=True)
class ScoreFacts:
    """A score for people.

    Attributes:
        title: Heading of its column.
        meaning: Half a sentence.
        best: Which way is better; "" where nobody says it.
    """

    title: str
    meaning: str
    best: str

    @property
    def text(self) -> str:
        """Half a sentence with the direction."""
        return f"{self.meaning}; {self.best}" if self.best else self.meaning


SCORES: Mapping[str, ScoreFacts] = {
    "kid-by-class": ScoreFacts("KID by class", "distance of generated from real images within each class (KID)", LOWER),
    "kid": ScoreFacts("KID", "distance of generated from real images (KID)", LOWER),
    "precision": ScoreFacts("precision", "share of generated images that look real", HIGHER),
    "recall": ScoreFacts("recall", "share of real images that generated ones reach", HIGHER),
    "density": ScoreFacts("density", "how densely generated images lie where real ones do", "about 1 is best"),
    "coverage": ScoreFacts("coverage", "share of real images with a generated one near", HIGHER),
    "fid": ScoreFacts("FID", "distance of generated from real images (FID), biased for few images", LOWER),
    "inception-score": ScoreFacts(
        "inception score", "how clear and varied generated images are to a network, beside that of real ones", HIGHER
    ),
    "is-domain": ScoreFacts(
        "inception score, own classes",
        "inception score by a classifier of the data set's own classes",
        LIKE_REAL,
    ),
    "tstr": ScoreFacts(
        "trained on generated", "train on generated, test on real images: balanced accuracy, 0 to 1", HIGHER
    ),
    "trts": ScoreFacts(
        "tested on generated",
        "train on real, test on generated images: balanced accuracy, 0 to 1",
        LIKE_REAL,
    ),
    "origin": ScoreFacts("told from real", "how well generated images can be told from real ones (AUROC)", HALF),
    "copies-pixels": ScoreFacts("altered copies", "share of generated images that are a training image, changed a "
                                "little", LOWER),
    "copies-least": ScoreFacts("copies at least", "share of generated images that are copies at least, with 99.5 % "
                               "confidence", LOWER),
    "copies-limit": ScoreFacts("limit of copies", "likeness to a training image from which a generated one is a copy; "
                               "above .98 held-out images are such twins themselves", LOWER),
    "copies": ScoreFacts("copies", "share of generated images too near to a training image; .01 is chance", LOWER),
    "copies-auc": ScoreFacts(
        "nearness to training images", "whether generated images lie nearer to training images than new ones do; "
        "1 is copying", HALF
    ),
}  # fmt: skip
ORIGIN_LABEL = ScoreFacts(
    "class told by origin",
    "how well the class can be guessed from whether an image was added, by balanced accuracy, 0 to 1",
    LOWER,
)
"""A number that the core adds to the scores of plugins."""


def score_facts(name: str) -> ScoreFacts:
    """Return what people read of a score; one of a plugin keeps its name, and its plugin says what it is.

    Args:
        name: As results store it; ``NAME:CLASS`` is the same score within a class.
    """
    base, _, of_class = name.partition(":")
    found = ORIGIN_LABEL if base == "origin-label" else SCORES.get(base)
    if found is None:
        return ScoreFacts(name, f"see medbench plugins show {base}", "")
    if of_class:
        return ScoreFacts(f"{found.title}: {of_class}", found.meaning, found.best)
    return found


def in_order(names: Collection[str]) -> list[str]:
    """Sort names of scores as SCORES has them, those of plugins last; what other scores rest on is left out."""
    known, given = [*SCORES], set(names)

    def place(name: str) -> int:
        base = name.partition(":")[0]
        return known.index(base) if base in known else len(known)

    resting = {f"{name}{ending}" for name in given for ending in ("-floor", "-spread")}
    return sorted((name for name in names if name not in resting), key=place)
