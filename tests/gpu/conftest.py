"""What the tests of devices share: where they run, and the command line with a cache of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from medbench.testing import SandboxContext

PLUGINS = Path(__file__).parent / "plugins"
sys.path.append(str(PLUGINS))  # fake_cuda is imported by its name, here and in jobs
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def is_real() -> bool:
    """Whether there is a GPU; else tests run on one that is none, and refuses what a real one would."""
    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands run."""
    return tmp_path_factory.mktemp("gpu")


@pytest.fixture(scope="module")
def medbench(folder: Path, is_real: bool) -> Medbench:
    """Call the command line; the word GPU stands for the options that run it on one."""
    on_gpu = ("--device", "cuda") if is_real else ("--executor", "fake-cuda")

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = [part for word in words for part in (on_gpu if word == "GPU" else (word,))]
        if given[0] in ("run", "plan"):
            given += ["--plugins-dir", str(PLUGINS), "-p", "no:medbench.scores"]
        environment = {**os.environ, "MEDBENCH_CACHE": str(folder / "cache"), **variables}
        command = [sys.executable, "-m", "medbench", *given]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=550)

    return call


@pytest.fixture
def on_gpu(context: SandboxContext, is_real: bool) -> Iterator[SandboxContext]:
    """A context on the first GPU, and code that runs there."""
    from fake_cuda import fake_cuda

    context.device = "cuda:0"
    if is_real:
        yield context
    else:
        with fake_cuda():
            torch.cuda.init()
            yield context
