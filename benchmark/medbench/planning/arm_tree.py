"""The tree of arms: which augmenters a study runs with which classifiers, each under its control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medbench.data.describe import DatasetDescription
from medbench.data.transfer_sources import datasets_in, key_of_dataset
from medbench.errors import UsageError
from medbench.identity.identity import core_code, digest, identity
from medbench.interfaces import Augmenter, Classifier, cut_in_two
from medbench.planning.arms import Arm, Skipped
from medbench.planning.study import Study
from medbench.registry.catalogue import Catalogue
from medbench.registry.describe_recipe import with_inner
from medbench.registry.recipes import parameters_of
from medbench.registry.source_lines import source_line


def arms_of(
    study: Study, catalogue: Catalogue, source: DatasetDescription, augmenters: Sequence[Augmenter]
) -> tuple[tuple[Arm, ...], list[Skipped]]:
    """Return the arms of a data set, controls before what stands on them, and what makes no sense there.

    Args:
        study: What is asked.
        catalogue: What is registered.
        source: Data set.
        augmenters: Those that the study names.

    Raises:
        UsageError: If no classifier is named and none that is registered fits.
    """
    tree = _tree(augmenters, catalogue, controls=study.controls, companions=study.companions)
    asked = {catalogue.spec(a) for a in augmenters}
    identities: dict[str, str] = {}
    skipped: list[Skipped] = []
    found: dict[tuple[str, str], Arm] = {}
    for classifier in _classifiers(study, catalogue, source):
        # Where a classifier claims something itself, augmenters meet their controls under its last control only.
        is_root = catalogue.control("classifier", classifier) is None
        of_classifier = tree if is_root or not study.controls else augmenters
        text = catalogue.spec(classifier)
        for augmenter in of_classifier:
            name = catalogue.spec(augmenter)
            reason = misfit(augmenter, classifier, source.dimensions)
            if not reason:
                arm = _arm(study, catalogue, source, augmenter, classifier, identities, asked=name in asked)
                found.setdefault(arm.key, arm)
            elif name in asked or not study.controls:
                skipped.append(Skipped(source.text, name, text, reason))
    return tuple(found.values()), skipped


def misfit(augmenter: Augmenter, classifier: Classifier, dimensions: int) -> str:
    """Say why a combination makes no sense; empty where it does."""
    takes = classifier.takes
    if augmenter.space == "features":
        cut = cut_in_two(classifier)
        if cut is None:
            return f"{classifier.name} cannot be cut into an encoder and a head"
        takes = cut[1].takes | {f"{d}d" for d in (2, 3) if f"{d}d" in takes}
    if f"{dimensions}d" not in takes:
        has = " and ".join(sorted(t.upper().replace("D", "-D") for t in takes if t in ("2d", "3d")))
        return f"{classifier.name} takes {has or 'no'} images, the data are {dimensions}-D"
    if missing := augmenter.gives - takes:
        return f"{classifier.name} does not take the {' and '.join(sorted(missing))} that {augmenter.name} gives"
    works_on = {f"{d}d" for d in (2, 3)} & set(getattr(augmenter, "takes", ()))
    if works_on and f"{dimensions}d" not in works_on:
        return f"{augmenter.name} does not work on {dimensions}-D images"
    return ""


def warn_without_control(arms: Sequence[Arm], catalogue: Catalogue) -> Iterator[str]:
    """Say of each arm that names no control that it has no gain; medbench's own roots are meant to have none."""
    for name in dict.fromkeys(a.augmenter for a in arms if a.asked and not (a.plain or a.control or a.over)):
        recipe = catalogue.resolve("augmenter", name)
        if not catalogue.is_own(recipe):
            yield (
                f"{name} names no control, so it is compared with nothing and has no gain; set its control to what it "
                f'is without its ingredient, as control = "balanced" ({source_line(recipe, "control")})'
            )


