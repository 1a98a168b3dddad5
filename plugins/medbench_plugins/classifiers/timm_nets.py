"""Networks of timm, for 2-D images. A fit never touches the network; ``fetch`` gets weights beforehand."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import medbench
from medbench_plugins.classifiers import fit_and_cut
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.classifiers.rates_to_try import rates_to_try
from medbench_plugins.networks import packaged_weights, published_weights

if TYPE_CHECKING:
    from torch import nn

TAKES = frozenset({"2d", "samples", "transform", "sampling", "loss", "bags", "pretrain"})


@dataclass(frozen=True)
class VGG16:
    """VGG-16 without batch norms; images below 32 pixels are resized to that.

    Attributes:
        head: "full" is the published head (134 million parameters in all); "narrow" has an eighth of its hidden
            units (30 million): the full head is two thirds of a step on a CPU.
        lr: Peak learning rate, a tenth of what networks with norms get.
        pretrained: File of weights to begin from; get timm's own with ``fetch``. The narrow head keeps its own, and
            images are normalised as timm says for this model. No package holds ImageNet weights of it.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.

    Source:
        Simonyan and Zisserman, 2015, arXiv:1409.1556, configuration D, as timm has it: below 224 pixels the last
        feature map is pooled up to the 7 by 7 that the head expects.
    """

    head: Literal["full", "narrow"] = "full"
    lr: float = 1e-4
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "vgg16"
    summary: ClassVar[str] = "VGG-16 (timm), 2-D; head=narrow is a quarter of the size"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""
        ratio = {} if self.head == "full" else {"mlp_ratio": 0.125}
        return _blueprint("vgg16", samples, self.pretrained, min_size=32, head=("pre_logits.", "head."), **ratio)

    def fetch(self, folder: Path) -> Path:
        """Download timm's weights to ``<folder>/vgg16.safetensors``."""
        return _fetch("vgg16", folder)


