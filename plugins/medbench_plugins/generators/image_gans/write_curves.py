"""The losses of a fit as a file. Needs torch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import medbench
from medbench_plugins.generators.image_gans.loop import Trained


@medbench.outside_identity
def write_curves(path: Path, fits: Sequence[Trained]) -> None:
    """Write the losses of every step as CSV, and mean diversity and kernel distance where they were measured.

    The column "part" names what was learnt: "all", or the class whose own networks took the step.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["step", "part", *fits[0].names, "diversity", *["kid"] * any(fit.distances for fit in fits)])
        done = 0
        for fit in fits:
            measured, distances = dict(fit.diversity), {step: [f"{kid:.6g}"] for step, kid in fit.distances}
            for step, losses in enumerate(fit.curves.tolist(), start=1):
                known = measured[step][np.isfinite(measured[step])] if step in measured else np.empty(0)
                diversity = f"{known.mean():.4f}" if len(known) else ""
                rows.writerow(
                    [done + step, fit.part, *(f"{loss:.5f}" for loss in losses), diversity, *distances.get(step, [])]
                )
            done += len(fit.curves)
