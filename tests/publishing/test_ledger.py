"""The ledger: rows are added to a whole chain only, and a change anywhere names its row."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "benchmarks"))

import site_speed

from medbench.errors import UsageError
from medbench.identity.identity import digest
from medbench.publishing.bundle import canonical_json
from medbench.publishing.entries import ledger
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import evidence
from medbench.site.build import build

ENTRY, BUNDLE = "0123456789abcdef", "a" * 64


def add(path: Path, detail: str = "", entry: str = ENTRY) -> ledger.Row:
    new = ledger.NewRow("published", entry, "claimed", BUNDLE, detail=detail)
    return ledger.append(path, new, date="2026-01-31")


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
    ledger.append(path, ledger.NewRow("withdrawn", ENTRY, "withdrawn", BUNDLE, detail="replaced"))

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
    values = {"row": 2, "previous": first.sha256, "date": "2026-02-01", "event": event, "entry": entry, "tier": tier}
    row = ledger.Row(**values, bundle=BUNDLE, entry_sha256=seal, sha256="c" * 64)

    assert ledger.why_impossible(row, [first]) == why
    if not why:
        assert ledger.publishing_row([first, row]) == row
        assert ledger.why_impossible(row, [first, row]) == "publishes an entry twice"
        lowered = row.model_copy(update={"event": "corrected", "tier": "claimed", "entry_sha256": ""})
        assert ledger.why_impossible(row, [first, row, lowered]) == "publishes an entry twice"  # a correction stays


def _many(path: str) -> None:
    for _ in range(5):
        add(Path(path))


def test_several_writers_make_one_chain(path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("fork")) as pool:
        list(pool.map(_many, [str(path)] * 3))

    assert len(ledger.rows(path)) == 20


# -- days -------------------------------------------------------------------------------------------------------------


def forged(path: Path, **values: Any) -> None:
    """Write a row by hand behind the last one, with a sound SHA-256, as anybody can."""
    last = json.loads(path.read_bytes().splitlines()[-1]) if path.exists() else {"row": 0, "sha256": ledger.FIRST}
    row = {"row": last["row"] + 1, "previous": last["sha256"], "date": "2026-02-01", "event": "published",
           "entry": ENTRY, "tier": "claimed", "bundle": BUNDLE, "detail": "", **values}  # fmt: skip
    row["sha256"] = digest(row)
    with path.open("ab") as file:
        file.write(canonical_json.dump(row) + b"\n")


@pytest.mark.parametrize(
    ("date", "why"),
    [
        ("9999-99-99", "is of 9999-99-99, which is no day"),
        ("2026-02-30", "is of 2026-02-30, which is no day"),
        ("9999-12-31", "is of 9999-12-31, a day to come"),
        ("2026-01-30", "is of 2026-01-30, a day before the row before it"),
    ],
)
def test_a_day_that_cannot_be_is_refused_in_its_row(path: Path, tmp_path: Path, date: str, why: str) -> None:
    forged(path, date=date)

    with pytest.raises(Refused, match=f"MB950: .*row 6 {why}"):
        ledger.rows(path)
    with pytest.raises(Refused, match=f"MB950: .*row 6 {why}"):
        build(tmp_path, tmp_path / "site")


def test_a_clock_that_is_behind_makes_no_row_one_of_the_future(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_today", lambda: datetime.date(1970, 1, 1))

    assert len(ledger.rows(path)) == 5
    with pytest.raises(UsageError, match="the last row is of 2026-01-31, this one would be of 1970-01-01; set this"):
        ledger.append(path, ledger.NewRow("published", "f" * 16, "claimed", BUNDLE))
    assert len(ledger.rows(path)) == 5


# -- reproduced -------------------------------------------------------------------------------------------------------

signs = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Two entries, the second reproduced by a row that is signed."""
    site_speed.publish(tmp_path / "published", 2, arms=2)
    return tmp_path / "published"


def last(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "ledger.jsonl").read_bytes().splitlines()[-1])
    return found


def instead(folder: Path, **values: Any) -> None:
    """Write the last row anew, with a SHA-256 that fits."""
    path, row = folder / "ledger.jsonl", {**last(folder), **values}
    row = {key: value for key, value in row.items() if key != "sha256" and value is not None}
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    row["sha256"] = digest(row)
    path.write_bytes(path.read_bytes() + canonical_json.dump(row) + b"\n")


def refused(folder: Path, why: str) -> None:
    with pytest.raises(Refused, match=f"MB950: .*{why}"):
        build(folder, folder.parent / "site")


