"""Square roots and angles of tensors that all x86 processors round alike.

torch takes them on a CPU from Intel's library, whose last digits differ between processors whatever it is held to.
numpy's are the processor's own square root, which is exact everywhere, and the angles of the C library. Kernels are
exchanged for all callers of a process: recipes, the libraries that they use, and torch itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

BY_NUMPY: dict[str, Callable[..., np.ndarray]] = {
    "sqrt": np.sqrt, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
}  # fmt: skip


@cache
def exchange_kernels() -> Any:
    """Exchange the kernels of a CPU's tensors for the rest of the process; return what keeps them so."""
    torch: Any = importlib.import_module("torch")
    library = torch.library.Library("aten", "IMPL")
    for name, ufunc in BY_NUMPY.items():
        compute = _kernel_of(ufunc, torch)
        library.impl(name, compute, "CPU")
        library.impl(f"{name}.out", compute, "CPU")
        library.impl(f"{name}_", lambda x, compute=compute: compute(x, out=x), "CPU")
    for name, root in {"pow.Tensor_Scalar": "sqrt", "pow.Tensor_Scalar_out": "sqrt", "pow_.Scalar": "sqrt_"}.items():
        others = torch.library.get_kernel(f"aten::{name}", "CPU")
        library.impl(name, _power_of(getattr(torch, root), others, torch), "CPU")
    return library


def _kernel_of(ufunc: Callable[..., np.ndarray], torch: Any) -> Callable[..., Any]:
    """Return a kernel for tensors of any layout that computes in the dtype that torch would compute in."""

    def compute(x: Any, *, out: Any = None) -> Any:
        floats = x if x.is_floating_point() or x.is_complex() else x.to(torch.get_default_dtype())
        wide = floats.float() if floats.dtype in (torch.bfloat16, torch.float16) else floats  # numpy has no bfloat16
        found = torch.empty_like(wide)
        with np.errstate(all="ignore"):  # torch says nothing of the root of a negative number
            ufunc(wide.detach().resolve_conj().resolve_neg().numpy(), out=found.numpy())
        return found.to(floats.dtype) if out is None else out.resize_(x.shape).copy_(found)

    return compute


def _power_of(root: Callable[..., Any], others: Any, torch: Any) -> Callable[..., Any]:
    """Return a kernel that takes a power of a half as `root`, and the others by torch's own kernel."""
    of_cpu = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

    def compute(x: Any, exponent: Any, **out: Any) -> Any:
        return root(x, **out) if exponent == 0.5 else others.call_boxed(of_cpu, x, exponent, **out)

    return compute
