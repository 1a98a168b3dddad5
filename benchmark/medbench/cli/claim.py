"""``medbench claim``: a published gain examined from its figures alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from medbench.analyses.claim_facts import CHOICES
from medbench.api.claim import Claims, claim_files, claims_in
from medbench.api.claim import claim as examine_claim
from medbench.errors import UsageError
from medbench.tables.claim import render
from medbench.tables.writers.terminal import screen_of


# One parameter per option of the command line.
@click.command(short_help="Say how far to believe a published gain, from its figures alone.")
@click.argument("study", metavar="[STUDY]", required=False)
@click.option("--n", metavar="IMAGES", help="Test images.")
@click.option("--from", "before", metavar="FIGURE", help="Of the method that it is compared with, as published: 70.0.")
@click.option("--to", "after", metavar="FIGURE", help="Of the method that is said to be better, with all its digits.")
@click.option("--metric", type=click.Choice(CHOICES["metric"]), help="What was measured; accuracy by default. "
              "Sensitivity and specificity are recall.")  # fmt: skip
@click.option("--classes", metavar="N/N", help="Test images of each class: 140/52. For an AUROC diseased/healthy.")
@click.option("--agreement", metavar="SHARE", help="Share of the images on which both are right or both wrong, 0 to 1.")
@click.option("--correlation", metavar="R", help="Of two AUROCs of the same images, 0 to 1.")
@click.option("--n-to", metavar="IMAGES", help="Test images of the second method, where they are other ones.")
@click.option("--patients", metavar="N", help="Patients whose images were tested.")
@click.option("--comparisons", metavar="M", help="Methods or settings of which the best is reported.")
@click.option("--worth", metavar="POINTS", help="Smallest gain that is relevant to you, in points; 2 by default.")
@click.option("--split-by", type=click.Choice(CHOICES["split-by"]), help="What was split into training and test.")
@click.option("--selected-on", type=click.Choice(CHOICES["selected-on"]), help="What the epoch was chosen on.")
@click.option("--augmented-before-split", is_flag=True, help="Images were added before the split.")
@click.option("--synthetic-scored", is_flag=True, help="Added images are among the scored ones.")
@click.option("--fitted-on-all", is_flag=True, help="A scaler, encoder or generator learned from test images.")
@click.option("--longer-training", is_flag=True, help="The method was trained for more steps than the other.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--plain", is_flag=True, help="ASCII only.")
def claim(study: str | None, as_json: bool, plain: bool, **facts: Any) -> None:
    """Say how far to believe a published gain, from its figures alone: no images, no training.

    \b
      medbench claim --n 192 --from 70.0 --to 99.3 --comparisons 12
      medbench claim spine-hybrid

    STUDY is a published study that medbench knows, or a TOML file with a [[claim]] table for each claim, whose keys are
    these options.
    """
    given = {key: value for key, value in facts.items() if value not in (None, False)}
    if study is not None and given:
        raise UsageError("a study has figures of its own; leave out either its name or the options.")
    if study is None and not given:
        raise UsageError("which claim? Give figures, as in `medbench claim --n 192 --from 70 --to 99`, or a study.")
    if study is not None:
        found = _of_study(study)
    else:
        found = examine_claim(given.pop("before", None), given.pop("after", None), **given)
    click.echo(found.write("json") if as_json else render(found.found, screen=screen_of(sys.stdout, plain=plain)))


def _of_study(study: str) -> Claims:
    if Path(study).suffix == ".toml" or Path(study).is_file():
        return claims_in(Path(study))
    from medbench.registry.plugins import load  # numbers alone do not wait for plugins
    from medbench.registry.recipes import did_you_mean, listing

    catalogue = load()
    known = claim_files([catalogue.registered("study", name) for name in catalogue.names("study")])
    if study not in known:
        raise UsageError(
            f"no claims of {study!r} are known{did_you_mean(study, known)}; there are those of {listing([*known])}, or "
            "give a TOML file."
        )
    return claims_in(known[study])
