"""Published entries and their ledger, read from a folder; what does not fit together is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medbench.errors import UsageError
from medbench.publishing.bundle import board_numbers, canonical_json, schemas, zip_container
from medbench.publishing.entries import ledger
from medbench.publishing.entries.check_entry import check_reruns, check_sha256
from medbench.publishing.entries.entry_files import BUNDLE, ENTRY, LEDGER
from medbench.publishing.entries.publish import check_authors
from medbench.publishing.refusals import Refused
from medbench.site.entry_schema import Entry
from medbench.site.history import History, histories
from medbench.statistics.verdicts import fails_too_often, word_of

LARGEST = 16 * 2**20  # bytes of entry.json

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Published:
    """An entry beside what the ledger says of it.

    Attributes:
        entry: As ``entry.json`` holds it, JSON values.
        history: Its rows of the ledger.
        folder: Where its bundle lies.
        requested: Methods that the study asked for, by data set, as (augmenter, classifier); the others are what they
            are compared with. A data set is missing where the bundle's plan does not say.
        dimensions: 2 or 3 of each data set, as far as the bundle's plan says.
        training: Mean number of real images that a training run learned from, by data set and protocol, as far as the
            bundle says.
        runs: Training runs of the bundle, those that failed among them; 0 where it is not at hand.
    """

    entry: Mapping[str, Any]
    history: History
    folder: Path
    requested: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict, repr=False)
    dimensions: Mapping[str, int] = field(default_factory=dict, repr=False)
    training: Mapping[tuple[str, str], float] = field(default_factory=dict, repr=False)
    runs: int = 0

    @property
    def date(self) -> str:
        """The day on which it was published first."""
        return self.history.rows[0].date

    @property
    def is_current(self) -> bool:
        """Whether it was not withdrawn."""
        return self.history.tier != "withdrawn"


def read_entries(root: Path) -> list[Published]:
    """Read every entry of a folder and check it against its bundle and the ledger.

    Args:
        root: As ``results/published``: a folder an entry, and ``ledger.jsonl``.

    Returns:
        Entries by id.

    Raises:
        UsageError: If there is no such folder.
        Refused: MB901 to MB908 for a file that cannot be read, MB950 for a broken ledger, MB951 for an edited entry.
    """
    if not root.is_dir():
        raise UsageError(f"{root}: is no folder; give one that `medbench publish` writes, such as results/published.")
    known = histories(root / LEDGER)
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    for name, path in folders.items():
        if not _ID.fullmatch(name) or path.is_symlink():
            raise Refused("MB950", f"{path}: is no folder of an entry; move it elsewhere.")
        if name not in known:
            raise Refused("MB950", f"{path}: no row of {LEDGER} knows it; publish it with `medbench publish`.")
    for name, history in known.items():
        if name not in folders:
            row = history.rows[0].row
            raise Refused("MB950", f"{root / LEDGER}: row {row} tells of {name}, which has no folder; restore it.")
    found = {name: _read_entry(folders[name], known[name]) for name in sorted(folders)}
    for published in found.values():
        if better := published.history.replaced_by:
            try:
                old, new = (p.entry["method"]["authors"] for p in (published, found[better]))
                check_authors(old, new, published.entry["id"])
            except UsageError as error:
                row = published.history.rows[-1].row
                raise Refused("MB950", f"{root / LEDGER}: row {row}: {error}") from None
    return list(found.values())


def _read_entry(folder: Path, history: History) -> Published:
    path = folder / ENTRY
    data = _read_bytes(path, LARGEST)
    value = _parse_json(data, path)
    try:
        Entry.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))[:120].encode("unicode_escape").decode()
        raise Refused("MB951", f"{path}: {field} {first['msg'][:120]}; publish the bundle again.") from None
    first_row = ledger.publishing_row(history.rows)  # a claimed entry may have been published again, as recomputed
    for field, ours, theirs in (
        ("id", folder.name, value["id"]),
        ("bundle.sha256", first_row.bundle, value["bundle"]["sha256"]),
        ("tier", first_row.tier, value["tier"]),
    ):
        if ours != theirs:
            raise _edit_error(path, f"{field} is {theirs}, row {first_row.row} of the ledger says {ours}")
    plan, trials, failures = _compare_with_bundle(folder, value, first_row.row)
    check_sha256(path, data, first_row)
    check_reruns(folder / BUNDLE, history.rows, folder.parent / LEDGER)
    for board in value["boards"]:
        for row in board["rows"]:
            _check_word(path, row, value["study"]["worth"])
    runs = sum(len(each) for each in (_listed(trials, "trials"), _listed(failures, "failures")))
    return Published(value, history, folder, _requested_arms(plan), _dimensions(plan), _training_images(trials), runs)


def _listed(document: Any, key: str) -> list[Any]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def _requested_arms(plan: Any) -> dict[str, frozenset[tuple[str, str]]]:
    """Return what a bundle's plan says was asked for; nothing of a data set of which it does not say it."""
    arms = plan.get("arms") if isinstance(plan, dict) else None
    found = {}
    for dataset, listed in arms.items() if isinstance(arms, dict) else ():
        named = [arm for arm in listed if isinstance(arm, dict)] if isinstance(listed, list) else []
        asked = {(str(arm.get("augmenter")), str(arm.get("classifier"))) for arm in named if arm.get("asked") is True}
        if asked:
            found[dataset] = frozenset(asked)
    return found