@signs
def test_a_row_that_says_reproduced_and_is_made_up_is_refused(published: Path) -> None:
    assert build(published, published.parent / "site") == 2  # as it is
    key = last(published)["entry"]
    bundle = last(published)["bundle"]
    honest = (published / "ledger.jsonl").read_bytes()
    first = next(row for row in ledger.rows(published / "ledger.jsonl") if row.entry != key)
    made_up = {"event": "reproduced", "tier": "reproduced", "entry": first.entry, "bundle": first.bundle,
               "date": "2026-02-15", "detail": "none / small-cnn r0 f0 s0: the same, bit for bit"}  # fmt: skip

    forged(published / "ledger.jsonl", **made_up)  # the old form
    refused(published, "row 4 says reproduced without evidence and the signature of a key that maintainers lists")
    for told in ({"evidence": last_signed(honest)["evidence"]}, {"signature": last_signed(honest)["signature"]}):
        (published / "ledger.jsonl").write_bytes(honest)
        forged(published / "ledger.jsonl", **made_up, **told)
        refused(published, "row 4 says reproduced without evidence")
    (published / "ledger.jsonl").write_bytes(honest)  # a true signature, of another row
    forged(published / "ledger.jsonl", **made_up, **{k: last_signed(honest)[k] for k in ("evidence", "signature")})
    refused(published, "row 4 is not signed by maintainer")
    assert bundle != first.bundle


def last_signed(data: bytes) -> dict[str, Any]:
    return next(row for row in map(json.loads, reversed(data.splitlines())) if "signature" in row)


@signs
@pytest.mark.parametrize(
    "change",
    [{"detail": "all cells agreed"}, {"date": "2026-02-16"}, {"signature": "QUJD"}, {"signature": None}],
)
def test_a_signature_holds_for_its_row_as_it_is(published: Path, change: dict[str, Any]) -> None:
    instead(published, **change)

    refused(published, "row 3 (is not signed by maintainer|has no signature in the form|says reproduced without)")


@signs
def test_a_signature_counts_of_a_key_that_maintainers_lists_for_the_ledger_and_by_that_day(published: Path) -> None:
    path = published / "maintainers"
    honest = path.read_text()
    for text, why in (
        ("", "no maintainers beside the ledger lists whose signature counts"),
        ("# nobody yet\n", "is not signed by maintainer"),
        (honest.replace("maintainer ", "somebody ", 1), "is not signed by maintainer"),
        (honest.replace(evidence.NAMESPACE, "medbench-bundle"), "is not signed by maintainer"),
        (honest.replace(" ssh-", ',valid-before="20260101" ssh-', 1), "is not signed by maintainer"),
    ):
        path.write_text(text)
        refused(published, f"row 3 .*{why}")
    path.unlink()
    refused(published, "row 3 .*no maintainers beside the ledger")
    path.write_text(honest.replace(" ssh-", ',valid-before="20260301" ssh-', 1))  # a key that was retired since
    assert build(published, published.parent / "site") == 2


@signs
def test_evidence_is_of_the_cell_that_the_salt_chooses_and_of_what_the_bundle_predicts(published: Path) -> None:
    honest = last(published)["evidence"]
    trials = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2)]
    for change, why in (
        (
            {"trial": next(key for key in trials if key != honest["trial"])},
            "another training run than its salt",
        ),
        ({"published": "0" * 64}, "other predictions than the bundle holds"),
    ):
        row = {k: v for k, v in last(published).items() if k not in ("sha256", "signature")}
        row["evidence"] = honest | change
        instead(published, evidence=row["evidence"], signature=site_speed.signed(published, canonical_json.dump(row)))
        assert len(ledger.rows(published / "ledger.jsonl")) == 3  # the signature is good
        refused(published, f"row 3 names {why}")


@signs
def test_only_what_says_reproduced_is_signed(published: Path) -> None:
    instead(published, event="corrected", tier="recomputed")

    refused(published, "row 3 says corrected and is signed")


def test_rows_of_before_signatures_are_known_by_their_sum_and_count_for_nothing(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "results" / "published" / "ledger.jsonl"
    rows = {row.sha256: row for row in ledger.rows(shipped)}
    old = [rows[sha] for sha in ledger.BEFORE_SIGNATURES]

    assert {row.tier for row in old} == {"reproduced"}
    assert not any(row.evidence for row in old)
    assert "reproduced" not in {ledger.tiers(list(rows.values()))[row.entry] for row in old}
    lines = shipped.read_bytes().splitlines(keepends=True)
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines[: max(row.row for row in old)]))
    with pytest.raises(
        Refused, match="row 8 says reproduced without a signature, and the row that corrects it is gone"
    ):
        ledger.rows(tmp_path / "ledger.jsonl")
