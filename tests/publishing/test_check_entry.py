"""What an entry says, beside what is computed from its bundle."""

from __future__ import annotations

import pytest

from medbench.publishing.entries.check_entry import _compare_flags
from medbench.publishing.refusals import Refused

OLD = "6 of 6 trials predicted exactly what other trials of entry 0123456789abcdef did"
NEW = "6 of 6 training runs predicted exactly what other training runs of entry 0123456789abcdef did"


def test_flags_that_an_older_version_wrote_are_those_of_today() -> None:
    for whole in (True, False):
        _compare_flags([NEW], [OLD], whole=whole)
        _compare_flags([NEW], [NEW], whole=whole)
        with pytest.raises(Refused, match="MB951"):
            _compare_flags([NEW], [], whole=whole)
