"""What the JSON members of a bundle may hold: every field, its type and its bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from medbench.planning.arms import Arm, Checked, Skipped
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.publishing.bundle.allowed_texts import LINK, RECIPE, check_text
from medbench.publishing.bundle.zip_container import DOCUMENTS
from medbench.statistics.verdicts import GivenWord
from medbench.trial.trial import Trial

SCHEMA = 1
MOST_LOOKS = 2_000


def _recipe(text: str) -> str:
    if not RECIPE.fullmatch(text):
        raise ValueError("is no name with parameters, as in hybrid[generator=acgan]")
    return text


def _link(text: str) -> str:
    if len(text) > 200 or not LINK.fullmatch(text):
        raise ValueError("is no plain https link of at most 200 characters")
    return text


def _contact(text: str) -> str:
    return _link(text) if text.startswith("https:") else check_text(text)


Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Recipe = Annotated[str, AfterValidator(_recipe)]
Text = Annotated[str, AfterValidator(check_text)]
NonEmpty = Annotated[str, Field(min_length=1), AfterValidator(check_text)]
Link = Annotated[str, AfterValidator(_link)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class File(_Model):
    """A member: what it holds and how it is packed."""

    bytes: Count
    sha256: Sha
    packed_bytes: Count
    packed_sha256: Sha


class Manifest(_Model):
    """``manifest.json``: every other member but the signature."""

    schema_: int = Field(alias="schema")
    medbench: Text
    files: dict[str, File]


class Method(_Model):
    """``method.json``: who made it, of what.

    Attributes:
        title: What readers see.
        authors: At least one.
        links: https only.
        licence: Of what is published here.
        contact: An address or a link, given on purpose.
        extra_data: Data besides the data set that training saw.
        pretraining: What weights started from.
    """

    title: NonEmpty
    authors: list[NonEmpty] = Field(min_length=1, max_length=50)
    links: list[Link] = Field(default_factory=list, max_length=20)
    licence: Text = ""
    contact: Annotated[str, AfterValidator(_contact)] = ""
    extra_data: Text = ""
    pretraining: Text = ""


class SourceFacts(_Model):
    """A data set as the plan saw it, and those that external tests test, by how protocols name them."""

    dataset: Recipe
    data: Sha
    images: Count
    patients: Count
    class_patients: list[Count] = Field(min_length=2, max_length=1000)
    classes: list[NonEmpty] = Field(min_length=2, max_length=1000)
    dimensions: Literal[2, 3]
    unit: Literal["patient", "image"]
    publish: Literal["nothing", "predictions", "pictures"]
    tests: dict[Recipe, SourceFacts] = Field(default_factory=dict, max_length=20)


class PlanRecord(_Model):
    """``plan.json``: what was asked and what it amounts to.

    Attributes:
        study: Without its texts for people and its published figures.
        sources: Its data sets.
        arms: By data set.
        skipped: Combinations that make no sense.
        yardsticks: Further trainings of controls.
        checked: What is trained at twice the steps.
        unseen: Configurations scored on these folds before that are in no arm, by data set and protocol.
    """

    study: Study
    sources: list[SourceFacts] = Field(min_length=1, max_length=100)
    arms: dict[str, list[Arm]]
    skipped: list[Skipped]
    yardsticks: list[Yardsticks]
    checked: list[Checked]
    unseen: dict[str, dict[str, Annotated[int, Field(ge=0, le=MOST_LOOKS)]]]


class Cost(BaseModel):
    """Of a trial or stage alone."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Seconds | Text]
    seconds: Seconds
    peak_mb: Seconds
    device: NonEmpty


Facts = Annotated[dict[NonEmpty, bool | Number], Field(max_length=200)]


class TrialResult(_Model):
    """A trial with a result."""

    spec: Trial
    cost: Cost
    facts: Facts
    counts: dict[NonEmpty, Count] = Field(max_length=50)
    metrics: dict[NonEmpty, Number | None] = Field(max_length=200)
    scores: dict[NonEmpty, Number | None] = Field(max_length=2000)
    scored: dict[NonEmpty, Count | Text] = Field(max_length=200)
    frequencies: list[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]]
    leaks: list[NonEmpty] = Field(max_length=20)
    stages: dict[Sha, Sha] = Field(max_length=100)


