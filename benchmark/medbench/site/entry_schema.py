"""What ``entry.json`` may hold: every field and its type; the fields are described in the documentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from medbench.publishing.bundle import schemas

OwnText = Annotated[str, Field(max_length=20_000)]  # sentences of ours; what is shown is cut and escaped
OwnTexts = Annotated[list[OwnText], Field(max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class BundleFacts(_Part):
    """Which file was checked."""

    bytes: schemas.Count
    sha256: schemas.Sha


class StudyFacts(_Part):
    """What was asked."""

    name: OwnText
    protocols: OwnTexts
    folds: schemas.Count
    repeats: schemas.Count
    seeds: schemas.Count
    worth: schemas.Number
    budget: dict[OwnText, schemas.Number | OwnText | None]


class BoardEntry(schemas.BoardFigures):
    """A board, whether it was computed from our labels, and the sentences under it."""

    recomputed: bool
    sentences: OwnTexts


class EnvironmentFacts(_Part):
    """Versions and kinds of machine, as the submitter's machine said."""

    medbench: OwnTexts
    python: OwnTexts
    platforms: OwnTexts
    devices: OwnTexts
    libraries: dict[OwnText, OwnTexts]
    plugins: list[schemas.PluginVersion]
    isa: OwnText


class CardFacts(_Part):
    """What whoever verified the bundle knows of a data set: its card."""

    title: OwnText
    licence: OwnText
    citation: OwnText
    access: OwnText
    modality: OwnText = ""


class Check(_Part):
    """A check and how it ended."""

    name: OwnText
    outcome: Literal["ok", "note", "failed", "flagged", "unknown"]
    code: OwnText
    detail: OwnText


class Entry(_Part):
    """``entry.json``; its fields are described in ``docs/how-to/publish.md``."""

    schema_: Literal[1] = Field(alias="schema")
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    tier: Literal["claimed", "recomputed"]
    bundle: BundleFacts
    medbench: OwnText
    signed_by: OwnText | None
    flags: OwnTexts
    method: schemas.Method
    study: StudyFacts
    boards: list[BoardEntry] = Field(max_length=2000)
    environment: EnvironmentFacts
    cards: dict[OwnText, CardFacts] = {}
    checks: list[Check] = Field(max_length=10_000)
