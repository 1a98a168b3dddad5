"""Jobs as tasks of Ray Core, on this machine or on a cluster whose address is given."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import medbench
from medbench_plugins.executors.far_jobs import LATE, Board, name_of, note_out_of_memory
from medbench_plugins.executors.local import JOBS_A_WORKER
from medbench_plugins.executors.ray_folder import RayFolder
from medbench_plugins.executors.ray_job import do
from medbench_plugins.executors.servers import NO_VARIABLES

BEAT_SECONDS = 2.0
STEP_SECONDS = 0.2
OBJECT_STORE_BYTES = 100 * 2**20
"""Nothing of ours goes through Ray's store of objects; this is about the least that it takes."""
SYSTEM = {"prestart_worker_first_driver": False}
"""Else the start waits for a first process of Ray, and for ever where that one dies before it has reported."""


@dataclass(frozen=True)
class Ray:
    """Tasks of Ray Core (``pip install 'medbench[ray]'``).

    Without an address it starts Ray on this machine, for this run alone, with a folder of its own for its files: both
    go away with the run, however that ends.

    Attributes:
        address: Of a cluster, as ``auto`` or ``ray://host:10001``; its machines all see the folder of results.
        gpus: Part of a GPU that a job of a cluster takes, 0 to 1, enforced by a limit on memory.
        jobs_a_worker: Jobs that a process does before it ends.
        patience_s: Seconds after which a job ends that has not heard of its runner.
    """

    name: str = "ray"
    address: str = ""
    gpus: float = 1.0
    jobs_a_worker: int = JOBS_A_WORKER
    patience_s: float = 20.0

    @property
    def at_a_time(self) -> int:
        """Jobs at a time on a cluster; 0 where they run on this machine."""
        return 64 if self.address else 0

    def start(
        self, *, workers: int, devices: Sequence[str], variables: Mapping[str, str] = NO_VARIABLES
    ) -> medbench.Jobs:
        """Start Ray, or find it.

        Args:
            workers: Jobs at a time.
            devices: Torch devices.
            variables: Environment variables that each process begins with.

        Raises:
            ResourceError: If Ray is not installed, or does not start.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to anybody
        if not self.address and os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray keeps one in the home folder
        try:
            ray = importlib.import_module("ray")
        except ImportError:
            raise medbench.ResourceError("--executor ray: Ray is missing; pip install 'medbench[ray]'.") from None
        return RayJobs(self, ray, workers, devices, variables)


class RayJobs:
    """A thread a job, which waits for its task, and counts its time.

    Args:
        recipe: What to ask for.
        ray: The library.
        workers: Jobs at a time.
        devices: Torch devices.
        variables: Environment variables that each process begins with.
    """

    def __init__(
        self, recipe: Ray, ray: Any, workers: int, devices: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        self._recipe, self._ray, self._workers, self._device = recipe, ray, workers, devices[0]
        self._cards = len(devices) if devices[0].startswith("cuda") and not recipe.address else 0
        self._folder: RayFolder | None = None
        try:
            self._folder = None if recipe.address else RayFolder()
            self._connect(devices, variables)
        except Exception as error:
            self._disconnect()
            raise medbench.ResourceError(f"--executor ray: it does not start ({_first_line(error)}).") from error
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="ray job")
        self._lock = threading.Lock()
        self._board: Board | None = None
        self._count = 0
        self._tasks: set[Any] = set()
        self._over = threading.Event()

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`."""
        place = Path(folder).absolute()
        with self._lock:
            if self._board is None:
                self._board = Board(place.parent, "ray")
                threading.Thread(target=self._beat, args=(self._board,), daemon=True).start()
            self._count += 1
            number, board = self._count, self._board
        part = self._recipe.gpus if self._recipe.address else share
        board.put(number, work=name_of(work), folder=str(place), device=self._device, share=part, limit_s=limit_s,
                  patience_s=self._recipe.patience_s)  # fmt: skip
        return self._threads.submit(self._follow, board, number, share, limit_s)

    def close(self) -> None:
        """End what still runs, and Ray where it was started here."""
        self._over.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown()
        self._disconnect()
        if self._board is not None:
            self._board.close()

    def _connect(self, devices: Sequence[str], variables: Mapping[str, str]) -> None:
        quiet: dict[str, Any] = {"configure_logging": False, "log_to_driver": False, "namespace": "medbench"}
        if variables:
            quiet["runtime_env"] = {"env_vars": dict(variables)}
        folder = self._folder
        if folder is None:
            self._ray.init(address=self._recipe.address, **quiet)
            return
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if self._cards:  # Ray counts cards from 0; those that were not asked for are hidden from it
            known = visible.split(",") if visible else []
            numbers = [int(device.partition(":")[2] or 0) for device in devices]
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(known[n] if n < len(known) else str(n) for n in numbers)
        try:
            self._ray.init(
                address="local", num_cpus=self._workers, num_gpus=self._cards, include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES, _temp_dir=folder.for_ray, _system_config=dict(SYSTEM), **quiet,
            )  # fmt: skip
        finally:
            if self._cards:
                os.environ.pop("CUDA_VISIBLE_DEVICES")
                os.environ.update({"CUDA_VISIBLE_DEVICES": visible} if visible is not None else {})

    def _disconnect(self) -> None:
        with contextlib.suppress(Exception):
            self._ray.shutdown()
        if self._folder is not None:
            self._folder.close()

    def _beat(self, board: Board) -> None:
        while not self._over.wait(BEAT_SECONDS):
            board.beat()

    def _needs(self, share: float) -> dict[str, float]:
        """Return what Ray sets aside for a job; a job whose share was doubled gets twice as much."""
        if self._recipe.address:
            factor = max(1.0, share * self._workers)
            on_gpu = self._device != "cpu" and self._ray.cluster_resources().get("GPU", 0) > 0
            return {"num_cpus": factor, "num_gpus": min(1.0, self._recipe.gpus * factor) if on_gpu else 0}
        if self._cards:
            return {"num_cpus": 0, "num_gpus": share}
        return {"num_cpus": max(1.0, round(share * self._workers)), "num_gpus": 0}

    def _follow(self, board: Board, number: int, share: float, limit_s: float) -> int:
        if self._over.is_set():
            raise CancelledError
        ray = self._ray
        function = ray.remote(max_retries=0, max_calls=self._recipe.jobs_a_worker)(do)
        task = function.options(**self._needs(share)).remote(str(board.folder), number)
        began = None
        while True:
            ready, _ = ray.wait([task], timeout=STEP_SECONDS)
            if ready:
                return self._outcome(board, number, task)
            if began is None and board.began(number):
                began = time.monotonic()
            if self._over.is_set() or (began is not None and time.monotonic() - began > limit_s):
                with contextlib.suppress(Exception):
                    ray.cancel(task, force=True)
                    ray.wait([task], timeout=10)
                if self._over.is_set():
                    raise ProcessLookupError("it was cancelled")
                raise TimeoutError

    def _outcome(self, board: Board, number: int, task: Any) -> int:
        """Return the status that a task wrote before it ended, however it ended."""
        try:
            self._ray.get(task)
            why = "it wrote no status"
        except Exception as error:  # noqa: BLE001  Ray has many for a process that died
            why = f"{type(error).__name__}: {_first_line(error)}"
            if isinstance(error, self._ray.exceptions.OutOfMemoryError):
                return note_out_of_memory(board.folder_of(number), "Ray")
        status = board.ended(number)
        if status == LATE:
            raise TimeoutError
        if status is None:
            raise ProcessLookupError(why)
        return int(status)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