@dataclass(frozen=True)
class InceptionV3:
    """Inception-v3 without its auxiliary classifier; images are resized to the next of 75, 107, 139, ... pixels.

    75 is the least it takes. Its first layers have strides and no padding: of other sizes, such as 96 or 224, they
    leave out the last rows and columns. 299, the published size, is among these.

    Attributes:
        lr: Peak learning rate.
        pretrained: File of weights to begin from; get timm's own with ``fetch``. Images are then
            normalised as timm says for this model. No package holds ImageNet weights of it.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.

    Source:
        Szegedy et al., 2016, arXiv:1512.00567.
    """

    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "inception-v3"
    summary: ClassVar[str] = "Inception-v3 (timm), 2-D"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""
        size = 75 + max(0, -(-(max(samples.x.shape[2:]) - 75) // 32)) * 32
        head = ("fc.", "AuxLogits.")
        return _blueprint("inception_v3", samples, self.pretrained, min_size=size, head=head, aux_logits=False)

    def fetch(self, folder: Path) -> Path:
        """Download timm's weights to ``<folder>/inception_v3.safetensors``."""
        return _fetch("inception_v3", folder)


@dataclass(frozen=True)
class Timm:
    """Any image classifier of timm; images are resized to the least size that it takes and sees all of.

    Attributes:
        model: A name timm knows, such as "resnet18", "convnext_tiny" or "vit_small_patch16_224".
        lr: Peak learning rate.
        pretrained: File of weights to begin from; get timm's own with ``fetch``. Images are then
            normalised as timm says for this model. "imagenet" takes those of a package, which ``medbench[weights]``
            installs, for efficientnet_lite0, 1 and 2. They come from TensorFlow, so the network that is built is
            timm's tf_efficientnet_lite0, 1 or 2, whichever of the two names is written: it pads as TensorFlow does.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.
        size: Pixels along each axis that smaller images are resized to. Weights know structures at the size that they
            were trained at, 224 pixels for most: give it for images of 28.

    Source:
        A lower rate for what is transferred: Kornblith et al., CVPR 2019, arXiv:1805.08974, and Raghu et al.,
        "Transfusion", NeurIPS 2019, arXiv:1902.07208, who find what is gained on medical images mostly in the first
        layers and in the scale of weights. One tenth is a convention, not tuned here.
    """

    model: str = "resnet18"
    lr: float = 1e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    size: int | None = None
    name: ClassVar[str] = "timm"
    summary: ClassVar[str] = "any model of timm, 2-D: timm[model=resnet18]"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        fit_and_cut.settle_trunk(self)

    def check(self) -> None:
        """Look at the model, the size and the weights; imports timm.

        Raises:
            medbench.UsageError: Where timm has no such model, or the size is out of range.
        """
        check_model(self.model)
        if self.size is not None and not 16 <= self.size <= 1024:
            raise medbench.UsageError(f"{self.name}.size: got {self.size}; give a number of pixels from 16 to 1024.")
        fit_and_cut.check(self)

    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""
        check_model(self.model)
        import timm

        from medbench_plugins.networks import small

        model = self.model if self.pretrained != "imagenet" else packaged_weights.get_entry(self.model).network
        config = timm.get_pretrained_cfg(model)

        def build(size: int) -> nn.Module:
            # A transformer is made for one size; the others take any from some least size on.
            options = {"img_size": size} if config is not None and config.fixed_input_size else {}
            return _create(model, samples.x.shape[1], len(samples.classes), **options)

        channels, *sides = samples.x.shape[1:]
        shape = (channels, *(max(side, self.size or 0) for side in sides))
        size = small.find_least_size(build, shape, what=f"timm[model={self.model}]")
        options = {"img_size": size} if config is not None and config.fixed_input_size else {}
        classifier = () if config is None or not config.classifier else config.classifier
        head = tuple(f"{name}." for name in ((classifier,) if isinstance(classifier, str) else classifier))
        return _blueprint(model, samples, self.pretrained, min_size=size, head=head, **options)

    def fetch(self, folder: Path) -> Path:
        """Download timm's weights to ``<folder>/<model>.safetensors``."""
        return _fetch(self.model, folder)

    def list_weights(self) -> list[dict[str, str]]:
        """Return a row for all weights that built-in recipes take, see ``medbench weights list``."""
        return published_weights.list_sources()


def _blueprint(
    model: str,
    samples: medbench.Samples,
    pretrained: Literal["imagenet"] | Path | None,
    *,
    min_size: int,
    head: tuple[str, ...],
    **options: Any,
) -> Blueprint:
    channels, n_classes = samples.x.shape[1], len(samples.classes)
    packaged = packaged_weights.get_entry(model) if pretrained == "imagenet" else None

    def build() -> nn.Module:
        from medbench_plugins.networks.small import normalise_inputs

        statistics = None if pretrained is None else input_statistics(model, packaged or pretrained)
        if statistics is None or {*statistics[0], *statistics[1]} == {0.5}:  # of -1 to 1, as pixels are
            return _create(model, channels, n_classes, **options)
        # Gray goes through the published first layer as three equal channels: their statistics differ.
        network = _create(model, 3 if channels == 1 else channels, n_classes, **options)
        return normalise_inputs(network, channels, mean=statistics[0], deviation=statistics[1])

    if packaged is not None:
        return Blueprint(build, min_size=min_size, head=head, rename=packaged_weights.rename, packaged=model)
    return Blueprint(build, min_size=min_size, head=head, rename=get_renaming(model))


def input_statistics(
    model: str, begun: packaged_weights.Packaged | Path | str | None = None
) -> published_weights.Statistics | None:
    """Return mean and deviation of each colour in [0, 1] that weights were trained with, or None if timm knows none.

    Args:
        model: A name of timm.
        begun: What a package holds, or a file; None for timm's own weights.
    """
    import timm

    if isinstance(begun, packaged_weights.Packaged):
        return begun.mean, begun.deviation
    if isinstance(begun, Path) and (own := published_weights.input_statistics(begun)) is not None:
        return own
    config = timm.get_pretrained_cfg(model)
    return None if config is None else (config.mean, config.std)


def _create(model: str, channels: int, n_classes: int, **options: Any) -> nn.Module:
    import timm

    return timm.create_model(model, pretrained=False, in_chans=channels, num_classes=n_classes, **options)


def get_renaming(model: str) -> Any:
    """Return the function that brings published weights of this model into timm's present form."""
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(model.partition(".")[0]).__module__]
    names = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
    of_timm = next((getattr(module, name) for name in names if hasattr(module, name)), None)

    def rename(tensors: dict[str, Any], network: nn.Module) -> dict[str, Any]:
        tensors = published_weights.rename(tensors, network)
        if of_timm is None:
            return tensors
        with contextlib.redirect_stdout(None):  # one of them prints what it leaves out
            takes_network = len(inspect.signature(of_timm).parameters) > 1  # those of VGG and DenseNet take none
            return of_timm(tensors, network) if takes_network else of_timm(tensors)

    return rename


def _fetch(model: str, folder: Path) -> Path:
    from medbench_plugins.networks import weights

    check_model(model)
    return weights.fetch_timm(model, folder)


def check_model(model: str) -> None:
    """Raise :class:`medbench.UsageError` where timm has no model of this name."""
    import timm

    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture) or (tag and model not in timm.list_pretrained(f"{architecture}.*")):
        near = difflib.get_close_matches(model, [*timm.list_models(), *timm.list_pretrained()], n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models() for those there are"
        raise medbench.UsageError(f"timm has no model named {model!r}; {hint}")
