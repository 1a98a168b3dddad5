"""What torch keeps for a whole process: how it is read, and how it is put back.

A GPU's global random state is not among it: each job begins by seeding it (:func:`medbench.running.devices.use`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

States = dict[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]]


def states(torch: Any) -> States:
    """Return what has a value for a whole process, by its name; None where it is not put back."""
    deterministic = (
        torch.are_deterministic_algorithms_enabled, torch.is_deterministic_algorithms_warn_only_enabled,
        lambda: torch.utils.deterministic.fill_uninitialized_memory,
    )  # fmt: skip
    return {
        "torch's random state": (torch.get_rng_state, torch.set_rng_state),
        "threads": (torch.get_num_threads, torch.set_num_threads),
        "gradients": (torch.is_grad_enabled, lambda value: torch._C._set_grad_enabled(value)),
        "inference": (torch.is_inference_mode_enabled, None),
        "anomalies": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "default device": (torch.get_default_device, None),
        "determinism": (lambda: tuple(f() for f in deterministic), lambda v: _set_deterministic(torch, v)),
        "matrix products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "flags of cuDNN": (lambda: _cudnn(torch), lambda value: _set_cudnn(torch, value)),
        "attention": (lambda: _attention(torch), lambda value: _set_attention(torch, value)),
        "mkldnn": (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
        "autocast": (lambda: (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()), None),
        "modes": (lambda: len(torch.overrides._get_current_function_mode_stack()), None),
        "hooks of modules": (lambda: _hooks(torch), None),
        "denormals": (lambda: _flushes(torch), torch.set_flush_denormal),
        "compiled code": (_compiled, None),
        "recordings that failed": (_failed_recordings, None),
    }


def _set_deterministic(torch: Any, value: tuple[bool, bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])
    torch.utils.deterministic.fill_uninitialized_memory = value[2]


def _cudnn(torch: Any) -> tuple[bool, bool, bool]:
    flags = torch.backends.cudnn
    return flags.enabled, flags.benchmark, flags.deterministic


def _set_cudnn(torch: Any, value: tuple[bool, bool, bool]) -> None:
    flags = torch.backends.cudnn
    flags.enabled, flags.benchmark, flags.deterministic = value


def _attention(torch: Any) -> tuple[bool, ...]:
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled(), cuda.math_sdp_enabled()


def _set_attention(torch: Any, value: tuple[bool, ...]) -> None:
    cuda = torch.backends.cuda
    setters = (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_cudnn_sdp, cuda.enable_math_sdp)
    for enable, was in zip(setters, value, strict=True):
        enable(was)


def _hooks(torch: Any) -> int:
    module = torch.nn.modules.module
    return sum(
        len(value) for name, value in vars(module).items() if name.startswith("_global_") and hasattr(value, "__len__")
    )


def _flushes(torch: Any) -> bool:
    return float(torch.tensor(1e-40) * 1.5) == 0


def _compiled() -> int:
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return sum(counters["stats"].values()) if "stats" in counters else 0


def _failed_recordings() -> int:
    """Count steps that CUDA could not record: its allocator and generators may hold that they still are."""
    return len(getattr(sys.modules.get("medbench_plugins.training.steps"), "FAILED", ()))
