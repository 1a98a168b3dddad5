"""What a job leaves behind in its process is put back, so that the next one there finds what a new process would.

What cannot be put back ends the process: threads and children that still run, functions of libraries that were
replaced, flags of torch that no job of ours sets. So does whatever is not known to be harmless.
"""

from __future__ import annotations

import contextlib
import ctypes
import decimal
import gc
import importlib.metadata
import logging
import os
import random
import resource
import signal
import site
import socket
import sys
import sysconfig
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medbench_plugins.executors import torch_state

Setter = Callable[[Any], Any] | None
WATCHED = ("builtins", "os", "random", "time", "numpy", "numpy.random", "torch", "torch.nn", "torch.nn.functional",
           "torch.optim", "torch.cuda", "torch.backends.cudnn", "sklearn.metrics")  # fmt: skip
"""Modules whose names must mean what they did; names that are added later are lazy imports."""
WATCHED_CLASSES = (("torch", "Tensor"), ("torch.nn", "Module"), ("torch.optim", "Optimizer"))
OWN = ("medbench", "medbench_plugins", "medbench_datasets")


class CleanSlate:
    """The state of this process, taken when nothing has been done in it."""

    def __init__(self) -> None:
        self._modules = frozenset(sys.modules)
        self._had_torch = "torch" in sys.modules
        self._state = {name: (get(), set_) for name, (get, set_) in _states().items()}
        self._environment = dict(os.environ)
        self._filters = list(warnings.filters)
        self._handlers = list(logging.root.handlers)
        self._paths = list(sys.path)
        self._threads = {thread.ident for thread in threading.enumerate()}
        self._names = _names()
        gc.freeze()  # what is there now is no rubbish, and need not be looked through after every job

    def put_back(self) -> str:
        """Put back what a job left; return what could not be, in words, or nothing."""
        if reason := self._left_running() or self._replaced():
            return reason
        os.environ.update(self._environment)
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        warnings.filters[:] = self._filters  # type: ignore[index]
        getattr(warnings, "_filters_mutated", lambda: None)()  # else what was decided by the others stays decided
        logging.root.handlers[:] = self._handlers
        sys.path[:] = self._paths
        now = _states()
        for name, (value, put) in self._state.items():
            if not _same(now[name][0](), value):
                if put is None:
                    return f"{name} was changed"
                put(value)
        _drop_strangers(self._modules)
        _free_memory()
        return ""

    def _left_running(self) -> str:
        left = [t for t in threading.enumerate() if t.ident not in self._threads]
        left = [t for t in left if not isinstance(t, threading._DummyThread)]  # a library's own, that called Python
        if left:
            return f"thread {left[0].name} still runs"
        return "a child process still runs" if _children() else ""

    def _replaced(self) -> str:
        if not self._had_torch and "torch" in sys.modules:
            return "torch was loaded"  # nobody knows what its flags were
        for (module, name), was in self._names.items():
            if _meaning(module, name) != was:
                return f"{module}.{name} was replaced"
        return ""


def _states() -> dict[str, tuple[Callable[[], Any], Setter]]:
    """Return what a process has, by its name: how it is read, and how it is put back; None where that is not tried."""
    numpy: Any = sys.modules.get("numpy")
    found: dict[str, tuple[Callable[[], Any], Setter]] = {
        "working directory": (os.getcwd, os.chdir),
        "umask": (_umask, os.umask),
        "random": (random.getstate, random.setstate),
        "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
        "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
        "garbage collection": (lambda: (gc.isenabled(), gc.get_threshold()), _collect),
        "signals": (_signals, _set_signals),
        "timer": (
            lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
            lambda _: signal.setitimer(signal.ITIMER_REAL, 0),
        ),
        "streams": (lambda: (sys.stdin, sys.stdout, sys.stderr, sys.argv), _set_streams),
        "hooks": (lambda: (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile()), None),
        "logging": (lambda: (logging.root.level, logging.root.manager.disable), _set_logging),
        "time limit of sockets": (socket.getdefaulttimeout, socket.setdefaulttimeout),
        "temporary folder": (lambda: tempfile.tempdir, lambda value: setattr(tempfile, "tempdir", value)),
        "decimals": (lambda: decimal.getcontext().prec, lambda value: setattr(decimal.getcontext(), "prec", value)),
        "limits": (lambda: [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE)], None),
        "nice": (lambda: os.getpriority(os.PRIO_PROCESS, 0), None),
    }
    if hasattr(os, "sched_getaffinity"):
        found["cores"] = (lambda: os.sched_getaffinity(0), lambda cores: os.sched_setaffinity(0, cores))
    if numpy is not None:
        found["numpy.random"] = (numpy.random.get_state, numpy.random.set_state)
        found["numpy's errors"] = (numpy.geterr, lambda value: numpy.seterr(**value))
        found["numpy's printing"] = (numpy.get_printoptions, lambda value: numpy.set_printoptions(**value))
    if (sklearn := sys.modules.get("sklearn")) is not None:
        found["sklearn"] = (sklearn.get_config, lambda value: sklearn.set_config(**value))
    if (torch := sys.modules.get("torch")) is not None:
        found |= torch_state.states(torch)
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "tobytes") or hasattr(other, "tobytes"):
        return type(one) is type(other) and one.tobytes() == other.tobytes()
    if hasattr(one, "numpy") and hasattr(other, "numpy"):
        return _same(one.numpy(), other.numpy())
    return one is other or bool(one == other)


