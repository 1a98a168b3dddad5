"""The environment variables that jobs begin with: their threads, and for portable numerics the instructions as well.

Libraries read them when they are imported or first used. So they must stand in the environment that a process begins
with: the runner gives them to its executor. Threads are a budget's: without the variables, what is done outside a fit,
such as drawing from a generator and scoring, takes all cores, and two jobs at a time wait for each other's threads.
Portable numerics hold every x86 processor to the same vector instructions; there the job checks that it began with
them, threads too, since the sums of BLAS and OpenMP depend on how many there are, and does without the one library that
also looks at the sizes of caches.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ResourceError
from medbench.interfaces import Budget, outside_identity
from medbench.running.portable_roots import exchange_kernels

_HELD_TO = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions
    "MKL_CBWR": "COMPATIBLE",  # its matrix products: all that Intel's library promises on processors of others
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of numpy and scipy
}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NUMPY = "NPY_DISABLE_CPU_FEATURES"
NAMES = (*_HELD_TO, _NUMPY, *_THREADS)
X86 = ("x86_64", "amd64")
PORTABLE = ("avx512f", "avx2")
"""Instruction sets of processors that portable numerics give equal bits on."""
WIDEST_FIRST = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")


def variables(budget: Budget) -> dict[str, str]:
    """Return the environment variables that a job of this budget begins with; portable numerics need them."""
    threads = dict.fromkeys(_THREADS, str(budget.threads))
    if budget.numerics != "portable":
        return threads
    return {**_HELD_TO, _NUMPY: " ".join(_numpy_beyond_avx2()), **threads}


def _numpy_beyond_avx2() -> list[str]:
    """Return what this numpy calls the instruction sets it has kernels of, and that not all processors have."""
    known: Any = np.show_config(mode="dicts")["SIMD Extensions"]
    names = {*known.get("found", ()), *known.get("not found", ())}
    return sorted(name for name in names if name.startswith("AVX512") or name == "X86_V4")


def check_machine(budget: Budget) -> None:
    """Refuse portable numerics where they cannot be promised.

    Raises:
        ResourceError: If the processor is none of x86, or lacks AVX2.
    """
    if budget.numerics == "portable" and not is_portable_here():
        raise ResourceError(
            f"--numerics portable: it needs an x86 processor with AVX2, and this is {platform.machine()} "
            f"({instruction_set()}); run with --numerics exact."
        )


def is_portable_here() -> bool:
    """Say whether the processor can be held to AVX2; where its instructions cannot be read, its kind says."""
    return platform.machine().lower() in X86 and instruction_set() in (*PORTABLE, "unknown")


def check_process(budget: Budget) -> None:
    """Refuse a job whose process does not compute as its budget says.

    Raises:
        ResourceError: If the process began without one of the variables, or torch has chosen other instructions.
    """
    if budget.numerics != "portable":
        return
    began = _first_environment()
    for name, value in variables(budget).items():
        if name != _NUMPY and began.get(name) != value:
            told = f"{name}={began[name]}" if name in began else f"no {name}"
            raise ResourceError(
                f"numerics portable: this process began with {told} instead of {name}={value}; the executor must start "
                "processes with the `variables` that it is given."
            )
    torch = sys.modules.get("torch")
    chosen = "" if torch is None else str(torch.backends.cpu.get_cpu_capability())
    beyond = np.show_config(mode="dicts")["SIMD Extensions"].get("found", ())
    if chosen not in ("", "AVX2") or {*beyond} & {*_numpy_beyond_avx2()}:
        raise ResourceError(
            f"numerics portable: torch or numpy was imported with other instructions ({chosen or 'numpy'}) before the "
            "job began; run it with --executor local."
        )


def hold_libraries(budget: Budget) -> None:
    """Under portable numerics leave torch, in this process, what computes alike on all of the processors.

    oneDNN's convolutions sum in blocks that fit the caches, so processors of equal instructions differ in the last
    digits, and no variable says otherwise. Without it convolutions are products of matrices, which `MKL_CBWR` holds.
    """
    if budget.numerics == "portable":
        torch: Any = importlib.import_module("torch")
        torch.backends.mkldnn.set_flags(False)
        exchange_kernels()


def _first_environment() -> Mapping[str, str]:
    """Return the environment that the program of this process began with; today's where the system does not tell."""
    try:
        pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ
    return dict(os.fsdecode(pair).partition("=")[::2] for pair in pairs if pair)


@outside_identity
def computed_with() -> dict[str, Any]:
    """Say for a record what a process computes with: the processor's instructions, what it was held to, and without."""
    torch: Any = sys.modules.get("torch")
    left_out = {"without": ["oneDNN"]} if torch is not None and not torch.backends.mkldnn.enabled else {}
    held_to = {name: os.environ[name] for name in NAMES if name in os.environ}
    return {"instruction_set": instruction_set(), "held_to": held_to, **left_out}


def instruction_set() -> str:
    """Return the widest vector instructions of this machine's processor, which decide the bits of a training."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    flags = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return next((name for name in WIDEST_FIRST if name in flags), "unknown")
