"""Why a bundle or a ledger is refused: one code a reason."""

from __future__ import annotations

from collections.abc import Mapping

from medbench.errors import MedbenchError

CODES: Mapping[str, str] = {
    "MB901": "the file cannot be read, or is too large",
    "MB902": "the zip is not laid out as medbench writes it",
    "MB903": "a member's name is not one a bundle has, or a member is missing",
    "MB904": "there are too many members, or they are too large or too well compressed",
    "MB905": "a member is damaged",
    "MB906": "JSON that is not strict, or not in canonical form",
    "MB907": "a member is not what the manifest says",
    "MB908": "a schema that this medbench does not know",
    "MB909": "a field or a text that a bundle must not have",
    "MB910": "the signature is missing, wrong, or of nobody who is allowed",
    "MB911": "predictions that are not strict CSV",
    "MB912": "a path, a name, a date or an identifier that must stay at home",
    "MB920": "the plan contradicts itself",
    "MB921": "a planned training run is missing",
    "MB922": "a training run that was not planned",
    "MB923": "sample ids that are not the test part",
    "MB924": "probabilities outside 0 to 1, or that do not sum to 1",
    "MB925": "methods or training runs that are not what the study amounts to",
    "MB926": "another data set than ours",
    "MB927": "counts or frequencies that cannot be",
    "MB930": "a number, interval or verdict that is not what we compute",
    "MB940": "checking it took more time or memory than a bundle may",
    "MB950": "the ledger is broken, or does not know the entry",
    "MB951": "entry.json is not what we compute",
    "MB960": "a training run that was repeated gave other predictions",
}
"""Sentences for the tables of ``docs/reference/publishing.md``."""


_MAKE, _WHOLE = "make it with `medbench bundle`", "bundle the whole run of the study again"
FIXES: Mapping[str, str] = {
    "MB901": "give the file itself",
    "MB902": _MAKE,
    "MB903": _MAKE,
    "MB904": "bundle fewer methods or data sets",
    "MB905": "copy or download it again",
    "MB906": _MAKE,
    "MB907": _MAKE,
    "MB908": "use the medbench that made it",
    "MB909": _MAKE,
    "MB910": "sign it with a key that is allowed",
    "MB911": _MAKE,
    "MB912": "take it out and bundle again",
    "MB920": _WHOLE,
    "MB921": _WHOLE,
    "MB922": _WHOLE,
    "MB923": _WHOLE,
    "MB924": _MAKE,
    "MB925": _WHOLE,
    "MB926": "give the release that it was made with, with --data",
    "MB927": _WHOLE,
    "MB930": _WHOLE,
    "MB940": "bundle fewer methods",
    "MB950": "restore the ledger from its history",
    "MB951": "publish the bundle again",
    "MB960": "ask its authors, or withdraw the entry",
}
"""What to do about each, said where a message does not say it."""


class Refused(MedbenchError):  # noqa: N818  what happened, as for Diverged
    """A bundle, an entry or a ledger that is refused (exit code 9).

    Args:
        code: Key of CODES.
        message: One sentence: what and where, and the fix behind a semicolon; that of FIXES is added where there is
            none.
    """

    exit_code = 9
    kind = "bundle"

    def __init__(self, code: str, message: str) -> None:
        if ";" not in message and code in FIXES:
            message = f"{message.rstrip('.')}; {FIXES[code]}."
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
