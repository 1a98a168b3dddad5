"""What recipes were called when seeds were first derived from them; used for seeds only, and never changed.

A seed was derived from the place of a recipe's class and all its fields. Recipes are now named by kind and name, and
may be moved and gain fields; these here keep the seeds, and so the numbers, that they had. A recipe that is not
listed has always been seeded by its name and the parameters that differ from their defaults.
"""

from __future__ import annotations

_TABLE = """
medbench_datasets.brain_tumour:BrainTumour | dataset: brain-tumour brain-tumour:slices | modalities missing grades
    labels mask slices chosen low high size
medbench_datasets.ddti:DDTI | dataset: ddti ddti:benign-malignant ddti:tirads | task benign crop margin size
medbench_datasets.folder:Folder | dataset: folder source-folder | patient table channels size
medbench_datasets.fracatlas:FracAtlas | dataset: fracatlas:fracture | part truncated size
medbench_datasets.medmnist:MedMNIST | dataset: medmnist | flag resolution official md5
medbench_datasets.mura:MURA | dataset: mura:abnormal mura:part | case part size
medbench_datasets.vindr_spinexr:VinDrSpineXR | dataset: vindr-spinexr:abnormal vindr-spinexr:case-1
    vindr-spinexr:case-2 vindr-spinexr:case-3 vindr-spinexr:lesions | case several size
medbench_plugins.augmenters.feature_gaussian:FeatureGaussian | augmenter: feature-gaussian | fill ratio
medbench_plugins.augmenters.feature_generative:FeatureGenerative | augmenter: feature-acgan feature-clswgan
    feature-copies | generator fill ratio
medbench_plugins.augmenters.feature_mixup:FeatureMixup | augmenter: feature-mixup | alpha
medbench_plugins.augmenters.feature_none:FeatureNone | augmenter: feature-none |
medbench_plugins.augmenters.feature_smote:FeatureSMOTE | augmenter: feature-smote | kind neighbours fill ratio
medbench_plugins.augmenters.generative:Generative | augmenter: acgan acgan-selected copies dcgan diffusion
    geometric-offline hybrid hybrid-offline reacgan wgan | generator base fill ratio
medbench_plugins.augmenters.geometric:Geometric | augmenter: geometric | policy rotation scale shear translation
    flip_left_right flip_up_down flip_front_back probability
medbench_plugins.augmenters.losses:ClassWeight | augmenter: class-weight |
medbench_plugins.augmenters.losses:Focal | augmenter: focal | gamma
medbench_plugins.augmenters.mixing:CutMix | augmenter: cutmix | alpha probability
medbench_plugins.augmenters.mixing:Mixup | augmenter: mixup | alpha
medbench_plugins.augmenters.plain:Balanced | augmenter: balanced |
medbench_plugins.augmenters.plain:Unchanged | augmenter: none |
medbench_plugins.augmenters.policies:RandAugment | augmenter: randaugment | operations magnitude policy
medbench_plugins.augmenters.policies:TrivialAugment | augmenter: trivialaugment | policy
medbench_plugins.augmenters.synthetic:SyntheticOnly | augmenter: synthetic-only | generator base ratio
medbench_plugins.augmenters.under_bagging:FeatureUnderBagging | augmenter: feature-under-bagging | bags
medbench_plugins.augmenters.under_bagging:UnderBagging | augmenter: under-bagging | bags
medbench_plugins.classifiers.heads:LinearHead | classifier: linear-head | lr
medbench_plugins.classifiers.monai_nets:DenseNet121In3D | classifier: densenet121-3d | lr pretrained
medbench_plugins.classifiers.monai_nets:Monai | classifier: monai | network lr pretrained
medbench_plugins.classifiers.monai_nets:ResNet10In3D | classifier: resnet10-3d | lr pretrained
medbench_plugins.classifiers.monai_nets:ResNet18In3D | classifier: resnet18-3d | lr pretrained
medbench_plugins.classifiers.pretrained_on:PretrainedOn | classifier: pretrained-on | classifier source augmenter
medbench_plugins.classifiers.small:SmallCNN | classifier: small-cnn | width lr pretrained
medbench_plugins.classifiers.timm_nets:InceptionV3 | classifier: inception-v3 | lr pretrained
medbench_plugins.classifiers.timm_nets:Timm | classifier: timm | model lr pretrained
medbench_plugins.classifiers.timm_nets:VGG16 | classifier: vgg16 | head lr pretrained
medbench_plugins.classifiers.unet:UNetFeatures | classifier: unet-features | spatial head width lr augment
    pretrained source
medbench_plugins.encoders:TrainedEncoder | stage: trained-encoder | classifier
medbench_plugins.extractors.inception:Inception | extractor: inception | weights
medbench_plugins.extractors.own_classifier:OwnClassifier | extractor: own-classifier | classifier
medbench_plugins.extractors.random_convolutions:RandomConvolutions | extractor: random-convolutions | widths
medbench_plugins.extractors.timm_features:TimmFeatures | extractor: timm-features | model weights
medbench_plugins.generators.acgan:ACGAN | generator: acgan | variant width latent steps batch batch_3d lr_g lr_d
    beta1 beta2 ema class_weight augment
medbench_plugins.generators.blur:Blur | generator: blur | size
medbench_plugins.generators.clswgan:ClsWGAN | generator: clswgan | hidden latent steps critic_steps batch lr_g lr_d
    beta1 beta2 penalty class_weight
medbench_plugins.generators.dcgan:DCGAN | generator: dcgan | per_class width latent steps batch batch_3d lr_g lr_d
    beta1 beta2 ema
medbench_plugins.generators.dense_acgan:DenseACGAN | generator: dense-acgan | variant hidden latent steps batch lr_g
    lr_d beta1 beta2 class_weight
medbench_plugins.generators.diffusion:Diffusion | generator: diffusion | width levels steps batch batch_3d lr ema
    timesteps sampling_steps guidance drop
medbench_plugins.generators.feature_acgan:FeatureACGAN | generator: feature-acgan | start refined dense maps
medbench_plugins.generators.map_acgan:MapACGAN | generator: map-acgan | variant width latent steps batch lr_g lr_d
    beta1 beta2 class_weight
medbench_plugins.generators.reacgan:ReACGAN | generator: reacgan | width latent embedding steps batch batch_3d lr_g
    lr_d beta1 beta2 ema class_weight margin temperature augment checkpoint
medbench_plugins.generators.refined_acgan:RefinedACGAN | generator: refined-acgan | variant hidden width rank steps
    critic_steps batch lr_g lr_d beta1 beta2 class_weight made_class_weight blur pull
medbench_plugins.generators.resample:Resample | generator: resample |
medbench_plugins.generators.selected:Selected | generator: selected | generator by classifier rule threshold keep
    pool
medbench_plugins.generators.shuffled:ShuffledLabels | generator: shuffled-labels |
medbench_plugins.generators.transformed:Transformed | generator: transformed | policy of
medbench_plugins.generators.wgan_clip:ClippedWGAN | generator: wgan-clip | width latent steps critic_steps batch
    batch_3d lr_g lr_d clip ema
medbench_plugins.generators.wgan_gp:PenalisedWGAN | generator: wgan-gp | width latent steps critic_steps batch
    batch_3d lr_g lr_d beta1 beta2 penalty ema
medbench_plugins.selector:Selector | stage: selector | classifier
medbench_plugins.unet_encoder:UNetEncoder | stage: unet-encoder | spatial width lr augment pretrained before
"""
"""A class a line: its first place, kind and registered names, and the fields that it had."""


def _read(table: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found = {}
    for line in table.replace("\n    ", " ").strip().split("\n"):
        place, names, fields = line.split("|")
        kind, _, registered = names.partition(":")
        found[place.strip()] = tuple(f"{kind.strip()}:{n}" for n in registered.split()), tuple(fields.split())
    return found


FIRST = _read(_TABLE)
"""By first place: the names that a class is registered under, and the fields it had."""

FORMER: dict[str, tuple[object, object]] = {"steps": (None, 5000), "augment": ("auto", False)}
"""Fields of generators whose default is another one now: the default, and the one that seeds were derived from."""

PLACES: dict[str, str] = {name: place for place, (names, _) in FIRST.items() for name in names}
"""First place by kind and name."""
