"""Weights that others publish: where each is got, and how its file becomes what the network here is made of.

The names of its tensors say what a file is. timm turns many of them itself; here stands what it does not, and the units
in which images were shown where they are not those that timm has for the network.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import medbench
from medbench_plugins.networks import packaged_weights, weights

if TYPE_CHECKING:
    import torch
    from torch import nn

Statistics = tuple[Sequence[float], Sequence[float]]

# RadImageNet's example shows pixels as (pixel - 127.5) * 2 / 255.
RADIMAGENET: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Of every CLIP that does not say otherwise, BiomedCLIP among them.
CLIP: Statistics = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

# RadImageNet's backbone is a Sequential of the children of torchvision's network, the last one left out.
_RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_DENSENET = {"0": "features", "1": "classifier"}

SOURCES: tuple[dict[str, str], ...] = (
    *(
        {
            "name": f"{entry.models[0]}, ImageNet",
            "kind": "classifier",
            "recipe": f"timm[model={entry.models[0]},pretrained=imagenet]",
            "get": packaged_weights.EXTRA,
            "licence": entry.licence,
            "needs": f"{entry.distribution}; {entry.source}; {entry.size} px",
            "package": entry.package,
        }
        for entry in packaged_weights.TABLE
    ),
    {
        "name": "timm's own",
        "kind": "classifier",
        "recipe": "timm[model=resnet50,pretrained=weights/resnet50.safetensors]",
        "get": "medbench weights fetch 'timm[model=resnet50]'",
        "licence": "each model's own",
        "needs": "the network, once; any model of timm.list_pretrained()",
    },
    {
        "name": "torchvision's, ImageNet",
        "kind": "classifier",
        "recipe": "timm[model=resnet50,pretrained=resnet50-11ad3fa6.pth]",
        "get": "https://docs.pytorch.org/vision/stable/models.html",
        "licence": "BSD-3-Clause",
        "needs": "files of ResNets, VGGs, DenseNets and Inception-v3",
    },
    {
        "name": "RadImageNet",
        "kind": "classifier",
        "recipe": "timm[model=resnet50,pretrained=ResNet50.pt]",
        "get": "https://github.com/BMEII-AI/RadImageNet",
        "licence": "MIT (its repository)",
        "needs": "the PyTorch file of ResNet50 or DenseNet121; 1.35 million CT, MR and US images, 224 px",
    },
    {
        "name": "DINOv2",
        "kind": "classifier",
        "recipe": "timm[model=vit_small_patch14_dinov2,pretrained=dinov2_vits14_pretrain.pth]",
        "get": "https://github.com/facebookresearch/dinov2",
        "licence": "Apache-2.0",
        "needs": "the file of a backbone; with registers: model=vit_small_patch14_reg4_dinov2",
    },
    {
        "name": "DINOv3",
        "kind": "classifier",
        "recipe": "timm[model=vit_small_patch16_dinov3,pretrained=dinov3_vits16_pretrain_lvd1689m.pth]",
        "get": "https://github.com/facebookresearch/dinov3",
        "licence": "DINOv3 License",
        "needs": "consent to its licence; the file of a ViT backbone",
    },
    {
        "name": "BiomedCLIP, vision tower",
        "kind": "classifier",
        "recipe": "timm[model=vit_base_patch16_224,pretrained=open_clip_pytorch_model.bin]",
        "get": "https://huggingface.co/microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        "licence": "MIT",
        "needs": "its one file, 784 MB; 224 px",
    },
    {
        "name": "MedicalNet",
        "kind": "classifier",
        "recipe": "resnet10-3d[pretrained=resnet_10.pth]",
        "get": "https://github.com/Tencent/MedicalNet",
        "licence": "MIT",
        "needs": "a file of its ResNets, also monai[network=resnet50] and the extractor monai-features; volumes",
    },
    {
        "name": "Inception of FID",
        "kind": "extractor",
        "recipe": "inception[weights=weights-inception-2015-12-05-6726825d.pth]",
        "get": "https://github.com/toshas/torch-fidelity/releases",
        "licence": "Apache-2.0",
        "needs": "its one file, 91 MB",
    },
)


@medbench.outside_identity
def list_sources() -> list[dict[str, str]]:
    """Return a row for each of SOURCES, with whether the weights are at hand."""
    rows = []
    for source in SOURCES:
        row = dict(source)
        package = row.pop("package", "")
        found = [packaged_weights.locate(e) for e in packaged_weights.TABLE if e.package == package]
        row["state"] = "by file" if not package else "installed" if found[0] else "not installed"
        rows.append(row)
    return rows


def rename(tensors: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Give the tensors of a RadImageNet or torchvision file the names that timm's functions begin with.

    Raises:
        KeyError: For a layer of RadImageNet's backbone that `network` lacks.
    """
    if _is_radimagenet(tensors):
        layers = _RESNET if hasattr(network, "layer1") else _DENSENET
        parts = {name: name.split(".", 2) for name in tensors}
        tensors = {f"{layers[k]}.{rest}": tensors[name] for name, (_, k, rest) in parts.items()}
    if getattr(network, "AuxLogits", None) is None:  # a head of torchvision's Inception-v3 that is for its training
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("AuxLogits.")}
    return tensors


def input_statistics(file: Path) -> Statistics | None:
    """Return mean and deviation of each colour in [0, 1] of the file's images, or None where it is the network's.

    Raises:
        medbench.DataError: If the file cannot be read.
    """
    try:
        place = file.stat()
        names = _names(file, place.st_mtime_ns, place.st_size)
    except OSError:
        names = frozenset(weights.read(file))  # says why
    if _is_radimagenet(names):
        return RADIMAGENET
    return CLIP if any(name.startswith("visual.trunk.") for name in names) else None


def _is_radimagenet(names: Collection[str]) -> bool:
    return all(name.startswith("backbone.") and name.split(".")[1].isdigit() for name in names)


@functools.lru_cache(maxsize=16)
def _names(path: Path, changed_ns: int, size: int) -> frozenset[str]:
    return frozenset(weights.read(path))
