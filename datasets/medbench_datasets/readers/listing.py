"""Which image files a folder holds: sorted, none decoded, and refusing what cannot be named or opened safely."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medbench import DataError
from medbench_datasets.readers.kinds import Kind, sniff

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp")
DICOM = (".dcm", ".dicom")
NIFTI = (".nii", ".nii.gz")
CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")  # what file managers leave behind; hidden files as well
INDEXES = ("dicomdir",)  # DICOM by its mark, and a list of files
MAX_DEPTH = 32


@dataclass(frozen=True)
class Listing:
    """The files under a folder.

    Attributes:
        kinds: Relative path, "/" between its parts, to what the file is; sorted by path.
        others: Files that are no images, counted by the ending of their names.
        folders: Relative paths of the folders in it, sorted.
        strays: Relative paths of the files that are no images, sorted.
    """

    kinds: dict[str, Kind]
    others: dict[str, int]
    folders: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()


def list_images(root: Path) -> Listing:
    """Find the images under `root`.

    A file is what its first bytes say; where they say nothing, what its name ends in, so that damage is met when it is
    read and named there. Links within the folder are followed. Hidden files and what file managers leave behind do not
    count.

    Raises:
        DataError: For a folder or file that cannot be read, a link in a circle, to nowhere or out of the folder (one
            to "/" is the whole disk), a named pipe or device, an empty image, and a name with control characters or
            that is not UTF-8, shown escaped.
    """
    if not root.is_dir():
        raise DataError(f"the data folder {escaped(root.name)} is missing or no folder; give the folder of the images")
    kinds: dict[str, Kind] = {}
    folders: list[str] = []
    strays: list[str] = []
    empty: list[str] = []
    inside = os.path.realpath(root)
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", ())]
    while waiting:
        folder, above = waiting.pop()
        path = root / folder
        here = _identity(path, folder)
        if here in above:
            raise DataError(f"{escaped(folder)} is a link that leads back to a folder above it; remove the link")
        if len(above) > MAX_DEPTH:
            raise DataError(
                f"{escaped(folder)} lies more than {MAX_DEPTH} folders deep; give a folder nearer to the images"
            )
        for entry in _entries(path, folder):
            if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            check_name(name)
            status = _status(entry, name)
            if entry.is_symlink() and not f"{os.path.realpath(entry.path)}/".startswith(f"{inside}/"):
                raise DataError(
                    f"{escaped(name)} is a link out of the data folder and is not followed; put the files themselves "
                    "there, or remove the link"
                )
            if stat.S_ISDIR(status.st_mode):
                waiting.append((name, (*above, here)))
                folders.append(name)
            elif not stat.S_ISREG(status.st_mode):
                raise DataError(f"{escaped(name)} is a named pipe, socket or device, expected a file; remove it")
            elif kind := kind_of(root, name):
                kinds[name] = kind
                if status.st_size == 0:
                    empty.append(name)
            else:
                strays.append(name)
    if empty:
        raise DataError(f"images of 0 bytes: {some(sorted(empty))}; copy them again or remove them")
    _check_readable(root, kinds)
    others = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in strays)
    return Listing(
        dict(sorted(kinds.items())), dict(sorted(others.items())), tuple(sorted(folders)), tuple(sorted(strays))
    )


def kind_of(root: Path, name: str) -> Kind | None:
    """Say what a file under `root` is, or None where it is no image: by its content, else by its name."""
    lower = name.lower()
    if PurePosixPath(lower).name in INDEXES:
        return None
    by_name: Kind | None = None
    if lower.endswith(PICTURES):
        by_name = "picture"
    elif lower.endswith(NIFTI):
        by_name = "nifti"
    elif lower.endswith(DICOM):
        by_name = "dicom"
    try:
        return sniff(root / name) or by_name
    except OSError:
        ending = PurePosixPath(lower).suffix
        if not ending or ending[1:].isdecimal():  # scanners name files 1.2.840.113619.2
            raise DataError(f"{escaped(name)} cannot be opened; make it readable") from None
        return by_name


def in_folder(file: Path | None, root: Path) -> Path | None:
    """Return where a file that is given by name lies in the data folder; None where it does not."""
    return root / file if file is not None and not file.is_absolute() and (root / file).is_file() else None


def check_name(name: str) -> None:
    """Refuse a relative path that cannot be printed, or written into a table and read back."""
    # Control characters, the surrogates that stand for bytes that are not UTF-8, and Unicode's own line breaks.
    if not name.isprintable() and {unicodedata.category(c) for c in name} & {"Cc", "Cs", "Zl", "Zp"}:
        raise DataError(f"the name {escaped(name)} holds control characters or is not UTF-8; rename the file or folder")


def check_twins(names: Iterable[str], what: str) -> None:
    """Refuse names that differ only by case: on many disks they would be one."""
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if twin != name:
            raise DataError(
                f"the {what} {escaped(twin)} and {escaped(name)} differ only by upper and lower case; rename one"
            )


def some(names: Sequence[str], most: int = 5) -> str:
    """Write names in a sentence: how many, and the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} ({', '.join(map(escaped, names[:most]))}{more})"


def escaped(name: str) -> str:
    """Write a name so that it fits on one line of any terminal."""
    return name if name.isprintable() else ascii(name)[1:-1]


def names_in(folder: Path) -> list[str]:
    """Return the sorted names of what lies in a folder, hidden ones left out; none where it cannot be listed."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted and likewise."""
    return [folder / name for name in names_in(folder) if (folder / name).is_dir()]


def _entries(path: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        raise DataError(f"the folder {escaped(folder) or 'itself'} cannot be listed; make it readable") from None


def _identity(path: Path, folder: str) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        raise DataError(f"the folder {escaped(folder)} cannot be opened; make it readable") from None
    return status.st_dev, status.st_ino


def _status(entry: os.DirEntry[str], name: str) -> os.stat_result:
    try:
        return entry.stat()
    except OSError:
        # Too many levels of links, or a link to a file that is gone.
        raise DataError(f"{escaped(name)} is a link in a circle or to nowhere; remove or mend the link") from None


def _check_readable(root: Path, names: Iterable[str]) -> None:
    locked = [name for name in sorted(names) if not os.access(f"{root}/{name}", os.R_OK)]
    if locked:
        raise DataError(f"images that cannot be opened: {some(locked)}; make them readable")
