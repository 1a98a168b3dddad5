"""A 3-D encoder by file: MedicalNet's format, written from a random network. What `plan` refuses: test_weights.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import medbench
from medbench.testing import check_extractor
from medbench_plugins.extractors.monai_features import MonaiFeatures


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    from monai.networks.nets.resnet import resnet10

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet10(spatial_dims=3, n_input_channels=1, feed_forward=False, bias_downsample=False)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            norm.running_mean, norm.running_var = torch.full_like(norm.running_mean, -0.1), norm.running_var * 2
    return network.eval()


@pytest.fixture(scope="module")
def files(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MedicalNet's file as it is published."""
    folder = tmp_path_factory.mktemp("files")
    good = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    good["module.conv_seg.0.weight"] = torch.zeros(512, 32, 2, 2, 2)
    torch.save({"state_dict": good}, folder / "resnet_10.pth")
    return folder


def test_features_are_those_of_the_network_on_standardised_volumes(network: torch.nn.Module, files: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 1, 16, 18, 20), dtype=np.uint8)
    x[4] = 7  # nothing to see: no division by 0
    seen = MonaiFeatures(weights=files / "resnet_10.pth").features(x)

    volumes = torch.from_numpy(x[:4].astype(np.float32))
    standardised = (volumes - volumes.mean((1, 2, 3, 4), keepdim=True)) / volumes.std(
        (1, 2, 3, 4), keepdim=True, correction=0
    )
    with torch.inference_mode():
        expected = network(standardised).numpy()
    assert seen.shape == (6, 512)
    assert np.allclose(seen[:4], expected, atol=1e-4)
    assert np.isfinite(seen).all()
    assert np.array_equal(seen[5:], MonaiFeatures(weights=files / "resnet_10.pth").features(x[5:]))


def test_it_keeps_the_contract_takes_colours_and_resizes(files: Path, tmp_path: Path) -> None:
    extractor = MonaiFeatures(weights=files / "resnet_10.pth")
    x = np.random.default_rng(1).integers(0, 256, (2, 1, 8, 8, 8), dtype=np.uint8)
    check_extractor(extractor, tmp_path)

    assert np.allclose(extractor.features(x.repeat(2, axis=1)), extractor.features(x), atol=1e-4)
    assert not np.allclose(MonaiFeatures(weights=files / "resnet_10.pth", size=16).features(x), extractor.features(x))
    with pytest.raises(medbench.Skip, match="takes volumes"):
        extractor.features(x[:, :, 0])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "resnet11"}, r"monai-features\.model: got 'resnet11'; give one of resnet10"),
        ({}, r"monai-features\.weights: no file is named"),
        ({"weights": Path("x.pth"), "size": 4}, r"monai-features\.size: got 4"),
    ],
)
def test_fields_out_of_their_range_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(medbench.UsageError, match=says):
        MonaiFeatures(**fields).check()  # type: ignore[arg-type]
