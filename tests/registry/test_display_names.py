"""Recipes are shown under names that people read; what is not known keeps its own."""

from __future__ import annotations

import pytest

from medbench.registry import plugins
from medbench.registry.display_names import (
    CLASSIFIERS,
    DATASETS,
    GENERATORS,
    METHODS,
    OF_GENERATORS,
    classifier_name,
    dataset_name,
    method_name,
    step_name,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hybrid", "hybrid: AC-GAN images"),
        ("hybrid[generator=reacgan]", "hybrid: ReACGAN images"),
        ("hybrid[generator=acgan[steps=500],fill=balance]", "hybrid: AC-GAN images (steps=500, fill=balance)"),
        ("copies", "copied images"),
        ("mixup[alpha=0.4]", "mixup (alpha=0.4)"),
        ("own-method[strength=2]", "own-method (strength=2)"),
        ("not a recipe[", "not a recipe["),
    ],
)
def test_methods_have_names_for_people(text: str, name: str) -> None:
    assert method_name(text) == name


@pytest.mark.parametrize(
    ("text", "control", "name"),
    [
        ("geometric", "balanced", "+ rotations, flips, zoom"),
        ("hybrid[generator=resample]", "geometric", "+ copied images"),
        ("hybrid", "hybrid[generator=resample]", "hybrid: AC-GAN images"),
        ("balanced", "", "class balancing"),
    ],
)
def test_a_method_that_adds_something_says_so(text: str, control: str, name: str) -> None:
    assert step_name(text, control) == name


def test_classifiers_and_data_sets_have_names_for_people() -> None:
    catalogue = plugins.load(installed=False)
    timm, monai = (catalogue.registered("classifier", name) for name in ("timm", "monai"))
    assert classifier_name("timm[model=resnet18]") == "resnet18 (timm)"
    assert classifier_name("frozen[penalty=10]") == "Linear layer on frozen efficientnet_lite0 features (penalty=10)"
    assert classifier_name("frozen[head=knn]") == "Nearest neighbours on frozen efficientnet_lite0 features"
    assert classifier_name("frozen[encoder=slices[extractor=timm-features[size=96]]]") == (
        "Linear layer on frozen efficientnet_lite0 (size=96) features of slices"
    )
    assert classifier_name("small-cnn") == "Small CNN"
    assert classifier_name("timm") == classifier_name(f"timm[model={timm.model}]") == "resnet18 (timm)"
    begun = "timm[model=efficientnet_lite0,pretrained=imagenet,trunk=0.1,size=224]"
    assert classifier_name(begun) == "efficientnet_lite0 (timm), ImageNet weights (size=224)"
    assert classifier_name("small-cnn[pretrained=/a/b.pth,trunk=1.0]") == "Small CNN, weights of b.pth (trunk=1.0)"
    assert classifier_name("monai") == classifier_name(f"monai[network={monai.network}]") == "DenseNet121 (MONAI)"
    assert dataset_name("phantom:ddti:benign-malignant") == (
        "Thyroid ultrasound, benign or malignant (SYNTHETIC images)"
    )
    assert dataset_name("medmnist[flag=adrenalmnist3d,size=64]") == "AdrenalMNIST3D (size=64)"
    assert dataset_name("folder[patient=(.*)_]", "brain-mr") == "brain-mr"
    assert dataset_name("strange[") == "strange["


def test_every_built_in_has_a_name_and_no_name_is_left_over() -> None:
    catalogue = plugins.load(installed=False)
    named = {
        "augmenter": {*METHODS, *OF_GENERATORS},
        "generator": set(GENERATORS),
        "classifier": {*CLASSIFIERS, "timm", "monai", "pretrained-on", "frozen"},
        "dataset": {*DATASETS, "medmnist", "source-folder"},
    }
    for kind, names in named.items():
        assert set(catalogue.names(kind)) == names
