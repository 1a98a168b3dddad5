"""Decoding: what is read in one pass, by whom, and that as many processes as one likes decode the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench import Record
from medbench.data.cache import decode
from medbench.data.decode import CHUNK, cut_into_spans
from medbench_datasets.medmnist import MedMNIST


def record(file: str, number: int) -> Record:
    return Record(f"{file}/{number}", (file,), 0, str(number))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 90)), max_size=12), st.integers(1, 4))
def test_spans_hold_every_record_once_and_part_no_volume(runs: list[tuple[str, int]], workers: int) -> None:
    records = [record(f"{name}{at}", number) for at, (name, n) in enumerate(runs) for number in range(n)]

    spans = cut_into_spans(records, workers)

    assert [row for span in spans for row in span] == list(range(len(records)))
    for at, (name, n) in enumerate(runs):
        of_file = [span for span in spans if any(records[row].files == (f"{name}{at}",) for row in span)]
        assert len(of_file) <= (1 if n <= CHUNK else workers)


def test_one_process_reads_everything_in_one_pass_and_several_decode_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was opened anew for each 16 volumes was unpacked from its start each time."""
    npz = tmp_path / "data" / "adrenalmnist3d.npz"
    npz.parent.mkdir()
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 40), ("val", 8), ("test", 16)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(n)[:, None] % 2
    np.savez_compressed(npz, **arrays)
    recipe = MedMNIST(flag="adrenalmnist3d", md5="any")
    opened: list[Path] = []
    read = MedMNIST.read

    def counting(self: MedMNIST, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, None]]:
        opened.append(root)
        return read(self, root, records, size)

    monkeypatch.setattr(MedMNIST, "read", counting)
    found = []
    told: list[int] = []
    for workers in (1, 2):
        monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / f"cache{workers}"))
        decoded = decode(
            recipe, npz.parent, size=20, workers=workers, progress=lambda _, done, total: told.append(done)
        )
        found.append((decoded.folder / "pixels.npy").read_bytes())
        assert told[0] == 0
        assert told[-1] == 64
        told.clear()

    assert len(opened) == 1  # those of the other processes are not counted here
    assert found[0] == found[1]
