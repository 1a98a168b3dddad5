"""Predictions of corrupted test images: one file beside those of the clean ones, sealed like them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medbench import sealed_records
from medbench.trial.trial import Result

if TYPE_CHECKING:
    from medbench.store.trial_files import Stored

NAME = "corrupted.parquet"


def write_corrupted(folder: Path, result: Result) -> None:
    """Write a row for each image, kind and severity: ``id``, ``kind``, ``severity``, ``p0`` and so on."""
    import polars

    n, each = len(result.ids), list(result.corrupted)
    p = np.concatenate(list(result.corrupted.values()))
    polars.DataFrame(
        {
            "id": np.tile(result.ids, len(each)),
            "kind": np.repeat([kind for kind, _ in each], n),
            "severity": np.repeat([severity for _, severity in each], n),
            **{f"p{k}": p[:, k] for k in range(p.shape[1])},
        }
    ).write_parquet(folder / NAME)


def read_corrupted(stored: Stored, ids: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Read what was predicted for corrupted test images, ``float64 (n, n_classes)`` by kind and severity.

    Args:
        stored: A trial with a result.
        ids: ``str (n,)`` of its test images, whose order the rows must have.

    Raises:
        StoreError: If the file is missing or damaged.
    """
    import polars

    try:
        content = (stored.folder / NAME).read_bytes()
        sealed_records.check(stored.folder, stored.sums, NAME, content=content)
        table = polars.read_parquet(io.BytesIO(content))
        names = sorted((c for c in table.columns if re.fullmatch(r"p\d+", c)), key=lambda c: int(c[1:]))
        p, n = np.column_stack([table[name].to_numpy() for name in names]), len(ids)
        own, kinds, severities = (table[key].to_numpy() for key in ("id", "kind", "severity"))
        found = {}
        for start in range(0, len(p), n):
            if not np.array_equal(own[start : start + n].astype(np.str_), ids):
                raise sealed_records.damage_error(stored.folder, f"{NAME} holds other images than were tested")
            found[str(kinds[start]), int(severities[start])] = p[start : start + n]
        return found
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(stored.folder, str(error)) from None
    except FileNotFoundError:
        raise sealed_records.damage_error(stored.folder, f"{NAME} is missing") from None
    except (OSError, polars.exceptions.PolarsError, ValueError) as error:
        raise sealed_records.damage_error(stored.folder, f"{NAME} cannot be read ({type(error).__name__})") from None
