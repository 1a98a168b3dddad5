"""Corruptions of images: the table of strengths, the same bits for the same id, and more change the higher it is."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medbench.errors import UsageError
from medbench.protocols.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, corrupt, corruptions_of
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import seeded_as, with_leaks, with_share

STRENGTHS = {
    "gaussian-noise": (0.04, 0.08, 0.12, 0.18, 0.26),
    "speckle-noise": (0.1, 0.2, 0.3, 0.45, 0.6),
    "impulse-noise": (0.01, 0.03, 0.06, 0.1, 0.17),
    "gaussian-blur": (0.016, 0.024, 0.034, 0.046, 0.06),
    "motion-blur": (0.05, 0.09, 0.14, 0.2, 0.28),
    "contrast-down": (0.75, 0.6, 0.45, 0.3, 0.2),
    "contrast-up": (1.25, 1.5, 1.9, 2.4, 3.0),
    "brightness-down": (-0.05, -0.1, -0.16, -0.23, -0.32),
    "brightness-up": (0.05, 0.1, 0.16, 0.23, 0.32),
    "gamma": (1.25, 1.5, 1.9, 2.4, 3.0),
    "pixelation": (0.75, 0.6, 0.45, 0.32, 0.22),
    "jpeg": (50, 30, 20, 12, 6),
    "bias-field": (0.2, 0.35, 0.5, 0.7, 0.95),
}


def images(*shape: int) -> np.ndarray:
    """Return smooth images with an edge, ``uint8``."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=shape), (0, 0, *[2] * (len(shape) - 2)))
    x = 128 + 150 * smooth / np.abs(smooth).max() / 2
    x[..., shape[-1] // 2 :] += 30
    return x.clip(20, 235).astype(np.uint8)


IDS = np.array([f"a/{i}" for i in range(6)])


def test_strengths_are_what_the_table_says() -> None:
    assert {kind: one.strengths for kind, one in CORRUPTIONS.items()} == STRENGTHS


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_changes_more_with_severity_and_depends_on_the_id_alone(kind: str, channels: int) -> None:
    x = images(6, channels, 32, 32)
    levels = [corrupt(x, IDS, kind, severity) for severity in SEVERITIES]
    moved = [np.abs(level.astype(float) - x).mean() for level in levels]

    assert all(level.dtype == np.uint8 and level.shape == x.shape for level in levels)
    assert moved[0] > 0
    assert moved[-1] > 1.5 * moved[0]
    assert all(later > 0.9 * earlier for earlier, later in itertools.pairwise(moved))
    assert np.array_equal(corrupt(x[3:4], IDS[3:4], kind, 5), levels[4][3:4])
    assert np.array_equal(x, images(6, channels, 32, 32))


@pytest.mark.parametrize("kind", corruptions_of("all", 3))
def test_volumes_keep_their_shape(kind: str) -> None:
    x = images(2, 1, 8, 8, 8)
    assert corrupt(x, IDS[:2], kind, 3).shape == x.shape


def test_closed_forms() -> None:
    x = images(1, 1, 32, 32)
    one = x.astype(float) / 255

    def as_pixels(values: np.ndarray) -> np.ndarray:
        return np.round(255 * values.clip(0, 1)).astype(np.uint8)

    def changed(kind: str, severity: int) -> np.ndarray:
        return corrupt(x, IDS[:1], kind, severity)

    assert np.array_equal(changed("brightness-up", 2), as_pixels(one + 0.1))
    assert np.array_equal(changed("contrast-down", 4), as_pixels(one.mean() + 0.3 * (one - one.mean())))
    assert any(np.array_equal(changed("gamma", 5), as_pixels(one**g)) for g in (3.0, 1 / 3))
    blurred = gaussian_filter(one, (0, 0, 0.512, 0.512), mode="nearest")
    assert np.array_equal(changed("gaussian-blur", 1), as_pixels(blurred))
    buffer = io.BytesIO()
    Image.fromarray(x[0, 0]).save(buffer, "JPEG", quality=6)
    assert np.array_equal(changed("jpeg", 5)[0, 0], np.asarray(Image.open(buffer)))
    wide = corrupt(np.full((1, 1, 200, 200), 128, dtype=np.uint8), IDS[:1], "gaussian-noise", 2)
    assert np.std(wide / 255.0) == pytest.approx(0.08, rel=0.03)
    impulses = corrupt(np.full((1, 1, 200, 200), 128, dtype=np.uint8), IDS[:1], "impulse-noise", 4)
    assert np.isin(impulses, (0, 255)).mean() == pytest.approx(0.1, rel=0.1)
    halves = corrupt(x, IDS[:1], "pixelation", 5)[0, 0]
    assert len(np.unique(halves)) <= round(0.22 * 32) ** 2


def test_kinds_and_groups_go_by_name_and_volumes_leave_flat_kinds_out() -> None:
    assert corruptions_of("all") == tuple(CORRUPTIONS)
    assert corruptions_of("blur/noise") == (*GROUPS["noise"], *GROUPS["blur"])
    assert "motion-blur" not in corruptions_of("all", 3)
    assert corruptions_of("") == ()
    with pytest.raises(UsageError, match=r"no corruption is named 'nois' \(did you mean 'noise'\?\)"):
        protocol("patients[corrupted=nois]")
    with pytest.raises(UsageError, match="is made for flat images"):
        corruptions_of("jpeg", 3)
    with pytest.raises(UsageError, match="leaks nothing"):
        protocol("images[corrupted=all]")


def test_seeds_do_not_know_of_corruptions_and_yardsticks_and_leaks_do_without() -> None:
    assert seeded_as("patients[corrupted=all,share=0.5]") == "patients"
    assert with_share("official[corrupted=noise]", 0.75) == "official[share=0.75]"
    assert with_leaks("patients[corrupted=noise]", ["images"]) == "patients[leak=images]"
    assert with_leaks("patients[corrupted=noise]", []) == "patients[corrupted=noise]"
