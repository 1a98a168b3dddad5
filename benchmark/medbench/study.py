"""A study: what is asked, as a TOML file or as options, checked before anything is spent."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medbench.errors import UsageError
from medbench.findings import WAIVABLE
from medbench.interfaces import Budget
from medbench.protocols import LEAKY
from medbench.recipes import did_you_mean, listing, split_list

BUDGETS = {
    "smoke": Budget(steps=60, batch=32, size=32, generator_steps=60),
    "quick": Budget(steps=600, batch=32, size=32, generator_steps=1200),
    "standard": Budget(),
}
Names = Annotated[list[str], Field(default_factory=list)]


class BudgetTable(BaseModel):
    """The ``[budget]`` table; see :class:`medbench.Budget`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    steps: int = Field(1500, ge=1, le=10_000_000)
    batch: int = Field(64, ge=1, le=100_000)
    size: int | None = Field(None, ge=8, le=4096)
    threads: int = Field(1, ge=1, le=1024)
    generator_steps: int = Field(5000, ge=1, le=10_000_000)
    tries: int = Field(1, ge=1, le=1)  # tuning is not offered yet: untuned and equal in all arms


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
        note: What a reader must know of it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    arm: str = Field(min_length=1)
    metric: str = Field(min_length=1, max_length=100)
    value: float | None = Field(None, allow_inf_nan=False)
    source: str = Field(min_length=1)
    classifier: str = ""
    dataset: str = ""
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


class SmokeTable(BaseModel):
    """The ``[smoke]`` table: how small a study becomes under ``--budget smoke``; options given beside it win.

    Attributes:
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
    """The ``[inflation]`` table: whose gain is taken apart, leak by leak; see :mod:`medbench.staircase`.

    Attributes:
        arm: Text of the augmenter.
        against: Text of the augmenter it was compared with; where it is `arm` itself, the classifiers differ: the
            study's first one and its control.
        metric: The study's own measure, one of SHARES or ``recall-CLASS``.
        remove: Leaks of the study's own protocol, in the order in which they are taken away.
        note: What a reader must know of how the protocol was read.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    arm: str = Field(min_length=1)
    against: str = "none"
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


