"""Where the voxels of a NIfTI file lie: its qform, its sform, and whether they can be believed."""

from __future__ import annotations

import math

import numpy as np

from medbench import DataError


def best_affine(raw: np.void, name: str) -> tuple[np.ndarray, str]:
    """Return the sform where one is set, else the qform, else the voxel sizes; and a note where the two disagree.

    Args:
        raw: Header with the fields dim, pixdim, qform_code, sform_code, quaternion, qoffset and srow.
        name: What to call the file in a message.

    Returns:
        ``float64 (4, 4)`` and a sentence; empty where one is set, or both and they differ by at most 1 mm and 1 degree.

    Raises:
        DataError: If the affine is not finite, singular or far from millimetres.
    """
    sform = np.vstack([raw["srow"], [0, 0, 0, 1]]).astype(np.float64) if raw["sform_code"] > 0 else None
    qform = _qform(raw) if raw["qform_code"] > 0 else None
    if sform is not None:
        affine = sform
    elif qform is not None:
        affine = qform
    else:
        affine = _by_convention(raw)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    is_sound = np.isfinite(affine).all() and (lengths > 1e-3).all() and (lengths < 1e3).all()
    # 1e-3 of the volume of a box with these edges: the axes lie almost in one plane
    if not is_sound or abs(np.linalg.det(affine[:3, :3])) < 1e-3 * lengths.prod():
        raise DataError(
            f"{name}: its affine is singular, not finite or not in millimetres; "
            "set a valid sform or qform and save it again"
        )
    if sform is None and qform is None:
        return affine, f"{name}: says nothing of its orientation; taken as right to left, back to front, bottom to top"
    if sform is None or qform is None:
        return affine, ""
    shape = np.abs(raw["dim"][1:4]).astype(np.float64)
    apart_mm = apart(sform, qform, shape) if np.isfinite(qform).all() else math.inf
    turned = _angle(sform, qform) if np.isfinite(qform).all() else math.inf
    if apart_mm <= 1 and turned <= 1:
        return affine, ""
    return affine, f"{name}: its qform and sform differ by up to {apart_mm:.1f} mm and {turned:.1f} degrees; sform used"


def apart(affine: np.ndarray, other: np.ndarray, shape: np.ndarray | tuple[int, ...]) -> float:
    """Return how far two affines place a corner of a volume of `shape` voxels apart, in millimetres."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1], indexing="ij")).reshape(4, -1)
    return float(np.linalg.norm(((affine - other) @ corners)[:3], axis=0).max())


def _by_convention(raw: np.void) -> np.ndarray:
    """Order LAS, centred: what FSL and nibabel assume where neither form is set."""
    steps = np.abs(raw["pixdim"][1:4]).astype(np.float64) * (-1, 1, 1)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (raw["dim"][1:4] - 1) / 2
    return affine


def _angle(affine: np.ndarray, other: np.ndarray) -> float:
    """Largest angle between corresponding axes, in degrees."""
    a, b = (m[:3, :3] / np.maximum(np.linalg.norm(m[:3, :3], axis=0), 1e-12) for m in (affine, other))
    return float(np.degrees(np.arccos(np.clip((a * b).sum(axis=0), -1, 1))).max())


def _qform(raw: np.void) -> np.ndarray:
    """Source: nifti1.h, METHOD 2, with the unit quaternion (a, b, c, d)."""
    b, c, d = (float(q) for q in raw["quaternion"])
    square = 1.0 - (b * b + c * c + d * d)
    if not square > -1e-5:  # False for NaN as well; single precision leaves up to 1e-7
        return np.full((4, 4), np.nan)
    # Near a half turn the digits of a file may leave less than nothing for a. nifti1_io.c sets it to 0 below 1e-7,
    # which loses .04 degrees of a NIfTI-2 file; nibabel does not, and neither does this.
    a = math.sqrt(max(square, 0.0))
    a, b, c, d = (q / math.sqrt(a * a + b * b + c * c + d * d) for q in (a, b, c, d))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = np.abs(raw["pixdim"][1:4]).astype(np.float64)
    steps[2] *= -1.0 if raw["pixdim"][0] < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = turn * steps
    affine[:3, 3] = raw["qoffset"]
    return affine
