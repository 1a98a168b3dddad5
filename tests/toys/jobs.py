"""What worker processes are made to do in the tests of executors."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path


def returns(folder: str, device: str) -> int:
    """Return the number the folder is called."""
    return int(Path(folder).name)


def notes_device(folder: str, device: str) -> int:
    """Leave a file that has the device's name."""
    (Path(folder) / device).touch()
    return 0


def exits(folder: str, device: str) -> int:
    """Leave without a word."""
    os._exit(3)


def is_killed(folder: str, device: str) -> int:
    """End as the kernel ends a process where memory has run out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def raises(folder: str, device: str) -> int:
    """Raise what nobody catches."""
    raise RuntimeError("as it should")


def dies_beside_a_child(folder: str, device: str) -> int:
    """Die while a child that has inherited every open file goes on, as workers of a data loader do for a while."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    child.start()
    (Path(folder) / "child").write_text(str(child.pid))
    os._exit(3)


def hangs(folder: str, device: str) -> int:
    """Say who it is and never return."""
    (Path(folder) / "writing").write_text(str(os.getpid()))
    (Path(folder) / "writing").rename(Path(folder) / "pid")
    time.sleep(600)
    return 0


def hangs_deaf(folder: str, device: str) -> int:
    """Hang and not listen to a polite request to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return hangs(folder, device)


def counts_threads_of_its_server(folder: str, device: str) -> int:
    """Write the names of the threads of the process this one was forked from."""
    tasks = Path(f"/proc/{os.getppid()}/task")
    (Path(folder) / "threads").write_text("\n".join((t / "comm").read_text().strip() for t in tasks.iterdir()))
    return 0


def holds_the_lock(folder: str, device: str) -> int:
    """Never give Python's lock back: no thread of this process runs again."""
    Path(folder, "pid").write_text(str(os.getpid()))
    Path(folder, "ready").touch()
    re.match(r"(a+)+$", "a" * 60 + "b")
    return 0


def notes_its_place(folder: str, device: str) -> int:
    """Leave a file named after the job that holds its device."""
    (Path(folder).with_suffix(".device")).write_text(device)
    return 0


def waits_for_a_file(folder: str, device: str) -> int:
    """Note the device, then wait until a file named ``go`` lies beside the folder."""
    notes_its_place(folder, device)
    while not Path(folder).with_name("go").is_file():
        time.sleep(0.02)
    return 0


def _state() -> dict[str, object]:
    import sys
    import warnings

    import numpy as np
    import torch

    return {
        "draws": [float(np.random.random()), float(torch.rand(()))],  # noqa: NPY002
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "filters": str(warnings.filters),
        "path": list(sys.path),
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "grad": torch.is_grad_enabled(),
        "denormal": float(torch.tensor(1e-40) * 1.5) == 0,
        "errors": np.geterr(),
        "printing": np.get_printoptions()["precision"],
        "recursion": sys.getrecursionlimit(),
        "signal": str(signal.getsignal(signal.SIGUSR1)),
        "plugin": "stranger" in sys.modules,
    }


def notes_state(folder: str, device: str) -> int:
    """Write its process and what it finds there, in order of jobs."""
    with Path(folder, "states.txt").open("a") as file:
        file.write(json.dumps([os.getpid(), _state()]) + "\n")
    return 0


def leaves_much(folder: str, device: str) -> int:
    """Change everything that is shared by the jobs of a process and can be put back."""
    import sys
    import warnings

    import numpy as np
    import torch

    _state()
    Path(folder, "stranger.py").write_text("calls = []\n")
    sys.path.append(folder)
    importlib.invalidate_caches()
    importlib.import_module("stranger").calls.append(1)
    os.chdir(folder)
    os.environ["LEFT"] = os.environ["PATH"] = "behind"
    warnings.simplefilter("error")
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(False)
    torch.set_flush_denormal(True)
    np.seterr(all="ignore")
    np.set_printoptions(precision=2)
    sys.setrecursionlimit(4321)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    return 0


def leaves_a_thread(folder: str, device: str) -> int:
    """Leave a thread that goes on."""
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return 0


def leaves_a_child(folder: str, device: str) -> int:
    """Leave a process that goes on for some seconds."""
    subprocess.Popen(["sleep", "5"])
    return 0


def replaces_a_function(folder: str, device: str) -> int:
    """Make a library compute something else."""
    import torch

    torch.nn.functional.relu = torch.nn.functional.gelu
    return 0


def leaves_a_hook(folder: str, device: str) -> int:
    """Have every network do something more."""
    import torch

    torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    return 0


def fails(folder: str, device: str) -> int:
    """Say that it failed."""
    return 7


def notes_pid(folder: str, device: str) -> int:
    """Write its process, in order of jobs."""
    with Path(folder, "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return 0
