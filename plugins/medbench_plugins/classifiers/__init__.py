"""The built-in classifiers. Their networks and torch are imported when they are fitted."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.classifiers.monai_nets import DenseNet121In3D, Monai, ResNet10In3D, ResNet18In3D
from medbench_plugins.classifiers.pretrained_on import PretrainedOn
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import VGG16, InceptionV3, Timm
from medbench_plugins.classifiers.unet import UNetFeatures


@medbench.hookimpl
def register_classifiers() -> Iterable[medbench.Classifier]:
    """Return the built-in classifiers, the lightest first."""
    return (
        SmallCNN(),
        VGG16(),
        InceptionV3(),
        Timm(),
        DenseNet121In3D(),
        ResNet10In3D(),
        ResNet18In3D(),
        Monai(),
        UNetFeatures(),
        PretrainedOn(),
    )
