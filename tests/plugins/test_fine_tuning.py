"""Fine-tuning: the trunk of a pretrained network learns slower than its head; small images are enlarged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import medbench
from medbench.interfaces import Budget
from medbench.registry.describe_recipe import describe, describe_for_seeds
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.classifiers.monai_nets import Monai, ResNet10In3D
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import VGG16, Timm
from medbench_plugins.networks.small import SmallCNN as Network


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_file(Network(1, 2, width=8).state_dict(), tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def moved(classifier: Any, context: SandboxContext, file: Path, **more: Any) -> tuple[float, float, dict[str, Any]]:
    """Return how far biases of trunk and head went in one step, and the facts: Adam's first step is the rate."""
    from safetensors.numpy import load_file

    context.budget = Budget(steps=1, batch=8)
    samples = toy_samples(16)
    predictor = classifier.fit(medbench.TrainingSet(samples, **more), samples.take([]), context)
    state, before = predictor.state(), load_file(file)
    if "bags" in more:  # the first network of two
        state = {name.removeprefix("networks.0."): array for name, array in state.items() if "networks.1." not in name}
    far = [float(np.abs(state[name] - before[name]).max()) for name in ("features.1.bias", "head.bias")]
    return far[0], far[1], dict(predictor.facts)


def test_the_trunk_learns_at_a_part_of_the_heads_rate(file: Path, context: SandboxContext) -> None:
    trunk, head, facts = moved(SmallCNN(width=8, lr=1e-3, pretrained=file), context, file)
    assert (trunk, head) == pytest.approx((1e-4, 1e-3), rel=1e-2)
    assert facts["trunk"] == 0.1

    trunk, head, facts = moved(SmallCNN(width=8, lr=1e-3, pretrained=file, trunk=1.0), context, file)
    assert (trunk, head) == pytest.approx((1e-3, 1e-3), rel=1e-2)
    assert "trunk" not in facts

    trunk, head, _ = moved(SmallCNN(width=8, lr=1e-3, pretrained=file, trunk=0.0), context, file)
    assert (trunk, head) == (0.0, pytest.approx(1e-3, rel=1e-2))


def test_a_resized_network_has_the_same_trunk_and_head(context: SandboxContext, tmp_path: Path) -> None:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(2)
        save_file(timm.create_model("test_resnet", num_classes=2).state_dict(), tmp_path / "t.safetensors")
    context.budget = Budget(steps=1, batch=4)
    samples = toy_samples(8, size=28, channels=3)
    fitted: Any = Timm(model="test_resnet", pretrained=tmp_path / "t.safetensors", size=64, trunk=0.0).fit(
        medbench.TrainingSet(samples), samples.take([]), context
    )
    begun = timm.create_model(
        "test_resnet", num_classes=2, checkpoint_path=str(tmp_path / "t.safetensors")
    ).state_dict()

    assert fitted.network.size == 64
    for name, array in fitted.network.network.state_dict().items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            assert torch.equal(array.cpu(), begun[name]) is not name.startswith("fc."), name


def test_what_begins_from_another_fit_has_one_rate(file: Path, context: SandboxContext) -> None:
    from safetensors.numpy import load_file

    context.budget = Budget(steps=1, batch=8)
    samples, start = toy_samples(16), load_file(file)
    fitted: Any = SmallCNN(width=8, lr=1e-3).fit(medbench.TrainingSet(samples), samples.take([]), context, start=start)

    assert np.abs(fitted.state()["features.1.bias"] - start["features.1.bias"]).max() == pytest.approx(1e-3, rel=1e-2)


def test_recipes_from_scratch_are_what_they_were_and_others_name_their_rate(file: Path) -> None:
    for classifier in (SmallCNN(), VGG16(), Timm(), ResNet10In3D(), Monai()):
        assert "trunk" not in describe(classifier)
        assert "trunk" not in describe_for_seeds(classifier)
        assert type(classifier)(trunk=0.5) == classifier  # without weights it is without effect
        begun = replace(classifier, pretrained=file)
        assert begun.trunk == describe(begun)["trunk"] == 0.1
        assert replace(begun, pretrained=None) == classifier
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(medbench.UsageError, match=r"small-cnn\.trunk: got"):
            SmallCNN(pretrained=file, trunk=wrong)


@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_small_images_are_enlarged_to_the_size_and_large_ones_left(model: str) -> None:
    def least(size: int) -> int:
        return Timm(model=model, size=64).blueprint(toy_samples(2, size=size)).min_size

    assert least(28) == 64
    assert least(96) == 96
    with pytest.raises(medbench.UsageError, match=r"timm\.size: got 5"):
        Timm(size=5).check()