class TrialFailure(_Model):
    """A trial without a result: what kind of failure, none of its words."""

    spec: Trial
    kind: Literal[
        "bug", "plugin", "contract", "data", "resources", "leak", "diverged", "lost", "timeout", "skip", "memory",
        "usage", "store", "disk",
    ]  # fmt: skip


class Stage(_Model):
    """A fitted generator, encoder or other stage."""

    key: Sha
    stage: NonEmpty
    sha256: Sha
    cost: Cost
    facts: Facts
    fitted_on: Count
    stages: dict[Sha, Sha] = Field(max_length=100)


class PluginVersion(_Model):
    """A plugin that took part."""

    name: NonEmpty
    distribution: Text
    version: Text


class Environment(_Model):
    """``environment.json``: versions and kinds of machine; no names, no paths."""

    medbench: list[Text]
    python: list[Text]
    platforms: list[Text]
    devices: list[Text]
    isa: Text
    libraries: dict[NonEmpty, list[Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9_.+!-]*$")]]]
    plugins: list[PluginVersion]
    code: dict[NonEmpty, list[Sha]]


class Trials(_Model):
    """``trials.json``."""

    trials: list[TrialResult]


class Failures(_Model):
    """``failures.json``."""

    failures: list[TrialFailure]


class Generators(_Model):
    """``generators.json``."""

    generators: list[Stage]


class RowFigures(_Model):
    """An arm of a board; see :func:`medbench.publishing.bundle.board_numbers.board_numbers`."""

    augmenter: Recipe
    classifier: Recipe
    control: Recipe | None
    control_classifier: Recipe | None
    plain: bool
    depth: Count
    planned: Count
    done: Count
    failed: Count
    skipped: Count
    balanced_accuracy: Number | None
    argmax_balanced_accuracy: Number | None
    accuracy: Number | None
    auroc: Number | None
    macro_f1: Number | None
    recalls: list[Number | None] | None
    gain: Number | None
    gain_low: Number | None
    gain_high: Number | None
    gain_auroc: Number | None
    gain_auroc_low: Number | None = None
    gain_auroc_high: Number | None = None
    balanced_accuracy_fair_threshold: Number | None = None
    gain_fair_threshold: Number | None = None
    gain_fair_threshold_low: Number | None = None
    gain_fair_threshold_high: Number | None = None
    word: GivenWord | None
    withheld: Text | None
    marks: Text
    seconds: Seconds
    peak_mb: Seconds
    made: Seconds
    scores: dict[NonEmpty, Number]


class YardstickFigures(_Model):
    """A yardstick of a board."""

    kind: Literal["seeds", "fewer", "average"]
    title: Text
    caption: Text
    planned: Count
    done: Count
    failed: Count
    trainings: Count
    balanced_accuracy: Number | None
    auroc: Number | None
    gain: Number | None
    gain_low: Number | None
    gain_high: Number | None
    seconds: Seconds


class CheckFigures(_Model):
    """The best arm of a board at twice the steps."""

    augmenter: Recipe
    classifier: Recipe
    steps: Count
    gain: Number | None
    gain_low: Number | None
    gain_high: Number | None


class BoardFigures(_Model):
    """A board as plain numbers."""

    dataset: Recipe
    phantom: bool
    data: Sha
    protocol: Recipe
    leaks: list[NonEmpty]
    classifier: Recipe
    unit: Literal["patient", "image"]
    patients: Count
    images: Count
    classes: list[NonEmpty]
    class_patients: list[Count]
    looks: Count
    device: Text
    rows: list[RowFigures] = Field(max_length=5000)
    yardsticks: list[YardstickFigures] = Field(max_length=10)
    check: CheckFigures | None


class Claims(_Model):
    """``claims.json``: the boards as the submitter's machine computed them, compared with ours."""

    boards: list[BoardFigures] = Field(max_length=2000)


OF_MEMBER: dict[str, type[BaseModel]] = {
    "manifest.json": Manifest,
    **dict(zip(DOCUMENTS, (Claims, Environment, Failures, Generators, Method, PlanRecord, Trials), strict=True)),
}
