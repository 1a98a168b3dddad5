"""``medbench init``: from a folder of one's own images to a study, without writing code."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from medbench.api.terminal_progress import Display
from medbench.cli.look_at_folder import add_pixels, find_dataset
from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.data.describe import DatasetDescription, describe_decoded
from medbench.data.sources import Source, with_files_of
from medbench.errors import MedbenchError, UsageError
from medbench.planning import study
from medbench.planning.few_patients import NEEDED, count_groups, say_few
from medbench.planning.plan import Plan
from medbench.planning.study_names import slug
from medbench.planning.study_schema import BudgetTable
from medbench.planning.trial_matrix import expand
from medbench.protocols.folds import without_overlap
from medbench.protocols.protocol import protocol
from medbench.statistics.verdicts import FEWEST_RARE
from medbench.tables.answer import NextStep
from medbench.tables.board_notes import count_patients, knows_patients, without_command
from medbench.tables.board_table import step_lines
from medbench.tables.plan_outlook import outlook_lines, planned_design
from medbench.tables.writers.terminal import screen_of
from medbench.text import clean, listed


# One parameter per option of the command line.
@click.command(short_help="Make a study of your own folder of images.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("study.toml"),
    show_default=True,
    help="The study file that is written.",
)
@click.option(
    "--patient", help="Regular expression with one group that finds the patient in a file's path; guessed if left out."
)
@click.option(
    "-a",
    "--augmenter",
    multiple=True,
    default=("hybrid",),
    show_default=True,
    shell_complete=complete("augmenter"),
    help="Method to compare; may be repeated.",
)
@click.option(
    "-d",
    "--dataset",
    shell_complete=complete("dataset"),
    help="Read FOLDER as this data set, as one of --plugins-dir; found by its layout if left out.",
)
@click.option("--size", type=click.IntRange(8, 4096), help="Working size in pixels; the data set's own by default.")
@click.option(
    "--channels", type=click.Choice(["1", "3"]), help="Read images as gray (1) or colour (3); by what they show."
)
@click.option(
    "--join-near/--no-join-near", default=True, help="Keep patients with nearly equal pictures together; by default."
)
@click.option("--force", is_flag=True, help="Overwrite an existing study file.")
@plugin_options
def init(
    folder: Path,
    out: Path,
    patient: str | None,
    augmenter: tuple[str, ...],
    dataset: str | None,
    size: int | None,
    channels: str | None,
    join_near: bool,
    force: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Look at FOLDER (one folder a class, or a CSV that names the images), and write a study of it.

    A published layout is read as that data set. The folder itself is only read.
    """
    if out.exists() and not force:
        raise UsageError(f"{out} is there already; give another --out, or --force to overwrite it.")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: {out.parent} is no folder; make it first or give another --out.")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one with your images.")
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    for name in augmenter:
        catalogue.resolve("augmenter", name)  # a misspelled one is told before any image is decoded
    again = ["medbench", "init", str(folder), *(["-d", dataset] if dataset else [])]
    again += [word for place in plugin_folders for word in ("--plugins-dir", str(place))]
    with _or_nothing_is_written(shlex.join(again)):
        text, how = (dataset, "as the data set says") if dataset else find_dataset(catalogue, folder, patient)
        text = add_pixels(catalogue, text, folder, channels, join_near)
        recipe = catalogue.resolve("dataset", text)
        source = Source(catalogue.spec(recipe), with_files_of(recipe, folder), folder, size or recipe.size)
        with Display() as display:
            described = describe_decoded(source, source.decode(1, display.decoding))
        rule, said = _protocol(described)
        folds = _folds(described, folder) if rule == "patients" else 5
        budget = {"size": size} if size else {}
        planned = study.build(
            {
                "name": name_for_study(out, folder),
                "about": f"Our own images: {folder.resolve().name}",
                "datasets": [source.text],
                "protocols": [rule],
                "augmenters": list(augmenter),
                "folds": folds,
                "repeats": 3,
                "budget": {**BudgetTable().model_dump(), **budget},
            }
        )
        plan = expand(planned, catalogue, [described])
        _report(plan, how, rule, folds)
        for line in said:
            click.echo(fill(line, " " * 12, first=f"{'protocol':<12}"))
    out.write_text(study.to_toml(planned, folder=folder, place=out.parent), encoding="utf-8")
    click.echo(f"\nWritten: {out}, which also says where the images lie.\n")
    click.echo("\n".join(step_lines(_next_steps(out, rule, plugin_folders), screen_of(sys.stdout))))


