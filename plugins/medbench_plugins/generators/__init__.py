"""Built-in generators: GANs of images and of features, a filter for any of them, and three placebos."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.changed import Changed
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.dcgan import DCGAN
from medbench_plugins.generators.diffusion import Diffusion
from medbench_plugins.generators.feature_acgans import DenseACGAN, FeatureACGAN, MapACGAN, RefinedACGAN
from medbench_plugins.generators.placebos import Blur, Resample, ShuffledLabels
from medbench_plugins.generators.rare_only import RareOnly
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.generators.selected import Selected
from medbench_plugins.generators.self_mixed import SelfMixed
from medbench_plugins.generators.transformed import Transformed
from medbench_plugins.generators.wgan import ClippedWGAN, PenalisedWGAN


@medbench.hookimpl
def register_generators() -> Iterable[medbench.Generator]:
    """Return the built-in generators."""
    return [
        ACGAN(),
        ReACGAN(),
        DCGAN(),
        ClippedWGAN(),
        PenalisedWGAN(),
        Diffusion(),
        DenseACGAN(),
        MapACGAN(),
        FeatureACGAN(),
        RefinedACGAN(),
        ClsWGAN(),
        Selected(),
        RareOnly(),
        Resample(),
        Blur(),
        ShuffledLabels(),
        Transformed(),
        Changed(),
        SelfMixed(),
    ]
