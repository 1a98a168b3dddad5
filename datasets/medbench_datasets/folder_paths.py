"""Where the image lies that a table names: by its path, without its ending, or by its name alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from medbench import DataError
from medbench_datasets.readers.listing import escaped, some


class Places:
    """The images of a folder by what a table may call them.

    Args:
        paths: Relative to the data folder, "/" between their parts.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = set(paths)
        self._called: defaultdict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            name = path.rpartition("/")[2]
            for called in {_bare(path), name, _bare(name)} - {path}:
                self._called[called].append(path)

    def knows(self, called: str) -> bool:
        """Say whether exactly one image is called so."""
        return called in self._paths or len(self._called.get(called, ())) == 1

    def find(self, called: str) -> str | None:
        """Return the image of a path, of one without its ending, or of a name in whatever folder; None for none.

        Raises:
            DataError: If several could be meant.
        """
        if called in self._paths:
            return called
        found = self._called.get(called, [])
        if len(found) > 1:
            raise DataError(
                f"{escaped(called)} could be each of {some(found)}; write the path below the data folder and the ending"
            )
        return found[0] if found else None


def _bare(name: str) -> str:
    """Drop the ending, if it is one and not the last number of a UID."""
    for ending in (".nii.gz",):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    stem, dot, ending = name.rpartition(".")
    return stem if dot and stem and "/" not in ending and not ending.isdecimal() else name