@contextlib.contextmanager
def _or_nothing_is_written(again: str) -> Iterator[None]:
    """Add to an error that no study file was written, and what to type once it is mended."""
    try:
        yield
    except MedbenchError as error:
        more = "" if "`medbench init " in str(error) else f"; mend that and type `{again}` again"
        error.args = (f"{error} No study file was written{more}.",)
        raise


def _next_steps(out: Path, rule: str, plugin_folders: tuple[Path, ...]) -> tuple[NextStep, ...]:
    file = shlex.quote(str(out))
    few = "" if rule.startswith("official") else " --folds 2"
    file += "".join(f" --plugins-dir {shlex.quote(str(place))}" for place in plugin_folders)
    return (
        NextStep(f"medbench audit {file}", "duplicates, leaks, shortcuts"),
        NextStep(f"medbench plan {file}", "how long it takes, what gain it can detect"),
        NextStep(f"medbench run {file} --budget smoke{few} --repeats 1", "a practice run"),
        NextStep(f"medbench run {file}", "the study"),
    )


def name_for_study(out: Path, folder: Path) -> str:
    """Name a study after its file, and after the folder where the file has the usual name."""
    return slug(folder.resolve().name) if out.stem == "study" else out.stem


def _protocol(described: DatasetDescription) -> tuple[str, list[str]]:
    """Choose the data set's own cut where it has one and it can be trained and tested on; say what it shares."""
    s, overlap = described.samples, described.overlap
    if s.parts is None or not {"train", "test"} <= set(s.parts.tolist()):
        return "patients", []
    rule = "official[overlap=drop]" if overlap.get("shared") else "official"
    kept = without_overlap(s) if overlap.get("shared") else s
    few = [
        name
        for k, name in enumerate(s.classes)
        if len(set(kept.groups[(kept.parts == "train") & (kept.labels == k)].tolist())) < 2
        or not ((kept.parts == "test") & (kept.labels == k)).any()
    ]
    if few:
        return "patients", [f"not the official cut: {listed(few)} could not be trained or tested under it"]
    said = "the official cut of the data set"
    if overlap.get("shared"):
        said += (
            f", without {overlap['dropped']:,} of {overlap['trained']:,} training images: {overlap['twins']:,} of "
            f"{overlap['tested']:,} test images have a twin there, {overlap['patients']:,} a patient or study"
        )
    return rule, [f"{said}; --protocol patients cuts anew"]


def _folds(described: DatasetDescription, folder: Path) -> int:
    s = described.samples
    if few := say_few(s):
        way_out = ""
        if "count as" in few:
            audit = shlex.join(["medbench", "audit", described.text, "--data", str(folder)])
            again = shlex.join(["medbench", "init", str(folder), "--no-join-near"])
            way_out = f" `{audit}` lists the pictures; where patients only look alike, `{again}` keeps them apart."
        raise UsageError(f"{few}; a class needs at least {NEEDED} patients to be learnt and tested.{way_out}")
    return min(5, min(count_groups(s)))


def _report(plan: Plan, how: str, rule: str, folds: int) -> None:
    (described,) = plan.sources
    s, source = described.samples, described.facts()
    click.echo(fill(f"{count_patients(source)} ({clean(how)}), {described.dimensions}-D"))
    for name, images, patients in zip(s.classes, s.class_counts.tolist(), described.class_patients, strict=True):
        of_class = f"  {patients:>6} patients" if knows_patients(source) else ""
        click.echo(f"  {clean(name):<28} {images:>6} images{of_class}")
    warnings = [("warning", without_command(text)) for text in described.warnings]
    for word, said in [("note", text) for text in described.notes] + warnings:
        click.echo(fill(said, " " * 12, first=f"  {word:<10}"))
    official = rule.startswith("official")
    split = "official split x 3 repeats" if official else f"{folds}-fold cross-validation, 3 times"
    click.echo(f"{'design':<12}{split}")
    arms = plan.arms[described.text]
    comparisons = max(Counter(arm.board for arm in arms if arm.control).values(), default=1)
    design = planned_design(plan, described, rule, protocol(rule), comparisons)
    unit = "patients" if knows_patients(source) else "images"
    if min(design.class_patients) < FEWEST_RARE:
        rarest = min(design.class_patients)
        click.echo(fill(f" Only {rarest} {unit} of the rarest class to test, so no verdict: it needs {FEWEST_RARE}."))
    else:
        for line in outlook_lines(design, worth=plan.study.worth, unit=unit, screen=screen_of(sys.stdout)):
            click.echo(line)
