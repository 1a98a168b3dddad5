"""Files of fits and trials that a report shows: loss curves, learning curves and sheets of samples."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medbench.boards.arm_trials import ArmTrials
from medbench.report.inputs import Fit
from medbench.text import clean

POINTS = 160
"""Points a curve is drawn with; more steps are averaged in windows."""
SHEET_BYTES, SHEET_PIXELS = 20 * 2**20, 40_000_000
SHEET_WIDTH = 1200  # pixels: more is not seen in a page


def read_loss_curves(fit: Fit) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Read the curves of a fit: by part (a class, or all) and name, as steps and values.

    Values that are no number are left out; what is longer than POINTS is averaged in windows.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for path in sorted(fit.folder.glob(f"{fit.stem}-curves.csv")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for number, line in enumerate(csv.DictReader(io.StringIO(text)), start=1):
            step = _number(line.get("step")) or float(number)
            part = clean(str(line.get("part") or "all"))
            for name, value in line.items():
                if name in (None, "step", "part") or (y := _number(value)) is None:
                    continue
                found.setdefault(part, {}).setdefault(clean(str(name)), []).append((step, y))
    return {part: {name: _thin_out(values) for name, values in of_it.items()} for part, of_it in found.items()}


def read_learning_curves(found: ArmTrials) -> dict[str, list[tuple[float, float]]]:
    """Read the learning curves of an arm's classifiers: by loss, steps and the mean over the cells that have it.

    Cells that were evaluated at other steps than the first one are left out.
    """
    of_cells = [_losses(stored.folder / "learning.csv") for _, stored in sorted(found.cells.items())]
    steps = next((tuple(losses) for losses in of_cells if losses), ())
    alike = [losses for losses in of_cells if tuple(losses) == steps]
    lines = {}
    for position, name in enumerate(("training loss", "validation loss")):
        known = [[losses[step][position] for step in steps] for losses in alike]
        values = np.array([values for values in known if None not in values], dtype=np.float64)
        if steps and len(values):
            lines[name] = list(zip(steps, values.mean(0).tolist(), strict=True))
    return lines


def _losses(path: Path) -> dict[float, tuple[float | None, float | None]]:
    """Read losses in training and validation by the steps done; empty where the file holds none."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"))))
    except (OSError, csv.Error):
        return {}
    known = [
        (_number(row.get("step")), _number(row.get("train_loss")), _number(row.get("validation_loss"))) for row in rows
    ]
    return {step: (trained, validated) for step, trained, validated in known if step is not None}


def _number(text: object) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _thin_out(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(values) <= POINTS:
        return list(values)
    return [(float(w[:, 0].mean()), float(w[:, 1].mean())) for w in np.array_split(np.asarray(values), POINTS)]


def read_sheets(fit: Fit) -> list[bytes]:
    """Return the sheets of samples of a fit as PNG, drawn anew: what else stood in the files is left behind."""
    paths = sorted(fit.folder.glob(f"{fit.stem}-samples.png"))
    return [png for path in paths if (png := read_picture(path)) is not None]


def read_picture(path: Path) -> bytes | None:
    """Return a PNG drawn anew; None where there is none that a page could show."""
    from PIL import Image

    try:
        if path.stat().st_size > SHEET_BYTES:
            return None
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > SHEET_PIXELS:
                return None
            grey = opened.convert("L" if opened.mode in ("1", "L") else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None  # not a picture: a page without it is better than no page
    if grey.width > SHEET_WIDTH:
        grey = grey.resize((SHEET_WIDTH, max(1, round(grey.height * SHEET_WIDTH / grey.width))))
    out = io.BytesIO()
    grey.save(out, format="PNG", optimize=True)
    return out.getvalue()
