"""A U-Net trained on masks, what it gives as features, and the heads that are put on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.interfaces import Budget, cut_in_two, needs, source_of
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.classifiers.heads import ConvHead, LinearHead
from medbench_plugins.classifiers.unet import UNetFeatures
from medbench_plugins.classifiers.unet_encoder import SegmentationPretraining, UNetEncoder
from medbench_plugins.networks import unet
from medbench_plugins.plain_augmenters import Balanced, Unchanged
from medbench_plugins.training import segmentation_loop

QUICK = UNetFeatures(width=2)
CHEAP = Budget(steps=3, batch=4)
NOTHING = toy_samples(4).take([])


def discs(n: int = 60, *, size: int = 32, dimensions: int = 2, channels: int = 1, seed: int = 0) -> medbench.Samples:
    """Discs (balls) of two sizes with their masks: class 1 has the larger and no brighter ones, place at random."""
    rng = np.random.default_rng(seed)
    samples = toy_samples(n, size=size, dimensions=dimensions, channels=channels, seed=seed)
    radius = np.where(samples.labels == 1, 0.28, 0.14) * size
    axes = np.meshgrid(*[np.arange(size)] * dimensions, indexing="ij")
    masks = np.zeros((n, *[size] * dimensions), dtype=np.uint8)
    for row in range(n):
        centre = rng.uniform(0.3 * size, 0.7 * size, dimensions)
        masks[row] = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < radius[row] ** 2
    x = rng.normal(100, 20, (n, channels, *[size] * dimensions)) + 60 * masks[:, None]
    masks *= rng.integers(1, 4, (n, *[1] * dimensions)).astype(np.uint8)  # several labels, as of a tumour's parts
    return replace(samples, x=x.clip(0, 255).astype(np.uint8), masks=masks)


@dataclass(frozen=True)
class Elsewhere:
    """A data set by name; its samples are in the sandbox."""

    name: str = "elsewhere"
    size: int = 32
    card = medbench.Card("Elsewhere", "CC0", "none", "drawn in a test", "pictures")

    def index(self, root: Path) -> medbench.Index:
        raise NotImplementedError

    def read(self, root: Path, records: Any, size: int) -> Any:
        raise NotImplementedError

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        raise NotImplementedError


@pytest.mark.slow
def test_a_unet_learns_unseen_discs_and_its_features_separate_their_classes(context: SandboxContext) -> None:
    context.budget = Budget(steps=200, batch=16)
    train, test = discs(), discs(seed=1)

    encode = UNetEncoder(width=4, lr=3e-3).fit(train, context)
    context.budget = Budget(steps=200, batch=16)
    predict = LinearHead().fit(medbench.TrainingSet(replace(train, x=encode(train.x), masks=None)), NOTHING, context)

    assert segmentation_loop.dice(encode.network, test, torch.device("cpu")) > 0.6
    assert float(encode.facts["dice"]) > 0.6
    assert (predict(encode(test.x)).argmax(1) == test.labels).mean() > 0.8


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("spatial", [False, True])
def test_features_are_means_or_maps_of_the_bottom(dimensions: int, spatial: bool, context: SandboxContext) -> None:
    context.budget = CHEAP
    train = discs(6, size=20, dimensions=dimensions, channels=2)
    recipe = UNetEncoder(spatial=spatial, width=2)

    encode = check_recipe_is_unchanged(recipe, lambda: recipe.fit(train, context))
    encoded = encode(train.x)

    assert encoded.dtype == np.float32
    assert encoded.shape == ((6, 32, *[2] * dimensions) if spatial else (6, 32))
    assert encoded.min() >= 0
    assert encode(train.x[:0]).shape == (0, *encoded.shape[1:])
    assert encode.facts["steps"] == 3
    assert 0 <= float(encode.facts["dice"]) <= 1
    assert context.reports[-1][:2] == (3, 3)


def test_means_are_the_means_of_the_maps_and_reach_the_outputs_of_monai(context: SandboxContext) -> None:
    context.budget = CHEAP
    train = discs(5)
    encode = UNetEncoder(width=2).fit(train, context)
    x = torch.from_numpy(train.x).float() / 127.5 - 1
    kept: list[torch.Tensor] = []
    network: Any = encode.network
    network.down_4.register_forward_hook(lambda layer, given, made: kept.append(made))

    with torch.no_grad():
        logits = network(x)  # MONAI's own forward, which passes through the bottom

    np.testing.assert_allclose(encode(train.x), kept[0].double().mean((2, 3)).numpy(), atol=1e-5)
    torch.testing.assert_close(unet.predict_logits(network, x), logits)


def test_its_first_norm_has_the_statistics_of_the_kept_weights(context: SandboxContext) -> None:
    """Recomputed with numpy from what the kept convolution makes of the training images."""
    context.budget = Budget(steps=30, batch=16)
    train = discs(40, size=16)

    network: Any = UNetEncoder(width=2, augment=False).fit(train, context).network.conv_0.conv_0

    with torch.no_grad():
        seen = network.conv(torch.from_numpy(train.x).float() / 127.5 - 1).numpy()
    assert np.abs(network.adn.N.running_mean.numpy() - seen.mean((0, 2, 3))).max() < 0.05 * seen.std()
    assert np.abs(network.adn.N.running_var.numpy() / seen.var((0, 2, 3)) - 1).max() < 0.05


@given(sides=st.lists(st.integers(1, 40), min_size=2, max_size=3))
@settings(deadline=None, max_examples=25)
def test_padding_appends_black_up_to_a_multiple_of_sixteen(sides: list[int]) -> None:
    x = torch.rand(1, 1, *sides)

    grown = unet.pad(x)

    assert all(side % 16 == 0 and 0 <= side - own < 16 for side, own in zip(grown.shape[2:], sides, strict=True))
    inner = grown[(..., *(slice(side) for side in sides))]
    assert torch.equal(inner, x)
    assert (grown == -1).sum() == grown.numel() - x.numel()


@given(seed=st.integers(0, 1000), dimensions=st.integers(2, 3))
@settings(deadline=None, max_examples=20)
def test_images_and_masks_are_flipped_alike_and_lose_nothing(seed: int, dimensions: int) -> None:
    x = torch.arange(4 * 3**dimensions).float().view(4, 1, *[3] * dimensions)

    moved, masks = segmentation_loop.flip(x, 2 * x, torch.Generator().manual_seed(seed))

    assert torch.equal(masks, 2 * moved)
    assert torch.equal(moved.flatten(1).sort().values, x.flatten(1))


def test_dice_is_its_formula() -> None:
    samples = discs(7)
    assert samples.masks is not None
    masks = samples.masks.copy()
    masks[2] = 0  # a row without foreground has no part in it
    samples = replace(samples, masks=masks)

    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - 0.1

    found, there = samples.x[:, 0] / 127.5 - 1 > 0.1, masks > 0
    expected = [2 * (f & t).sum() / (f.sum() + t.sum()) for f, t in zip(found, there, strict=True) if t.any()]

    assert segmentation_loop.dice(Bright(), samples, torch.device("cpu")) == pytest.approx(float(np.mean(expected)))


@pytest.mark.parametrize("spatial", [False, True])
def test_a_restored_encoder_gives_the_same_features_bit_for_bit(spatial: bool, context: SandboxContext) -> None:
    context.budget = CHEAP
    train, recipe = discs(6), UNetEncoder(spatial=spatial, width=2)
    before = torch.random.get_rng_state()

    fitted, again = recipe.fit(train, context), recipe.fit(train, context)
    stored = {name: np.ascontiguousarray(array) for name, array in fitted.state().items()}  # as the store keeps them
    restored = recipe.restore(stored, train)

    assert np.array_equal(restored(train.x), fitted(train.x))
    assert np.array_equal(again(train.x), fitted(train.x))
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(medbench.StoreError, match="encoder of unet-features"):
        UNetEncoder(width=4).restore(stored, train)


def test_the_encoder_never_sees_a_class(context: SandboxContext) -> None:
    context.budget = CHEAP
    train = discs(6)
    unlabelled = replace(train, labels=np.full(6, -1))

    one, other = (UNetEncoder(width=2).fit(t, context) for t in (train, unlabelled))

    assert np.array_equal(one(train.x), other(train.x))


def test_every_label_above_0_is_foreground(context: SandboxContext) -> None:
    context.budget = CHEAP
    train = discs(6)
    assert train.masks is not None
    binary = replace(train, masks=(train.masks > 0).astype(np.uint8))
    assert train.masks.max() > 1

    one, other = (UNetEncoder(width=2).fit(t, context) for t in (train, binary))

    assert np.array_equal(one(train.x), other(train.x))


def test_missing_masks_are_a_skip(context: SandboxContext) -> None:
    train = discs(6)
    assert train.masks is not None

    with pytest.raises(medbench.Skip, match="have no masks"):
        QUICK.fit(medbench.TrainingSet(replace(train, masks=None)), NOTHING, context)
    with pytest.raises(medbench.Skip, match="6 samples have no foreground"):
        UNetEncoder().fit(replace(train, masks=0 * train.masks), context)
    with pytest.raises(medbench.Skip, match=r"unet-features\[source=elsewhere\]"):
        SegmentationPretraining(UNetEncoder(), Elsewhere()).fit(replace(train, masks=None), context)


def test_a_loss_that_is_not_finite_is_divergence(context: SandboxContext) -> None:
    context.budget = CHEAP

    with pytest.raises(medbench.Diverged, match=r"(step \d of 3|after step 3)"):
        UNetEncoder(width=2, lr=1e38).fit(discs(6), context)


@pytest.mark.parametrize("augmenter", [Unchanged(), Balanced()], ids=lambda a: a.name)
@pytest.mark.parametrize("classifier", [QUICK, UNetFeatures(width=2, spatial=True)], ids=["means", "maps"])
def test_arms_of_pixels_predict_probabilities(augmenter: Any, classifier: Any, context: SandboxContext) -> None:
    context.budget = CHEAP
    train, validation = discs(8), discs(4, seed=1)
    assert augmenter.gives <= classifier.takes

    first, second = (
        check_recipe_is_unchanged(
            classifier, lambda: classifier.fit(augmenter.fit(train, context), validation, context)
        )
        for _ in range(2)
    )
    probabilities = first(validation.x)

    assert probabilities.dtype == np.float64
    assert probabilities.shape == (4, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-9)
    assert np.array_equal(second(validation.x), probabilities)
    assert {"train_loss", "validation_loss", "steps"} <= set(first.facts)


def test_pixels_and_features_share_encoder_and_head(context: SandboxContext) -> None:
    context.budget = CHEAP
    train, test = discs(8), discs(4, seed=1)
    encoder, head = cut_in_two(QUICK) or (None, None)
    assert encoder is not None
    assert head is not None
    assert needs(QUICK) == (encoder,)  # so a store has it once for both

    encode = context.fit(encoder, train)
    of_features = FeatureNone().fit(replace(train, x=encode(train.x), masks=None), context)
    by_features = head.fit(of_features, NOTHING, context)
    by_pixels = QUICK.fit(Balanced().fit(train, context), NOTHING, context)

    assert np.array_equal(by_pixels(test.x), by_features(encode(test.x)))


def test_transforms_and_synthetic_images_are_not_taken() -> None:
    assert not {"transform", "samples"} & QUICK.takes


def test_another_data_set_is_learnt_first(context: SandboxContext) -> None:
    context.budget = CHEAP
    context.sources = {"elsewhere": discs(8, seed=3)}
    classifier = UNetFeatures(width=2, source=Elsewhere())
    encoder, _ = classifier.cut()
    [stage] = needs(encoder)
    train = discs(6)

    fitted = encoder.fit(train, context)
    plain = replace(encoder, before=None).fit(train, context)
    alone = stage.fit(context.sources["elsewhere"], context)

    assert source_of(stage) == Elsewhere()
    assert source_of(encoder) is None  # it is fitted on the training samples itself
    assert needs(stage) == ()
    assert isinstance(stage, medbench.Stage)
    assert not np.array_equal(fitted(train.x), plain(train.x))
    assert not np.array_equal(fitted(train.x), alone(train.x))
    assert getattr(classifier, "control", None) is None  # methods are compared on it, as on any other network


def test_it_begins_from_a_file_and_refuses_that_of_another_network(context: SandboxContext, tmp_path: Path) -> None:
    context.budget = Budget(steps=1, batch=4)
    train = discs(6)
    with torch.random.fork_rng():
        network = unet.build_unet(1, width=2, spatial_dims=2)
    torch.save(network.state_dict(), tmp_path / "own.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")

    fitted = UNetEncoder(width=2, lr=1e-9, pretrained=tmp_path / "own.pt").fit(train, context)

    assert len(str(fitted.facts["pretrained"])) == 64
    found = fitted.network.state_dict()
    for name, value in network.named_parameters():
        torch.testing.assert_close(found[name], value.detach(), atol=1e-6, rtol=1e-6)
    with pytest.raises(medbench.DataError, match=r"other\.pt"):
        UNetEncoder(width=2, pretrained=tmp_path / "other.pt").fit(train, context)


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (UNetFeatures(head="conv"), "unet-features.head"),
        (UNetFeatures(head="other"), "unet-features.head"),  # type: ignore[arg-type]
        (UNetFeatures(width=0), "unet-features.width"),
        (UNetFeatures(lr=float("nan")), "unet-features.lr"),
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: UNetFeatures, field: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        recipe.fit(medbench.TrainingSet(discs(4)), NOTHING, context)


def test_the_head_is_chosen_by_the_features() -> None:
    assert UNetFeatures().cut()[1] == LinearHead()
    assert UNetFeatures(spatial=True).cut()[1] == ConvHead()
    assert UNetFeatures(spatial=True, head="linear").cut()[1] == LinearHead()


@pytest.mark.parametrize("spatial", [(4, 4), (3, 2, 4)])
def test_the_convolutional_head_learns_where_means_tell_nothing(
    spatial: tuple[int, ...], context: SandboxContext
) -> None:
    context.budget = Budget(steps=120, batch=16)

    def maps(seed: int) -> medbench.Samples:
        samples = toy_samples(80, size=4, seed=seed)
        x = np.random.default_rng(seed).normal(size=(80, 3, *spatial))
        x[samples.labels == 0, 0, 0] += 2  # bright at one end
        x[samples.labels == 1, 0, -1] += 2  # or at the other
        return replace(samples, x=x.astype(np.float32))

    train, test = maps(0), maps(1)

    first, second, linear = (
        head.fit(medbench.TrainingSet(train), NOTHING, context)
        for head in (ConvHead(width=8, hidden=16), ConvHead(width=8, hidden=16), LinearHead())
    )

    assert (first(test.x).argmax(1) == test.labels).mean() > 0.85
    assert (linear(test.x).argmax(1) == test.labels).mean() < 0.65
    assert np.array_equal(first(test.x), second(test.x))


@pytest.mark.parametrize("spatial", [(1, 1), (1, 3), (1, 2, 1)])
def test_the_convolutional_head_takes_maps_of_few_positions(spatial: tuple[int, ...], context: SandboxContext) -> None:
    context.budget = CHEAP
    samples = toy_samples(9, size=4)
    samples = replace(samples, x=np.random.default_rng(0).normal(size=(9, 3, *spatial)).astype(np.float32))

    assert ConvHead().fit(medbench.TrainingSet(samples), samples, context)(samples.x).shape == (9, 2)


def test_the_convolutional_head_needs_maps_and_synthetic_rows_do_not_move_its_units(context: SandboxContext) -> None:
    context.budget = CHEAP
    samples = toy_samples(12, size=4)
    maps = replace(samples, x=np.random.default_rng(0).normal(3, 2, (12, 5, 2, 2)).astype(np.float32))
    made = maps.with_synthetic(np.full((5, 5, 2, 2), 1e4, dtype=np.float32), np.zeros(5), maker="far")

    fitted: Any = ConvHead().fit(medbench.TrainingSet(made), NOTHING, context)

    np.testing.assert_allclose(fitted.network.mean.numpy().ravel(), maps.x.mean((0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(fitted.network.deviation.numpy().ravel(), maps.x.std((0, 2, 3)), rtol=1e-4)
    with pytest.raises(medbench.Skip, match="conv-head works on maps"):
        ConvHead().fit(medbench.TrainingSet(replace(samples, x=maps.x[:, :, 0, 0])), NOTHING, context)