def _dimensions(plan: Any) -> dict[str, int]:
    sources = plan.get("sources") if isinstance(plan, dict) else None
    named = [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
    return {str(one.get("dataset")): one["dimensions"] for one in named if one.get("dimensions") in (2, 3)}


def _training_images(trials: Any) -> dict[tuple[str, str], float]:
    """Return the mean number of real images that training runs learned from, by data set and protocol."""
    found: dict[tuple[str, str], list[int]] = {}
    for trial in _listed(trials, "trials"):
        try:
            spec, real = trial["spec"], trial["counts"]["real"]
            found.setdefault((str(spec["dataset"]), str(spec["protocol"])), []).append(int(real))
        except (KeyError, TypeError, ValueError):
            continue
    return {key: sum(counts) / len(counts) for key, counts in found.items()}


def _compare_with_bundle(folder: Path, value: Mapping[str, Any], row: int) -> tuple[Any, Any, Any]:
    """Compare an entry with its bundle, which the verifier let pass only with the same numbers.

    Returns:
        The bundle's plan, its training runs, and those that failed.
    """
    path, where = folder / ENTRY, folder / BUNDLE
    if where.is_symlink():
        raise Refused("MB901", f"{where}: is a link; put the file itself there.")
    data, members = zip_container.read(where)
    found = hashlib.sha256(data).hexdigest()
    if found != value["bundle"]["sha256"] or len(data) != value["bundle"]["bytes"]:
        raise Refused("MB950", f"{where}: its SHA-256 is {found[:16]}..., row {row} of the ledger has another; "
                      "restore the file.")  # fmt: skip
    claims, method, environment, plan, trials, failures = (
        canonical_json.load(members[name].unpack(name), name)
        for name in ("claims.json", "method.json", "environment.json", "plan.json", "trials.json", "failures.json")
    )
    for name, document in (("claims.json", claims), ("environment.json", environment)):
        if not isinstance(document, dict):
            raise Refused("MB909", f"{where}: {name} is no object; publish a bundle that `medbench bundle` writes.")
    try:
        schemas.Claims.model_validate(claims)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))[:120].encode("unicode_escape").decode()
        raise Refused(
            "MB909", f"{where}: claims.json: {field} is no figure of a board; publish the bundle again."
        ) from None
    own = schemas.BoardFigures.model_fields
    boards = [{key: board[key] for key in own} for board in value["boards"]]
    told = claims["boards"]
    if environment.get("medbench") != [value["medbench"]]:  # run by one version and verified by another
        told, boards = [*map(board_numbers.across_versions, told)], [*map(board_numbers.across_versions, boards)]
    said = {key: environment[key] for key in value["environment"] if key in environment}
    for name, ours, theirs in (
        ("boards", told, boards),
        ("method", method, value["method"]),
        ("environment", said, value["environment"]),
    ):
        if differs := board_numbers.difference(ours, theirs, name):
            at, in_bundle, here = differs
            raise _edit_error(path, f"{at} is {_brief(here)}, the bundle says {_brief(in_bundle)} (ledger row {row})")
    return plan, trials, failures


def _check_word(path: Path, row: Mapping[str, Any], worth: float) -> None:
    """Read the word off the printed range again, and compare."""
    if row["word"] is None:
        return
    low, high, auroc = row["gain_low"], row["gain_high"], row["gain_auroc"]
    if fails_too_often(row["failed"], row["planned"]):
        raise _edit_error(path, f"{row['augmenter']} has the word {row['word']!r} and {row['failed']} failed cells")
    if low is None or high is None:
        raise _edit_error(path, f"{row['augmenter']} has the word {row['word']!r} without a range")
    ends = row.get("gain_auroc_low"), row.get("gain_auroc_high")
    word = word_of(
        low,
        high,
        worth=worth,
        auroc=float("nan") if auroc is None else auroc,
        auroc_ends=None if None in ends else ends,  # type: ignore[arg-type]
        failed=row["failed"],
    )
    if row["word"] != word:
        raise _edit_error(path, f"{row['augmenter']} is called {row['word']!r}, its range says {word!r}")


def _edit_error(path: Path, what: str) -> Refused:
    return Refused("MB951", f"{path}: {what}; publish the bundle again.")


def _brief(value: Any) -> str:
    return repr(value)[:60]


def _read_bytes(path: Path, largest: int) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise Refused("MB901", f"{path}: is no file; restore it.")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise Refused("MB901", f"{path}: cannot be read ({error.strerror}); restore it.") from None
    if len(data) > largest:
        raise Refused("MB901", f"{path}: is larger than {largest:,} bytes; publish the bundle again.")
    return data


def _parse_json(data: bytes, path: Path) -> Any:
    def pairs(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            raise ValueError("a key stands there twice")
        return made

    def constant(text: str) -> None:
        raise ValueError(f"{text} is not known to JSON")

    try:
        return json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise Refused("MB906", f"{path}: is no strict JSON ({str(error)[:80]}); publish the bundle again.") from None
