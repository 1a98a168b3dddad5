"""Which devices a run may use, found without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from medbench.errors import ResourceError, UsageError


def choose(wanted: str) -> list[str]:
    """Return torch devices for ``--device``.

    Args:
        wanted: "auto" (all GPUs, else the CPU), "cpu", "cuda" (all GPUs) or "cuda:0,cuda:1".

    Raises:
        ResourceError: If a GPU is asked for and none is there.
        UsageError: For anything else.
    """
    if wanted == "cpu":
        return ["cpu"]
    parts = wanted.split(",")
    if wanted not in ("auto", "cuda") and not all(re.fullmatch(r"cuda:[0-9]{1,4}", p) for p in parts):
        raise UsageError(f"--device {wanted}: write auto, cpu, cuda, or cuda:0,cuda:1.")
    found = gpus()
    if wanted == "auto":
        return [f"cuda:{i}" for i in range(found)] or ["cpu"]
    if not found:
        raise ResourceError(
            f"--device {wanted}: no NVIDIA GPU is visible here; use --device cpu, see `medbench doctor`."
        )
    if wanted == "cuda":
        return [f"cuda:{i}" for i in range(found)]
    if beyond := [p for p in parts if int(p[5:]) >= found]:
        raise ResourceError(f"--device {wanted}: there are {found} GPUs, {beyond[0]} is not one; use --device cuda.")
    return parts


def gpus() -> int:
    """Count the NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; 0 where there is no driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([v for v in visible.split(",") if v.strip() not in ("", "-1")])
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
