"""Arrays in an npz archive, row by row: no pickle, and never more memory than one row, whatever a header claims."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from medbench import DataError

MAX_ROWS = 1_000_000  # four times the largest public archive read here; what claims more is damaged or a trap

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


class Archive:
    """An open npz file; get one from :func:`open_archive`."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._zip = archive
        self._name = name
        self._reading = ""
        self._rows: IO[bytes] | None = None
        self._start = 0

    def shape(self, array: str) -> tuple[int, ...]:
        """Return the shape that an array's header gives, once it agrees with the archive's own directory."""
        with self._member(array) as member:
            return self._header(member, array)[0]

    def integers(self, array: str) -> np.ndarray:
        """Read whole numbers of any width as ``int64`` of the array's shape.

        Raises:
            DataError: Where the array is absent, damaged, of another kind, or longer than a million rows.
        """
        with self._member(array) as member:
            shape, dtype = self._header(member, array)
            if dtype.kind not in "iu" or np.prod(shape[1:], dtype=np.int64) > 1:
                raise self._unlike(array, f"{dtype} {shape}", "one whole number a row")
            data = member.read()
        return np.frombuffer(data, dtype).astype(np.int64).reshape(shape)

    def row(self, array: str, number: int, expected: tuple[int, ...]) -> np.ndarray:
        """Read one row of bytes; rows asked for in rising order are read in one pass over the file.

        Args:
            array: Name without ``.npy``.
            number: Row, from 0.
            expected: Shape of a row.

        Returns:
            ``uint8 (*expected)``.
        """
        if self._rows is None or self._reading != array:
            self._open_rows(array, expected)
        assert self._rows is not None
        n_bytes = int(np.prod(expected))
        self._rows.seek(self._start + number * n_bytes)
        data = self._rows.read(n_bytes)
        if len(data) != n_bytes:
            raise DataError(f"{self._name}: {array} ends before row {number}; fetch the file again")
        return np.frombuffer(data, np.uint8).reshape(expected)

    def expect_images(self, array: str, expected: tuple[int, ...]) -> int:
        """Return how many rows ``uint8 (*expected)`` an array holds, or raise where it holds something else."""
        with self._member(array) as member:
            shape, dtype = self._header(member, array)
        if dtype != np.uint8 or shape[1:] != expected:
            raise self._unlike(array, f"{dtype} {shape}", f"uint8 (n, {', '.join(map(str, expected))})")
        return shape[0]

    def close(self) -> None:
        """Close what is open."""
        if self._rows is not None:
            self._rows.close()

    def _open_rows(self, array: str, expected: tuple[int, ...]) -> None:
        self.close()
        self.expect_images(array, expected)
        self._rows = self._member(array)
        self._header(self._rows, array)
        self._reading, self._start = array, self._rows.tell()

    def _member(self, array: str) -> IO[bytes]:
        try:
            return self._zip.open(f"{array}.npy")
        except KeyError:
            found = ", ".join(sorted(n.removesuffix(".npy") for n in self._zip.namelist())[:12])
            raise DataError(f"{self._name} has no array {array}, only {found!a}; fetch the file again") from None

    def _header(self, member: IO[bytes], array: str) -> tuple[tuple[int, ...], np.dtype]:
        try:
            version = np.lib.format.read_magic(member)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, by_columns, dtype = read(member, max_header_size=10_000)
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{self._name}: the header of {array} is damaged; fetch the file again") from None
        if dtype.hasobject or by_columns or not shape or shape[0] > MAX_ROWS:
            raise self._unlike(array, f"{'objects' if dtype.hasobject else dtype} {shape}", "rows of plain numbers")
        # Python's integers: a product that overflows must not pass for a small one.
        n_bytes = dtype.itemsize
        for length in shape:
            n_bytes *= length
        stored = self._zip.getinfo(f"{array}.npy").file_size - member.tell()
        if stored != n_bytes:
            raise DataError(f"{self._name}: {array} has {stored} bytes, its header says {n_bytes}; fetch it again")
        return shape, dtype

    def _unlike(self, array: str, found: str, expected: str) -> DataError:
        return DataError(f"{self._name}: {array} is {found}, expected {expected}; fetch the file again")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an npz file; damage found while it is open becomes a :class:`medbench.DataError` that names the file."""
    name = ascii(path.name)[1:-1]
    try:
        with zipfile.ZipFile(path) as archive:
            opened = Archive(archive, name)
            try:
                yield opened
            finally:
                opened.close()
    except FileNotFoundError:
        raise DataError(f"{name} is missing; fetch it or put it back") from None
    except _DAMAGE:
        raise DataError(f"{name} is truncated, damaged or no npz file; fetch it again") from None
