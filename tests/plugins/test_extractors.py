"""Extractors: the same features for everybody, an image's own, and nothing fetched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.identity.identity import digest, identity
from medbench.registry.plugins import load
from medbench.testing import check_extractor, toy_samples
from medbench_plugins.extractors.inception import Inception
from medbench_plugins.extractors.monai_features import MonaiFeatures
from medbench_plugins.extractors.pictures import colour_blocks
from medbench_plugins.extractors.random_convolutions import LARGEST, RandomConvolutions, filters
from medbench_plugins.extractors.timm_features import TimmFeatures

WEIGHTS = "4fad8bd67d63c613df76bbf06a66dc18a47f48a20725123c8e9654dd5ce8f40d"


def images(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# -- random convolutions ------------------------------------------------------------------------------------------


def test_the_weights_are_the_same_for_everybody() -> None:
    """The digest is that of the published weights; another one would make other scores under the same name."""
    kernels = filters(1, (16, 32, 64), 2)

    assert [k.shape for k in kernels] == [(16, 1, 3, 3), (32, 16, 3, 3), (64, 32, 3, 3)]
    assert hashlib.sha256(b"".join(k.tobytes() for k in kernels)).hexdigest() == WEIGHTS


def test_the_weights_are_independent_of_torchs_generator_and_leave_it_alone() -> None:
    import torch

    x = images((4, 1, 16, 16))
    before = torch.random.get_rng_state()
    one = RandomConvolutions().features(x)
    touched = not torch.equal(before, torch.random.get_rng_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        filters.cache_clear()
        other = RandomConvolutions().features(x)

    assert not touched
    assert np.array_equal(one, other)


def test_random_convolutions_are_their_formula() -> None:
    """Two levels written out with scipy's correlation, in float64."""
    from scipy.ndimage import correlate

    x = images((2, 2, 12, 12), seed=1)
    first, second = (k.astype(np.float64) for k in filters(2, (3, 4), 2))
    expected = []
    for image in x / 127.5 - 1:
        told: list[np.ndarray] = []
        maps = image
        for level, kernel in enumerate((first, second)):
            if level:
                maps = maps.reshape(len(maps), 6, 2, 6, 2).mean((2, 4))
            maps = np.stack(
                [sum(correlate(m, w, mode="nearest") for m, w in zip(maps, out, strict=True)) for out in kernel]
            )
            maps = np.maximum(maps, 0)
            told += [16 * maps.mean((1, 2)), 16 * maps.std((1, 2))]
        expected.append(np.concatenate(told))

    assert RandomConvolutions((3, 4)).features(x) == pytest.approx(np.array(expected), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 33), (4, 12, 12, 12), (1, 5, 9)])
def test_an_images_features_are_its_own_to_the_bit(shape: tuple[int, ...]) -> None:
    x = images((21, *shape))
    all_at_once = RandomConvolutions().features(x)

    alone = np.concatenate([RandomConvolutions().features(x[i : i + 1]) for i in (0, 7, 20)])

    assert all_at_once.shape == (21, 224)
    assert all_at_once.dtype == np.float64
    assert np.array_equal(alone, all_at_once[[0, 7, 20]])
    assert RandomConvolutions().features(x[:0]).shape == (0, 224)


def test_large_images_are_averaged_to_the_size_that_is_looked_at() -> None:
    small = images((2, 1, 100, 100), seed=2)
    large = small.repeat(2, axis=2).repeat(2, axis=3)  # 200 pixels: blocks of two by two

    assert max(large.shape) > LARGEST[2]
    assert RandomConvolutions().features(large) == pytest.approx(RandomConvolutions().features(small), rel=1e-4)


def test_features_tell_texture_and_contrast_and_ignore_an_even_gray() -> None:
    noise = images((1, 1, 32, 32)) // 4
    smooth = noise[:, :, ::2, ::2].repeat(2, 2).repeat(2, 3)
    described = RandomConvolutions().features

    assert np.linalg.norm(described(noise) - described(smooth)) > 0.1 * np.linalg.norm(described(noise))
    assert described(noise * 2) == pytest.approx(2 * described(noise), rel=1e-3)
    assert described(noise + 90) == pytest.approx(described(noise), rel=1e-3, abs=1e-3)
    assert described(np.full((1, 1, 32, 32), 90, np.uint8)) == pytest.approx(np.zeros((1, 224)), abs=1e-4)


def test_bad_widths_are_refused() -> None:
    with pytest.raises(medbench.UsageError, match=r"random-convolutions\.widths"):
        RandomConvolutions(()).features(images((1, 1, 8, 8)))


def test_the_first_registered_extractor_needs_no_file_and_keeps_the_contract(tmp_path: Path) -> None:
    extractors = load(installed=False).items("extractor")

    assert [e.name for e in extractors] == [
        "random-convolutions",
        "timm-features",
        "inception",
        "own-classifier",
        "slices",
        "imagenet-classes",
        "monai-features",
    ]
    check_extractor(extractors[0], tmp_path)
    for without in (TimmFeatures(weights=None), extractors[2], MonaiFeatures()):
        with pytest.raises(medbench.Skip, match="no file is named"):
            check_extractor(without, tmp_path)


# -- networks with weights from a file ----------------------------------------------------------------------------


