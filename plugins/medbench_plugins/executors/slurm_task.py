"""One task of an array: ``python -m medbench_plugins.executors.slurm_task BOARD NUMBERS``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from medbench_plugins.executors.far_jobs import choose_device, do_job


def main() -> int:
    """Do the job that stands in the line of this task of the array."""
    board, numbers = sys.argv[1:]
    number = Path(numbers).read_text().split()[int(os.environ["SLURM_ARRAY_TASK_ID"])]
    return do_job(board, int(number), lambda wanted, share: choose_device(wanted))


if __name__ == "__main__":
    sys.exit(main())
