"""The command line without the start of an interpreter, which takes longer than most commands."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from medbench import cli


def in_this_process(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call ``medbench`` as its script does, and return how it ended.

    What needs a process of its own does not belong here: runs, whose jobs are forked from a server with the variables
    of whoever asked first, and whatever is about signals, pipes and the interpreter.

    Args:
        arguments: Words after ``medbench``.
        folder: Working directory.
        variables: Of the environment, for this call.
    """
    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    thresholds, code = gc.get_threshold(), 0
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, variables),
        mock.patch.object(sys, "argv", ["medbench", *arguments]),
        mock.patch.object(sys, "path", list(sys.path)),
        mock.patch.object(signal, "signal"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            gc.set_threshold(*thresholds)
    texts = []
    for stream in (out, errors):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(list(arguments), code, *texts)
