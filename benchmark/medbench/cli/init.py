"""``medbench init``: from a folder of one's own images to a study, without writing code."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import click

from medbench import study
from medbench.cli.display import Display
from medbench.cli.options import complete, load_catalogue, plugin_options
from medbench.errors import UsageError
from medbench.forecast import outlook
from medbench.guess import guess_patients
from medbench.matrix import expand
from medbench.sources import Described, Source, describe_decoded
from medbench.study_tables import BudgetTable
from medbench.text import WIDTH, clean, counted, wrapped
from medbench.verdicts import FEWEST_RARE


@click.command(short_help="Set up a study of one's own folder of images.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("study.toml"), show_default=True, help="The study."
)
@click.option(
    "--patient", help="Regular expression with one group that finds the patient in a path; guessed if left out."
)
@click.option(
    "-a",
    "--augmenter",
    multiple=True,
    default=("hybrid",),
    show_default=True,
    shell_complete=complete("augmenter"),
    help="What to compare.",
)
@click.option("--size", type=click.IntRange(8, 4096), help="Working size in pixels; the data set's own by default.")
@click.option("--force", is_flag=True, help="Overwrite an existing study file.")
@plugin_options
def init(
    folder: Path,
    out: Path,
    patient: str | None,
    augmenter: tuple[str, ...],
    size: int | None,
    force: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Look at FOLDER (one folder a class, or a samples.csv with path, label, patient), and write a study of it.

    The folder itself is only read.
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
    plain = catalogue.resolve("dataset", "folder")
    index = plain.index(folder)
    text, how = "folder", "none found in the file names; --patient tells how"
    told = any(r.patient != r.files[0] for r in index.records)  # a reader that knows no patients takes the paths
    if patient is not None:
        text, how = f"folder[patient={patient}]", f"pattern {patient}"
    elif told:
        how = "as the table of samples says"
    elif (guess := guess_patients([r.id for r in index.records])) is not None:
        text, how = f"folder[patient={guess.pattern}]", f"guessed from file names by {guess.pattern}"
        for path, who in guess.examples[:3]:
            click.echo(f"  for example  {clean(path)}  is of patient {clean(who)}")
        if guess.caution:
            click.echo(f"  caution      {clean(guess.caution)}")
    recipe = catalogue.resolve("dataset", text)
    source = Source(catalogue.spec(recipe), recipe, folder, size or recipe.size)
    with Display() as display:
        described = describe_decoded(source, source.decode(1, display.decoding))
    folds = _folds(described)
    budget = {"size": size} if size else {}
    asked = study.build(
        {
            "name": out.stem,
            "about": f"Our own images: {folder.resolve().name}",
            "datasets": [source.text],
            "augmenters": list(augmenter),
            "folds": folds,
            "repeats": 3,
            "budget": {**BudgetTable().model_dump(), **budget},
        }
    )
    arms = expand(asked, catalogue, [described]).arms[source.text]
    _report(described, how, folds, max(Counter(arm.board for arm in arms if arm.control).values(), default=1))
    out.write_text(study.to_toml(asked), encoding="utf-8")
    command = f"medbench run {shlex.quote(str(out))} --data {shlex.quote(str(folder))}"
    click.echo(f"\nwritten     {out}")
    click.echo(f"its cost    {command.replace('run', 'plan', 1)}")
    click.echo(f"rehearse    {command} --budget smoke --folds 2 --repeats 1")
    click.echo(f"run         {command}")


def _folds(described: Described) -> int:
    s = described.samples
    groups = [len(set(s.groups[s.labels == k].tolist())) for k in range(len(s.classes))]
    rarest = min(groups)
    if rarest < 2:
        name = s.classes[groups.index(rarest)]
        raise UsageError(
            f"class {name!r} has {counted(rarest, 'patient')}, those who share a picture counted as one; it needs "
            "at least 2 to be learnt and tested."
        )
    return min(5, rarest)


def _report(described: Described, how: str, folds: int, comparisons: int) -> None:
    s = described.samples
    patients = len(set(s.patients.tolist()))
    for line in wrapped(
        f"{counted(len(s), 'image')}, {counted(patients, 'patient')} ({clean(how)}), {described.dimensions}-D"
    ):
        click.echo(line[1:])
    for name, images, patients in zip(s.classes, s.class_counts.tolist(), described.class_patients, strict=True):
        click.echo(f"  {clean(name):<28} {images:>6} images  {patients:>6} patients")
    for word, said in [("note", n) for n in described.notes] + [("!", w) for w in described.warnings]:
        for number, line in enumerate(wrapped(clean(said), WIDTH - 12)):
            click.echo(f"  {'' if number else word:<10}{line.strip()}")
    click.echo(f"design      {counted(folds, 'fold')} x 3 repeats")
    if min(described.class_patients) < FEWEST_RARE:
        click.echo(f"sees        {min(described.class_patients)} patients of the rarest class: numbers, no verdict")
    else:
        for word, line in outlook(described.class_patients, folds=folds, repeats=3, comparisons=comparisons):
            click.echo(f"{word:<12}{line}")
