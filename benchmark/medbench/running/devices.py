"""Which devices a run may use, found without importing torch."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from typing import Any

from medbench.errors import ResourceError, UsageError
from medbench.interfaces import Numerics

FIRST_SEED = 67280421310721
"""Of a device's global random generator, as torch has it on a CPU; CUDA's begins with a random one in each process."""


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


def use(device: str, numerics: Numerics = "exact") -> None:
    """Make a torch device the one this process works on; does nothing for the CPU, and imports no torch for it.

    Called once at the beginning of a job, before anything asks the device: a process that has not initialised CUDA
    refuses even the question for its memory. Unless numerics are fast, kernels whose sums repeat are then chosen
    wherever torch has them, the fused attentions left out, whose gradients do not; where it has none, it warns in the
    job's log.

    Args:
        device: "cpu", or "cuda:0" and the like.
        numerics: See :class:`medbench.Budget`; how loops search for kernels is theirs to choose.

    Raises:
        ResourceError: If CUDA does not start, or has no such device.
    """
    if not device.startswith("cuda"):
        return
    if numerics != "fast":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts; else nothing repeats
    torch: Any = importlib.import_module("torch")
    try:
        torch.cuda.init()
        torch.cuda.set_device(device)
        torch.cuda.manual_seed(FIRST_SEED)
    except (RuntimeError, AssertionError) as error:
        first = (str(error).splitlines() or ["no message"])[0].rstrip(".")
        raise ResourceError(f"--device {device}: CUDA does not start ({first}); see `medbench doctor`.") from error
    if numerics == "fast":
        torch.set_float32_matmul_precision("high")  # TensorFloat-32
        return
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a kernel for each new tensor, to find faults by
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)


def gpus() -> int:
    """Count the NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible; 0 where there is no driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([v for v in visible.split(",") if v.strip() not in ("", "-1")])
    return len(_names())


def name_of_gpu() -> str:
    """Return what the driver calls the first GPU of this machine, as records of training runs do; "" without one."""
    return next(iter(_names()), "")


def _names() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        said = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = (re.match(r"GPU \d+: (.*?)(?: \(UUID|$)", line) for line in said.stdout.splitlines())
    return [match[1] for match in found if match]
