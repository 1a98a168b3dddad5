"""What was left out of DDTI or looked odd, as sentences with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medbench import counted
from medbench_datasets.ddti_outlines import Outline


@dataclass
class Notes:
    """Collects while the files are read; every list holds names of images or cases.

    Attributes:
        crop: The crop of the recipe.
        unlabelled: Images of each case without a category.
    """

    crop: str
    unlabelled: list[int] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    without_outline: list[str] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    beyond_frame: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    without_mark: list[str] = field(default_factory=list)
    without_xml: list[str] = field(default_factory=list)
    without_picture: list[str] = field(default_factory=list)
    without_age: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def add(self, outline: Outline, image: str) -> None:
        """Note what is odd about the outline of an image."""
        if not outline.is_complete:
            self.cut.append(image)
        if not outline.polygons:
            self.without_outline.append(image)
        if outline.n_arrows:
            self.arrows.append(image)
        if outline.leaves_frame:
            self.beyond_frame.append(image)

    def sentences(self, n_cases: int) -> tuple[str, ...]:
        """Return a sentence for everything that occurred, those that matter most first."""
        shown = "shown as a whole scan" if self.crop == "nodule" else "kept"
        found = [
            ("image", "", f"without an outline (no mask, {shown})", self.without_outline),
            ("outline", "are", "cut off (no mask; the crop goes by the complete points)", self.cut),
            ("outline", "leave", "the picture (cut at its edge)", self.beyond_frame),
            ("image", "carry", "arrows, which outline nothing (left out)", self.arrows),
            ("picture", "are", "turned by EXIF orientation (outlines are taken to fit upright pictures)", self.turned),
            ("picture", "have", "no mark in the XML (kept with the category of the case)", self.without_mark),
            ("picture", "have", "no XML (left out)", self.without_xml),
            ("case", "have", "no picture", self.without_picture),
            ("age", "make", "no sense (counted as missing)", self.without_age),
            ("file", "are", "not part of DDTI (left alone)", self.strays),
        ]
        notes = [_count_phrase(names, noun, verb, what) for noun, verb, what, names in found if names]
        if self.unlabelled:
            notes.insert(
                0,
                f"{len(self.unlabelled)} of {counted(n_cases, 'case')} without TI-RADS category, left out "
                f"({counted(sum(self.unlabelled), 'image')}).",
            )
        if self.crop == "frame":
            notes.insert(0, "crop=frame shows the text under the scan: a classifier can read the answer there.")
        return tuple(notes)


def _count_phrase(names: Sequence[str], noun: str, verb: str, what: str) -> str:
    more = ", ..." if len(names) > 10 else ""
    return f"{counted(len(names), noun, verb)} {what}: {', '.join(names[:10])}{more}."
