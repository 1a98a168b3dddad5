"""A cluster that is none: ``sbatch``, ``sacct`` and ``scancel`` of processes of this machine.

What it knows is in the folder FAKE_SLURM: a file a job with its process; ``say-N`` holds a state that job N is said to
be in, whatever became of it. Called as ``slurm.py PROGRAM ARGUMENTS``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

PLACE = Path(os.environ["FAKE_SLURM"])


def sbatch(words: list[str]) -> int:
    """Start all tasks of an array at once."""
    with (PLACE / "calls").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    if (PLACE / "refuse").exists():
        print("sbatch: error: invalid partition specified", file=sys.stderr)
        return 1
    last = int(next(re.search(r"-(\d+)$", word)[1] for word in words if word.startswith("--array=")))
    number = 1 + len(list(PLACE.glob("*.array")))
    (PLACE / f"{number}.array").touch()
    for task in range(last + 1):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}
        out = (PLACE / f"{number}_{task}.out").open("w")
        script = f"{words[-1]}; echo $? > {PLACE}/{number}_{task}.code"
        process = subprocess.Popen(
            ["sh", "-c", script.replace("exec ", "", 1)],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        (PLACE / f"{number}_{task}.pid").write_text(str(process.pid))
    print(number)
    return 0


def sacct(words: list[str]) -> int:
    """Tell all tasks of some arrays."""
    with (PLACE / "asked").open("a") as asked:
        asked.write(" ".join(words) + "\n")
    for number in words[words.index("-j") + 1].split(","):
        for file in sorted(PLACE.glob(f"{number}_*.pid")):
            say, code = PLACE / f"say-{file.stem}", file.with_suffix(".code")
            state = "RUNNING" if _lives(int(file.read_text())) else "NODE_FAIL"
            if code.exists():
                state = "COMPLETED" if code.read_text().strip() == "0" else "FAILED"
            if say.exists():
                state = say.read_text()
            print(f"{file.stem}|{state}|{(code.read_text().strip() if code.exists() else '0')}:0")
    return 0


def _lives(group: int) -> bool:
    """Say whether anything of a job runs: its shell and its program may be killed one by one."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def scancel(words: list[str]) -> int:
    """End all tasks of some arrays."""
    for number in words:
        for file in PLACE.glob(f"{number}_*.pid"):
            try:
                os.killpg(int(file.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                continue
    return 0


if __name__ == "__main__":
    sys.exit({"sbatch": sbatch, "sacct": sacct, "scancel": scancel}[Path(sys.argv[1]).name](sys.argv[2:]))