def test_gray_becomes_three_equal_channels_in_full_blocks() -> None:
    x = images((5, 1, 4, 4))

    blocks = list(colour_blocks(x, 4, what="it"))

    assert [b.shape for b in blocks] == [(4, 3, 4, 4), (4, 3, 4, 4)]
    assert np.array_equal(np.concatenate(blocks)[:5], x.repeat(3, axis=1))
    assert not blocks[1][1:].any()
    for odd in (images((2, 1, 4, 4, 4)), images((2, 2, 4, 4))):
        with pytest.raises(medbench.Skip, match="it takes 2-D images of one or three channels"):
            next(colour_blocks(odd, 4, what="it"))


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


def test_timm_features_are_those_of_the_network_itself(timm_weights: Path) -> None:
    import timm
    import torch
    from safetensors.torch import load_file

    x = images((3, 1, 40, 40))
    with torch.random.fork_rng(devices=[]):
        network = timm.create_model("test_resnet.r160_in1k", pretrained=False, num_classes=0).eval()
    network.load_state_dict({k: v for k, v in load_file(timm_weights).items() if not k.startswith("fc.")})
    config = network.pretrained_cfg
    side = config["input_size"][1]
    shown = torch.nn.functional.interpolate(
        torch.from_numpy(x).float().expand(-1, 3, -1, -1) / 255, size=(side, side), mode="bilinear", antialias=True
    )
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        expected = network((shown - mean) / std).numpy()

    features = TimmFeatures("test_resnet.r160_in1k", timm_weights).features(x)

    assert features.dtype == np.float64
    assert features == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_timm_features_keep_the_contract(timm_weights: Path, tmp_path: Path) -> None:
    check_extractor(TimmFeatures("test_resnet.r160_in1k", timm_weights), tmp_path)


def test_the_file_counts_by_its_bytes_and_not_by_its_place(timm_weights: Path, tmp_path: Path) -> None:
    elsewhere, other = tmp_path / "copy.safetensors", tmp_path / "other.safetensors"
    elsewhere.write_bytes(timm_weights.read_bytes())
    other.write_bytes(timm_weights.read_bytes()[:-4] + b"\0\0\0\0")

    ids = [digest(identity(TimmFeatures(weights=path))) for path in (timm_weights, elsewhere, other)]

    assert ids[0] == ids[1] != ids[2]


def test_weights_of_another_network_are_named(timm_weights: Path, tmp_path: Path) -> None:
    x = images((1, 1, 16, 16))

    with pytest.raises(medbench.DataError, match=r"small\.safetensors"):
        TimmFeatures("resnet18", timm_weights).features(x)
    with pytest.raises(medbench.DataError, match=r"small\.safetensors holds weights of another network"):
        Inception(timm_weights).features(x)
    with pytest.raises(medbench.UsageError, match="no model named"):
        TimmFeatures("resnet-that-is-not", timm_weights).features(x)
    with pytest.raises(medbench.DataError, match="cannot be read"):
        Inception(tmp_path / "nothing.pth").features(x)


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the right shapes, as a checkpoint; the library's constructor wants some to read."""
    import torch
    from torch_fidelity import feature_extractor_inceptionv3 as library

    class Built(library.FeatureExtractorInceptionV3):
        def load_state_dict(self, state: object, *_: object, **__: object) -> None:
            """Keep what was drawn."""

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save({}, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(Built("drawn", ["2048"], feature_extractor_weights_path=path).state_dict(), path)
    return path


@pytest.mark.slow
def test_inception_is_that_of_torch_fidelity(inception_weights: Path) -> None:
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    x = images((2, 1, 20, 20))
    network = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=inception_weights
    )
    with torch.inference_mode():
        features, logits = network(torch.from_numpy(x.repeat(3, axis=1)))

    ours = Inception(inception_weights)

    assert ours.features(x) == pytest.approx(features.double().numpy(), rel=1e-4, abs=1e-6)
    assert ours.probabilities(x) == pytest.approx(logits.double().softmax(1).numpy(), rel=1e-4, abs=1e-9)


def test_a_checkpoint_that_holds_code_runs_none(tmp_path: Path) -> None:
    import torch

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"fc.weight": Trap()}, tmp_path / "trap.pth")

    with pytest.raises(medbench.DataError, match="cannot be read"):
        Inception(tmp_path / "trap.pth").features(images((1, 1, 16, 16)))
    assert not (tmp_path / "sprung").exists()


def test_toy_volumes_have_features() -> None:
    x = toy_samples(6, dimensions=3, size=8).x

    assert RandomConvolutions().features(x).shape == (6, 224)
    with pytest.raises(medbench.Skip):
        next(colour_blocks(x, 4, what="inception"))


@dataclass(frozen=True)
class Bad:
    """An extractor that does what it should not."""

    act: Callable[[np.ndarray], Any]
    name: str = "bad"

    def features(self, x: np.ndarray) -> Any:
        return self.act(x)


def means(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).mean(1, keepdims=True)


def overwrites(x: np.ndarray) -> np.ndarray:
    x[:] = 0
    return means(x)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda x: means(x).astype(np.float32), "expected finite float64"),
        (lambda x: means(x)[1:], "expected finite float64"),
        (lambda x: means(x) * np.nan, "expected finite float64"),
        (lambda x: means(x) - means(x).mean(0), "depend on the other images"),
        (lambda x: means(x) + os.urandom(1)[0] / 255 + os.urandom(1)[0], "different features"),
        (overwrites, "changed the images"),
    ],
)
def test_an_extractor_that_breaks_the_contract_is_found(act: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        check_extractor(Bad(act), tmp_path)
