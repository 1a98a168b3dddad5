"""What every built-in method, generator, classifier, metric, score and executor is, in a line of plain words.

Others are described by their own ``summary``. A summary is part of the code that results are identified by, so the
words for people stand here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from medbench.registry.score_facts import SCORES

METHODS: Mapping[str, str] = {
    "none": "training as it is",
    "balanced": "every class is drawn equally often",
    "class-weight": "errors in rare classes count more in the loss",
    "focal": "images that are easy count less in the loss",
    "under-bagging": "several networks, each on as many images of every class as the rarest has",
    "geometric": "rotations, flips, zoom, shear and shifts, drawn anew for each batch",
    "trivialaugment": "one random change of random strength an image (TrivialAugment)",
    "randaugment": "several random changes of one strength an image (RandAugment)",
    "mixup": "images and labels faded into others",
    "cutmix": "a box of each image comes from another one, labels by its size",
    "crops": "a random crop of each image, enlarged",
    "cropmix": "crops of several sizes of an image faded into each other (CropMix)",
    "yoco": "halves of each image changed apart, by rotations, flips, zoom (YOCO)",
    "snapmix": "a box of each image from another one, labels by where a network sees the class (SnapMix)",
    "chains": "one to three random changes an image, one after the other",
    "augmix": "images mixed with chains of changes of themselves, one answer asked to all (AugMix)",
    "copies": "real images repeated, as many as a generator would add: what a generator has to beat",
    "acgan": "images of an AC-GAN added",
    "acgan-selected": "images of an AC-GAN added, those that a classifier recognises",
    "acgan-chosen": "the same, compared with all images of the AC-GAN instead of with copies",
    "reacgan": "images of a ReACGAN added: the strongest GAN here",
    "dcgan": "images of a DCGAN added, one network a class",
    "diffusion": "images of a diffusion model added",
    "wgan": "images of a Wasserstein GAN added, one network a class",
    "hybrid": "rotations, flips, zoom, and images of an AC-GAN added",
    "geometric-offline": "rotated and flipped images stored once and added",
    "changed-offline": "images through a named change, as generator=changed[changes=shear], stored once and added",
    "hybrid-offline": "stored rotations and flips, and images of a Wasserstein GAN added",
    "self-mix": "images faded into changed copies of themselves, stored once and added",
    "self-cutmix": "images with a crop of themselves pasted elsewhere, stored once and added",
    "self-yoco": "images with one half mirrored and one jittered, stored once and added",
    "self-cropmix": "two crops of an image faded into each other, stored once and added",
    "self-augmix": "images mixed twice with chains of changes of themselves, stored once and added",
    "self-jitter": "images jittered, blurred and with noise, stored once and added",
    "synthetic-only": "training on images of an AC-GAN alone",
    "feature-none": "features of a network, its last layer fitted again, classes balanced",
    "feature-smote": "features between neighbours of a class added (SMOTE)",
    "feature-gaussian": "features drawn from one Gaussian a class added",
    "feature-mixup": "features and labels faded into others (manifold mixup)",
    "feature-under-bagging": "several last layers, each on as many features of every class as the rarest has",
    "feature-copies": "real features repeated: what a generator of features has to beat",
    "feature-acgan": "features of an AC-GAN added",
    "feature-clswgan": "features of an f-CLSWGAN added",
}
GENERATORS: Mapping[str, str] = {
    "acgan": "auxiliary classifier GAN, one network for all classes",
    "reacgan": "ReACGAN: the strongest GAN here",
    "dcgan": "deep convolutional GAN, one network a class",
    "wgan-clip": "Wasserstein GAN with weight clipping, one network a class",
    "wgan-gp": "Wasserstein GAN with gradient penalty, one network for all classes",
    "diffusion": "denoising diffusion model; slow to draw images",
    "dense-acgan": "AC-GAN of features, dense networks",
    "map-acgan": "AC-GAN of maps of features, convolutional networks",
    "feature-acgan": "AC-GAN of features, begun from one Gaussian a class",
    "refined-acgan": "AC-GAN of features, begun from one Gaussian a class, one kind only",
    "clswgan": "Wasserstein GAN of features with a classification loss (f-CLSWGAN)",
    "selected": "images of an AC-GAN that a classifier recognises as their class",
    "rare-only": "a generator fitted on all classes but the largest",
    "resample": "copies of real training images: what a generator has to beat",
    "blur": "real training images without their detail, for comparison",
    "shuffled-labels": "real training images under shuffled labels, for comparison",
    "changed": "real training images, each through one of the named changes",
    "self-mixed": "real training images, each mixed with itself",
    "transformed": "real training images, each rotated, flipped or shifted once",
}
CLASSIFIERS: Mapping[str, str] = {
    "small-cnn": "small network for machines without a GPU",
    "vgg16": "VGG-16; head=narrow is a quarter of the size",
    "inception-v3": "Inception-v3",
    "timm": "any network of timm: 'timm[model=resnet18]', convnext_tiny, vit_tiny_patch16_224, ...",
    "densenet121-3d": "DenseNet-121 for volumes",
    "resnet10-3d": "ResNet-10 for volumes",
    "resnet18-3d": "ResNet-18 for volumes",
    "monai": "any classification network of MONAI: 'monai[network=SEResNet50]'",
    "unet-features": "U-Net trained on the masks of lesions, and a classifier on its features",
    "pretrained-on": "a network pretrained on another data set: 'pretrained-on[source=NAME]'",
    "frozen": "a layer on the features of a pretrained encoder: minutes without a GPU; 3-D: 'frozen[encoder=slices]'",
}
METRICS: Mapping[str, str] = {
    "balanced-accuracy": "mean over the classes of the share classified correctly; verdicts rest on it",
    "macro-auroc": "area under the ROC curve, mean over the classes",
    "macro-f1": "F1 score, mean over the classes",
    "auprc": "area under the precision-recall curve, mean over the classes",
    "mcc": "Matthews correlation coefficient; 1 is perfect, 0 is guessing",
    "brier": "mean squared error of the predicted probabilities; lower is better",
}
EXECUTORS: Mapping[str, str] = {
    "local": "processes of this machine",
    "ray": "tasks of Ray on this machine or a cluster; install medbench[ray]",
    "slurm": "jobs of a SLURM cluster, whose machines all see the folder of results",
}
_TABLES: Mapping[str, Mapping[str, str]] = {
    "augmenter": METHODS,
    "generator": GENERATORS,
    "classifier": CLASSIFIERS,
    "metric": METRICS,
    "executor": EXECUTORS,
    "score": {name: facts.text for name, facts in SCORES.items()},
}


def describe_for_people(kind: str, name: str, item: Any) -> str:
    """Return a line on something registered: ours, its own ``summary``, or the first line of its docstring."""
    if text := _TABLES.get(kind, {}).get(name):
        return text
    if text := str(getattr(item, "summary", "") or ""):
        return text
    document = inspect.getdoc(item if inspect.isfunction(item) else type(item)) or ""
    first = document.strip().partition("\n")[0]
    return "" if first.startswith(f"{type(item).__name__}(") else first  # a dataclass repeats its fields
