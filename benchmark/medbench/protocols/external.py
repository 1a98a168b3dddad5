"""An external test: one data set is trained on, all labelled images of another one are tested."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.identity.identity import digest
from medbench.samples import Samples
from medbench.text import listed

HOW = "classes=THEIRS:OURS/THEIRS:OURS"


def parse_mapping(text: str) -> dict[str, str]:
    """Read ``theirs:ours/theirs:ours``: class of the tested data set to class of the one trained on.

    Names are compared in lower case with a hyphen in place of all that is neither letter nor digit, so that
    ``No finding`` is written ``no-finding``.

    Raises:
        UsageError: For another form, or a class that is given twice.
    """
    found: dict[str, str] = {}
    for pair in filter(None, text.split("/")):
        theirs, _, ours = map(_plain, pair.partition(":"))
        if not theirs or not ours or pair.count(":") > 1:
            raise UsageError(f"classes={text}: {pair!r} is not theirs:ours; write {HOW}.")
        if theirs in found:
            raise UsageError(f"classes={text}: gives {theirs!r} twice; leave one out.")
        found[theirs] = ours
    return found


def written_plainly(mapping: str) -> str:
    """Return a mapping of classes in lower case, with a hyphen for every space or sign, as bundles can hold it."""
    return "/".join(f"{theirs}:{ours}" for theirs, ours in parse_mapping(mapping).items())


def match_classes(ours: Sequence[str], theirs: Sequence[str], mapping: str) -> tuple[int, ...]:
    """Return, for each class of the tested data set, the class trained on that it is; several may be one.

    Args:
        ours: Names of the classes trained on.
        theirs: Names of the classes tested.
        mapping: As :func:`parse_mapping` reads it; a class that it leaves out goes by its name.

    Raises:
        UsageError: If a class of either has no partner, or the mapping names one that is none.
    """
    declared = parse_mapping(mapping)
    own, other = [_plain(name) for name in ours], [_plain(name) for name in theirs]
    said = (
        f"the classes trained on are {_names(ours)}, those tested {_names(theirs)}; write {HOW} with a hyphen for "
        "every space or sign"
    )
    for key, value in declared.items():
        if key not in other or value not in own:
            missing = f"{key!r} is no class tested" if key not in other else f"{value!r} is no class trained on"
            raise UsageError(f"{missing}: {said}.")
    partners = [declared.get(name, name) for name in other]
    for name, partner in zip(theirs, partners, strict=True):
        if partner not in own:
            raise UsageError(f"class {name!r} of the tested data set has no partner: {said}.")
    for name, plain in zip(ours, own, strict=True):
        if plain not in partners:
            raise UsageError(f"class {name!r} is trained on and never tested: {said}.")
    return tuple(own.index(partner) for partner in partners)


def join_test_set(
    samples: Samples, tested: Samples, mapping: str, pixels: tuple[Sequence[str], Sequence[str]] | None = None
) -> Samples:
    """Put a data set that is trained on and one that is tested together, as the two parts of one cut.

    A training row that equals a tested picture joins its group, and so do all rows of its own group: such a group
    stands in both parts, as in an official cut that leaks.

    Args:
        samples: All labelled rows of the data set trained on; part "train".
        tested: All labelled rows of the other one; part "test".
        mapping: Classes, as :func:`match_classes` takes them.
        pixels: What tells each row's picture, for both; "" for a blank one. None where they are not decoded.

    Returns:
        Rows of both, with the classes and `made_of` of the first.

    Raises:
        UsageError: If a class has no partner.
        DataError: If images differ in channels or axes.
    """
    partner = np.array(match_classes(samples.classes, tested.classes, mapping), dtype=np.int64)
    if samples.x.shape[1:] != tested.x.shape[1:]:
        raise DataError(
            f"the images trained on are {_shape(samples.x)}, those tested {_shape(tested.x)} (channels x axes); "
            "choose a test set with the same channels and axes."
        )
    groups, of_tested = samples.groups.tolist(), tested.groups.tolist()
    if pixels is not None:
        group_of = {picture: group for picture, group in zip(pixels[1], of_tested, strict=True) if picture}
        joined: dict[str, str] = {}
        for picture, group in zip(pixels[0], groups, strict=True):
            if picture in group_of:
                joined.setdefault(group, group_of[picture])
        groups = [joined.get(group, group) for group in groups]
    return replace(
        samples,
        x=np.concatenate([samples.x, tested.x]),
        labels=np.concatenate([samples.labels, partner[tested.labels]]),
        ids=np.concatenate([samples.ids, tested.ids]),
        patients=np.concatenate([samples.patients, tested.patients]),
        groups=np.array(groups + of_tested, dtype=np.str_),
        sources=(*samples.sources, *tested.sources),
        masks=_joined_masks(samples, tested),
        parts=np.array(["train"] * len(samples) + ["test"] * len(tested), dtype=np.str_),
    )


def joined_fingerprint(data: str, tested: str) -> str:
    """Return the fingerprint of both data sets together, by which a changed test set gives other ids; "" for none."""
    return digest(["external", data, tested]) if data and tested else ""


def _joined_masks(samples: Samples, tested: Samples) -> np.ndarray | None:
    """Return the masks of both; rows of one that has none get empty ones, which only tested rows ever are."""
    if samples.masks is None:
        return None
    shape = (len(tested), *samples.masks.shape[1:])
    return np.concatenate([samples.masks, np.zeros(shape, np.uint8) if tested.masks is None else tested.masks])


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "-", name.lower()).strip("-")


def _names(names: Sequence[str]) -> str:
    return listed([repr(name) for name in names])


def _shape(x: np.ndarray) -> str:
    return " x ".join(map(str, x.shape[1:]))
