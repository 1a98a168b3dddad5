"""The studies that are shipped: they name what is registered, quote what was published, and say which cut is whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medbench.planning import study
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import parse

DOCS = Path(__file__).parents[2] / "docs" / "studies"
RERUN = ("brain-features", "mediaug", "spine-hybrid", "thyroid-gan", "xray-transfer")

PRETRAINED = "unet-features[width=64,source=source-brain-tumour:slices[modalities=flair,slices=50,chosen=brain]]"
SHARP = "changed-offline[generator=changed[changes=rot45/hflip/rot270/vflip/crop/zoom/shear,sharpen=true],ratio=7.0]"
# Read from the publications by hand, not from the files: (arm or its beginning, classifier, metric) and the figure.
FIGURES: dict[str, dict[tuple[str, str, str], float | None]] = {
    "spine-hybrid": {
        (arm, network, "accuracy"): value
        for arm, of_vgg, of_inception in (
            ("none", 70.00, 78.28),
            ("geometric-offline", 94.07, 83.09),
            ("wgan[generator=rare-only,fill=balance]", 97.07, 91.85),
            ("hybrid-offline[generator=rare-only]", 99.31, 99.13),
            ("changed-offline", 81.65, 80.92),
            ("changed-offline[generator=changed[changes=hflip]]", 81.36, 77.31),
            ("changed-offline[generator=changed[changes=rot270]]", 82.30, 83.67),
            ("changed-offline[generator=changed[changes=vflip]]", 72.25, 72.25),
            ("changed-offline[generator=changed[changes=crop]]", 81.79, 81.21),
            ("changed-offline[generator=changed[changes=zoom]]", 72.25, 75.65),
            ("changed-offline[generator=changed[changes=shear]]", 82.30, 82.44),
            ("changed-offline[generator=changed[changes=rot45/rot270/shear],ratio=3.0]", 88, 83),
            ("changed-offline[generator=changed[changes=vflip/zoom/hflip],ratio=3.0]", 81, 80),
            (SHARP, 95.15, None),
        )
        for network, value in (("vgg16", of_vgg), ("inception-v3", of_inception))
        if value is not None
    },
    "thyroid-gan": {("dcgan", "", "inception-score-floor"): 1.4298, ("dcgan", "", "inception-score"): 1.1263},
    "brain-features": {
        ("feature-none", PRETRAINED, "recall-HGG"): 95.0,
        ("feature-none", PRETRAINED, "recall-LGG"): 5.0,
        ("feature-none", PRETRAINED, "accuracy"): 61.0,
        ("feature-acgan", PRETRAINED, "recall-HGG"): 56.9,
        ("feature-acgan", PRETRAINED, "recall-LGG"): 38.4,
        ("feature-acgan", PRETRAINED, "accuracy"): 52.4,
    },
    "xray-transfer": {},
    "mediaug": {
        ("self-mix", "timm[model=resnet50]", "accuracy"): 79.19,
        ("self-jitter", "timm[model=vit_base_patch32_224]", "accuracy"): 99.44,
    },
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return plugins.load()


@pytest.fixture(params=RERUN)
def rerun(request: pytest.FixtureRequest, catalogue: Catalogue) -> Study:
    return study.read(catalogue.registered("study", request.param))


def test_the_published_figures_are_those_of_the_publication(rerun: Study) -> None:
    whole = rerun.name == "spine-hybrid"
    known = {
        (p.arm if whole else p.arm.partition("[")[0], p.classifier, p.metric): 100 * p.value if p.is_share else p.value
        for p in rerun.published
        if p.value is not None
    }

    assert known == pytest.approx(FIGURES[rerun.name])


def test_what_was_not_found_is_stated_and_has_a_source(rerun: Study) -> None:
    assert rerun.published
    assert all(p.source for p in rerun.published)
    if rerun.name == "xray-transfer":
        assert [p.value for p in rerun.published] == [None, None]


def test_one_protocol_is_the_study_s_own_and_one_is_honest(rerun: Study) -> None:
    honest = [protocol(text).is_honest for text in rerun.protocols]

    assert honest[:2] == [False, True]
    assert all(honest[1:])  # mediaug has the official cut besides


def test_everything_a_study_names_is_registered_under_that_text(rerun: Study, catalogue: Catalogue) -> None:
    """A board writes a recipe as the catalogue does; a figure is matched with its row by that text."""
    for kind, texts in (
        ("dataset", [*rerun.datasets, *(p.dataset for p in rerun.published)]),
        ("augmenter", [*rerun.augmenters, *(p.arm for p in rerun.published)]),
        ("classifier", [*rerun.classifiers, *(p.classifier for p in rerun.published if p.classifier)]),
    ):
        for text in texts:
            recipe = catalogue.resolve(kind, text)
            assert kind == "dataset" or text in rerun.augmenters or catalogue.spec(recipe) == text


def test_every_figure_has_an_arm_that_is_run(rerun: Study, catalogue: Catalogue) -> None:
    def lineage(kind: str, texts: list[str]) -> set[str]:
        found: set[str] = set()
        waiting: list[Any] = [catalogue.resolve(kind, text) for text in texts]
        while waiting:
            recipe = waiting.pop()
            found.add(catalogue.spec(recipe))
            if (control := getattr(recipe, "control", None)) is not None:
                waiting.append(control)
        return found

    arms, classifiers = lineage("augmenter", rerun.augmenters), lineage("classifier", rerun.classifiers)

    assert {p.arm for p in rerun.published} <= arms
    assert {p.classifier for p in rerun.published if p.classifier} <= classifiers
    asked = [parse(p.dataset) for p in rerun.published if p.dataset]
    own = [parse(text) for text in rerun.datasets]
    assert all(any(f.name == d.name and set(f.parameters) <= set(d.parameters) for d in own) for f in asked)


def test_budgets_are_for_real_use(rerun: Study) -> None:
    assert rerun.budget.steps >= 1500
    assert (rerun.folds, rerun.repeats) == (5, 3)  # what a verdict takes
    assert not any(text.startswith("phantom:") for text in rerun.datasets)


def test_every_study_has_a_page_with_its_command(rerun: Study) -> None:
    page = (DOCS / f"{rerun.name}.md").read_text()

    assert f"medbench run {rerun.name} " in page
    assert f"[{rerun.name}]({rerun.name}.md)" in (DOCS / "index.md").read_text()
    for heading in ("What the study did", "Its flaws", "What differs here"):
        assert heading in page


def test_sums_in_notes_are_right() -> None:
    """The arithmetic that notes quote, from the counts of the publications."""
    assert round(100 * 1000 / 1192, 1) == 83.9
    assert round(100 * 1000 / 1384, 2) == 72.25
    assert round(5.925 * (860 + 948)) == 1808 + 3 * 2968  # as many images added as hybrid-offline has
    assert 1000 + 8 * (140 + 52) == 2536
    assert 4 * 2968 == 11_872
    for high, low, total, balanced in ((0.95, 0.05, 0.622, 0.5), (0.569, 0.384, 0.501, 0.4765)):
        assert round((362 * high + 208 * low) / 570, 3) == total
        assert (high + low) / 2 == pytest.approx(balanced)
