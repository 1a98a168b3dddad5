"""What tells the classes apart without what is shown: size, file, brightness, colour, text in the border, padding.

A classifier that learns one of them measures the hospital or the device. Each is tried alone, with a logistic
regression that never sees the patients it is asked about; beside them stands the nearest picture of the training part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medbench.data.audit_findings import Shortcut
from medbench.data.picture_planes import area_weights, resize
from medbench.protocols.folds import assign_folds

MOST = 2000  # images looked at: a few seconds; above, whole groups are drawn
FOLDS = 5
DRAWS = 200  # bootstrap samples of groups
BORDER = 0.12  # of each side
NEIGHBOUR = 16  # pixels a side at which the nearest picture is looked for
SEED = 0

Header = tuple[int, int, int, int]
"""Bytes of the file, height, width and bands of the stored picture; 0 where the file does not say."""


def read_header(path: Path) -> Header:
    """Read a file's size, and what its header says of the picture, for formats of pictures and DICOM by content.

    Never raises for what stands in a file: whatever cannot be told is 0.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return 0, 0, 0, 0
    if path.suffix.lower() in (".npz", ".npy", ".nii", ".gz"):  # volumes and archives, one of them for many images
        return size, 0, 0, 0
    try:
        with path.open("rb") as file:
            is_dicom = file.read(132)[128:] == b"DICM"
    except OSError:
        return size, 0, 0, 0
    if is_dicom:
        import pydicom

        try:
            tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns", "SamplesPerPixel"])
            return size, int(tags.Rows), int(tags.Columns), int(tags.get("SamplesPerPixel", 1))
        except Exception:  # noqa: BLE001  damaged headers raise anything; a reader has judged the file already
            return size, 0, 0, 0
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in the readers, which have judged the file already
            with Image.open(path, formats=("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP")) as picture:
                return size, picture.height, picture.width, len(picture.getbands())
    except Exception:  # noqa: BLE001  the same
        return size, 0, 0, 0


def measure_shortcuts(
    pixels: np.ndarray, labels: np.ndarray, groups: np.ndarray, headers: np.ndarray, classes: int
) -> tuple[tuple[Shortcut, ...], Shortcut | None, int]:
    """Measure how far each shortcut alone tells the classes apart.

    Args:
        pixels: ``uint8 (n, channels, *spatial)``; of volumes the middle plane of the first axis is looked at.
        labels: ``int64 (n,)``; rows with -1 are left out.
        groups: ``str (n,)``, what no cut may part.
        headers: ``int64 (n, 4)`` as :func:`read_header` gives them.
        classes: Number of classes.

    Returns:
        Shortcuts, the nearest neighbour and the number of images looked at. Nothing where a class has fewer than FOLDS
        groups; a shortcut on which all images agree is left out.
    """
    rows = draw_rows(labels, groups)
    labels, groups = labels[rows], groups[rows]
    of_class = [len(set(groups[labels == k].tolist())) for k in range(classes) if (labels == k).any()]
    if len(of_class) < 2 or min(of_class) < FOLDS:
        return (), None, 0
    plane = plane_of(pixels, rows)
    pictures = crop_common(plane)
    folds = assign_folds(groups, labels, FOLDS, salt="shortcuts")
    draws = draw_groups(groups, labels)
    found = []
    for name, features in (*features_of(pictures, headers[rows]), ("padding", padding_of(plane))):
        varies = features.std(0) > 1e-9
        if varies.any():
            scores = regress(features[:, varies], labels, folds, classes)
            found.append(score(name, scores, labels, draws))
    near = score("the nearest training picture", nearest(pictures, labels, folds, classes), labels, draws)
    return tuple(found), near, len(rows)


