"""The built-in classifiers: each fits, predicts, stays as it was, and imports nothing heavy before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import medbench
from medbench.interfaces import Budget
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples
from medbench_plugins.classifiers import register_classifiers
from medbench_plugins.classifiers.monai_nets import NETWORKS, Monai
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import VGG16, InceptionV3, Timm
from medbench_plugins.networks.small import Resized, depends_on_all_pixels

ALL = {classifier.name: classifier for classifier in register_classifiers()}
HEAVY = {"vgg16", "inception-v3", "densenet121-3d", "resnet18-3d"}
CASES = [
    pytest.param(name, dimensions, marks=[pytest.mark.slow] if name in HEAVY else [])
    for name, classifier in ALL.items()
    for dimensions in (2, 3)
    if f"{dimensions}d" in classifier.takes
    and (name, dimensions) != ("monai", 3)  # densenet121-3d, once more
    and name not in ("unet-features", "pretrained-on")  # they want masks and a source: test_unet.py, test_transfer.py
]


def check(classifier: Any, context: SandboxContext, *, dimensions: int = 2, size: int = 16, channels: int = 1) -> Any:
    """Fit two steps on tiny images and look at the probabilities."""
    context.budget = Budget(steps=2, batch=4)
    samples = toy_samples(9, classes=3, dimensions=dimensions, size=size, channels=channels, images_per_patient=1)
    x = samples.x.copy()

    predictor = check_recipe_is_unchanged(
        classifier, lambda: classifier.fit(medbench.TrainingSet(samples), samples.take([0, 1, 2]), context)
    )
    probabilities = predictor(samples.x)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (9, 3)
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-9)
    assert np.array_equal(samples.x, x)
    assert {"train_loss", "validation_loss", "still_improving", "steps", "parameters"} <= set(predictor.facts)
    return predictor


@pytest.mark.parametrize(("name", "dimensions"), CASES)
def test_every_classifier_fits_and_predicts(context: SandboxContext, name: str, dimensions: int) -> None:
    check(ALL[name], context, dimensions=dimensions)


def test_names_are_those_promised() -> None:
    assert list(ALL) == [
        "small-cnn",
        "vgg16",
        "inception-v3",
        "timm",
        "densenet121-3d",
        "resnet10-3d",
        "resnet18-3d",
        "monai",
        "unet-features",
        "pretrained-on",
    ]


def test_listing_them_imports_nothing_heavy() -> None:
    code = "import sys, medbench_plugins.classifiers, medbench_plugins.metrics as m; m.register_metrics()"
    code += "; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"torch", "timm", "monai", "sklearn", "pooch", "huggingface_hub"} & set(loaded)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_small_network_learns_and_repeats_itself(context: SandboxContext, dimensions: int) -> None:
    context.budget = Budget(steps=60, batch=16)
    samples = toy_samples(60, classes=3, dimensions=dimensions)
    unseen = toy_samples(30, classes=3, dimensions=dimensions, seed=1)

    predictors = [SmallCNN(width=8).fit(medbench.TrainingSet(samples), samples.take([]), context) for _ in range(2)]

    assert (predictors[0](unseen.x).argmax(1) == unseen.labels).mean() > 0.9
    assert np.array_equal(predictors[0](unseen.x), predictors[1](unseen.x))


def test_a_narrow_head_makes_vgg16_a_quarter_of_its_size(context: SandboxContext) -> None:
    assert check(VGG16(head="narrow"), context, channels=3).facts["parameters"] < 31e6


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "mixer_s32_224", "test_efficientnet", "vgg16.tv_in1k"])
def test_any_model_of_timm_takes_small_images(context: SandboxContext, model: str) -> None:
    if model.startswith("vgg16"):
        Timm(model=model).check()
    else:
        check(Timm(model=model), context, size=28)


def built(classifier: Any, size: int, dimensions: int) -> tuple[torch.nn.Module, tuple[int, ...]]:
    samples = toy_samples(4, dimensions=dimensions, size=size)
    blueprint = classifier.blueprint(samples)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = blueprint.build()
    small = size < blueprint.min_size
    return (Resized(network, blueprint.min_size) if small else network), samples.x.shape[1:]


SEEING = [(name, d) for name, d in (param.values for param in CASES)]
OF_TIMM = ["test_vit", "vit_tiny_patch16_224", "convnext_atto", "efficientnet_b0"]


@pytest.mark.parametrize(
    ("classifier", "dimensions", "sizes"),
    [
        *(pytest.param(ALL[name], d, (28, 33), id=f"{name}-{d}") for name, d in SEEING if name != "vgg16"),
        pytest.param(VGG16(head="narrow"), 2, (28, 33), id="vgg16-narrow"),
        *(pytest.param(Timm(model=model), 2, (28, 40), id=model) for model in OF_TIMM),
        pytest.param(InceptionV3(), 2, (96,), id="inception-v3-96"),
    ],
)
def test_every_network_sees_the_first_and_the_last_row_column_and_slice(
    classifier: Any, dimensions: int, sizes: tuple[int, ...]
) -> None:
    """A change of them changes the logits of random weights: patches of 16 used to leave 12 of 28 pixels out."""
    for size in sizes:
        network, shape = built(classifier, size, dimensions)
        assert depends_on_all_pixels(network, shape), size


def test_what_a_network_misses_is_found() -> None:
    assert not depends_on_all_pixels(
        torch.nn.Sequential(torch.nn.Conv2d(1, 2, 16, 16), torch.nn.Flatten()), (1, 28, 28)
    )
    assert depends_on_all_pixels(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 14, 14), torch.nn.Flatten()), (1, 28, 28))


@pytest.mark.parametrize("size", [28, 40])
def test_a_fitted_transformer_answers_to_its_last_row_and_column(context: SandboxContext, size: int) -> None:
    predictor = check(Timm(model="test_vit"), context, size=size)
    x = toy_samples(2, size=size).x
    for place in (np.s_[:, :, -1], np.s_[:, :, :, -1]):
        changed = x.copy()
        changed[place] = 255 - changed[place]
        assert not np.array_equal(predictor(x), predictor(changed))


@pytest.mark.parametrize("model", ["resnt18", "resnet18.bogus", "hf_hub:timm/resnet18", "", "local-dir:/"])
def test_a_model_timm_does_not_have_is_a_usage_error(context: SandboxContext, model: str) -> None:
    samples = toy_samples(4)

    with pytest.raises(medbench.UsageError, match="timm has no model named"):
        Timm(model=model).fit(medbench.TrainingSet(samples), samples, context)


def test_a_misspelled_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(medbench.UsageError, match="did you mean resnet18"):
        Timm(model="resnt18").check()


def test_every_network_of_monai_that_is_offered_exists() -> None:
    from monai.networks import nets

    assert all(hasattr(nets, name) or name.startswith("efficientnet-") for name in NETWORKS)
    with pytest.raises(medbench.UsageError, match="no network named 'Densenet121'; there are DenseNet121"):
        Monai(network="Densenet121")


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("network", ["SEResNet50", "efficientnet-b0", "resnet34"])
def test_networks_of_monai_fit_in_two_and_three_dimensions(
    context: SandboxContext, network: str, dimensions: int
) -> None:
    check(Monai(network=network), context, dimensions=dimensions)


def test_published_weights_of_medicalnet_have_the_shapes_of_ours(tmp_path: Path, context: SandboxContext) -> None:
    """MedicalNet's files: names begin with "module.", a conv_seg of its own, no fc, one input channel."""
    import torch
    from monai.networks.nets import ResNetFeatures

    from medbench_plugins.classifiers.monai_nets import ResNet10In3D

    given = {f"module.{k}": v for k, v in ResNetFeatures("resnet10", pretrained=False).state_dict().items()}
    given = {name: tensor for name, tensor in given.items() if ".fc." not in name}
    given["module.conv_seg.0.weight"] = torch.zeros(2, 2)
    torch.save({"state_dict": given}, tmp_path / "resnet_10.pth")
    context.budget = Budget(steps=1, batch=2)
    samples = toy_samples(4, dimensions=3, channels=2)

    recipe = ResNet10In3D(lr=0.0, pretrained=tmp_path / "resnet_10.pth")
    predictor = recipe.fit(medbench.TrainingSet(samples), samples.take([]), context)

    name = "layer4.0.conv2.weight"
    np.testing.assert_array_equal(predictor.state()[name], given[f"module.{name}"].numpy())


@pytest.mark.parametrize(("recipe", "wrong"), [(lambda: SmallCNN(width=0), "width is 0")], ids=["small-cnn"])
def test_impossible_fields_are_usage_errors(recipe: Any, wrong: str) -> None:
    with pytest.raises(medbench.UsageError, match=wrong):
        recipe()
