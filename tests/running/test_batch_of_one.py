"""A batch of one and networks with batch norms: refused in the plan, before anything is trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench_plugins.classifiers.monai_nets import ResNet10In3D
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import VGG16, Timm
from medbench_plugins.classifiers.unet import UNetFeatures


def like(*spatial: int) -> medbench.Samples:
    x = np.zeros((0, 1, *spatial), dtype=np.uint8)
    none = np.array([], dtype=np.str_)
    return medbench.Samples(x, np.array([], dtype=np.int64), none, none, none, sources=(), classes=("no", "yes"))


@pytest.mark.parametrize(
    ("classifier", "spatial"),
    [(SmallCNN(), (8, 8)), (Timm(model="resnet10t"), (1, 1)), (ResNet10In3D(), (16,) * 3), (UNetFeatures(), (16, 16))],
    ids=lambda c: getattr(c, "name", ""),
)
def test_a_network_that_cannot_learn_from_one_image_says_so(classifier: Any, spatial: tuple[int, ...]) -> None:
    with pytest.raises(medbench.UsageError, match=rf"batch=1: {classifier.name} has batch norms.*batch=2"):
        classifier.check_images(like(*spatial), medbench.Budget(batch=1))
    classifier.check_images(like(*spatial), medbench.Budget(batch=2))


@pytest.mark.parametrize(
    ("classifier", "spatial"), [(SmallCNN(), (32, 32)), (VGG16(head="narrow"), (8, 8)), (UNetFeatures(), (32, 32))]
)
def test_a_network_that_can_is_let_through(classifier: Any, spatial: tuple[int, ...]) -> None:
    classifier.check_images(like(*spatial), medbench.Budget(batch=1))


@pytest.mark.parametrize("command", ["plan", "run"])
def test_plan_and_run_refuse_it_before_any_training(tmp_path: Path, command: str) -> None:
    words = [command, "-d", "phantom:ddti:benign-malignant", "-c", "small-cnn", "-a", "none", "--folds", "2",
             "--repeats", "1", "--budget", "steps=3,batch=1,size=8", "--results", str(tmp_path / "runs")]  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "medbench", *words],
        capture_output=True, text=True, env={"MEDBENCH_CACHE": str(tmp_path / "cache")}, check=False,
    )  # fmt: skip

    assert ran.returncode == 2, ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("Error: budget batch=1: small-cnn has batch norms")
    assert "8 x 8 pixels" in last
    assert not list(tmp_path.rglob("spec.json"))
