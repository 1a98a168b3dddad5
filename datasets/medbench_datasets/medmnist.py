"""MedMNIST: small biomedical images in one npz file a flag, ``medmnist[flag=pneumoniamnist,resolution=64]``.

Source: https://medmnist.com, Zenodo record 10519652 (release 3, "MedMNIST+"); Yang et al. 2023. Seventeen single-label
flags of 2-D or 3-D images; licence and checksum of each stand in ``medmnist_releases``. Labels are the published ones,
ordinal grades taken as classes. The official cut: ``train`` and ``val`` together are the part "train", ``test`` is the
part "test". Which images show the same patient was not released, so each image is a patient of its own.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medbench import Card, DataError, Index, Record, ResourceError, UsageError, counted
from medbench_datasets.medmnist_releases import RELEASES, Release
from medbench_datasets.readers.listing import names_in
from medbench_datasets.readers.npz import Archive, open_archive
from medbench_datasets.readers.sides import of_sides

ADDRESS = "https://zenodo.org/records/10519652/files"
ADDRESS_VARIABLE = "MEDBENCH_MEDMNIST_ADDRESS"
"""Environment variable with the address of a mirror, for machines that cannot reach Zenodo."""

POSITIVE = {"breastmnist": "malignant", "adrenalmnist3d": "hyperplasia"}
PARTS = {"train": "train", "val": "train", "test": "test"}


@dataclass(frozen=True)
class MedMNIST:
    """One flag of MedMNIST at one resolution, read from the official npz file.

    Attributes:
        flag: Lower-case name of the set, as in its file's name.
        resolution: Pixels along each axis in the file: 28, 64, and for 2-D flags also 128 and 224.
        official: Keep the official cut; False leaves the parts empty, so that folds are drawn from all images.
        md5: "official"; or the 32 hex digits of another release to accept; or "any" to read a file unverified, which
            the index then says.
    """

    name: str = "medmnist"
    flag: str = "breastmnist"
    resolution: int = 28
    official: bool = True
    md5: str = "official"

    summary = "small biomedical images, 17 sets in 2-D and 3-D; flag= chooses"

    def __post_init__(self) -> None:
        release = RELEASES.get(self.flag)
        single = [flag for flag, known in RELEASES.items() if known.task != "multi-label"]
        if release is None:
            near = difflib.get_close_matches(self.flag, RELEASES, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise UsageError(f"medmnist has no flag {self.flag!r}{hint}; it has: {', '.join(single)}.")
        if release.task == "multi-label":
            raise UsageError(
                f"medmnist[flag={self.flag}] has {len(release.classes)} labels an image and only single-label sets can "
                f"be compared here; use one of: {', '.join(single)}."
            )
        if self.resolution not in release.md5:
            raise UsageError(
                f"medmnist[flag={self.flag}] was not released at {self.resolution} pixels; "
                f"resolution is one of: {', '.join(map(str, release.md5))}."
            )
        if self.md5 not in ("official", "any") and not re.fullmatch("[0-9a-f]{32}", self.md5):
            raise UsageError('medmnist.md5 must be "official", "any" or 32 lower-case hex digits.')

    @property
    def release(self) -> Release:
        """What is known about the flag."""
        return RELEASES[self.flag]

    @property
    def sides(self) -> bool:
        """Whether classes are sides of the body, as kidneys and femurs of OrganMNIST are."""
        return bool(of_sides(self.release.classes))

    @property
    def positive(self) -> str:
        """The class that is the disease, of the two sets where that is agreed; "" of the others."""
        return POSITIVE.get(self.flag, "")

    @property
    def file(self) -> str:
        """Name of the npz file."""
        return f"{self.flag}.npz" if self.resolution == 28 else f"{self.flag}_{self.resolution}.npz"

    @property
    def size(self) -> int:
        """The file's own resolution in pixels."""
        return self.resolution

    @property
    def card(self) -> Card:
        """What one must know before using it."""
        return Card(
            title=f"{self.release.title}: {self.release.shows}, {self.resolution} px",
            licence=self.release.licence,
            citation="Yang et al., MedMNIST v2, Scientific Data 10:41 (2023), doi:10.1038/s41597-022-01721-8",
            access=f"Free to download: {ADDRESS}/{self.file}, or `medbench datasets fetch` with this data set's name. "
            "Patients are not told apart in it: each image is scored on its own.",
            publish="predictions" if "NC" in self.release.licence else "pictures",
            unit="image",
            layout=self.file,
        )

    def index(self, root: Path) -> Index:
        """Describe every image of the npz file, after its checksum was verified."""
        path = root / self.file
        self._check(path)
        records: list[Record] = []
        counts = {}
        with open_archive(path) as archive:
            for split, part in PARTS.items():
                labels = self._labels(archive, split)
                counts[split] = len(labels)
                records += [
                    Record(
                        id=f"{self.flag}/{split}/{row}",
                        files=(self.file,),
                        label=int(label),
                        patient=f"{split}/{row}",
                        part=part if self.official else "",
                        detail={"split": split, "row": str(row)},
                    )
                    for row, label in enumerate(labels)
                ]
        if len({record.label for record in records}) < 2:
            raise DataError(f"{self.file} has labels of one class only; fetch the official file again")
        cut = (
            f'The official cut: {counts["train"]} train and {counts["val"]} val images are the part "train", '
            f'{counts["test"]} test images the part "test".'
            if self.official
            else "The official cut was left out, as asked by official=false."
        )
        notes = [
            cut,
            "MedMNIST does not say which images show the same patient: each image counts as a patient of its own, so "
            "one patient may stand on both sides of a cut.",
        ]
        if self.sides:
            notes.append("Classes are sides of the body: a picture mirrored left to right shows another one.")
        if self.release.dimensions == 3:
            notes.append(
                "The file does not say how its volumes lie: they are taken as stored, the first axis as left to right, "
                "the last as up and down."
            )
        if self.md5 == "any":
            notes.append(f"The checksum of {self.file} was not verified, as asked by md5=any.")
        elif self.md5 != "official":
            notes.append(f"{self.file} was accepted by a checksum that is not the one of release 3.")
        return Index(tuple(records), self.release.classes, self.release.channels, self.release.dimensions, tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, None]]:
        """Yield pixels ``uint8 (channels, *[size] * dimensions)`` of each record; there are no masks."""
        with open_archive(root / self.file) as archive:
            for record in records:
                row = int(record.detail["row"])
                yield self._fit(archive.row(f"{record.detail['split']}_images", row, self._image_shape), size), None

    def recognise(self, root: Path) -> str:
        """Return how to read the first file ``FLAG.npz`` or ``FLAG_64.npz`` with one label an image; "" for none."""
        for name in names_in(root):
            flag, _, resolution = name.removesuffix(".npz").partition("_")
            if name.endswith(".npz") and flag in RELEASES and RELEASES[flag].task != "multi-label":
                if not resolution:
                    return f"medmnist[flag={flag}]"
                if resolution.isdecimal() and int(resolution) in RELEASES[flag].md5:
                    return f"medmnist[flag={flag},resolution={resolution}]"
        return ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Refuse: the real files are small and free."""
        raise UsageError(f"{self.name} has no phantom, the real file is free; run `medbench datasets fetch` for it.")

    def fetch(self, root: Path) -> Path:
        """Download the npz file into `root` and verify it; a file that is there already is only verified.

        Raises:
            DataError: If what is there or what came is not the official file.
            ResourceError: If it cannot be downloaded or written.
        """
        import pooch

        path = root / self.file
        if path.exists():
            self._check(path)
            return path
        address = os.environ.get(ADDRESS_VARIABLE, ADDRESS).rstrip("/")
        try:
            pooch.retrieve(
                f"{address}/{self.file}?download=1",
                known_hash=f"md5:{self._expected}" if self._expected else None,
                fname=self.file,
                path=root,
            )
        except ValueError:
            raise DataError(
                f"{self.file} came with another checksum than the official one; try again later or name a mirror "
                f"in {ADDRESS_VARIABLE}"
            ) from None
        except OSError as error:
            raise ResourceError(
                f"{self.file} could not be downloaded or written ({type(error).__name__}); check network and disk, or "
                f"name a mirror in {ADDRESS_VARIABLE}"
            ) from None
        return path

    @property
    def _expected(self) -> str:
        return {"official": self.release.md5[self.resolution], "any": ""}.get(self.md5, self.md5)

    @property
    def _image_shape(self) -> tuple[int, ...]:
        spatial = (self.resolution,) * self.release.dimensions
        return (*spatial, 3) if self.release.channels == 3 else spatial

    def _check(self, path: Path) -> None:
        if not path.is_file():
            others = sorted(p.name for p in path.parent.glob(f"{self.flag}*.npz"))
            there = f"{', '.join(others)} is there, choose it by resolution=" if others else "no other resolution is"
            raise DataError(f"{path.name} is missing ({there}); run `medbench datasets fetch` for it")
        if not self._expected:
            return
        try:
            with path.open("rb") as file:
                # The publisher gives MD5 only: it finds damage and careless edits, not a forger.
                found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        except OSError:
            raise DataError(f"{path.name} cannot be opened; make it readable") from None
        if found != self._expected:
            raise DataError(
                f"{path.name} is not the official file (MD5 {found}, expected {self._expected}): it was altered, cut "
                "short or is of another release; move it away and run `medbench datasets fetch` for it"
            )

    def _labels(self, archive: Archive, split: str) -> np.ndarray:
        """Read ``int64 (n,)`` labels of a split whose images are as they should be."""
        n_images = archive.expect_images(f"{split}_images", self._image_shape)
        labels = archive.integers(f"{split}_labels").ravel()
        n_classes = len(self.release.classes)
        if len(labels) != n_images:
            raise DataError(
                f"{self.file} has {counted(len(labels), f'{split} label')} and "
                f"{counted(n_images, f'{split} image')}; fetch the official file"
            )
        if n_images and not 0 <= labels.min() <= labels.max() < n_classes:
            raise DataError(
                f"{self.file}: {split} labels lie in {labels.min()}..{labels.max()}, expected 0..{n_classes - 1}; "
                "fetch the official file"
            )
        return labels

    def _fit(self, pixels: np.ndarray, size: int) -> np.ndarray:
        # (H, W, 3) becomes (3, H, W), and (*spatial) becomes (1, *spatial).
        pixels = pixels.transpose(2, 0, 1) if self.release.channels == 3 else pixels[None]
        if size == self.resolution:
            return np.ascontiguousarray(pixels)
        if self.release.dimensions == 2:
            from medbench_datasets.readers.pictures.read import fit_square

            return fit_square(np.ascontiguousarray(pixels), size)
        from medbench_datasets.readers.volumes import resample

        cube = resample(pixels[0].astype(np.float64), (size,) * 3)  # (size, size, size)
        return np.rint(cube).astype(np.uint8)[None]


DATASETS = (MedMNIST(),)
