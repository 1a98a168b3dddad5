"""Guess from file names which images show the same patient; rather no guess than a wrong one.

A guess is a regular expression with one group, to be searched in the relative path, as ``folder[patient=...]`` takes
it: no comma stands outside brackets, since one would end the parameter there. Where it is unsure whether two names
mean one patient it unites them: that can cost precision, it cannot leak.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medbench.text import counted

EXAMPLES = 5
SHARING = 0.05  # least part of the images that must share a patient with another; DDTI, at about a third, is typical

PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")


@dataclass(frozen=True)
class Guess:
    """A proposal for telling patients apart.

    Attributes:
        pattern: Regular expression with one group around the patient, found in every path.
        patients: How many patients it gives.
        images: Number of paths.
        examples: ``(path, patient)`` of some paths: two of one patient first, then others.
        caution: A sentence on what speaks against it; empty where nothing does.
    """

    pattern: str
    patients: int
    images: int
    examples: tuple[tuple[str, str], ...]
    caution: str = ""


@dataclass(frozen=True)
class _Candidate:
    """A pattern, and what must hold for the patients it gives before it convinces."""

    pattern: str
    holds: Callable[[Sequence[str], Sequence[str]], bool]


def guess_patients(paths: Sequence[str]) -> Guess | None:
    """Propose a regular expression that finds the patient in relative paths.

    Args:
        paths: Relative paths with "/" between their parts; the order does not matter.

    Returns:
        The first proposal that fits every path, gives at least two patients, lets at least one image in twenty share
        its patient with another, and does not just repeat the class folders. None where there is none.
    """
    paths = sorted(set(paths))
    probe = paths[:: max(1, len(paths) // 200)]
    for candidate in _CANDIDATES:
        search = re.compile(candidate.pattern).search
        if not all(search(path) for path in probe):
            continue
        found = [search(path) for path in paths]
        patients = [match[1] for match in found if match]
        if len(patients) == len(paths) and _repeats(patients) and candidate.holds(paths, patients):
            return _guess(candidate.pattern, paths, patients)
    return None


def _repeats(patients: Sequence[str]) -> bool:
    images = Counter(patients)
    shared = sum(count for count in images.values() if count > 1)
    return len(images) > 1 and shared >= max(2, SHARING * len(patients))


def _always(paths: Sequence[str], patients: Sequence[str]) -> bool:
    return True


def _is_no_class(paths: Sequence[str], patients: Sequence[str]) -> bool:
    """Whether there are more patients than the folders on top could be classes."""
    return len(set(patients)) >= max(3, 2 * len({_class_folder(path) for path in paths}))


def _counts_up(paths: Sequence[str], patients: Sequence[str]) -> bool:
    """Whether the number behind the patient starts again with each patient: then it counts that patient's images.

    A number that runs through all files, a date and a time of day do not start again. Where the number behind takes
    more values than the one before, it could be the patient itself (``1_12.png``: first image of patient 12), unless
    the words beside the numbers tell.
    """
    if not _is_no_class(paths, patients) or _are_dates(patients):
        return False
    behind = {re.findall(r"\d+", _stem(path))[-1].lstrip("0") for path in paths}
    if len(behind) > len(paths) / 2 or max(map(len, behind)) > 4:
        return False
    words = {tuple(_IMAGE_WORD.sub("image", word) for word in _words(path)) for path in paths}
    if any(word == "p" or (before == "image" and word not in ("", "image")) for before, word in words):
        return False  # 3_P12.png, img3_case12.png
    tell = all(before not in ("", "image") or word == "image" for before, word in words)
    return tell or len(set(patients)) >= len(behind)


def _words(path: str) -> tuple[str, str]:
    """Return the letters before the first and before the last number of a file's name, in lower case."""
    parts = re.findall(r"([A-Za-z]*)[-_ ]*\d+", _stem(path))
    return parts[0].lower(), parts[-1].lower()


def _are_dates(patients: Sequence[str]) -> bool:
    return all(re.search(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])[0-3]\d$", patient) for patient in set(patients))


def _is_patient_folder(paths: Sequence[str], patients: Sequence[str]) -> bool:
    """Whether the innermost folders are too many to be classes, or name their files after themselves."""
    folders = set(patients)
    if any(_below_part(path).count("/") < 2 for path in paths):  # they stand where class folders stand
        named_after = all(_stem(path).startswith(patient) for path, patient in zip(paths, patients, strict=True))
        return len(folders) >= (10 if named_after else 25)
    return _is_no_class(paths, patients)


def _below_part(path: str) -> str:
    top, _, rest = path.partition("/")
    return rest if rest and top.lower() in PARTS else path


def _class_folder(path: str) -> str:
    below = _below_part(path)
    return below.partition("/")[0] if "/" in below else ""


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


_PERSON = "patient|subject|subj|sub|pat|person|participant|volunteer|donor|pid"
_IMAGE_WORD = re.compile(r"^(?:img|image|im|i|slice|s|z|scan|frame|view|picture|photo)$")
_VIEW = "left|right|l|r|od|os|ap|pa|lat|lateral|frontal|cc|mlo|axial|coronal|sagittal|flair|t1|t1c|t1ce|t2"

_CANDIDATES = (
    # Subject codes of TCIA and TCGA, OASIS, ADNI and LIDC: the part that names the person, not the scan.
    _Candidate(r"(TCGA-[0-9A-Z]{2}-[0-9A-Z]{4})", _always),
    _Candidate(r"(OAS[1-4]_?\d\d\d\d\d?)", _always),
    _Candidate(r"(?<!\d)(\d{3}_S_\d{4})(?!\d)", _always),
    _Candidate(r"(LIDC-IDRI-\d{4})", _always),
    _Candidate(r"(?:^|/)(sub-[A-Za-z0-9]+)(?=[_/.])", _always),  # BIDS
    _Candidate(rf"(?i)(?:^|[/_. ,-])((?:{_PERSON})[-_ ]?\d+)(?!\d)", _always),
    _Candidate(r"(?i)(?:^|[/_. ,-])((?:case|study)[-_ ]?\d+)(?!\d)", _is_no_class),
    # 12_left.jpg, P012_T1.png
    _Candidate(rf"(?i)(?:^|/)([A-Za-z]*[-_ ]?\d+)[-_ ](?:{_VIEW})\.[^/]+$", _is_no_class),
    # 12_1.jpg, P012_3.png, scan-12_img4.jpg
    _Candidate(r"(?:^|/)([A-Za-z]*[-_ ]?\d+)[-_ ](?:[A-Za-z]+[-_ ]?)?\d+\.[^/]+$", _counts_up),
    _Candidate(r"([^/]*\d[^/]*)/[^/]+$", _is_patient_folder),
)


def _guess(pattern: str, paths: Sequence[str], patients: Sequence[str]) -> Guess:
    images_of: dict[str, list[str]] = defaultdict(list)
    classes_of: dict[str, set[str]] = defaultdict(set)
    for path, patient in zip(paths, patients, strict=True):
        images_of[patient].append(path)
        classes_of[patient].add(_class_folder(path))
    first = next(patient for patient, images in images_of.items() if len(images) > 1)
    examples = [(path, first) for path in images_of[first][:2]]
    examples += [(images[0], patient) for patient, images in images_of.items() if patient != first]
    several = sum(len(classes) > 1 for classes in classes_of.values())
    caution = (
        f"{several} of {counted(len(images_of), 'patient')} would have images in several class folders; "
        "if each folder numbers its patients anew, different people are united"
        if several
        else ""
    )
    return Guess(pattern, len(images_of), len(paths), tuple(examples[:EXAMPLES]), caution)