class Study(BaseModel):
    """What is asked.

    Attributes:
        name: Short name.
        about: One sentence.
        datasets: Texts as given to ``-d``; ``phantom:NAME`` is the phantom of a data set.
        augmenters: Texts as given to ``-a``.
        classifiers: Texts as given to ``-c``; empty takes the first registered one that fits.
        protocols: Texts as given to ``--protocol``.
        folds: Parts of a partition.
        repeats: Partitions.
        seeds: Classifier seeds a cell; averaged within a fold before anything is compared.
        worth: Points of balanced accuracy that matter; fixed before the run.
        controls: Also run the ancestors in the tree of controls, and the plain arm.
        companions: Also run what augmenters name as their companions, as a weak GAN does a strong one.
        extractor: Text of what made rows are scored with, as ``inception[weights=FILE]``; empty takes the first
            registered one.
        yardsticks: Also train the control of each honest board with other seeds and on fewer patients; see
            :mod:`medbench.yardsticks`. Needs `controls`.
        check_steps: Train the best arm and its control at twice the steps once everything is done; see
            :mod:`medbench.check_steps`.
        waive: Findings that would stop a run under the protocol ``official``, of :data:`medbench.findings.WAIVABLE`;
            every table says so.
        phantom: How phantoms are drawn.
        budget: What every fit may spend.
        inflation: Whose gain is taken apart under ``--inflation``; None where the file does not say.
        staircase: It is the staircase of `inflation`: under leaking protocols only the two arms compared are run.
        smoke: How small it becomes under ``--budget smoke``; None leaves the design as it is.
        published: Figures of the publication that the study reruns; see :mod:`medbench.comparison`.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = "study"
    about: str = ""
    datasets: Names
    augmenters: Names
    classifiers: Names
    protocols: list[str] = Field(default_factory=lambda: ["patients"], min_length=1)
    folds: int = Field(5, ge=2, le=100)
    repeats: int = Field(3, ge=1, le=1000)
    seeds: int = Field(1, ge=1, le=100)
    worth: float = Field(2.0, gt=0, le=50, allow_inf_nan=False)
    controls: bool = True
    companions: bool = True
    extractor: str = ""
    yardsticks: bool = True
    check_steps: bool = False
    waive: list[str] = Field(default_factory=list)
    phantom: PhantomTable = PhantomTable()
    budget: BudgetTable = BudgetTable()
    inflation: InflationTable | None = None
    staircase: bool = False
    smoke: SmokeTable | None = None
    published: list[PublishedTable] = Field(default_factory=list)

    @field_validator("name")
    @classmethod
    def _name_of_a_file(cls, value: str) -> str:
        # Records of a run are called by it.
        if not value.isprintable() or not value.strip() or len(value) > 100 or set(value) & set("/\\"):
            raise ValueError("a name has 1 to 100 printable characters, no slash among them")
        return value

    @field_validator("waive")
    @classmethod
    def _findings(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in WAIVABLE:
                known = listing(list(WAIVABLE))
                hint = did_you_mean(name, WAIVABLE)
                raise ValueError(f"nothing named {name!r} can be waived{hint}; there are {known}")
        if len(set(value)) < len(value):
            raise ValueError("a finding stands there twice; name it once")
        return value

    @field_validator("worth", mode="before")
    @classmethod
    def _whole_worth(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @property
    def spending(self) -> Budget:
        """The budget as plug-ins see it."""
        return Budget(**self.budget.model_dump())


def read(path: Path) -> Study:
    """Read a study file.

    Raises:
        UsageError: If it is not TOML, or a key or value is not what a study has; the message names line and fix.
    """
    try:
        if path.stat().st_size > 2**20:
            raise UsageError(f"{path}: larger than 1 MiB, which no study file is; give another file.")
        text = path.read_bytes().decode("utf-8-sig")
        table = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give an existing study file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(_not_toml(str(error), text, str(path))) from None
    except (RecursionError, ValueError):  # tomllib lets brackets without end and numbers of 5,000 digits through
        raise UsageError(f"{path}: is nested too deeply or holds a number too long; mend it.") from None
    return build({"name": path.stem, **table}, source=str(path), text=text)


def build(values: dict[str, Any], *, source: str = "options", text: str = "") -> Study:
    """Make a study of plain values.

    Raises:
        UsageError: For the first value that does not fit.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
        line = _line(text, ".".join(map(str, problem["loc"])))
        raise UsageError(f"{source}{line}: {_sentence(problem, place)}.") from None


def _sentence(problem: Any, place: str) -> str:
    key = place.rpartition(".")[2]
    message = problem["msg"].removeprefix("Value error, ")
    if place.partition(".")[0] == "published" and "." not in place:
        if problem["type"] == "value_error":
            return f"{place}: {message}"
        return "published is a list of tables; write [[published]] and its keys below, once for each figure"
    if problem["type"] == "missing":
        return f"{place} is missing; give it"
    if problem["type"] == "model_type":
        return f"{place} must be a table; write [{place}] and its keys below"
    if problem["type"] == "extra_forbidden":
        known = _known(place)
        return f"unknown key {place!r}{did_you_mean(key, known)}; there are: {listing(sorted(known), 20)}"
    given = problem["input"]
    shown = repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:57]}..."
    return f"{place} = {shown} ({type(given).__name__}): {message[0].lower()}{message[1:]}"


def _known(place: str) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "budget": BudgetTable,
        "phantom": PhantomTable,
        "inflation": InflationTable,
        "smoke": SmokeTable,
        "published": PublishedTable,
    }
    return list(tables.get(place.partition(".")[0] if "." in place else "", Study).model_fields)


def _line(text: str, place: str) -> str:
    keys = list(_keys(text))
    while place:
        for key, number, column in keys:
            if key == place:
                return f":{number}:{column}"
        place = place.rpartition(".")[0]  # it may stand inside an inline table
    return ""