def _umask() -> int:
    was = os.umask(0o77)
    os.umask(was)
    return was


def _collect(value: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if value[0] else gc.disable)()
    gc.set_threshold(*value[1])


def _signals() -> list[Any]:
    return [signal.getsignal(number) for number in range(1, signal.NSIG)]


def _set_signals(handlers: list[Any]) -> None:
    for number, handler in enumerate(handlers, start=1):
        if handler is not None and signal.getsignal(number) != handler:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)


def _set_streams(value: tuple[Any, Any, Any, list[str]]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.argv = value


def _set_logging(value: tuple[int, int]) -> None:
    logging.root.setLevel(value[0])
    logging.disable(value[1])


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        return [
            int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
        ]
    return []


def _names() -> dict[tuple[str, str], int]:
    """Return what the names of watched modules and classes mean; whoever replaced one would change other jobs."""
    owners = [(name, sys.modules[name]) for name in WATCHED if name in sys.modules]
    owners += [(f"{m}.{name}", getattr(sys.modules[m], name)) for m, name in WATCHED_CLASSES if m in sys.modules]
    return {
        (owner, name): id(value)
        for owner, thing in owners
        for name, value in vars(thing).items()
        if (owner, name) != ("torch", "Storage")  # follows the default dtype
        and isinstance(value, types.FunctionType | types.BuiltinFunctionType | type | property)
    }


def _meaning(owner: str, name: str) -> int:
    thing: Any = sys.modules.get(owner)
    if thing is None:
        module, _, class_ = owner.rpartition(".")
        thing = getattr(sys.modules[module], class_)
    return id(vars(thing).get(name))


def _drop_strangers(known: frozenset[str]) -> None:
    """Forget the modules of plugins that are not ours: the next job imports them anew, with what they keep in them.

    Libraries stay, many of which cannot be imported twice: also those that were installed for a user alone, and those
    that PYTHONPATH finds.
    """
    libraries = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    also = [*site.getsitepackages(), site.getusersitepackages(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    libraries |= {Path(place).resolve() for place in also if place}
    plugins = {point.module.partition(".")[0] for point in importlib.metadata.entry_points(group="medbench")} - {*OWN}
    for name in [name for name in sys.modules if name not in known]:
        top = name.partition(".")[0]
        file = getattr(sys.modules[name], "__file__", None)
        if top in OWN or not file:
            continue
        is_library = any(Path(file).resolve().is_relative_to(place) for place in libraries)
        if top in plugins or not is_library:
            del sys.modules[name]


def _free_memory() -> None:
    """Give memory back, and let the peak that the next job reports be its own."""
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")
        pyplot.rcdefaults()
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    for attempt in _attempts_at_giving_back():
        with contextlib.suppress(OSError, AttributeError):
            attempt()


def _attempts_at_giving_back() -> Iterator[Callable[[], Any]]:
    yield lambda: ctypes.CDLL(None).malloc_trim(0)
    yield lambda: Path("/proc/self/clear_refs").write_text("5")  # see proc(5): the peak becomes what is used now
