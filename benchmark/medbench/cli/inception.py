"""``medbench inception``: the inception score of real and generated images, at equal numbers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from medbench.analyses.equal_numbers import EqualNumbers, Scored, score_at_equal_numbers
from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.data.find_phantom import PHANTOM
from medbench.data.sources import locate_datasets
from medbench.errors import UsageError
from medbench.interfaces import Budget
from medbench.planning import study as studies
from medbench.planning.study import Study
from medbench.registry.catalogue import Catalogue
from medbench.registry.display_names import dataset_name, generator_name
from medbench.samples import Samples

GENERATOR = "dcgan[per_class=false]"
EXTRACTOR = "imagenet-classes"
SCORE = "inception-score"


# One parameter per option of the command line.
@click.command(short_help="Inception score of real and generated images at equal numbers.")
@click.argument("name", metavar="[STUDY|DATASET]", default="thyroid-gan", shell_complete=complete("study", "dataset"))
@click.option("--data", multiple=True, metavar="[NAME=]FOLDER", help="Where the data set lies; only read.")
@click.option("--phantom", is_flag=True, help="Use synthetic test images instead of real ones.")
@click.option(
    "--real", type=click.IntRange(2, 100_000), default=46, show_default=True, help="Real ones, one a patient."
)
@click.option("--made", type=click.IntRange(2, 1_000_000), default=550, show_default=True, help="Generated images.")
@click.option("--generator", default=GENERATOR, show_default=True, metavar="NAME", shell_complete=complete("generator"),
              help="Learns from the real images.")  # fmt: skip
@click.option("--extractor", default=EXTRACTOR, show_default=True, metavar="NAME", shell_complete=complete("extractor"),
              help="Gives class probabilities; published scores: inception[weights=FILE].")  # fmt: skip
@click.option("--size", type=click.IntRange(8, 4096), default=64, show_default=True, help="Pixels along each axis.")
@click.option("--steps", type=click.IntRange(1, 10_000_000), default=5000, show_default=True, help="Of the generator.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the images drawn and of the generator.")
@click.option("--device", default="cpu", show_default=True, help="Where the generator is trained: cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def inception(
    name: str,
    data: tuple[str, ...],
    phantom: bool,
    real: int,
    made: int,
    generator: str,
    extractor: str,
    size: int,
    steps: int,
    seed: int,
    device: str,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Score real and generated images of STUDY or DATASET, all of them and at equal numbers.

    A generator learns from so many real images, one a patient, and draws so many more. Nothing is stored.
    """
    if made < real:
        raise UsageError(f"--made {made}: fewer than the {real} real images; give as many or more.")
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    asked = _study_of(catalogue, name)
    judge, score = _resolve_judge(catalogue, extractor)
    recipe = catalogue.resolve("generator", generator)
    folders = data or tuple(filter(None, [os.environ.get("MEDBENCH_DATA", "")]))
    texts = [asked.datasets[0].removeprefix(PHANTOM)]
    (source,) = locate_datasets(
        catalogue, texts, data=folders, phantom=phantom, drawing=asked.phantom, size=size
    )  # fmt: skip
    with Display() as display:
        samples = source.decode(1, display.decoding).samples()
    rng = np.random.default_rng(seed)
    first = rng.permutation(np.unique(samples.patients, return_index=True)[1])
    if len(first) < real:
        raise UsageError(f"--real {real}: there are images of {len(first)} patients; give at most that many.")
    learnt = samples.take(np.sort(first[:real]))
    told = [judge.probabilities(x) for x in (np.asarray(learnt.x), _draw(recipe, learnt, made, steps, seed, device))]
    found = score_at_equal_numbers(told[0], told[1], lambda rows: float(score.score(rows, rows, rows)), rng)
    if as_json:
        click.echo(json.dumps({"dataset": source.text, "generator": generator, "extractor": extractor, **asdict(found),
                               "told_apart": found.told_apart}, indent=1))  # fmt: skip
        return
    title = f"{dataset_name(source.text)}, {size} px; {generator_name(generator)}, {steps} steps; {extractor}"
    click.echo("\n".join([fill(title), "", *_table(found, asked), "", fill(sentence(found))]))


def sentence(found: EqualNumbers) -> str:
    """Say whether real and generated images can be told apart at equal numbers, and what that means."""

    def shown(one: Scored) -> str:
        return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"

    value, low, high = found.difference
    n, word = found.real.n, "can" if found.told_apart else "cannot"
    return (
        f"At equal numbers ({n}/{n}) generated images score {shown(found.of_made)}, real {shown(found.real)}: "
        f"{word} be told apart (difference {value:+.2f}, {low:+.2f} to {high:+.2f}). "
        "Neither likeness nor variety within a class is part of this score; another score network gives other numbers."
    )


def _table(found: EqualNumbers, asked: Study) -> Iterator[str]:
    """Yield the rows, published figures before ours."""
    yield f"{'images':<38}{'1 split':>9}{'10 splits':>11}   95 % CI of 1 split"
    for metric, what in ((f"{SCORE}-floor", "real"), (SCORE, "generated")):
        for figure in asked.published:
            if figure.metric == metric and figure.value is not None:
                yield f"{f'published: {what} (network unknown)':<38}{figure.value:>9.4f}"
    rows = ((f"{found.real.n} real", found.real), (f"{found.made.n} generated", found.made),
            (f"{found.of_made.n} of the generated, equal numbers", found.of_made))  # fmt: skip
    for title, one in rows:
        in_ten = "" if np.isnan(one.in_ten) else f"{one.in_ten:.4f}"
        yield f"{title:<38}{one.value:>9.4f}{in_ten:>11}   {one.low:.4f} to {one.high:.4f}"


def _study_of(catalogue: Catalogue, name: str) -> Study:
    if name.endswith(".toml"):
        return studies.read(Path(name))
    if name in catalogue.names("study"):
        return studies.read(catalogue.registered("study", name))
    return studies.build({"name": "inception", "datasets": [name]})


def _resolve_judge(catalogue: Catalogue, text: str) -> tuple[Any, Any]:
    """Return the extractor and the score.

    Raises:
        UsageError: If the extractor gives no class probabilities, or is trained within a fold.
    """
    judge: Any = catalogue.resolve("extractor", text)
    if not hasattr(judge, "probabilities") or hasattr(judge, "fit"):
        raise UsageError(f"--extractor {text}: gives no class probabilities by itself; use {EXTRACTOR}.")
    getattr(judge, "check", lambda: None)()
    return judge, catalogue.resolve("score", SCORE)


def _draw(recipe: Any, train: Samples, made: int, steps: int, seed: int, device: str) -> np.ndarray:
    """Fit the generator and draw from it, classes in the proportion of the training images."""
    from medbench.testing import SandboxContext

    with tempfile.TemporaryDirectory() as place:
        context = SandboxContext(Path(place), Budget(generator_steps=steps), device, base=seed)
        sampler = recipe.fit(train, context)
    labels = np.sort(np.resize(np.random.default_rng(seed).permutation(train.labels), made))
    return np.asarray(sampler.sample(labels, seed))
