"""Classification networks of MONAI, in 2-D or 3-D."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.classifiers import fit_and_cut
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.classifiers.rates_to_try import rates_to_try

if TYPE_CHECKING:
    from torch import nn


USES = frozenset({"samples", "transform", "sampling", "loss", "bags", "pretrain"})
DENSENETS = ("DenseNet121", "DenseNet169", "DenseNet201", "DenseNet264")
RESNETS = ("resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200")
SENETS = ("SENet154", "SEResNet50", "SEResNet101", "SEResNet152", "SEResNext50", "SEResNext101")
EFFICIENTNETS = tuple(f"efficientnet-b{k}" for k in range(9))
NETWORKS = (*DENSENETS, *RESNETS, *SENETS, *EFFICIENTNETS)


@dataclass(frozen=True)
class DenseNet121In3D:
    """DenseNet-121 for volumes; below 32 voxels, the least it takes, they are resized to that.

    Attributes:
        lr: Peak learning rate.
        pretrained: File of weights to begin from; no package holds any.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.

    Source:
        Huang et al., 2017, arXiv:1608.06993, with 3-D convolutions, as MONAI has it.
    """

    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "densenet121-3d"
    summary: ClassVar[str] = "DenseNet-121 (MONAI), 3-D"
    takes: ClassVar[frozenset[str]] = USES | {"3d"}
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for volumes like these."""
        return _blueprint("DenseNet121", samples, min_size=32)


@dataclass(frozen=True)
class ResNet10In3D:
    """ResNet-10 for volumes, shaped like MedicalNet's, so that its weights fit.

    Attributes:
        lr: Peak learning rate.
        pretrained: File of weights to begin from; no package holds any.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.

    Source:
        Chen et al., Med3D, 2019, arXiv:1904.00625, as MONAI has it, with the first stride at 1.
    """

    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "resnet10-3d"
    summary: ClassVar[str] = "ResNet-10 (MONAI), 3-D"
    takes: ClassVar[frozenset[str]] = USES | {"3d"}
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for volumes like these."""
        return _blueprint("resnet10", samples)


@dataclass(frozen=True)
class ResNet18In3D:
    """ResNet-18 for volumes, shaped like MedicalNet's; attributes and source as :class:`ResNet10In3D`."""

    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "resnet18-3d"
    summary: ClassVar[str] = "ResNet-18 (MONAI), 3-D"
    takes: ClassVar[frozenset[str]] = USES | {"3d"}
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for volumes like these."""
        return _blueprint("resnet18", samples)


@dataclass(frozen=True)
class Monai:
    """One of MONAI's networks that classify, in 2-D or 3-D; images are resized to the least size it sees all of.

    Attributes:
        network: As MONAI writes it, such as "DenseNet169", "resnet50", "SEResNet50" or "efficientnet-b0".
        lr: Peak learning rate.
        pretrained: File of weights to begin from; no package holds any.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.
    """

    network: str = "DenseNet121"
    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "monai"
    summary: ClassVar[str] = "a classification network of MONAI, 2-D or 3-D: monai[network=SEResNet50]"
    takes: ClassVar[frozenset[str]] = USES | {"2d", "3d"}
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            near = difflib.get_close_matches(self.network, NETWORKS, n=3, cutoff=0.4) or NETWORKS
            raise medbench.UsageError(f"monai: no network named {self.network!r}; there are {', '.join(near)}")
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""
        from medbench_plugins.networks import small

        size = small.find_least_size(
            lambda _: _create(self.network, samples), samples.x.shape[1:], what=f"monai[network={self.network}]"
        )
        return _blueprint(self.network, samples, min_size=size)


def _blueprint(network: str, samples: medbench.Samples, *, min_size: int = 0) -> Blueprint:
    # MedicalNet was trained for segmentation: its files have conv_seg where a classifier has fc.
    head = ("fc.", "conv_seg.") if network in RESNETS else ()
    return Blueprint(lambda: _create(network, samples), min_size=min_size, head=head)


def _create(network: str, samples: medbench.Samples) -> nn.Module:
    from monai.networks import nets
    from monai.networks.nets.resnet import get_medicalnet_pretrained_resnet_args

    channels, n_classes, dimensions = samples.x.shape[1], len(samples.classes), samples.x.ndim - 2
    if network in DENSENETS:
        return getattr(nets, network)(spatial_dims=dimensions, in_channels=channels, out_channels=n_classes)
    if network in RESNETS:
        bias, shortcut = get_medicalnet_pretrained_resnet_args(int(network.removeprefix("resnet")))
        return getattr(nets, network)(
            spatial_dims=dimensions,
            n_input_channels=channels,
            num_classes=n_classes,
            bias_downsample=bias,
            shortcut_type=shortcut,
        )
    if network in SENETS:
        return getattr(nets, network)(spatial_dims=dimensions, in_channels=channels, num_classes=n_classes)
    return nets.EfficientNetBN(
        network, pretrained=False, spatial_dims=dimensions, in_channels=channels, num_classes=n_classes
    )