def extractor_of(study: Study, catalogue: Catalogue, augmenter: Augmenter) -> str:
    """Return the extractor that scores an arm's synthetic images; empty for the default one, and without such images.

    One that is trained is part of what a trial is, since its training is. Others are not: scores are computed again
    from stored generators.
    """
    text = study.extractor
    if not text or augmenter.space != "pixels" or "samples" not in augmenter.gives:
        return ""
    usual = next(iter(catalogue.items("extractor")), None)
    return "" if catalogue.resolve("extractor", text) == usual else text


def _classifiers(study: Study, catalogue: Catalogue, source: DatasetDescription) -> list[Classifier]:
    texts = study.classifiers
    if texts:
        asked = [r for text in texts for r in catalogue.matching("classifier", text)]
        chains = [list(catalogue.lineage("classifier", r)) if study.controls else [r] for r in asked]
        return list({catalogue.spec(r): r for chain in chains for r in reversed(chain)}.values())  # globs may overlap
    for classifier in catalogue.items("classifier"):
        if f"{source.dimensions}d" in classifier.takes:
            return [classifier]
    raise UsageError(f"no registered classifier takes {source.dimensions}-D images; give one with -c.")


def _tree(
    augmenters: Sequence[Augmenter], catalogue: Catalogue, *, controls: bool, companions: bool
) -> list[Augmenter]:
    """Return the augmenters with their companions, their ancestors and the plain one, ancestors first, each once."""
    ordered: list[Augmenter] = []

    def add(augmenter: Augmenter) -> None:
        for recipe in reversed(list(catalogue.lineage("augmenter", augmenter)) if controls else [augmenter]):
            if recipe not in ordered:
                ordered.append(recipe)

    for augmenter in augmenters:
        add(augmenter)
        for companion in getattr(augmenter, "companions", ()) if companions else ():
            add(catalogue.named("augmenter", companion, augmenter, "companions"))
    if controls:
        for augmenter in catalogue.items("augmenter"):
            if not augmenter.gives and augmenter not in ordered:
                ordered.append(augmenter)
    return ordered


def _arm(
    study: Study,
    catalogue: Catalogue,
    source: DatasetDescription,
    augmenter: Augmenter,
    classifier: Classifier,
    identities: dict[str, str],
    *,
    asked: bool,
) -> Arm:
    def made_by(kind: str, text: str, recipe: Any) -> str:
        key = f"{kind} {text}"
        if key not in identities:
            identities[key] = digest(identity(recipe))
        return identities[key]

    name, text = catalogue.spec(augmenter), catalogue.spec(classifier)
    control, over = catalogue.control("augmenter", augmenter), catalogue.control("classifier", classifier)
    others = [(n, source.others[n]) for n in sorted(map(key_of_dataset, datasets_in(augmenter, classifier)))]
    scored = [(e, catalogue.resolve("extractor", e)) for e in (extractor_of(study, catalogue, augmenter),) if e]
    below = name if over is not None else catalogue.spec(control) if control is not None else ""
    return Arm(
        name,
        text,
        control=below,
        over=catalogue.spec(over) if over is not None else "",
        board=catalogue.spec(list(catalogue.lineage("classifier", classifier))[-1]) if study.controls else text,
        plain=not augmenter.gives and over is None,
        asked=asked,
        outside=bool(others) or any(_is_outside(recipe) for recipe in (augmenter, classifier)),
        made_by=digest(
            [
                made_by("augmenter", name, augmenter),
                made_by("classifier", text, classifier),
                core_code(),
                *([n, rows.made_of, len(rows)] for n, rows in others),
                *(made_by("extractor", e, x) for e, x in scored if hasattr(x, "fit")),
            ]
        ),
    )


def _is_outside(recipe: Any) -> bool:
    """Say whether a recipe, or one in its fields, names a file: of weights, for training sees no other."""
    return any(isinstance(value, Path) for part in with_inner(recipe) for value in parameters_of(part).values())
