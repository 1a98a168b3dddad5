"""Which classes are sides of the body, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l", "od": "os", "os": "od"}  # OD, OS: right and left eye
_SIDE = re.compile(rf"(?<![a-z])({'|'.join(_OTHER)})(?![a-z])")


def of_sides(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that become another one by the other side: "femur-left" where there is "femur-right"."""
    names = {name.casefold() for name in classes}
    return tuple(name for name in classes if _other(name.casefold()) in names - {name.casefold()})


def _other(name: str) -> str:
    return _SIDE.sub(lambda side: _OTHER[side[0]], name)