def draw_rows(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the rows to look at: all labelled ones, or whole groups up to MOST of them."""
    rows = np.flatnonzero(labels >= 0)
    if len(rows) <= MOST:
        return rows
    names, number = np.unique(groups[rows], return_inverse=True)
    order = np.random.default_rng(SEED).permutation(len(names))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    sizes = np.bincount(number, minlength=len(names))[order]
    kept: np.ndarray = rows[place[number] < max(1, int(np.searchsorted(sizes.cumsum(), MOST, side="right")))]
    return kept


def plane_of(pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return ``uint8 (n, channels, h, w)``; of volumes the middle plane of the first axis."""
    x = pixels[:, :, pixels.shape[2] // 2] if pixels.ndim == 5 else pixels
    return np.asarray(x[rows])


def crop_common(x: np.ndarray) -> np.ndarray:
    """Return ``uint8 (n, channels, h, w)`` without lines that are blank in every picture, such as padding."""
    for axis in (2, 3):
        blank = _blank_lines(x, axis).mean(0) > 0.99
        kept = np.flatnonzero(~blank)
        if len(kept) >= 8:
            x = x.take(np.arange(kept[0], kept[-1] + 1), axis=axis)
    return x


def _blank_lines(x: np.ndarray, axis: int) -> np.ndarray:
    """Return ``bool (n, length)``: whether each line across an axis of ``(n, channels, h, w)`` is of one gray."""
    across = (1, 5 - axis)
    blank: np.ndarray = x.max(across) - x.min(across).astype(np.int64) <= 8  # JPEG leaves some gray levels
    return blank


def padding_of(x: np.ndarray) -> np.ndarray:
    """Return ``float64 (n, 2)``: the share of ``(n, channels, h, w)`` that blank lines fill, above and below, beside.

    What fills a picture up to a square has the shape of the picture in it, which may be that of a device or a crop.
    """
    shares = []
    for axis in (2, 3):
        blank = _blank_lines(x, axis)
        ends = blank.cumprod(1).sum(1) + blank[:, ::-1].cumprod(1).sum(1)  # a blank picture has both ends twice
        shares.append(np.minimum(ends, blank.shape[1]) / blank.shape[1])
    return np.stack(shares, axis=1)


def features_of(pictures: np.ndarray, headers: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and ``float64 (n, d)`` of each shortcut."""
    size, height, width, bands = headers.astype(np.float64).T
    if headers[:, 1].all():
        yield "image size", np.log(np.stack([height, width, height / width], axis=1))
    if size.all():
        yield "file size", np.log(size)[:, None]
    gray = pictures.mean(1, dtype=np.float32)  # (n, h, w)
    yield "mean brightness", np.stack([gray.mean((1, 2)), gray.std((1, 2))], axis=1).astype(np.float64)
    colour = [bands] if bands.all() else []
    if pictures.shape[1] == 3:
        colour.append(np.ptp(pictures.astype(np.float32), axis=1).mean((1, 2)))
    if colour:
        yield "colour", np.stack(colour, axis=1)
    yield "text in the image border", _border(gray)


def _border(gray: np.ndarray) -> np.ndarray:
    """Return ``float64 (n, 4)``: for each side of the frame, the share of it that looks like letters on a dark ground.

    A pixel counts that is lit while most of its 7 x 7 neighbours are dark: strokes are, tissue that reaches the border
    is not. The grays were chosen on DDTI at 128 pixels, where letters of 10 pixels are 2 to 3 high.
    """
    side = max(gray.shape[1:])
    if side > 128:
        height, width = (max(8, round(128 * length / side)) for length in gray.shape[1:])
        gray = area_weights(gray.shape[1], height) @ gray @ area_weights(gray.shape[2], width).T
    n, height, width = gray.shape
    sums = np.zeros((n, height + 7, width + 7), dtype=np.float32)  # integral image of what is dark
    dark = np.pad((gray < 24).astype(np.float32), ((0, 0), (3, 3), (3, 3)), mode="edge")
    sums[:, 1:, 1:] = dark.cumsum(1).cumsum(2)
    around = sums[:, 7:, 7:] - sums[:, :-7, 7:] - sums[:, 7:, :-7] + sums[:, :-7, :-7]
    shown = (gray > 48) & (around > 24.5)
    h, w = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    sides = [shown[:, :h], shown[:, -h:], shown[:, h:-h, :w], shown[:, h:-h, -w:]]
    return np.stack([part.mean((1, 2), dtype=np.float64) for part in sides], axis=1)


def regress(features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int) -> np.ndarray:
    """Return ``float64 (n, classes)``: out-of-sample probabilities of a class-balanced logistic regression."""
    from sklearn.linear_model import LogisticRegression

    scores = np.full((len(labels), classes), np.nan)
    for fold in range(FOLDS):
        train, test = folds != fold, folds == fold
        if len(set(labels[train].tolist())) < 2 or not test.any():
            continue
        mean, spread = features[train].mean(0), features[train].std(0)
        scaled = (features - mean) / np.where(spread > 1e-9, spread, 1)
        # A bend lets one class lie between two others, as with a size that only one hospital has.
        bent = np.concatenate([scaled, scaled**2], axis=1).clip(-10, 10)
        model = LogisticRegression(class_weight="balanced", max_iter=200).fit(bent[train], labels[train])
        scores[np.ix_(test, model.classes_)] = model.predict_proba(bent[test])
    return scores


def nearest(
    pictures: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, *, folds_tested: int = FOLDS
) -> np.ndarray:
    """Return ``float64 (n, classes)``: how near the nearest training picture of each class is, against the others."""
    small = resize(pictures.mean(1, dtype=np.float32), NEIGHBOUR).reshape(len(pictures), -1)
    scores = np.full((len(labels), classes), np.nan)
    squares = (small**2).sum(1)
    for fold in range(folds_tested):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        distance = np.sqrt(np.maximum(squares[test, None] + squares[train] - 2 * small[test] @ small[train].T, 0))
        for k in set(labels[train].tolist()):
            scores[test, k] = -distance[:, labels[train] == k].min(1)
        scores[test] -= np.nanmax(scores[test], axis=1, keepdims=True) if len(test) else 0
        others = [np.nanmax(np.delete(scores[test], k, axis=1), axis=1, initial=-np.inf) for k in range(classes)]
        scores[test] -= np.stack(others, axis=1) if classes > 1 else 0
    return scores


def draw_groups(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``float64 (1 + DRAWS, n)``: how often each row counts, once first, then in each bootstrap sample.

    Whole groups are drawn, within the class of their first row.
    """
    rng = np.random.default_rng(SEED)
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    times = np.ones((1 + DRAWS, len(first)))
    for k in np.unique(labels[first]):
        stratum = np.flatnonzero(labels[first] == k)
        times[1:, stratum] = rng.multinomial(len(stratum), np.full(len(stratum), 1 / len(stratum)), DRAWS)
    return times[:, number]


def score(name: str, scores: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> Shortcut:
    values = np.nan_to_num(scores, nan=-1e9, neginf=-1e9, posinf=1e9)  # a class that a fold never saw comes last
    found = np.mean([_auroc(values[:, k], labels == k, draws) for k in np.unique(labels)], axis=0)
    low, high = np.quantile(found[1:], [0.025, 0.975]).tolist()
    guess = values.argmax(1)
    recalls = [(guess[labels == k] == k).mean() for k in np.unique(labels)]
    return Shortcut(name, float(found[0]), low, high, float(np.mean(recalls)))


def _auroc(values: np.ndarray, positive: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return ``float64 (m,)``: the AUROC of rows that count `times` (m, n); ties count half (Mann-Whitney)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    ours = np.add.reduceat(times[:, order] * positive[order], starts, axis=1)
    others = np.add.reduceat(times[:, order] * ~positive[order], starts, axis=1)
    below = np.cumsum(others, axis=1) - others / 2
    pairs: np.ndarray = (ours * below).sum(1) / (ours.sum(1) * others.sum(1))
    return pairs
