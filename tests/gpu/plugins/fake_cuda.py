"""A GPU that is none: tensors lie on the CPU and are marked, so that what a real GPU would refuse is refused here too.

What a program asks of torch passes through :class:`FakeCuda`: a tensor made on "cuda:0", or moved there, is made on the
CPU and its storage marked; it says that it lies on "cuda:0"; and so does what is computed from it. As on a real one it
is an error to compute with tensors of both kinds, to index the one kind by the other in the wrong direction, to draw on
one device with a generator of the other, and to hand a marked tensor to numpy. Kernels whose gradients do not repeat on
a GPU are an error as well.

The executor ``fake-cuda`` runs jobs under it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

import medbench
from medbench_plugins.training.steps import Steps

DEVICE = torch.device("cuda:0")
ANYWHERE = {"copy_", "_has_compatible_shallow_copy_type", "__set__", "set_", "swap_tensors", "_use_cnt"}
STRICT = {"cat", "concat", "concatenate", "stack", "hstack", "vstack", "index_select", "gather", "scatter_add_", "mm"}
"""Here even a number on the CPU is refused."""
NO_GRADIENT = {
    "grid_sample": "grid_sample",
    "grid_sampler": "grid_sample",
    "adaptive_max_pool2d": "AdaptiveMaxPool2d",
    "fractional_max_pool2d": "FractionalMaxPool2d",
    "fractional_max_pool3d": "FractionalMaxPool3d",
    "ctc_loss": "CTCLoss",
}
"""Their gradients are sums in an order that changes, and torch has no other kernel (its page on determinism)."""
NEVER = {"put_", "histc", "median", "kthvalue", "scatter_reduce", "scatter_reduce_"}
"""The same for the result itself."""


WAITS = {
    "item",
    "tolist",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "nonzero",
    "argwhere",
    "masked_select",
    "bincount",
    "unique",
    "unique_consecutive",
    "repeat_interleave",
    "allclose",
    "equal",
    "is_nonzero",
}
"""They answer the CPU, or learn from the GPU how large their result is."""
WAITING = "called a synchronizing CUDA operation"
"""How torch warns of them in the mode that a step is tried in."""


class FakeCuda(TorchFunctionMode):
    """Marks storages and holds every call against the marks, which outlive one job as what a job caches does."""

    _marked: ClassVar[dict[int, StorageWeakRef]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()
        self.warns_of_waits = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what was asked, or say what a GPU would say."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        tensors = [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, torch.Tensor)]
        here = [self.has(t) for t in tensors]
        if name == "__get__" and owner in ("device", "is_cuda", "is_cpu") and here and here[0]:
            return {"device": DEVICE, "is_cuda": True, "is_cpu": False}[owner]
        if name == "get_device" and here and here[0]:
            return 0
        if name in ("numpy", "__array__") and here and here[0]:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if name == "pin_memory" or name == "is_pinned":
            return args[0]
        if name in ("to", "cuda", "cpu") and tensors and tensors[0] is args[0]:
            moved = self._moved(name, args, kwargs)
            # An optimiser asks C++ where its weights lie, and is told the truth: that it moves a rate there is no sign.
            caller = sys._getframe(1).f_code.co_filename
            if self.warns_of_waits and self.has(moved) != here[0] and "optim" not in Path(caller).parts:
                warnings.warn(f"{WAITING}: {name}", stacklevel=2)
            return moved
        wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        if wanted is not None:
            kwargs["device"] = "cpu"
        is_on = wanted.type == "cuda" if wanted is not None else any(here)
        self._check(name, tensors, here, args)
        self._check_generator(name, kwargs.get("generator"), is_on)
        if self.warns_of_waits and self._waits(name, args, is_on, any(here)):
            warnings.warn(f"{WAITING}: {name}", stacklevel=2)
        if is_on:
            self.used.add(name)
            self._check_repeats(name, tensors, args, kwargs)
        result = func(*args, **kwargs)
        if is_on and name not in ("copy_", "__set__", "tolist", "item"):
            tree_map(self.mark, result)
        return result

    def _waits(self, name: str, args: Any, is_on: bool, any_here: bool) -> bool:
        if name in ("tensor", "as_tensor", "asarray"):  # its numbers are copied
            return is_on
        if name in ("__getitem__", "__setitem__"):
            # A choice by truth has a size to ask for; numbers that do not lie on the GPU are copied.
            each = args[1] if isinstance(args[1], tuple) else (args[1],)
            indices = [t for t in each if isinstance(t, torch.Tensor)]
            copied = any(isinstance(t, list | range) or type(t).__module__ == "numpy" for t in each)
            return any_here and (copied or any(t.dtype == torch.bool or not self.has(t) for t in indices))
        return any_here and (name in WAITS or (name == "where" and len(args) == 1))

    def has(self, tensor: torch.Tensor) -> bool:
        """Say whether a tensor lies on the GPU."""
        return _key(tensor) in self._marked

    def mark(self, value: Any) -> Any:
        """Note that a tensor lies on the GPU, and every view of it."""
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            if storage._cdata not in self._marked:  # the reference keeps the address from being given away again
                self._marked[storage._cdata] = StorageWeakRef(storage)
                if len(self._marked) % 4096 == 0:
                    for gone in [k for k, ref in self._marked.items() if ref.expired()]:
                        del self._marked[gone]
        return value

    def _moved(self, name: str, args: Any, kwargs: Any) -> torch.Tensor:
        tensor, *rest = args
        target = {"cuda": DEVICE, "cpu": torch.device("cpu")}.get(name)
        others = []
        for value in rest:
            if isinstance(value, str | torch.device):
                target = torch.device(value)
            elif isinstance(value, torch.Tensor):
                target = DEVICE if self.has(value) else torch.device("cpu")
                others.append(value.dtype)
            elif isinstance(value, torch.dtype):
                others.append(value)  # whether to wait and whether to copy change nothing here
        if kwargs.get("device") is not None:
            target = torch.device(kwargs["device"])
        kwargs = {k: v for k, v in kwargs.items() if k != "device"}
        was = self.has(tensor)
        is_on = was if target is None else target.type == "cuda"
        moved = tensor.to(*others, **kwargs) if name == "to" and (others or kwargs) else tensor
        if was != is_on and (moved is tensor or _key(moved) == _key(tensor)):
            moved = moved.clone()
        return self.mark(moved) if is_on else moved

    def _check(self, name: str, tensors: list[torch.Tensor], here: list[bool], args: Any) -> None:
        if name in ANYWHERE or all(here) or not any(here):
            return
        if name in ("__getitem__", "__setitem__"):
            if here[0]:
                value = args[2] if name == "__setitem__" else None
                indices = [t for t in tree_flatten(args[1])[0] if isinstance(t, torch.Tensor)]
                if not (isinstance(value, torch.Tensor) and value.ndim and indices and not self.has(value)):
                    return  # an index may lie on the CPU, and so may what is copied into a part
            raise RuntimeError(f"{name}: a tensor of the CPU was indexed by, or given, one of cuda:0")
        if any(not on and (t.ndim or name in STRICT) for t, on in zip(tensors, here, strict=True)):
            shapes = [f"{tuple(t.shape)} on {'cuda:0' if on else 'cpu'}" for t, on in zip(tensors, here, strict=True)]
            raise RuntimeError(
                f"Expected all tensors to be on the same device, {name} got at least two: {', '.join(shapes[:4])}"
            )

    def _check_generator(self, name: str, generator: Any, is_on: bool) -> None:
        if isinstance(generator, Generator) and (generator.place.type == "cuda") != is_on:
            raise RuntimeError(f"{name}: expected a generator of {'cuda' if is_on else 'cpu'}, not {generator.place}")

    def _check_repeats(self, name: str, tensors: list[torch.Tensor], args: Any, kwargs: Any) -> None:
        if name in NEVER:
            raise RuntimeError(f"{name} does not repeat bit for bit on CUDA")
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in tensors):
            return
        mode = kwargs.get("mode", "nearest")
        if name == "interpolate" and mode not in ("nearest", "nearest-exact", "area") and tensors[0].requires_grad:
            raise RuntimeError(f"the gradient of interpolate({mode}) does not repeat bit for bit on CUDA")
        if name == "pad" and (kwargs.get("mode") or (args[2:3] or ("constant",))[0]) == "reflect":
            raise RuntimeError("the gradient of pad(reflect) does not repeat bit for bit on CUDA")
        if name in ("avg_pool3d", "max_pool3d") and tensors[0].requires_grad:
            kernel = kwargs.get("kernel_size", args[1] if len(args) > 1 else None)
            stride = kwargs.get("stride", args[2] if len(args) > 2 else None)
            if any(s < k for k, s in zip(_three(kernel), _three(stride or kernel), strict=True)):
                raise RuntimeError(f"the gradient of {name} with windows that overlap does not repeat on CUDA")
        if name.startswith("adaptive_avg_pool") and tensors[0].requires_grad:
            size = args[1] if len(args) > 1 else kwargs["output_size"]
            if any(s not in (1, None) for s in (size if isinstance(size, Sequence) else [size])):
                raise RuntimeError(f"the gradient of {name} does not repeat bit for bit on CUDA")
        if name in NO_GRADIENT and tensors[0].requires_grad:
            raise RuntimeError(f"the gradient of {NO_GRADIENT[name]} does not repeat bit for bit on CUDA")


class Generator(torch.Generator):
    """A generator that says which device it was asked for; its numbers are the CPU's."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        """Make one of the CPU."""
        made = super().__new__(cls, "cpu")
        made.place = torch.device(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        """Do nothing more."""

    @property
    def device(self) -> torch.device:
        """What was asked for."""
        return self.place


def _stream(*_: object, **__: object) -> SimpleNamespace:
    return SimpleNamespace(wait_stream=lambda other: None)


@contextlib.contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """Let torch find one GPU in this process, and this thread compute on it."""
    state = torch.get_rng_state()
    autocast = torch.autocast
    initialised = {"is": False}

    def ready(*args: Any, **kwargs: Any) -> int:
        if not initialised["is"]:
            raise RuntimeError("Invalid device argument")  # what torch says before CUDA is initialised
        return 2**20

    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "init": lambda: initialised.update({"is": True}),
        "is_initialized": lambda: initialised["is"],
        "set_device": lambda device: None,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "get_device_name": lambda device=None: "a fake GPU",
        "get_rng_state": lambda device=None: state,
        "set_rng_state": lambda new, device=None: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "mem_get_info": lambda device=None: (2**34, 2**34),
        "get_per_process_memory_fraction": lambda device=None: 1.0,
        "memory_allocated": lambda device=None: 2**20,
        "reset_peak_memory_stats": ready,
        "max_memory_allocated": ready,
        "is_bf16_supported": lambda including_emulation=True: "MEDBENCH_TEST_FLOAT32" not in os.environ,
        "is_current_stream_capturing": lambda: False,
        "synchronize": lambda device=None: None,
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        stack.enter_context(mock.patch.object(torch.accelerator, "is_available", return_value=False))
        stack.enter_context(mock.patch.object(torch, "set_deterministic_debug_mode"))
        stack.enter_context(
            mock.patch.object(torch, "autocast", lambda kind, *args, **more: autocast("cpu", *args, **more))
        )
        seen = stack.enter_context(FakeCuda())

        def note_mode(mode: object) -> None:
            seen.warns_of_waits = mode in (1, "warn")

        streams = {"Stream": _stream, "current_stream": _stream, "stream": lambda of: contextlib.nullcontext()}
        modes = {"get_sync_debug_mode": lambda: 0, "set_sync_debug_mode": note_mode}
        for name, answer in (streams | modes).items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        # What CUDA would record is run when it would be replayed.
        stack.enter_context(mock.patch.object(Steps, "_record", lambda self, work: work))
        yield seen


def works(folder: str, device: str) -> int:
    """Be a job on the fake GPU; leave the names of what was called on it in ``called.txt``."""
    from medbench.running.job import work

    with fake_cuda() as seen:
        code = work(folder, "cuda:0")
    if os.environ.get("MEDBENCH_TEST_CALLED"):
        with Path(os.environ["MEDBENCH_TEST_CALLED"]).open("a") as file:
            file.write(" ".join(sorted(seen.used)) + "\n")
    return code


@dataclass(frozen=True)
class FakeCudaJobs:
    """Jobs one after the other in this very process, on a GPU which is none: a process a job would cost more."""

    name: str = "fake-cuda"

    def start(self, *, workers: int, devices: Sequence[str]) -> medbench.Jobs:
        """Start nothing."""
        return Inline()


class Inline:
    """Does a job at once."""

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`."""
        done: Future[int] = Future()
        kept = [os.dup(stream) for stream in (1, 2)]  # a job sends both into its log
        try:
            done.set_result(works(folder, "cuda:0"))
        finally:
            for stream, was in enumerate(kept, start=1):
                os.dup2(was, stream)
                os.close(was)
        return done

    def close(self) -> None:
        """Leave nothing behind."""


@medbench.hookimpl
def register_executors() -> list[Any]:
    """Return the executor."""
    return [FakeCudaJobs()]


def _key(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except NotImplementedError:  # it has none
        return 0


def _three(value: Any) -> Sequence[int]:
    return value if isinstance(value, Sequence) else (value,) * 3
