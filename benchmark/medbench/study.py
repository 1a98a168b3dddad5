"""A study: what is asked, as a TOML file or as options, checked before anything is spent."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from medbench.errors import UsageError
from medbench.interfaces import Budget
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
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    patients: int = Field(120, ge=12, le=100_000)
    seed: int = Field(0, ge=0)
    null: bool = False


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
        phantom: How phantoms are drawn.
        budget: What every fit may spend.
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
    phantom: PhantomTable = PhantomTable()
    budget: BudgetTable = BudgetTable()

    @field_validator("name")
    @classmethod
    def _name_of_a_file(cls, value: str) -> str:
        # Records of a run are called by it.
        if not value.isprintable() or not value.strip() or len(value) > 100 or set(value) & set("/\\"):
            raise ValueError("a name has 1 to 100 printable characters, no slash among them")
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
        raise UsageError(f"{source}{_line(text, place)}: {_sentence(problem, place)}.") from None


def _sentence(problem: Any, place: str) -> str:
    key = place.rpartition(".")[2]
    if problem["type"] == "model_type":
        return f"{place} must be a table; write [{place}] and its keys below"
    if problem["type"] == "extra_forbidden":
        known = _known(place)
        return f"unknown key {place!r}{did_you_mean(key, known)}; there are: {listing(sorted(known), 20)}"
    given = problem["input"]
    shown = repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:57]}..."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place} = {shown} ({type(given).__name__}): {message[0].lower()}{message[1:]}"


def _known(place: str) -> list[str]:
    tables: dict[str, type[BaseModel]] = {"budget": BudgetTable, "phantom": PhantomTable}
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
    """Yield the keys and tables of a TOML text that stand at the start of a line, with line and column."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"""\s*(\[?)\s*([\w."'-]+(?:\s*\.\s*[\w."'-]+)*)\s*[=\]]""", line):
            name = re.sub(r"""[\s"']""", "", match[2])
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


def budget(text: str, base: BudgetTable) -> BudgetTable:
    """Read ``--budget``: a preset's name, or ``steps=600,batch=32``, or a name and changes.

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
            values = dataclasses.asdict(BUDGETS[part])
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
        if isinstance(value, dict):
            changed = {k: v for k, v in value.items() if v != getattr(getattr(default, key), k) and v is not None}
            if changed:
                tables += ["", f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in changed.items())]
        elif value != getattr(default, key) or key in ("name", "folds", "repeats", "worth"):
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, *tables]) + "\n"
