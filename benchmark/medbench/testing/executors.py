"""The contract of executors."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from medbench.errors import ContractError
from medbench.testing.sandbox import make_folder


def check_executor(executor: Any, folder: Path) -> None:
    """Check that an executor runs work in processes of their own, with their device, and says how each ended.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    from concurrent.futures import CancelledError

    name = executor.name
    outcomes = {"ends": 7, "sleeps": TimeoutError, "dies": ProcessLookupError}
    jobs = executor.start(workers=1, devices=["cpu"])
    try:
        for behaviour, expected in outcomes.items():
            place = make_folder(folder, behaviour)
            limit_s = 2.0 if behaviour == "sleeps" else 300.0
            try:
                ended: Any = jobs.submit(job_for_checks, str(place), 1.0, limit_s).result(600)
            except (TimeoutError, ProcessLookupError, CancelledError) as error:
                ended = ProcessLookupError if isinstance(error, ProcessLookupError) else type(error)
            if ended != expected:
                expected_name = getattr(expected, "__name__", expected)
                raise ContractError(f"{name}: a job that {behaviour} ended with {ended}, expected {expected_name}.")
        report = json.loads((folder / "ends" / "report.json").read_text())
        if report["device"] != "cpu" or report["process"] == os.getpid():
            raise ContractError(f"{name}: a job runs in a process of its own, on the device it is given.")
    finally:
        jobs.close()


def job_for_checks(folder: str, device: str) -> int:
    """End, sleep or die, as the name of the folder says: the job that executors are checked with."""
    place = Path(folder)
    (place / "report.json").write_text(json.dumps({"device": device, "process": os.getpid()}))
    if place.name == "sleeps":
        time.sleep(600)
    if place.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return 7
