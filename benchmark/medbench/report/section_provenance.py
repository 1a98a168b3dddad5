"""The sections about where numbers come from: the data, what an audit found, versions, plugins, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from medbench.boards.training_runs import count_runs
from medbench.data.audit_official_cut import WAIVABLE
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name, left_out
from medbench.planning.study import Study
from medbench.protocols.leaks import LEAKS
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import dataset_name
from medbench.report.inputs import Material, provenances
from medbench.report.section_results import title_of
from medbench.statistics.verdicts import LEAK_NAMES
from medbench.tables.blocks import Block, Section, heading, say, table, text_of
from medbench.tables.board_notes import count_patients, knows_patients
from medbench.tables.wording import SYNTHETIC
from medbench.text import counted

PUBLISH = {
    "nothing": "Its card allows nothing of it in a published result: this report is for yourself.",
    "predictions": "Its card allows numbers in a published result, no images.",
    "pictures": "Its card allows numbers and images in a published result.",
}


OF_COUNTS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "both",
        "counts",
        "cut",
        "each",
        "folder.patient",
        "for",
        "give",
        "have",
        "image",
        "images",
        "in",
        "its",
        "may",
        "mend",
        "most",
        "of",
        "official[overlap=drop]",
        "on",
        "one",
        "or",
        "own",
        "part",
        "patient",
        "patients",
        "pixel",
        "set",
        "sides",
        "so",
        "stand",
        "table",
        "test",
        "the",
        "them",
        "this",
        "to",
        "train",
        "training",
        "trains",
        "twin",
        "with",
        "without",
    ]
)
"""Words of a remark that counts images; with numbers between them they name no image and no patient."""


def audit(material: Material, cards: Mapping[str, Card]) -> Section:
    """Say what was found in the data, what was waived, and what may be shown of them."""
    blocks: list[Block] = []
    for source in material.sources:
        name = str(source["dataset"])
        counts = zip(source["classes"], source["class_patients"], strict=True)
        each = ", ".join(f"{label} {n:,}" for label, n in counts)
        said = [f"{_patients(source)}: {each}."]
        card = cards.get(name)
        if card is not None:
            said.append(f"{card.title}. Licence: {card.licence}. {card.citation}.")
        else:
            said.append("Its plugin is not at hand, so its licence and citation are not listed.")
        is_phantom = name.startswith("phantom:")
        publish = card.publish if card is not None else str(source.get("publish", ""))
        said.append(SYNTHETIC if is_phantom else PUBLISH.get(publish, ""))
        said += [without_names(note, is_phantom) for note in source["notes"]]
        said += [
            f"{counted(n, 'group', 'lie')} on both sides of the official split: {WAIVABLE.get(found, found)}."
            for found, n in source.get("across", {}).items()
        ]
        if (n := source.get("overlap") or {}) and n["shared"]:
            said.append(
                f"{n['twins']:,} of its {n['tested']:,} test images have a near copy in training, {n['equal']:,} of "
                f"them pixel for pixel, and {n['patients']:,} a patient or study that is in training too."
            )
        said += [
            f"Warning: {str(w).removeprefix(f'{name}: ')}"
            for w in material.record.get("warnings", ())
            if str(w).startswith(f"{name}: ")
        ]
        blocks += [heading(dataset_name(name, str(source.get("title") or ""))), say(*said, is_list=True)]
    waived = [f"Waived {name}: {WAIVABLE.get(name, name)}." for name in material.study.waive]
    leaks = dict.fromkeys(leak for board in material.boards for leak in board.leaks)
    declared = [f"Leak on purpose: {LEAK_NAMES.get(leak, LEAKS.get(leak, leak))}." for leak in leaks]
    if waived or declared:
        blocks += [heading("Accepted on purpose"), say(*waived, *declared, is_list=True)]
    return Section("audit", "The data, and what an audit found", tuple(blocks))


def _patients(source: Mapping[str, Any]) -> str:
    """Count patients and images, and say what is counted of each class."""
    return f"{count_patients(source)}; {'patients' if knows_patients(source) else 'images'} of each class"


def _design(study: Study) -> str:
    """Write folds, repeats and seeds as they were; an official cut has no folds."""
    names = {rule.name if rule.has_one_cut else "folds" for rule in map(protocol, study.protocols)}
    cuts = [counted(study.folds, "fold")] * ("folds" in names) + ["official split"] * ("official" in names)
    cuts += ["external test"] * ("external" in names)
    return f"{' or '.join(cuts)}, {counted(study.repeats, 'repeat')}, {counted(study.seeds, 'seed')}"


def without_names(note: object, is_phantom: bool) -> str:
    """Leave the names of single images out of a reader's remark: they may name patients; counts stay."""
    text = text_of(note)
    head, colon, rest = text.partition(": ")
    words = [word.strip('.,;()"').lower() for word in rest.split()]
    counts = {"image", "images"} & set(words) and all(w in OF_COUNTS or w.replace(",", "").isdecimal() for w in words)
    if not colon or is_phantom or counts or head.startswith("Columns of "):
        return text
    return f"{head.rpartition(', the first')[0] or head}."


