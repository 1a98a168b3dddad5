"""AugMix, CropMix, YOCO and SnapMix against their formulas, and what the MediAug notebooks make of an image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from torchvision.transforms.v2 import functional as tv

import medbench
from medbench.testing import SandboxContext, check_augmenter, check_generator, toy_samples
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.augmenters.augmix import AugMix, Chains, ConsistencyLoss
from medbench_plugins.augmenters.cutting import YOCO, CropMix, Crops, apply_to_halves
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.mixing import Mixup
from medbench_plugins.augmenters.snapmix import ActivationMaps, SnapMix, WeightedRows, mix_boxes
from medbench_plugins.generators.self_mixed import HOW, SelfMixed
from medbench_plugins.networks.small import SmallCNN
from medbench_plugins.plain_augmenters import Balanced
from medbench_plugins.transforms import self_mixes
from medbench_plugins.transforms.boxes import cut_boxes, enlarge, inside, random_window
from medbench_plugins.transforms.chains import chain, draw_depth, draw_weights, mix_chains

BUILT_IN: dict[str, Any] = {augmenter.name: augmenter for augmenter in register_augmenters()}
SHAPES = [(7, 1, 16, 16), (5, 3, 9, 14), (4, 2, 8, 9, 10)]
STORED = {
    "self-mix": "fade",
    "self-cutmix": "crop",
    "self-yoco": "halves",
    "self-cropmix": "crops",
    "self-augmix": "chains",
    "self-jitter": "jitter",
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randint(0, 256, shape, generator=seeded(seed)) / 127.5 - 1
    return x, torch.eye(3)[torch.randint(0, 3, (shape[0],), generator=seeded(seed + 1))]


@pytest.mark.parametrize("name", ["crops", "cropmix", "yoco", "snapmix", "chains", "augmix", *STORED])
def test_they_keep_the_contract(name: str, tmp_path: Path) -> None:
    check_augmenter(BUILT_IN[name], tmp_path)


@pytest.mark.parametrize("how", HOW)
def test_the_generator_keeps_its_contract(how: Any, tmp_path: Path) -> None:
    check_generator(SelfMixed(how=how), tmp_path)

    assert not SelfMixed().stored


def test_each_stands_on_itself_without_what_it_claims() -> None:
    def lineage(augmenter: Any) -> list[Any]:
        return [augmenter, *(lineage(control) if (control := augmenter.control) is not None else [])]

    assert lineage(AugMix())[1:] == [AugMix(consistency=0.0), Chains(), Balanced()]
    assert lineage(CropMix(scale=0.3))[1:] == [Crops(scale=0.3), Balanced()]
    assert lineage(YOCO())[1:] == [Geometric(), Balanced()]
    assert lineage(SnapMix())[1:] == [SnapMix(labels="area"), Balanced()]
    assert {BUILT_IN[name].control for name in STORED} == {BUILT_IN["copies"]}
    assert {name: BUILT_IN[name].generator.how for name in STORED} == STORED


@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=8)
@pytest.mark.parametrize(
    "augmenter",
    [Chains(), AugMix(), AugMix(consistency=0.0), Crops(), CropMix(views=4), YOCO(), SnapMix(labels="area")],
)
def test_ranges_and_labels_hold_whatever_the_shape(
    tmp_path_factory: pytest.TempPathFactory, augmenter: medbench.Augmenter, shape: tuple[int, ...], seed: int
) -> None:
    dimensions: Any = len(shape) - 2
    toys = toy_samples(8, dimensions=dimensions)
    transform = augmenter.fit(toys, SandboxContext(tmp_path_factory.getbasetemp())).transform
    assert transform is not None
    x, y = batch(shape, seed)
    before = x.clone()

    new_x, new_y = transform(x, y, seeded(seed))
    again, _ = transform(x, y, seeded(seed))

    assert torch.equal(x, before)
    assert torch.equal(new_x, again)
    assert (new_x.shape, new_x.dtype) == (x.shape, x.dtype)
    assert new_x.abs().max() <= 1 + 1e-6
    assert torch.allclose(new_y.sum(1), torch.ones(len(y)), atol=1e-5)


def test_weights_are_those_of_a_dirichlet_and_depths_are_even() -> None:
    weights = draw_weights(torch.rand(20_000, 3, generator=seeded())).numpy()
    depths = draw_depth(torch.rand(30_000, generator=seeded())).numpy()

    assert np.allclose(weights.sum(1), 1, atol=1e-6)
    for k in range(3):  # what is left of Dirichlet(1, 1, 1) for one of three is Beta(1, 2)
        assert stats.kstest(weights[:, k], stats.beta(1, 2).cdf).pvalue > 0.001
    assert np.corrcoef(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-0.5, abs=0.02)
    assert stats.chisquare(np.bincount(depths)[1:]).pvalue > 0.001
    assert np.bincount(depths)[0] == 0


def test_a_mixture_is_the_sum_that_the_paper_writes() -> None:
    """With a change that turns everything white, a row is (1 - m) x + m, so m can be read off: it is uniform."""
    x = torch.zeros(5000, 1, 2, 2)

    mixed = mix_chains(x, seeded(), lambda own, _: torch.ones_like(own), width=3)
    m = mixed[:, 0, 0, 0].numpy()

    assert stats.kstest(m, stats.uniform.cdf).pvalue > 0.001
    assert torch.allclose(mixed, mixed[:, :, :1, :1].expand_as(mixed))
    still = mix_chains(batch(SHAPES[0])[0], seeded(), lambda own, _: own, width=3)
    assert torch.allclose(still, batch(SHAPES[0])[0], atol=1e-5)


def test_a_chain_is_as_long_as_was_drawn() -> None:
    depth = torch.tensor([1, 2, 3, 1])

    changed = chain(torch.zeros(4, 1, 2, 2), depth, seeded(), lambda own, _: own + 1)

    assert changed[:, 0, 0, 0].tolist() == depth.tolist()


def test_the_consistency_loss_is_cross_entropy_and_a_divergence_of_three() -> None:
    logits = torch.randn(8, 4, generator=seeded())  # two images with two mixtures each, and two images alone
    y = torch.eye(4)[torch.tensor([1, 2, 1, 2, 1, 2, 0, 3])]

    loss = ConsistencyLoss(12.0)(logits, y)

    p = logits.double().softmax(1).numpy()
    clean = [0, 1, 6, 7]
    cross_entropy = -np.mean([np.log(p[row, y[row].argmax()]) for row in clean])
    apart = [
        stats.entropy(p[[i, i + 2, i + 4]].mean(0)) - np.mean([stats.entropy(p[i + 2 * v]) for v in range(3)])
        for i in range(2)
    ]
    assert loss.item() == pytest.approx(cross_entropy + 12 * np.mean(apart), rel=1e-5)
    assert ConsistencyLoss(12.0)(logits[:2], y[:2]).item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits[:2], y[:2]).item()
    )


def test_under_the_consistency_loss_a_batch_holds_images_and_their_mixtures(tmp_path: Path) -> None:
    transform = AugMix().fit(toy_samples(8), SandboxContext(tmp_path)).transform
    assert transform is not None
    x, y = batch((11, 1, 16, 16))

    new_x, new_y = transform(x, y, seeded())

    assert torch.equal(new_x[:3], x[:3])
    assert torch.equal(new_x[9:], x[9:])
    assert torch.equal(new_y, torch.cat([y[:3], y[:3], y[:3], y[9:]]))
    assert not torch.equal(new_x[3:6], new_x[6:9])
    assert (new_x[3:9].flatten(1) != x[:3].repeat(2, 1, 1, 1).flatten(1)).any(1).any()


@pytest.mark.parametrize(
    ("top", "left", "height", "width"), [(0, 0, 8, 8), (3, 2, 10, 6), (6, 10, 10, 6), (0, 0, 16, 16)]
)
def test_a_window_is_enlarged_as_by_torchvision(top: int, left: int, height: int, width: int) -> None:
    x, _ = batch((2, 3, 16, 16))
    size = torch.tensor([[height, width]]) / 16
    centre = torch.tensor([[2 * top + height, 2 * left + width]]) / 16 - 1

    ours = enlarge(x, size.expand(2, 2), centre.expand(2, 2))
    theirs = tv.resized_crop(x, top, left, height, width, [16, 16], antialias=False)

    # A crop is enlarged from its own pixels there; here neighbours beyond its edge have a part in the outermost half.
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert torch.allclose(ours[inner], theirs[inner], atol=1e-5)


@pytest.mark.parametrize("d", [2, 3])
def test_windows_lie_in_the_image_and_have_the_size_that_was_asked_for(d: int) -> None:
    x = torch.zeros(4000, 1, *[4] * d)
    low, high = torch.full((4000,), 0.3), torch.full((4000,), 0.5)

    size, centre = random_window(x, seeded(), low, high)
    area = size.prod(1)

    assert (centre.abs() + size <= 1 + 1e-6).all()
    assert (size <= 1).all()
    assert stats.kstest(area.numpy(), stats.uniform(0.3, 0.2).cdf).pvalue > 0.001  # none was shortened at this size
    ratio = (size[:, 0] / size[:, 1]).log() if d == 2 else (size[:, 0] / size[:, 2]).log()
    assert ratio.abs().max() <= np.log(4 / 3) * (1 if d == 2 else 1.5)


def test_cropmix_fades_crops_of_one_image_and_keeps_its_label(tmp_path: Path) -> None:
    transform = CropMix(views=3).fit(toy_samples(8), SandboxContext(tmp_path)).transform
    assert transform is not None
    constant = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 12, 12).contiguous()
    _, y = batch((6, 1, 12, 12))

    new_x, new_y = transform(constant, y, seeded())

    assert torch.allclose(new_x, constant, atol=1e-6)  # no other image had a part in it
    assert new_y is y


@pytest.mark.parametrize("shape", SHAPES)
def test_yoco_changes_two_halves_apart(shape: tuple[int, ...]) -> None:
    calls: list[float] = []

    def paint(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(float(len(calls)))
        return torch.full_like(x, calls[-1]), torch.eye(3)[[len(calls) % 2] * len(y)]

    x, y = batch((200, *shape[1:]))
    new_x, new_y = apply_to_halves(paint, x, y, seeded())

    d, axes = len(shape) - 2, set()
    assert len(calls) == 2 * d
    for row, label in zip(new_x, new_y, strict=True):
        first = int(row.flatten()[0])
        axis = first // 2  # which of the calls painted its first half
        half = shape[2 + axis] // 2
        assert (row.narrow(1 + axis, 0, half) == first).all()
        assert (row.narrow(1 + axis, half, shape[2 + axis] - half) == first + 1).all()
        assert label[1].item() == pytest.approx(half / shape[2 + axis])  # odd calls give class 1 and come first
        axes.add(axis)
    assert axes == set(range(d))


def test_boxes_are_those_of_cutmix_and_may_be_empty() -> None:
    share, place = torch.tensor([0.75, 0.75, 1.0]), torch.tensor([[0.5, 0.5], [0.0, 0.99], [0.5, 0.5]])

    low, high = cut_boxes(share, place, (16, 16))

    assert torch.cat([low, high], 1).tolist() == [[4, 4, 12, 12], [0, 11, 4, 16], [8, 8, 8, 8]]
    assert inside(low, high, (16, 16)).flatten(1).sum(1).tolist() == [64, 20, 0]


def test_snapmix_weighs_labels_by_the_maps_of_what_stayed_and_came() -> None:
    generator = np.random.default_rng(0)
    maps = generator.random((3, 6, 8))
    maps /= maps.sum((1, 2), keepdims=True)
    x = torch.from_numpy(generator.random((3, 1, 6, 8))).float()
    y, partner = torch.eye(3)[[0, 1, 1]], torch.tensor([1, 2, 0])
    of = torch.tensor([[0, 1], [2, 0], [3, 3]]), torch.tensor([[3, 5], [6, 4], [3, 3]])  # the last one is empty
    to = torch.tensor([[2, 2], [0, 0], [0, 0]]), torch.tensor([[5, 6], [2, 2], [4, 4]])

    mixed, labels, weight = mix_boxes(x, y, partner, of, to, torch.from_numpy(maps).float()[:, None])

    expected = np.zeros((3, 3))
    for row in range(3):
        stayed, came = 1.0, 0.0
        if row < 2:
            (t0, t1), (t2, t3) = to[0][row].tolist(), to[1][row].tolist()
            (o0, o1), (o2, o3) = of[0][row].tolist(), of[1][row].tolist()
            stayed -= maps[row, t0:t2, t1:t3].sum()
            came = maps[partner[row], o0:o2, o1:o3].sum()
        expected[row, int(y[row].argmax())] += stayed
        expected[row, int(y[partner[row]].argmax())] += came
    assert np.allclose(weight[:, None] * labels, expected, atol=1e-6)
    assert torch.allclose(labels.sum(1), torch.ones(3))
    assert torch.equal(mixed[2], x[2])
    assert torch.allclose(mixed[0, :, 2:5, 2:6], x[1, :, 0:3, 1:5], atol=1e-6)  # equal sizes: pixel for pixel
    kept = torch.ones(6, 8, dtype=torch.bool)
    kept[2:5, 2:6] = False
    assert torch.equal(mixed[0, 0][kept], x[0, 0][kept])


def test_rows_that_say_little_count_little() -> None:
    logits = torch.randn(4, 3, generator=seeded())
    first, second = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    stayed, came = torch.tensor([0.3, 0.9, 0.0, 0.2]), torch.tensor([0.1, 0.4, 1.0, 0.0])
    loss = WeightedRows()

    summed = stayed[:, None] * torch.eye(3)[first] + came[:, None] * torch.eye(3)[second]
    weight = summed.sum(1)
    loss.weigh(torch.ones(4))
    loss.weigh(weight)  # written over, in place

    entropies = (
        torch.nn.functional.cross_entropy(logits, first, reduction="none"),
        torch.nn.functional.cross_entropy(logits, second, reduction="none"),
    )
    theirs = (entropies[0] * stayed + entropies[1] * came).mean()  # as the paper writes it
    assert loss(logits, summed / weight[:, None]).item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_activation_maps_are_weighted_features(dimensions: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SmallCNN(1, 3, width=4, spatial_dims=dimensions).eval()
    x = torch.randn(2, 1, *[32] * dimensions, generator=seeded()).clamp(-1, 1)
    labels = torch.tensor([2, 0])

    maps = ActivationMaps(network)(x, labels)

    with torch.no_grad():
        features = network.features(x).numpy()
    weights = network.head.weight.detach().numpy()
    for row, label in enumerate(labels.tolist()):
        coarse = np.tensordot(weights[label], features[row], axes=1)
        fine = torch.nn.functional.interpolate(
            torch.from_numpy(coarse)[None, None], [32] * dimensions, mode="bilinear" if dimensions == 2 else "trilinear"
        ).numpy()[0, 0]
        fine = (fine - fine.min()) / (fine - fine.min()).sum()
        assert np.allclose(maps[row, 0].numpy(), fine, atol=1e-6)


def test_a_blur_is_that_of_scipy() -> None:
    x, _ = batch((3, 1, 20, 24))
    deviation = torch.tensor([0.3, 1.1, 2.0])

    blurred = self_mixes.blur(x, deviation)

    for row in range(3):
        theirs = ndimage.gaussian_filter(x[row, 0].double().numpy(), deviation[row].item(), mode="nearest", radius=6)
        assert np.allclose(blurred[row, 0].numpy(), theirs, atol=1e-5)


def test_a_crop_of_itself_is_pasted_as_it_is() -> None:
    x = torch.arange(2 * 24 * 30).view(2, 1, 24, 30).float() / 2000

    made = self_mixes.paste_own_crop(x, seeded(3))

    for row in range(2):
        step = made[row, 0] - x[row, 0]
        rows, columns = torch.nonzero(step, as_tuple=True)
        box = step[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert torch.allclose(box, box[0, 0].expand_as(box), atol=1e-6)  # all pixels moved alike, so a crop was moved
        assert 1 / 6 - 0.05 <= len(box) / 24 <= 0.9


@pytest.mark.parametrize("mirror", [1, None])
def test_one_half_is_mirrored_and_the_other_jittered(mirror: int | None) -> None:
    x, _ = batch((64, 1, 10, 12))

    made = self_mixes.change_halves(x, seeded(), mirror=mirror)

    first = [x[:, :, :, :6], x[:, :, :5]]
    expected = [half.flip(3) for half in first] if mirror else first
    across = (made[:, :, :, :6] == expected[0]).flatten(1).all(1)
    down = (made[:, :, :5] == expected[1]).flatten(1).all(1)
    assert (across | down).all()
    if mirror:
        assert 15 <= across.sum() <= 49
        assert not (across & down).any()


def test_a_tenth_of_the_changes_inverts_and_two_tenths_leave_one_gray_value() -> None:
    """The share is read off where the change is known: (1 - s) * changed + s * x."""
    x = torch.rand(2000, 1, 4, 4, generator=seeded()) * 1.6 - 0.8
    made = self_mixes.fade_into_change(x, seeded(1)).flatten(1)
    flat = x.flatten(1)

    inverted = (made / flat - (made / flat)[:, :1]).abs().amax(1) < 1e-4  # a multiple of itself: inverted, or the same
    corner = flat[:, :1]
    share = (made - corner) / (flat - corner)
    constant = (share[:, 1:] - share[:, 1:2]).abs().amax(1) < 1e-3
    factor = (made / flat)[:, 0]

    assert (inverted & (factor < 0.999)).float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert (constant & ~inverted).float().mean().item() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("augmenter", "field"),
    [
        (AugMix(width=0), "augmix.width"),
        (AugMix(severity=11), "augmix.severity"),
        (AugMix(consistency=-1), "augmix.consistency"),
        (Chains(severity=0), "chains.severity"),
        (Crops(scale=0), "crops.scale"),
        (CropMix(scale=1), "cropmix.scale"),
        (CropMix(views=5), "cropmix.views"),
        (CropMix(ratio=0), "cropmix.ratio"),
        (SnapMix(alpha=0), "snapmix.alpha"),
        (SnapMix(probability=2), "snapmix.probability"),
        (YOCO(base=Balanced()), "yoco.base: balanced changes no images"),
        (YOCO(base=Mixup(alpha=0)), "mixup.alpha"),
    ],
)
def test_a_field_out_of_range_is_refused_by_name(augmenter: Any, field: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        augmenter.fit(toy_samples(8), SandboxContext(tmp_path))


def test_features_are_refused_in_one_sentence(tmp_path: Path) -> None:
    rows = toy_samples(8, dimensions=0)
    for augmenter in (AugMix(), Chains(), Crops(), CropMix(), SnapMix()):
        with pytest.raises(medbench.UsageError, match="works on images and volumes"):
            augmenter.fit(rows, SandboxContext(tmp_path))


def test_a_run_trains_with_them_and_names_them(tmp_path: Path) -> None:
    """Through the command line, with processes of its own: a loss, a network that is fitted before, stored copies."""
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}
    asked = ["-d", "phantom:ddti:benign-malignant", "-c", "small-cnn", "--folds", "2", "--repeats", "1"]
    asked += [part for name in ("augmix", "snapmix", "self-cutmix") for part in ("-a", name)]
    asked += ["--no-controls", "--no-yardsticks", "--budget", "steps=4,batch=8,size=16,generator_steps=2"]
    command = [sys.executable, "-m", "medbench", "run", *asked, "--workers", "1"]

    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)

    assert ran.returncode == 0, ran.stderr
    assert "6 training runs finished" in ran.stdout
    for name in ("AugMix", "SnapMix", "stored self-CutMix"):
        assert name in ran.stdout
