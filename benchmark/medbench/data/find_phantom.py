"""Phantoms: how the drawn look-alikes of data sets are configured, and where one lies once it was drawn."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from medbench import sealed_records
from medbench.data.cache_folder import FORMAT, cache_folder, find_damage, move_into_place, set_aside, write_error
from medbench.identity.identity import digest, identity
from medbench.interfaces import Dataset


class PhantomTable(BaseModel):
    """The ``[phantom]`` table.

    Attributes:
        patients: About how many patients a phantom has.
        seed: Another seed draws others.
        null: Labels are noise.
        datasets: What ``--phantom`` draws in place of the study's data sets, where one of these cannot be drawn.
        protocols: What ``--phantom`` runs in place of the study's, where these ask for more images than are drawn.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    patients: int = Field(120, ge=12, le=100_000)
    seed: int = Field(0, ge=0)
    null: bool = False
    datasets: list[str] = Field(default_factory=list)
    protocols: list[str] = Field(default_factory=list)

    @model_serializer(mode="wrap")
    def _leave_usual_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write records of phantoms under the study's protocols as they were before there was a choice."""
        values: dict[str, Any] = write(self)
        if not self.protocols:
            values.pop("protocols", None)
        return values


PHANTOM = "phantom:"
SUMS = ".sums.json"
"""Sums of a phantom's files; hidden, so that it is no file of the data set."""


def phantom_root(dataset: Dataset, *, seed: int = 0, patients: int, null: bool = False) -> Path:
    """Write the phantom of a data set's family, once, and return its folder; one that changed is drawn again."""
    family = dataset.name.partition(":")[0]
    code = digest([identity(dataset)["code"], seed, patients, null, FORMAT])[:8]
    root = cache_folder() / "phantoms" / f"{family}-{patients}-s{seed}{'-null' if null else ''}-{code}"
    if root.is_dir():
        if (why := find_damage(root, SUMS)) is None:
            return root
        set_aside(root, why, "it is drawn again")
    partial = root.with_name(f"{root.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        dataset.phantom(partial, seed=seed, patients=patients, null=null)
        names = (str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file())
        (partial / SUMS).write_text(sealed_records.seal({}, sealed_records.sums_of(partial, names)))
        move_into_place(partial, root)
    except OSError as error:
        raise write_error(partial.parent, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root
