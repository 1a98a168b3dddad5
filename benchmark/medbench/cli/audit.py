"""``medbench audit``: what a data set gives away, before anything is trained."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.data.audit_duplicates import DETAIL, DETAIL_OF_FEW, LOOK_ALIKE, WHOLE, find_look_alikes
from medbench.data.audit_findings import PARTS_DIFFER, Blank, Shortcut, describe_blanks
from medbench.data.audit_official_cut import WAIVABLE
from medbench.data.cache import Decoded
from medbench.data.decode import MANY
from medbench.data.describe import title_of
from medbench.data.find_phantom import PHANTOM
from medbench.data.picture_planes import SIDE
from medbench.data.sources import Source, locate_datasets
from medbench.errors import UsageError
from medbench.planning import study
from medbench.planning.few_patients import WAY_OUT, say_few
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.registry.catalogue import Catalogue
from medbench.registry.display_names import dataset_name
from medbench.registry.guess_names import is_path
from medbench.text import clean, counted

SHOWN = 5
BLIND = (
    "Not seen: crops, shifts and turns by other angles than 90 degrees, inverted grays, pictures within pictures, "
    "copies of pictures as small as the working size that were compressed hard, and a patient under two names."
)


# One parameter per option of the command line.
@click.command(short_help="Look for duplicates, leaks and shortcuts in a data set.")
@click.argument("name", metavar="[DATASET|STUDY]", required=False, shell_complete=complete("dataset", "study"))
@click.option("--data", multiple=True, metavar="[NAME=]FOLDER", help="Where the data set lies; only read.")
@click.option("--phantom", is_flag=True, help="Use synthetic test images instead of real ones.")
@click.option("--size", type=click.IntRange(8, 4096), help="Working size in pixels; by default as the study's.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that decode.")
@click.option("--canary", is_flag=True, help="Check medbench itself, on labels that are noise.")
@click.option("--budget", metavar="NAME|k=v,...", help="Of the canary: smoke, or steps=600,...")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/runs"), show_default=True,
              envvar="MEDBENCH_RESULTS", help="Where results of the canary are stored.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def audit(
    name: str | None,
    data: tuple[str, ...],
    phantom: bool,
    size: int | None,
    workers: int,
    canary: bool,
    budget: str | None,
    results: Path,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> int:
    """Look for duplicates, leaks and shortcuts in DATASET, or in every data set of STUDY.

    Ends with 8 where one would stop a run, and where a class has too few patients to be split. Images are decoded as
    for a run, and kept for it.
    """
    if canary:
        if name is not None or data:
            raise UsageError("--canary draws its own images; leave the data set and --data out.")
        from medbench.cli.canary import run_canary  # with all that trains

        return run_canary(
            budget=budget,
            results=results,
            workers=workers if workers > 1 else None,
            as_json=as_json,
            plugin_folders=plugin_folders,
            plugin_switches=plugin_switches,
        )
    if name is None:
        raise UsageError("give a data set or a study, as in `medbench audit ddti --data FOLDER`, or --canary.")
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    audited = _study_of(catalogue, name)
    if data and not phantom:  # as for a run: a study on drawn images turns to the real ones
        audited = audited.model_copy(update={"datasets": [text.removeprefix(PHANTOM) for text in audited.datasets]})
    sources = locate_datasets(
        catalogue,
        audited.datasets,
        data=data or tuple(filter(None, [audited.folder or os.environ.get("MEDBENCH_DATA", "")])),
        phantom=phantom,
        drawing=audited.phantom,
        size=size or audited.budget.size,
    )
    rules = [protocol(text) for text in audited.protocols]
    official = any(rule.name == "official" and rule.overlap != "drop" for rule in rules)  # what is dropped is no leak
    facts = []
    with Display() as display:
        for source in sources:
            decoded = source.decode(workers, display.decoding)
            if decoded.findings.images > MANY:
                display.decoding("looking for images that look alike", 0, 0)
            of_source = _facts(source, decoded, audited.waive, official)
            dropped = any(rule.overlap == "drop" for rule in rules)
            facts.append(of_source | {"too_few": _too_few(decoded, audited), "dropped": dropped})
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo("\n\n".join("\n".join(_text(of_source)) for of_source in facts))
    return 8 if any(of_source["blocks"] or of_source["too_few"] for of_source in facts) else 0


def _study_of(catalogue: Catalogue, name: str) -> Study:
    """Return the study of that name or file, or one of the data set alone, under its official cut."""
    if name.endswith(".toml") or (Path(name).is_file() and not name.endswith((".csv", ".zip"))):
        return study.read(Path(name))
    if name in catalogue.names("study"):
        return study.read(catalogue.registered("study", name))
    if is_path(name, known=catalogue.names("dataset")):
        folder = shlex.quote(name)
        raise UsageError(f"{name} is a folder: write `medbench audit folder --data {folder}`.")
    return study.build({"name": "audit", "datasets": [name], "protocols": ["official"]})


def _too_few(decoded: Decoded, audited: Study) -> str:
    """Say which classes have too few patients for the study's splits; of a data set alone, for any split."""
    samples = decoded.samples()
    if any(protocol(text).name != "official" for text in audited.protocols):
        return say_few(samples, audited.folds)
    return say_few(samples) if samples.parts is None else ""


