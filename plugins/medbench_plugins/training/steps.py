"""A training step as a function over fixed buffers: called as it is on a CPU, captured once and replayed on CUDA.

Most steps of most networks are so short that a GPU waits for Python to launch their kernels. A step whose whole input
lies on the device (rows, learning rates, targets, its own number) does not need Python: CUDA records its kernels once
and repeats them. What the CPU's tests show of the function holds for what is replayed.

Needs torch.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch

import medbench

EAGER_STEPS = 3
"""First steps on CUDA, which run as they are: libraries choose their kernels and optimisers make their state."""

CAPTURED = "captured"
"""What :attr:`Steps.how` says where all of a step is replayed."""

NOTE = "gpu-steps.txt"
"""File beside a fitted generator that says how its steps were taken on a GPU."""

FAILED: list[str] = []
"""What was said where recording failed in this process: what torch keeps of it nobody can put back."""

Tensors = tuple[torch.Tensor, ...]


def step_number(device: torch.device) -> torch.Tensor:
    """Return the number of the step on `device`, ``int64 (1,)``, 0 before the first; :class:`Steps` counts it up."""
    return torch.zeros(1, dtype=torch.int64, device=device)


def at_step(table: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Return the row of ``table (steps, ...)`` that belongs to the step `at`, without asking the device for it."""
    return table.index_select(0, at)[0]


@medbench.outside_identity
def note_how(folder: Path, name: str, how: str) -> None:
    """Write how the steps of `name` were taken, if there is anything to say."""
    if how:
        with (folder / NOTE).open("a", encoding="utf-8") as file:
            file.write(f"{name}: {how}\n")


class Steps:
    """Takes one step a call.

    Args:
        load: Returns the tensors of a step, always of the same shapes.
        learn: Takes them and changes networks, optimisers and curves in place.
        at: Number of the step, which is one higher after each call.
        generators: Random generators on the device that either of them draws from; the global one is known.
        optimisers: Those that `learn` calls.
        from_host: `load` copies from the computer's memory, so it stays outside of what is captured.

    Attributes:
        how: Nothing on a CPU; CAPTURED; or which part of a step is not replayed, and why.
    """

    def __init__(
        self,
        load: Callable[[], Tensors],
        learn: Callable[..., None],
        at: torch.Tensor,
        *,
        optimisers: Sequence[torch.optim.Optimizer],
        generators: Sequence[torch.Generator] = (),
        from_host: bool = False,
    ) -> None:
        self._load, self._learn, self._at = load, learn, at
        self._on_cuda, self._generators = self._is_on_cuda(at), tuple(generators)
        self._syncs: dict[str, str] = {"load": "it reads from the computer's memory"} if from_host else {}
        self._taken = 0
        self._loaded: Tensors = ()
        self._buffers: Tensors | None = None
        self._replay: Callable[[], None] | None = None
        self.how = ""
        for optimiser in optimisers if self._on_cuda else ():
            for group in optimiser.param_groups:
                group["capturable"] = True

    def __call__(self) -> None:
        """Take the next step."""
        if not self._on_cuda:
            self._whole()
            return
        self._taken += 1
        if self._taken <= EAGER_STEPS:
            self._first_step()
        elif self._taken == EAGER_STEPS + 1:
            self._capture()
            self._next()
        else:
            self._next()

    @staticmethod
    def _is_on_cuda(at: torch.Tensor) -> bool:
        return at.device.type == "cuda"

    def _whole(self) -> None:
        self._learn(*self._load())
        self._at.add_(1)

    def _next(self) -> None:
        if self._replay is None:
            self._whole()
            return
        if self._buffers is not None:
            for buffer, fresh in zip(self._buffers, self._load(), strict=True):
                buffer.copy_(fresh)
        self._replay()

    def _first_step(self) -> None:
        """Take a step as it is, beside the stream that work waits on by default, and note what waits for the device."""
        side = _beside(self._at.device)
        side.wait_stream(torch.cuda.current_stream(self._at.device))
        with torch.cuda.stream(side), warnings.catch_warnings():
            # These steps must leave a state that can be recorded, though they are not.
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
            self._loaded = self._note_waits("load", self._load)
            self._note_waits("learn", lambda: self._learn(*self._loaded))
            self._at.add_(1)
        torch.cuda.current_stream(self._at.device).wait_stream(side)

    def _note_waits(self, part: str, work: Callable[[], Tensors | None]) -> Tensors:
        if self._taken < EAGER_STEPS:  # what is made in the first steps may be copied to the device
            return work() or ()
        mode = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                done = work()
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        waits = [w for w in noted if "synchronizing CUDA operation" in str(w.message)]
        if waits:
            self._syncs.setdefault(part, f"{waits[0].filename.rsplit('/', 1)[-1]} waits for the device")
        return done or ()

    def _capture(self) -> None:
        """Record a step without taking it: all of it, or what follows `load`, or nothing."""
        if "learn" in self._syncs or FAILED:  # after a failure torch's allocator holds that it still records
            self.how = f"not captured: {self._syncs.get('learn', 'a recording before this one failed')}"
            return
        before = torch.cuda.current_stream(self._at.device)
        drawn_from = [*self._generators, *self._global_generator()]
        states = [generator.get_state() for generator in drawn_from]
        try:
            if "load" in self._syncs:
                # The tensors that the recorded kernels read; each step's are copied into them.
                self._buffers = tuple(torch.empty_like(x).copy_(x) for x in self._loaded)
                self._replay = self._record(self._after_load)
                self.how = f"captured without transform and gather: {self._syncs['load']}"
            else:
                self._replay, self.how = self._record(self._whole), CAPTURED
        except RuntimeError as error:  # a library that cannot be captured is slower, and no failure
            self._buffers = self._replay = None
            torch.cuda.set_stream(before)  # which torch.cuda.graph leaves only where recording ends well
            for generator, state in zip(drawn_from, states, strict=True):
                _restore(generator, state)
            # The end of a recording that failed says no more than that; why, its first error says.
            said = str(error.__context__ or error).splitlines() or ["no message"]
            self.how = f"not captured: {said[0]}"
            FAILED.append(self.how)
        self._loaded = ()
        torch.cuda.synchronize(self._at.device)

    def _global_generator(self) -> tuple[torch.Generator, ...]:
        """Return the generator of the device that draws where none is named: torch has it in every recording."""
        first = self._at.device.index or 0
        return tuple(torch.cuda.default_generators[first : first + 1])

    def _after_load(self) -> None:
        assert self._buffers is not None
        self._learn(*self._buffers)
        self._at.add_(1)

    def _record(self, work: Callable[[], None]) -> Callable[[], None]:
        gc.collect()  # a tensor freed while CUDA records would end the recording
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=_beside(self._at.device)):
            work()
        return graph.replay


@cache
def _beside(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream beside the default that first steps and recordings use.

    Libraries keep some 32 MiB for each stream that they have seen, as long as the process lives.
    """
    return torch.cuda.Stream(device)


def _restore(generator: torch.Generator, state: torch.Tensor) -> None:
    """Set a generator back to `state`; on CUDA one whose recording failed waits for its end, and draws no more."""
    if generator.device.type == "cuda":
        generator.graphsafe_set_state(torch.Generator(generator.device))
    generator.set_state(state)