def failures(material: Material) -> Section:
    """List what failed and what was left out."""
    blocks: list[Block] = []
    for number, part in enumerate(material.parts, start=1):
        cells: Counter[tuple[str, str, str]] = Counter()
        for row in part.rows:
            found = part.found[row.arm.key]
            for stored in (*found.failed.values(), *found.skipped.values()):
                if stored.failure is not None:
                    message = text_of(stored.failure.message)
                    cells[arm_name(row.arm), stored.failure.kind, message] += 1
        if cells:
            rows = [(*key, n) for key, n in sorted(cells.items())]
            caption = f"{title_of(part.board)}: training runs that failed or made no sense."
            blocks.append(
                table(caption, ("method", "kind", "message", "training runs"), rows, label=f"failures-{number}")
            )
    skipped = {f"{skip.dataset}: {left_out(skip)}: {skip.reason}": None for b in material.boards for skip in b.skipped}
    if skipped:
        blocks += [heading("Left out, since it makes no sense"), say(*skipped, is_list=True)]
    runs = count_runs(material.boards)
    if beside := runs.failed - sum(row.failed for part in material.parts for row in part.rows):
        which = "other seeds, fewer patients or twice the steps"
        blocks.append(say(f"{counted(beside, 'further training run')} failed ({which}); what needs them has no score."))
    behind = runs.planned - runs.settled
    if behind:
        blocks.append(say(f"{counted(behind, 'planned training run', 'are')} not done yet."))
    if not blocks:
        blocks.append(say("No training run failed and none was left out."))
    return Section("failures", "Failures", tuple(blocks))


def provenance(material: Material) -> Section:
    """Say what the numbers were made with, in enough detail to make them again."""
    study = material.study
    budget = study.budget.model_dump()
    records = provenances(material)
    rows: list[tuple[str, object]] = [
        ("study", study.name),
        *[("about", study.about)] * bool(study.about),
        ("protocols", "; ".join(study.protocols)),
        ("design", _design(study)),
        ("relevant difference", f"{study.worth:g} points, fixed before the run"),
        ("budget", ", ".join(f"{key} {value}" for key, value in budget.items() if value is not None)),
        ("devices", ", ".join(sorted({board.device for board in material.boards}))),
        *((f"{what} of {_nth(n, records)}", write(one)) for what, write in FACTS for n, one in enumerate(records)),
        *((f"data of {source['dataset']}", source["data"]) for source in material.sources),
    ]
    blocks: list[Block] = [table("What the numbers were made with.", ("what", "value"), rows, label="provenance")]
    arms = {(b.classifier, row.arm.key): row.arm for b in material.boards for row in b.all_rows}
    listed = [(arm_name(a), a.augmenter, a.classifier, a.made_by[:16]) for a in arms.values()]
    caption = (
        "Identity of each method: the start of the SHA-256 over its recipes, their code and the libraries they name."
    )
    blocks.append(table(caption, ("method", "recipe", "classifier", "identity"), listed, label="identity"))
    if not records:
        blocks.append(say("The stored results do not say what they were made with."))
    return Section("provenance", "Provenance", tuple(blocks))


def _nth(number: int, records: list[Mapping[str, object]]) -> str:
    return "the results" if len(records) == 1 else f"results, kind {number + 1}"


def _join(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values if value)


def _plugins(record: Mapping[str, object]) -> str:
    plugins = record.get("plugins")
    named = plugins if isinstance(plugins, list) else []
    by_dist = dict.fromkeys(
        f"{p.get('distribution', '')} {p.get('version', '')}".strip() for p in named if isinstance(p, dict)
    )
    return ", ".join(by_dist)


def _libraries(record: Mapping[str, object]) -> str:
    found = record.get("libraries")
    named = found if isinstance(found, dict) else {}
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in sorted(named.items()))


FACTS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("medbench", lambda record: _join([record.get("medbench")])),
    ("Python", lambda record: _join([record.get("python"), record.get("platform")])),
    ("plugins", _plugins),
    ("libraries", _libraries),
)
"""What a stored result says of what made it, in the order of the table."""
