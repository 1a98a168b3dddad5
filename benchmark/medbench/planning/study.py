"""A study: what is asked, as a TOML file or as options, checked before anything is spent."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from medbench.data.audit_official_cut import WAIVABLE
from medbench.data.find_phantom import PhantomTable
from medbench.errors import UsageError
from medbench.interfaces import Budget
from medbench.planning.data_table import take_data_table, write_data_table
from medbench.planning.study_schema import (
    BudgetTable,
    CostTable,
    FittedTable,
    InflationTable,
    PublishedTable,
    SmokeTable,
)
from medbench.planning.toml_lines import line_of, not_toml
from medbench.protocols.protocol import protocol
from medbench.registry.recipes import did_you_mean, listing, split_list

BUDGETS = {
    "smoke": Budget(steps=60, batch=32, size=32, generator_steps=60),
    "quick": Budget(steps=600, batch=32, size=32, generator_steps=1200),
    "standard": Budget(),
}
Names = Annotated[list[str], Field(default_factory=list)]


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
        primary: Whose gain is the question, ``AUGMENTER`` or ``AUGMENTER / CLASSIFIER``, fixed before the run: it is
            tested first and by itself, the others together and only once it is decided. Empty: all are tested together.
        positive: Which of two classes is the disease, for sensitivity and specificity; empty: read off their names.
        controls: Also run the ancestors in the tree of controls, and the plain arm.
        companions: Also run what augmenters name as their companions, as a weak GAN does a strong one.
        extractor: Text of what scores synthetic images, as ``inception[weights=FILE]``; empty takes the first
            registered one.
        yardsticks: Also train the control of each honest board with other seeds and on fewer patients; see
            :mod:`medbench.planning.yardsticks`. Needs `controls`.
        check_steps: Train the best arm and its control at twice the steps once everything is done; see
            :mod:`medbench.planning.double_steps_trials`.
        seed_block: Also train every arm that is asked for and fits a generator, and its control, on one fold with three
            generator seeds times three classifier seeds; see :mod:`medbench.planning.seed_block`.
        waive: Findings that would stop a run under the protocol ``official``, of :data:`.WAIVABLE`;
            every table says so.
        phantom: How phantoms are drawn.
        budget: What every fit may spend.
        inflation: Whose gain is taken apart under ``--inflation``; None where the file does not say.
        staircase: It is the staircase of `inflation`: under leaking protocols only the two arms compared are run.
        smoke: How small it becomes under ``--budget smoke``; None leaves the design as it is.
        cost: Two methods whose times are compared under the published figures; None where the file names none.
        published: Figures of the publication that the study reruns; see :mod:`medbench.analyses.published_figures`.
        fitted: What `budget` was before it was fitted to a time limit; None where it is what was asked for.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    _folder: str = PrivateAttr("")  # of the file it was read from; no part of what is stored
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
    primary: str = ""
    positive: str = ""
    controls: bool = True
    companions: bool = True
    extractor: str = ""
    yardsticks: bool = True
    check_steps: bool = False
    seed_block: bool = False
    waive: list[str] = Field(default_factory=list)
    phantom: PhantomTable = PhantomTable()
    budget: BudgetTable = BudgetTable()
    inflation: InflationTable | None = None
    staircase: bool = False
    smoke: SmokeTable | None = None
    cost: CostTable | None = None
    published: list[PublishedTable] = Field(default_factory=list)
    fitted: FittedTable | None = None

    @model_serializer(mode="wrap")
    def _leave_unfitted_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write records without a fitted budget, a cost, a primary comparison or a positive class as they were."""
        values: dict[str, Any] = write(self)
        for key in ("fitted", "cost", "primary", "positive"):
            if not getattr(self, key):
                values.pop(key, None)
        return values

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

    @model_validator(mode="after")
    def _tries_see_no_test_row(self) -> Study:
        for text in self.protocols if self.budget.tries > 1 else ():
            try:
                is_honest = protocol(text).is_honest
            except UsageError as error:  # a bundle's study is anybody's
                raise ValueError(f"protocols: {error}") from None
            if not is_honest:
                raise ValueError(f"tries: methods are tuned under honest protocols alone, not under {text}")
        return self

    @property
    def folder(self) -> str:
        """Where its file says that the images lie; "" where it does not."""
        return self._folder

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
        raise UsageError(not_toml(str(error), text, str(path))) from None
    except (RecursionError, ValueError):  # tomllib lets brackets without end and numbers of 5,000 digits through
        raise UsageError(f"{path}: is nested too deeply or holds a number too long; mend it.") from None
    try:
        table, folder = take_data_table(table, path.parent)
    except UsageError as error:
        raise UsageError(f"{path}{line_of(text, 'data')}: {error}") from None
    study = build({"name": path.stem, **table}, source=str(path), text=text)
    study._folder = folder
    return study


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
        line = line_of(text, ".".join(map(str, problem["loc"])))
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
    if not place:  # of several keys, which the message names
        return message
    if problem["type"] == "extra_forbidden":
        known = _known_keys(place)
        return f"unknown key {place!r}{did_you_mean(key, known)}; there are: {listing(sorted(known), 20)}"
    given = problem["input"]
    shown = repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:57]}..."
    return f"{place} = {shown} ({type(given).__name__}): {message[0].lower()}{message[1:]}"


