"""The tables of a study file, each checked by itself; :class:`medbench.planning.study.Study` holds them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from medbench.interfaces import Numerics
from medbench.protocols.protocol import LEAKY
from medbench.registry.recipes import did_you_mean, listing


class BudgetTable(BaseModel):
    """The ``[budget]`` table; see :class:`medbench.Budget`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    steps: int = Field(1500, ge=1, le=10_000_000)
    batch: int = Field(64, ge=1, le=100_000)
    size: int | None = Field(None, ge=8, le=4096)
    threads: int = Field(1, ge=1, le=1024)
    generator_steps: int = Field(5000, ge=1, le=10_000_000)
    tries: int = Field(1, ge=1, le=64)
    numerics: Numerics = "exact"

    @model_serializer(mode="wrap")
    def _leave_exact_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write records of exact numerics as they were written before there was a choice."""
        values: dict[str, Any] = write(self)
        if self.numerics == "exact":
            values.pop("numerics", None)
        return values


KnownBy = Literal["calibration", "another machine", "other numerics", "guess"]
"""What the time of a step was known from."""


class FittedTable(BaseModel):
    """The ``[fitted]`` table: the study's budget was made smaller so that the run ends in time.

    Attributes:
        limit_s: Seconds that the run was to take.
        steps: Steps of a classifier that had been asked for.
        generator_steps: Steps of a generator likewise.
        by: What was known of the time a step takes.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    limit_s: float = Field(gt=0, le=1e9, allow_inf_nan=False)
    steps: int = Field(ge=1, le=10_000_000)
    generator_steps: int = Field(ge=1, le=10_000_000)
    by: KnownBy = "guess"


SHARES = ("accuracy", "balanced-accuracy", "auroc", "macro-f1")
"""Metrics that are shares; so is ``recall-CLASS``. Tables write them in percent."""


class PublishedTable(BaseModel):
    """A ``[[published]]`` table: a figure of the publication that a study reruns. Data, never a threshold.

    Attributes:
        arm: Text of the augmenter that stands for it, as boards write it.
        metric: One of SHARES, ``recall-CLASS``, or the name of a generator's score.
        value: As published, shares from 0 to 1; left out where it was not found.
        source: Where it stands.
        classifier: Text of the classifier; empty where none is part of the figure.
        dataset: The data set of the study it belongs to; empty for all.
        classes: Those of that data set, where its name alone says nothing, as ``folder``; empty for any.
        note: What a reader must know of it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    arm: str = Field(min_length=1)
    metric: str = Field(min_length=1, max_length=100)
    value: float | None = Field(None, allow_inf_nan=False)
    source: str = Field(min_length=1)
    classifier: str = ""
    dataset: str = ""
    classes: list[str] = []
    note: str = ""

    @property
    def is_share(self) -> bool:
        """Whether the metric lies between 0 and 1."""
        return self.metric in SHARES or self.metric.startswith("recall-")

    @model_validator(mode="after")
    def _share(self) -> PublishedTable:
        if self.is_share and self.value is not None and not 0 <= self.value <= 1:
            raise ValueError(f"{self.metric} is a share from 0 to 1, got {self.value:g}; write 0.7 for 70 %")
        return self


class CostTable(BaseModel):
    """The ``[cost]`` table: two methods that train on equally many images, whose times are put beside each other.

    Attributes:
        arm: Text of the augmenter that is said to cost less.
        against: Text of the other one.
        claim: What was published of it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    arm: str = Field(min_length=1)
    against: str = Field(min_length=1)
    claim: str = ""


class SmokeTable(BaseModel):
    """The ``[smoke]`` table: how small a study becomes under ``--budget smoke``; options given beside it win.

    Attributes:
        augmenters: Those of the study that stand for all, where many are alike; empty leaves them.
        classifiers: Lighter ones in place of the study's; empty leaves them.
        folds: As in a study.
        repeats: As in a study.
        controls: As in a study.
        companions: As in a study.
        yardsticks: As in a study.
        patients: Of a phantom; left out: the study's.
        budget: Keys of a budget that replace those of the preset.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    augmenters: list[str] = Field(default_factory=list)
    classifiers: list[str] = Field(default_factory=list)
    folds: int = Field(2, ge=2, le=100)
    repeats: int = Field(1, ge=1, le=1000)
    controls: bool = False
    companions: bool = False
    yardsticks: bool = False
    patients: int | None = Field(None, ge=12, le=100_000)
    budget: dict[str, int] = Field(default_factory=dict)

    @field_validator("budget")
    @classmethod
    def _keys_of_a_budget(cls, value: dict[str, int]) -> dict[str, int]:
        if unknown := set(value) - set(BudgetTable.model_fields):
            raise ValueError(f"there is no {sorted(unknown)[0]!r} in a budget; there are {listing([*value])}")
        return value


class InflationTable(BaseModel):
    """The ``[inflation]`` table: whose gain is taken apart, leak by leak; see :mod:`medbench.planning.leak_staircase`.

    Attributes:
        arm: Text of the augmenter.
        against: Text of the augmenter it was compared with; where it is `arm` itself, the classifiers differ: the
            study's first one and its control.
        metric: The study's own measure, one of SHARES or ``recall-CLASS``.
        remove: Leaks of the study's own protocol, in the order in which they are taken away.
        best_of: Texts of further augmenters: under the study's own protocol, the arm stands for the best of them and
            itself on the scored images, as where a study tries several numbers of samples and reports one.
        note: What a reader must know of how the protocol was read.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    arm: str = Field(min_length=1)
    against: str = "none"
    best_of: list[str] = Field(default_factory=list)
    metric: str = "accuracy"
    remove: list[str] = Field(min_length=1)
    note: str = ""

    @field_validator("metric")
    @classmethod
    def _share(cls, value: str) -> str:
        if value not in SHARES and not value.startswith("recall-"):
            raise ValueError(f"is none of {listing(SHARES)} and recall-CLASS; give one of them")
        return value

    @field_validator("remove")
    @classmethod
    def _leaks(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in LEAKY:
                raise ValueError(
                    f"no leak is named {name!r}{did_you_mean(name, LEAKY)}; there are {listing(list(LEAKY))}"
                )
        if len(set(value)) < len(value):
            raise ValueError("a leak stands there twice; it can be taken away once")
        if "synthetic-scored" in value and "copies" in value[: value.index("synthetic-scored")]:
            raise ValueError("synthetic-scored must go before copies, since after the cut no made image can be scored")
        return value