def _keys(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the keys and tables of a TOML text that stand at the start of a line, with line and column.

    The tables of a list are numbered: ``published.0``, ``published.1``.
    """
    table, of_list = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"""\s*(\[{0,2})\s*([\w."'-]+(?:\s*\.\s*[\w."'-]+)*)\s*[=\]]""", line):
            name = re.sub(r"""[\s"']""", "", match[2])
            if match[1] == "[[":
                of_list[name] = of_list.get(name, -1) + 1
                name = f"{name}.{of_list[name]}"
            if match[1]:
                table = name
            yield f"{table}.{name}" if table and not match[1] else name, number, match.start(2) + 1


def _not_toml(problem: str, text: str, source: str) -> str:
    """Say in one sentence why a text is not TOML; a key given twice is named with both its lines."""
    message, _, rest = problem.partition(" (at ")
    at = re.fullmatch(r"line (\d+), column (\d+)\)", rest)
    place = f"{source}:{at[1]}:{at[2]}" if at else source
    if at and message.startswith(("Cannot overwrite", "Cannot declare")):
        keys = {number: key for key, number, _ in _keys(text)}
        again = keys.get(int(at[1]), "")
        first = next((n for n, key in keys.items() if key == again and n < int(at[1])), None)
        if first is not None:
            return f"{place}: {again!r} is given twice, first in line {first}; leave one out."
    return f"{place}: is not TOML: {message[:1].lower()}{message[1:]}; mend that line."


def shrunk(study: Study) -> Study:
    """Return a study as small as its ``[smoke]`` table says; without one, as it is but for the yardsticks."""
    small = study.smoke
    if small is None:
        return study.model_copy(update={"yardsticks": False})
    keys = ("folds", "repeats", "controls", "companions", "yardsticks")
    changes: dict[str, Any] = {key: getattr(small, key) for key in keys}
    if small.classifiers:
        changes["classifiers"] = small.classifiers
    if small.patients is not None:
        changes["phantom"] = study.phantom.model_copy(update={"patients": small.patients})
    return study.model_copy(update=changes)


def budget(text: str, base: BudgetTable, smoke: SmokeTable | None = None) -> BudgetTable:
    """Read ``--budget``: a preset's name, or ``steps=600,batch=32``, or a name and changes.

    Args:
        text: As given.
        base: What is changed.
        smoke: What the preset of that name becomes in a study that says so.

    Raises:
        UsageError: For an unknown preset, key, or value.
    """
    values = base.model_dump()
    for part in split_list(text):
        key, equals, value = part.partition("=")
        if not equals:
            if part not in BUDGETS:
                has = listing(list(BUDGETS))
                raise UsageError(f"--budget {part}: no such budget{did_you_mean(part, BUDGETS)}; there are: {has}.")
            values = dataclasses.asdict(BUDGETS[part]) | (smoke.budget if smoke and part == "smoke" else {})
        elif key not in values:
            raise UsageError(
                f"--budget {part}: no such key{did_you_mean(key, values)}; there are: {listing(list(values))}."
            )
        elif not re.fullmatch(r"-?[0-9]{1,12}", value):
            raise UsageError(f"--budget {part}: expected a whole number.")
        else:
            values[key] = int(value)
    return build({"budget": values}, source="--budget").budget


def to_toml(study: Study) -> str:
    """Write a study as TOML, leaving out what is the default."""
    import json

    default = Study(datasets=[], augmenters=[], classifiers=[])
    lines, tables = [], []
    for key, value in study.model_dump().items():
        if key == "published":
            for row in value:
                given = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in row.items() if v not in (None, "")]
                tables += ["", "[[published]]", *given]
        elif isinstance(value, dict):
            usual = SmokeTable() if key == "smoke" else getattr(default, key)
            changed = {k: v for k, v in value.items() if v != getattr(usual, k, None) and v is not None}
            inner = changed.pop("budget", {}) if key == "smoke" else {}
            if changed or key == "smoke":
                tables += ["", f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in changed.items())]
            if inner:
                tables += ["", "[smoke.budget]", *(f"{k} = {v}" for k, v in inner.items())]
        elif value != getattr(default, key) or key in ("name", "folds", "repeats", "worth"):
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, *tables]) + "\n"