def _known_keys(place: str) -> list[str]:
    tables: dict[str, type[BaseModel]] = {
        "budget": BudgetTable,
        "phantom": PhantomTable,
        "inflation": InflationTable,
        "smoke": SmokeTable,
        "cost": CostTable,
        "published": PublishedTable,
        "fitted": FittedTable,
    }
    return list(tables.get(place.partition(".")[0] if "." in place else "", Study).model_fields)


def shrink(study: Study) -> Study:
    """Return a study as small as its ``[smoke]`` table says; without one, as it is but for the yardsticks.

    Raises:
        UsageError: If that table names an augmenter that is none of the study's.
    """
    small = study.smoke
    if small is None:
        return study.model_copy(update={"yardsticks": False})
    if other := [text for text in small.augmenters if text not in study.augmenters]:
        raise UsageError(f"{study.name}: smoke.augmenters: {other[0]!r} is none of its augmenters; name some of these.")
    keys = ("folds", "repeats", "controls", "companions", "yardsticks")
    changes: dict[str, Any] = {key: getattr(small, key) for key in keys}
    for key in ("augmenters", "classifiers"):
        if getattr(small, key):
            changes[key] = getattr(small, key)
    if small.patients is not None:
        changes["phantom"] = study.phantom.model_copy(update={"patients": small.patients})
    return study.model_copy(update=changes)


def budget(text: str, base: BudgetTable, smoke: SmokeTable | None = None) -> BudgetTable:
    """Read ``--budget``: a preset's name, or ``steps=600,batch=32``, or both; numerics stay unless named.

    Args:
        text: As given.
        base: What is changed.
        smoke: What the preset of that name becomes in a study that says so.

    Raises:
        UsageError: For an unknown preset, key, or value.
    """
    values = {**base.model_dump(), "numerics": base.numerics}
    for part in split_list(text):
        key, equals, value = part.partition("=")
        if not equals:
            if part not in BUDGETS:
                has = listing(list(BUDGETS))
                raise UsageError(f"--budget {part}: no such budget{did_you_mean(part, BUDGETS)}; there are: {has}.")
            preset = dataclasses.asdict(BUDGETS[part]) | (smoke.budget if smoke and part == "smoke" else {})
            values = {**preset, "numerics": values["numerics"]}  # how long to train says nothing on how
        elif key not in values:
            raise UsageError(
                f"--budget {part}: no such key{did_you_mean(key, values)}; there are: {listing(list(values))}."
            )
        elif key == "numerics":
            values[key] = value
        elif not re.fullmatch(r"-?[0-9]{1,12}", value):
            raise UsageError(f"--budget {part}: expected a whole number.")
        else:
            values[key] = int(value)
    return build({"budget": values}, source="--budget").budget


def to_toml(study: Study, *, folder: Path | None = None, place: Path | None = None) -> str:
    """Write a study as TOML, leaving out what is the default.

    Args:
        study: What is written.
        folder: Where the images of its one data set lie; None leaves the table ``[data]`` out.
        place: Folder of the file, from which a folder below it is named.
    """
    import json

    default = Study(datasets=[], augmenters=[], classifiers=[])
    lines, tables = [], []
    values = study.model_dump()
    has_folds = any(not protocol(text).has_one_cut for text in study.protocols)
    if folder is not None:
        name, data = write_data_table(study.datasets[0], folder, place or Path())
        values["datasets"] = [name]
        tables += ["", *data]
    for key, value in values.items():
        if key == "published":
            for row in value:
                given = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in row.items() if v not in (None, "")]
                tables += ["", "[[published]]", *given]
        elif isinstance(value, dict):
            usual = SmokeTable() if key == "smoke" else getattr(default, key, None)
            changed = {k: v for k, v in value.items() if v != getattr(usual, k, None) and v is not None}
            inner = changed.pop("budget", {}) if key == "smoke" else {}
            if changed or key == "smoke":
                tables += ["", f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in changed.items())]
            if inner:
                tables += ["", "[smoke.budget]", *(f"{k} = {v}" for k, v in inner.items())]
        elif value != getattr(default, key) or key in ("name", "repeats", "worth", *["folds"] * has_folds):
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join([*lines, *tables]) + "\n"
