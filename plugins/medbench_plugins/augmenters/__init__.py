"""Built-in augmenters: sampling, losses, transforms of batches, and generators' samples beside or instead of images."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.augmenters.augmix import AugMix, Chains
from medbench_plugins.augmenters.chosen import Chosen
from medbench_plugins.augmenters.cutting import YOCO, CropMix, Crops
from medbench_plugins.augmenters.feature_gaussian import FeatureGaussian
from medbench_plugins.augmenters.feature_generative import COPIES as FEATURE_COPIES
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.feature_mixup import FeatureMixup
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.feature_smote import FeatureSMOTE
from medbench_plugins.augmenters.generative import COPIES, Generative
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.losses import ClassWeight, Focal
from medbench_plugins.augmenters.mixing import CutMix, Mixup
from medbench_plugins.augmenters.policies import RandAugment, TrivialAugment
from medbench_plugins.augmenters.snapmix import SnapMix
from medbench_plugins.augmenters.synthetic import SyntheticOnly
from medbench_plugins.augmenters.under_bagging import FeatureUnderBagging, UnderBagging
from medbench_plugins.generators.changed import Changed
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.dcgan import DCGAN
from medbench_plugins.generators.diffusion import Diffusion
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.generators.selected import Selected
from medbench_plugins.generators.self_mixed import SelfMixed
from medbench_plugins.generators.transformed import Transformed
from medbench_plugins.generators.wgan import ClippedWGAN
from medbench_plugins.plain_augmenters import Balanced, Unchanged

# The spine preprint's hybrid: the original and its three best changes, of real and synthetic images alike.
EVERYTHING_FOURFOLD = Generative("geometric-offline", generator=Transformed(policy="spine-best", of="all"), ratio=3.0)


@medbench.hookimpl
def register_augmenters() -> Iterable[medbench.Augmenter]:
    """Return the built-in augmenters, each control before what stands on it."""
    return [
        Unchanged(),
        Balanced(),
        ClassWeight(),
        Focal(),
        UnderBagging(),
        Geometric(),
        TrivialAugment(),
        RandAugment(),
        Mixup(),
        CutMix(),
        Crops(),
        CropMix(),
        YOCO(),
        SnapMix(),
        Chains(),
        AugMix(),
        Generative(COPIES, generator=Resample()),
        Generative(),
        Generative("acgan-selected", generator=Selected()),
        Chosen(),
        Generative("reacgan", generator=ReACGAN()),
        Generative("dcgan", generator=DCGAN()),
        Generative("diffusion", generator=Diffusion()),
        Generative("wgan", generator=ClippedWGAN()),
        Generative("hybrid", base=Geometric()),
        Generative("geometric-offline", generator=Transformed(), fill="rare", ratio=7.0),
        Generative("changed-offline", generator=Changed(), fill="rare"),
        Generative("hybrid-offline", generator=ClippedWGAN(), base=EVERYTHING_FOURFOLD, fill="balance"),
        Generative("self-mix", generator=SelfMixed(how="fade")),
        Generative("self-cutmix", generator=SelfMixed(how="crop")),
        Generative("self-yoco", generator=SelfMixed(how="halves")),
        Generative("self-cropmix", generator=SelfMixed(how="crops")),
        Generative("self-augmix", generator=SelfMixed(how="chains")),
        Generative("self-jitter", generator=SelfMixed(how="jitter")),
        SyntheticOnly(),
        FeatureNone(),
        FeatureSMOTE(),
        FeatureGaussian(),
        FeatureMixup(),
        FeatureUnderBagging(),
        FeatureGenerative(FEATURE_COPIES, generator=Resample()),
        FeatureGenerative(),
        FeatureGenerative("feature-clswgan", generator=ClsWGAN()),
    ]
