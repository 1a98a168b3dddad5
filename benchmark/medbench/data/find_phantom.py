"""Which data sets are drawn instead of read, and how many patients a drawn one has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PhantomTable(BaseModel):
    """The ``[phantom]`` table.

    Attributes:
        patients: About how many patients a phantom has.
        seed: Another seed draws others.
        null: Labels are noise.
        datasets: What ``--phantom`` draws in place of the study's data sets, where one of these cannot be drawn.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    patients: int = Field(120, ge=12, le=100_000)
    seed: int = Field(0, ge=0)
    null: bool = False
    datasets: list[str] = Field(default_factory=list)


PHANTOM = "phantom:"