def _facts(source: Source, decoded: Decoded, waived: Sequence[str], official: bool) -> dict[str, Any]:
    """Return everything that is printed, as JSON values."""
    samples, found = decoded.samples(), decoded.findings
    ids = samples.ids.tolist()
    alike, how_many = find_look_alikes(samples.x, samples.groups)
    parts = dict(zip(ids, samples.parts.tolist(), strict=True)) if samples.parts is not None else {}
    return {
        "dataset": source.text,
        "title": dataset_name(source.text, title_of(source)),
        "size": source.size,
        "classes": list(samples.classes),
        **found.to_json(),
        "merged": found.merged,
        "look_alikes": [[ids[p.first], ids[p.second], int(p.value)] for p in alike],
        "look_alikes_found": how_many,
        "parts": {part: int(np.sum(samples.parts == part)) for part in ("train", "test")} if parts else {},
        "across": {name: [list(group) for group in groups] for name, groups in decoded.across.items()},
        "waived": [name for name in waived if name in decoded.across],
        "blocks": [name for name in decoded.across if official and name not in waived],
        "overlap_said": found.overlap.sentences() if found.overlap else [],
        "warnings": found.sentences(),
        "remarks": found.remarks(),
    }


def _text(facts: dict[str, Any]) -> Iterator[str]:
    yield clean(facts["title"])
    yield f" {counted(facts['images'], 'image')} of {counted(facts['patients'], 'patient')} at {facts['size']} pixels"
    yield ""
    yield " patients kept together in every split; shown under every result"
    yield f"  by patient and study                {facts['declared']:>9,}"
    yield f"  equal pixels united                 {facts['exact']:>9,}{_less(facts['declared'], facts['exact'])}"
    yield f"  nearly equal pictures united        {facts['groups']:>9,}{_less(facts['exact'], facts['groups'])}"
    if facts["too_few"]:
        way_out = f". {WAY_OUT[0].upper()}{WAY_OUT[1:]}" * ("count as" in facts["too_few"])
        yield _sentence(f"TOO FEW  {facts['too_few']}{way_out}. A run would stop (exit 8).", "    ", first="  ")
    yield ""
    same = facts["same"]
    yield f" equal pixels: {counted(len(same), 'picture', 'occur')} {_times(same)}"
    yield from _list(", ".join(ids[:SHOWN]) for ids in same)
    near = facts["near"]
    yield ""
    yield f" nearly equal (correlation {WHOLE} and {_detail(facts)} in the detail): {len(near):,} links"
    yield from _list(f"{v['first']}, {v['second']}  {v['value']:.3f}" for v in near)
    alike, found = facts["look_alikes"], facts["look_alikes_found"]
    yield ""
    yield f" look alike (hashes within {LOOK_ALIKE} of 64 bits), for you to look at: {found:,} pairs"
    yield from _list((f"{one}, {other}  {bits} bits" for one, other, bits in alike), found)
    yield ""
    yield f" labels that conflict on equal pixels: {counted(len(facts['conflicts']), 'picture')}"
    yield from _list(", ".join(ids[:SHOWN]) for ids in facts["conflicts"])
    yield f" labels that conflict on nearly equal ones: {counted(len(facts['near_conflicts']), 'pair')}"
    yield from _list(f"{v['first']}, {v['second']}  {v['value']:.3f}" for v in facts["near_conflicts"])
    yield ""
    if facts["blank"]:
        yield _sentence(f"{describe_blanks([Blank(**of_it) for of_it in facts['blank']])}.")
        yield ""
    yield from _official(facts)
    yield ""
    yield from _shortcuts(facts)
    yield ""
    yield _sentence(BLIND)


