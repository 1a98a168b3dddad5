"""The ledger: rows are added to a whole chain only, and a change anywhere names its row."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from medbench.identity import digest
from medbench.publishing import ledger
from medbench.publishing.refusals import Refused

ENTRY, BUNDLE = "0123456789abcdef", "a" * 64


def add(path: Path, detail: str = "", entry: str = ENTRY) -> ledger.Row:
    return ledger.append(path, event="published", entry=entry, tier="claimed", bundle=BUNDLE, detail=detail,
                         date="2026-01-31")  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for number in range(5):
        add(tmp_path / "ledger.jsonl", f"row {number}")
    return tmp_path / "ledger.jsonl"


def test_each_row_carries_the_sha_of_the_one_before(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["previous"] == "0" * 64
    for before, after in itertools.pairwise(lines):
        # an independent way to the same digest: canonical JSON of the row without its own
        assert after["previous"] == digest({k: v for k, v in before.items() if k != "sha256"}) == before["sha256"]


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    assert ledger.rows(tmp_path / "ledger.jsonl") == []


def test_every_change_of_one_byte_is_found_in_its_row(path: Path) -> None:
    whole = path.read_bytes()
    for offset in range(0, len(whole), 7):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        row = whole[:offset].count(b"\n") + 1
        with pytest.raises(Refused, match=rf"MB950: .*: row ({row}|{row + 1}) "):
            ledger.rows(path)


def test_rows_cannot_be_taken_out_turned_round_or_repeated(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for changed, row in (
        (lines[1:], 1), ([*lines[:2], *lines[3:]], 3), ([lines[1], lines[0], *lines[2:]], 1),
        ([*lines, lines[-1]], 6), ([*lines[:3], b"\n", *lines[3:]], 4), ([*lines, b'{"row":6'], 6),
    ):  # fmt: skip
        path.write_bytes(b"".join(changed))
        with pytest.raises(Refused, match=f"row {row} "):
            ledger.rows(path)


def test_a_changed_row_whose_own_sha_was_made_anew_breaks_the_next(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["tier"] = "reproduced"
    lines[2]["sha256"] = digest({k: v for k, v in lines[2].items() if k != "sha256"})
    path.write_text("".join(json.dumps(v, sort_keys=True, separators=(",", ":")) + "\n" for v in lines))

    with pytest.raises(Refused, match="row 4 does not follow the row before it"):
        ledger.rows(path)


def test_nothing_is_added_to_a_broken_chain(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"row 2", b"row X"))
    before = path.read_bytes()

    with pytest.raises(Refused, match=r"MB950: .*row 3 was changed; restore the ledger"):
        add(path)
    assert path.read_bytes() == before


def test_the_last_row_of_an_entry_says_what_it_is(path: Path) -> None:
    add(path, entry="f" * 16)
    ledger.append(path, event="withdrawn", entry=ENTRY, tier="withdrawn", bundle=BUNDLE, detail="replaced")

    assert ledger.tiers(ledger.rows(path)) == {ENTRY: "withdrawn", "f" * 16: "claimed"}


@pytest.mark.parametrize("detail", ["<b>", "=1+1", "a\nb", "x" * 201, "\x1b[2J"])
def test_a_detail_is_plain_text(path: Path, detail: str) -> None:
    with pytest.raises(ValueError, match=r"detail|text"):
        add(path, detail)


def test_a_damaged_row_is_not_said_to_be_a_bundle(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"row": 6}\n')

    with pytest.raises(Refused, match=r"MB950: .*row 6 is no row \(it: is not in canonical form") as refused:
        ledger.rows(path)
    assert "medbench bundle" not in str(refused.value)


@pytest.mark.parametrize(
    ("event", "tier", "seal", "why"),
    [
        ("published", "recomputed", "b" * 64, ""),
        ("published", "recomputed", "", "publishes an entry twice"),
        ("published", "claimed", "b" * 64, "publishes an entry twice"),
        ("reproduced", "reproduced", "", "reproduces an entry whose numbers nobody recomputed"),
        ("corrected", "recomputed", "", "lifts an entry from claimed to recomputed as a correction"),
    ],
)
def test_a_claimed_entry_is_lifted_by_being_published_recomputed_and_not_otherwise(
    tmp_path: Path, event: ledger.Event, tier: ledger.Tier, seal: str, why: str
) -> None:
    path, entry = tmp_path / "ledger.jsonl", BUNDLE[:16]
    first = add(path, entry=entry)
    row = ledger.append(path, event=event, entry=entry, tier=tier, bundle=BUNDLE, entry_sha256=seal)

    assert ledger.impossible(row, [first]) == why
    if not why:
        assert ledger.sealing([first, row]) == row
        assert ledger.impossible(row, [first, row]) == "publishes an entry twice"
        lowered = ledger.append(path, event="corrected", entry=entry, tier="claimed", bundle=BUNDLE)
        assert ledger.impossible(row, [first, row, lowered]) == "publishes an entry twice"  # a correction stays


def _many(path: str) -> None:
    for _ in range(5):
        add(Path(path))


def test_several_writers_make_one_chain(path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("fork")) as pool:
        list(pool.map(_many, [str(path)] * 3))

    assert len(ledger.rows(path)) == 20
