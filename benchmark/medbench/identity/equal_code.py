"""Code that was rewritten and still computes the same bits keeps the digest it had, so that no stored result is lost.

``equal_code.txt`` has a line for each digest of rewritten code: the digest as it is, and the one it is known by. It is
written by ``docs/benchmarks/equal_code.py``, and only after every recipe was seen to predict the same bytes before and
after. The next change of that code has a digest of its own, which is in no line: then ids change as ever.
"""

from __future__ import annotations

import functools
from importlib import resources


def known_as(digest: str) -> str:
    """Return the digest that a piece of code is known by: its own, unless it was rewritten without another result."""
    return _table().get(digest, digest)


@functools.cache
def _table() -> dict[str, str]:
    lines = resources.files("medbench.identity").joinpath("equal_code.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return {own: known for own, known in pairs}  # noqa: C416  pairs are lists
