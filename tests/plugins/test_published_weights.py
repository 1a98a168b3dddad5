"""Weights of others by file: each format is written from a random network, and taken as that network's own.

None of the published files themselves were at hand; the names are those of timm's own conversions, of torchvision and
of RadImageNet's examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import medbench
from medbench.testing import toy_samples
from medbench_plugins.classifiers.monai_nets import ResNet10In3D
from medbench_plugins.classifiers.timm_nets import VGG16, InceptionV3, Timm, input_statistics
from medbench_plugins.networks import published_weights

Tensors = dict[str, torch.Tensor]


def random_network(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build().eval()
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    return network


def of_timm(model: str, **options: Any) -> nn.Module:
    import timm

    return random_network(lambda: timm.create_model(model, pretrained=False, **options))


def written(tensors: dict[str, Any], path: Path) -> Path:
    torch.save(tensors, path)
    return path


def taken(classifier: Any, *, size: int = 32, channels: int = 3, dimensions: int = 2) -> nn.Module:
    """Return the network as a fit begins with it."""
    samples = toy_samples(2, size=size, channels=channels, dimensions=dimensions)
    return classifier.blueprint(samples).begin(classifier.pretrained).eval()


def same(network: nn.Module, expected: Tensors, *, but: str) -> None:
    own = network.state_dict()
    for name, tensor in expected.items():
        if not name.startswith(but) and not name.endswith("num_batches_tracked"):
            assert torch.equal(own[name], tensor), name


def shown(statistics: published_weights.Statistics, x: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in statistics)
    return ((x + 1) / 2 - mean) / deviation


def test_torchvisions_resnet_gives_its_own_features(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    given = random_network(lambda: resnet18(weights=None))
    file = written(given.state_dict(), tmp_path / "resnet18-f37072fd.pth")
    network = taken(Timm(model="resnet18", pretrained=file), size=64)
    same(network, given.state_dict(), but="fc.")
    statistics = input_statistics("resnet18", file)
    assert statistics == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    given.fc = nn.Identity()
    network.fc = nn.Identity()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network(x), given(shown(statistics, x)), rtol=1e-3, atol=1e-4)


def test_torchvisions_vgg_and_inception_have_names_of_their_own(tmp_path: Path) -> None:
    from torchvision.models import inception_v3
    from torchvision.models.vgg import cfgs, make_layers

    layers = random_network(lambda: nn.ModuleDict({"features": make_layers(cfgs["D"], batch_norm=False)}))
    head = {f"classifier.{k}.{part}": torch.zeros(8, 25088 if k == 0 and part == "weight" else 4096) for k in (0, 3, 6)
            for part in ("weight", "bias")}  # fmt: skip
    file = written(layers.state_dict() | head, tmp_path / "vgg16-397923af.pth")
    same(taken(VGG16(head="narrow", pretrained=file)), layers.state_dict(), but="classifier.")

    given = random_network(lambda: inception_v3(weights=None, init_weights=False))
    file = written(given.state_dict(), tmp_path / "inception_v3_google-0cc3c7bd.pth")
    expected = {name: tensor for name, tensor in given.state_dict().items() if not name.startswith("AuxLogits")}
    for classifier in (InceptionV3(pretrained=file), Timm(model="inception_v3", pretrained=file)):
        same(taken(classifier, size=75), expected, but="fc.")


def test_radimagenets_backbones_are_sequences_and_see_pixels_from_minus_one_to_one(tmp_path: Path) -> None:
    from torchvision.models import densenet121, resnet50

    resnet = random_network(lambda: resnet50(weights=None))
    backbone = nn.Sequential(*list(resnet.children())[:9])
    file = written({f"backbone.{k}": v for k, v in backbone.state_dict().items()}, tmp_path / "ResNet50.pt")
    network = taken(Timm(model="resnet50", pretrained=file), size=64)
    same(network, resnet.state_dict(), but="fc.")
    assert input_statistics("resnet50", file) == published_weights.RADIMAGENET
    network.fc = nn.Identity()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network(x), backbone(x).flatten(1), rtol=1e-3, atol=1e-4)

    dense = random_network(lambda: densenet121(weights=None))
    backbone = nn.Sequential(*list(dense.children())[:1])
    file = written({f"backbone.{k}": v for k, v in backbone.state_dict().items()}, tmp_path / "DenseNet121.pt")
    same(taken(Timm(model="densenet121", pretrained=file), size=64), dense.state_dict(), but="classifier.")
    with pytest.raises(
        medbench.DataError, match=r"DenseNet121\.pt: tensor .* (too many|missing|where the network has)"
    ):
        taken(Timm(model="resnet50", pretrained=file), size=64)


def test_dinov2_has_a_mask_token_and_registers_of_another_name(tmp_path: Path) -> None:
    plain = of_timm("test_vit", num_classes=0)
    file = written(plain.state_dict() | {"mask_token": torch.zeros(1, 64)}, tmp_path / "dinov2_vits14_pretrain.pth")
    same(taken(Timm(model="test_vit", pretrained=file), size=160), plain.state_dict(), but="head.")

    model = "vit_small_patch14_reg4_dinov2"
    own = of_timm(model, num_classes=0, img_size=56, depth=2).state_dict()
    there = dict(own)
    there["register_tokens"] = there.pop("reg_token")
    first = torch.full((1, 1, 384), 0.25)
    there["cls_token"] = own["cls_token"] - first
    there["pos_embed"] = torch.cat([first, own["pos_embed"]], 1)
    there["mask_token"] = torch.zeros(1, 384)
    file = written(there, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    network = of_timm(model, num_classes=2, img_size=56, depth=2)
    from medbench_plugins.classifiers.timm_nets import get_renaming
    from medbench_plugins.networks import weights

    weights.load(network, file, head=("head.",), rename=get_renaming(model))
    taken_over = network.state_dict()
    for name, tensor in own.items():
        torch.testing.assert_close(taken_over[name], tensor, msg=name)


def test_dinov3_calls_registers_storage_tokens(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import timm

    model = "vit_small_patch16_dinov3"
    own = of_timm(model, num_classes=0).state_dict()
    there: Tensors = {"rope_embed.periods": torch.ones(16), "mask_token": torch.zeros(1, 384)}
    for name, tensor in own.items():
        name = name.replace("reg_token", "storage_tokens")
        name = re.sub(r"gamma_([12])$", r"ls\1.gamma", name)
        there[name] = tensor
        if name.endswith("qkv.weight"):
            there[name.replace("weight", "bias")] = torch.zeros(len(tensor))
            there[name.replace("weight", "bias_mask")] = torch.ones(len(tensor))
    file = written(there, tmp_path / "dinov3_vits16_pretrain_lvd1689m.pth")
    same(taken(Timm(model=model, pretrained=file), size=64), own, but="head.")
    assert capfd.readouterr().out == ""
    assert input_statistics(model, file) == (timm.get_pretrained_cfg(model).mean, timm.get_pretrained_cfg(model).std)


def test_an_open_clip_model_gives_its_vision_tower_and_clips_statistics(tmp_path: Path) -> None:
    own = of_timm("test_vit", num_classes=0).state_dict()
    there = {f"visual.trunk.{name}": tensor for name, tensor in own.items()}
    there |= {"visual.head.proj.weight": torch.zeros(512, 64), "logit_scale": torch.zeros(())}
    there |= {"text.transformer.embeddings.word_embeddings.weight": torch.zeros(4, 4)}
    file = written(there, tmp_path / "open_clip_pytorch_model.bin")

    same(taken(Timm(model="test_vit", pretrained=file), size=160), own, but="head.")

    assert input_statistics("test_vit", file) == published_weights.CLIP
    assert input_statistics("test_vit") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_medicalnet_is_parallel_and_ends_in_a_segmentation(tmp_path: Path) -> None:
    from monai.networks.nets.resnet import resnet10

    own = random_network(
        lambda: resnet10(spatial_dims=3, n_input_channels=1, num_classes=2, bias_downsample=False, shortcut_type="B")
    ).state_dict()
    there = {f"module.{name}": tensor for name, tensor in own.items() if not name.startswith("fc.")}
    there["module.conv_seg.0.weight"] = torch.zeros(512, 32, 2, 2, 2)
    file = written({"state_dict": there}, tmp_path / "resnet_10.pth")

    network = taken(ResNet10In3D(pretrained=file), size=16, channels=1, dimensions=3)

    same(network, own, but="fc.")


def test_every_source_says_all_that_is_asked() -> None:
    rows = published_weights.list_sources()

    assert {"RadImageNet", "DINOv2", "DINOv3", "BiomedCLIP, vision tower", "MedicalNet"} <= {
        row["name"] for row in rows
    }
    assert all(set(row) == {"name", "kind", "recipe", "get", "licence", "needs", "state"} for row in rows)
    assert all(all(row.values()) for row in rows)
    assert np.unique([row["name"] for row in rows]).size == len(rows)