def _official(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["parts"]:
        yield " official split: there is none"
        return
    counts = ", ".join(f"{n:,} {part}" for part, n in facts["parts"].items())
    yield f" official split: {counts} images" + ("" if facts["across"] else "; nobody is on both sides")
    yield from (_sentence(said, "  ") for said in facts["overlap_said"])
    if facts["part_differences"]:
        yield "  training against test images of one class   AUROC  95 % CI      bal.acc"
        for found in facts["part_differences"]:
            shortcut = Shortcut(**found)
            yield f"  {_row(shortcut, '!' if shortcut.auroc > PARTS_DIFFER and shortcut.low > 0.5 else ' ')}"
    for name, groups in facts["across"].items():
        state = "waived" if name in facts["waived"] else "BLOCKS" if name in facts["blocks"] else "none"
        if state == "none":  # of a study that splits otherwise, or trains without what is shared
            state = "left out of training" if facts["dropped"] else "no matter, the study splits otherwise"
        yield f"  {state}  {name}: {counted(len(groups), 'group')}"
        yield _sentence(f"{WAIVABLE[name]}.", "    ")
        yield from _list(", ".join(ids) for ids in groups)
    if facts["blocks"]:
        names = ", ".join(f'"{name}"' for name in facts["blocks"])
        yield _sentence(
            f"The protocol official is refused (exit 8). Use --protocol patients, train without what is shared by "
            f"--protocol official[overlap=drop], mend the files, or write waive = [{names}] into a study file; every "
            "table will say so. --json lists every image under overlap."
        )


def _shortcuts(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["looked_at"]:
        yield " shortcuts: not measured, a class has fewer than 5 groups"
        return
    yield f" shortcuts, {counted(facts['looked_at'], 'image')}    AUROC  95 % CI      bal.acc"
    of_cut = facts["neighbour_of_cut"]
    others = [facts["neighbour"], of_cut and {**of_cut, "name": "  the same, test part"}]
    for found in (*facts["shortcuts"], *filter(None, others)):
        shortcut = Shortcut(**found)
        yield _row(shortcut, "!" if shortcut.is_said else " ")
    if facts["warnings"]:
        yield _sentence(
            "!  above .60, and its CI above .50: a classifier may read that instead of the disease. Every result shows "
            "the warning.",
        )


def _row(found: Shortcut, mark: str) -> str:
    auroc, low, high = (f"{value:.2f}".removeprefix("0") for value in (found.auroc, found.low, found.high))
    return f" {mark} {found.name:<28}{auroc:>6}  {low} to {high:<6}{100 * found.accuracy:>7.1f}"


def _less(before: int, after: int) -> str:
    return f"   {before - after:,} merged" if after < before else ""


def _times(same: Sequence[Sequence[str]]) -> str:
    return f"more than once, {sum(map(len, same)):,} images in all" if same else "more than once"


def _list(lines: Any, found: int = 0) -> Iterator[str]:
    every = list(lines)
    yield from (_sentence(line, "      ", first="   ") for line in every[:SHOWN])
    if len(every) > SHOWN:
        listed = "all" if found <= len(every) else f"{len(every):,}"
        yield f"   and {max(found, len(every)) - SHOWN:,} more (--json lists {listed})"


def _sentence(text: str, indent: str = " ", *, first: str | None = None) -> str:
    return fill(text, indent, first=first)


def _detail(facts: dict[str, Any]) -> float:
    return DETAIL if facts["size"] >= SIDE else DETAIL_OF_FEW
