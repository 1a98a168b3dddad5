"""Work on a stranger's bundle in a process of its own, with bounds on memory, time, files and what it may write.

No code of a bundle is ever run; plugins that are installed here may be used, since the user chose them. Where the
kernel allows it the process has no network.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import MedbenchError, ResourceError
from medbench.publishing.refusals import Refused

MEMORY = {"read": 2 * 2**30, "check": 6 * 2**30}
"""Bytes of address space: libraries map 1.5 GB before they are used; what is really taken is a fraction of it."""
CPU_S = {"read": 60, "check": 1800}
WALL_S = {"read": 300, "check": 7200}
WRITTEN = 512 * 2**20  # bytes of one file; it writes into its own temporary folder only
OPEN = 1024  # files; the store reads 500 at once
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER and CLONE_NEWNET of sched.h
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")} | {"POLARS_MAX_THREADS": "1"}


def run_task(task: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Do a task of :mod:`medbench.publishing.verify.sandbox_tasks` elsewhere and return its JSON values.

    Args:
        task: "read" or "check".
        values: JSON values.

    Raises:
        Refused: MB940 where it took more than a bundle may.
        MedbenchError: What it raised.
    """
    with tempfile.TemporaryDirectory(prefix="medbench-verify-") as folder:
        given = json.dumps({"task": task, "folder": folder, **values}).encode()
        environment = {**os.environ, **_ONE_THREAD, "TMPDIR": folder, "PYTHONSAFEPATH": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-B", "-m", "medbench.publishing.verify.sandbox"],
                input=given, capture_output=True, timeout=WALL_S[task], cwd=folder, env=environment, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Refused(
                "MB940", f"it took longer than {WALL_S[task]} s; bundle fewer methods or data sets."
            ) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL) or answer.get("error") == "MemoryError":
        raise Refused(
            "MB940", f"it took more than {CPU_S[task]} s or {MEMORY[task] // 2**30} GB; bundle fewer methods."
        )
    if not answer or "error" in answer:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        why = answer.get("error") or (last[0][:300] if last else f"exit status {done.returncode}")
        raise ResourceError(f"the process that checks a bundle ended early: {why}; run `medbench doctor`.")
    return answer


def confine(task: str) -> None:
    """Set the bounds of this process; they cannot be raised again."""
    limits = (
        (resource.RLIMIT_AS, MEMORY[task]),
        (resource.RLIMIT_CPU, CPU_S[task]),
        (resource.RLIMIT_FSIZE, WRITTEN),
        (resource.RLIMIT_NOFILE, OPEN),
        (resource.RLIMIT_CORE, 0),
    )
    for what, most in limits:
        _, hard = resource.getrlimit(what)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))


def isolate(reads: Sequence[str] = ()) -> bool:
    """Leave every network, the loopback too, if the kernel lets this process; it cannot come back.

    Args:
        reads: Files and folders that must stay readable: another user namespace takes root's right to read all.

    Returns:
        Whether this process has a network of its own now, in which nothing is.

    Source:
        man unshare(2), user_namespaces(7); a process with more than one thread is refused.
    """
    if _unshare(_NEW_NET):  # as root: nothing else of the process changes
        return True
    child = os.fork()  # what cannot be mapped cannot be undone, so it is tried in a copy first
    if child == 0:
        code = 1
        try:
            code = int(not (_unshare(_NEW_USER | _NEW_NET) and all(os.access(path, os.R_OK) for path in reads)))
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0 and _unshare(_NEW_USER | _NEW_NET)


def _unshare(flags: int) -> bool:
    user, group = os.geteuid(), os.getegid()
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
            return False
        if flags & _NEW_USER:  # it stays who it was: ssh-keygen wants a name, files their owner
            for name, line in (("setgroups", b"deny"), ("uid_map", b"%d %d 1" % (user, user)),
                               ("gid_map", b"%d %d 1" % (group, group))):  # fmt: skip
                Path(f"/proc/self/{name}").write_bytes(line)
    except (AttributeError, OSError):  # another system, or one that forbids it
        return False
    return True


def main() -> None:
    """Read a task from standard input and answer on standard output; what plugins print goes to standard error."""
    given = json.loads(sys.stdin.buffer.read())
    confine(given["task"])
    isolate([given[key] for key in ("bundle", "folder", "truth") if key in given])
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        from medbench.publishing.verify.sandbox_tasks import TASKS

        answer = TASKS[given["task"]](given, Path(given["folder"]))
    except MemoryError:
        answer = {"error": "MemoryError"}
    except MedbenchError as error:
        answer = {"error": str(error)}
    with os.fdopen(answers, "wb") as out:
        out.write(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
