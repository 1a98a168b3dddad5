"""What was left out of DDTI or looked odd, as sentences with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medbench_datasets.readers.outlines import Outline


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
        shown = "show the whole scan" if self.crop == "nodule" else "are kept"
        found = [
            ("images without an outline have no mask and " + shown, self.without_outline),
            ("outlines are cut off: no mask, and the crop goes by their complete points", self.cut),
            ("outlines leave the picture and were cut at its edge", self.beyond_frame),
            ("images carry arrows, which outline nothing and were left out", self.arrows),
            ("pictures are turned by their EXIF orientation; outlines are taken to fit them upright", self.turned),
            ("pictures have no mark in their XML; they are kept with the category of their case", self.without_mark),
            ("pictures have no XML and are left out", self.without_xml),
            ("cases have no picture", self.without_picture),
            ("ages make no sense and count as missing", self.without_age),
            ("files are not part of DDTI and are left alone", self.strays),
        ]
        notes = [_counted(names, what) for what, names in found if names]
        if self.unlabelled:
            notes.insert(
                0,
                f"{len(self.unlabelled)} of {n_cases} cases have no TI-RADS category and are left out "
                f"({sum(self.unlabelled)} images).",
            )
        if self.crop == "frame":
            notes.insert(0, "crop=frame shows the text under the scan: a classifier can read the answer there.")
        return tuple(notes)


def _counted(names: Sequence[str], what: str) -> str:
    more = ", ..." if len(names) > 10 else ""
    return f"{len(names)} {what}: {', '.join(names[:10])}{more}."
