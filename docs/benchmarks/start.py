"""Measure what a new user waits for: help, a large plan, the quickstart from an empty cache, and the same run again.

    python docs/benchmarks/start.py [--skip-quickstart]

Prints one line a figure: median wall seconds of the repetitions, and for the quickstart the peak memory of all its
processes together.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def timed(environment: dict[str, str], *arguments: str, repeat: int = 5) -> float:
    """Return the median wall time of a command in seconds."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        run = [sys.executable, "-m", "medbench", *arguments]
        subprocess.run(run, env=environment, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def proportional_mb(group: int) -> float:
    """Return the memory of every process of a group in MiB, shared pages counted once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
        except (OSError, StopIteration):
            continue
    return total / 1024


def quickstart(environment: dict[str, str]) -> tuple[float, float, str]:
    """Run the quickstart from an empty cache; return seconds, peak MiB and the table."""
    started = time.perf_counter()
    run = [sys.executable, "-m", "medbench", "run", "--augmenter", "hybrid"]
    process = subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, proportional_mb(process.pid))
            time.sleep(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    table, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"the quickstart ended with {process.returncode}")
    return time.perf_counter() - started, peak, table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-quickstart", action="store_true")
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MEDBENCH_CACHE": f"{folder}/cache", "MEDBENCH_RESULTS": f"{folder}/runs"}
        print(f"medbench --help                           {timed(environment, '--help'):7.2f} s")
        print(f"medbench plugins list                     {timed(environment, 'plugins', 'list'):7.2f} s")
        if not asked.skip_quickstart:
            seconds, peak, table = quickstart(environment)
            print(f"quickstart from an empty cache            {seconds:7.2f} s, {peak:.0f} MiB at most")
            print(f"the same command again                    {timed(environment, 'run', '-a', 'hybrid'):7.2f} s")
        many = ("plan", "-a", "hybrid", "--folds", "10", "--repeats", "20", "--seeds", "10")
        print(f"plan of 10,000 trials                     {timed(environment, *many, repeat=3):7.2f} s")
        if not asked.skip_quickstart:
            print(table)


if __name__ == "__main__":
    main()
