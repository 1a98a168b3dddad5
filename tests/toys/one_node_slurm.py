"""A real SLURM of one node, where Debian's ``slurm-wlm`` and ``munge`` are installed: started for a test, and stopped.

Its key, sockets, ports and files are its own, so nothing of a SLURM that is there already is touched. It keeps no
accounts, so jobs are asked after with ``squeue``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
START_SECONDS = 90.0
CONFIGURATION = """\
ClusterName=toys
SlurmctldHost={host}
SlurmUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={place}/munge.sock
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
KillWait=2
NodeName={host} CPUs=2 CoresPerSocket=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def is_there() -> bool:
    """Say whether it can be started: all programs are there, and this is root, whom munged and slurmd want."""
    return os.geteuid() == 0 and all(shutil.which(name, path=_path()) for name in PROGRAMS)


@contextlib.contextmanager
def one_node(place: Path) -> Iterator[dict[str, str]]:
    """Start it with files in a folder of its own; give the environment variables under which programs find it."""
    for name in ("state", "spool"):
        (place / name).mkdir(parents=True)
    place.chmod(0o755)
    key = place / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    (place / "slurm.conf").write_text(
        CONFIGURATION.format(host=socket.gethostname().partition(".")[0], user="root", place=place, ports=_free_ports())
    )
    variables = {"SLURM_CONF": str(place / "slurm.conf"), "PATH": _path()}
    environment = {**os.environ, **variables}
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={place}/munge.sock",
         f"--pid-file={place}/munge.pid", f"--log-file={place}/munge.log", f"--seed-file={place}/munge.seed"],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    ]  # fmt: skip
    started = []
    try:
        for command in commands:
            program = shutil.which(command[0], path=_path())
            with (place / f"{command[0]}.out").open("w") as out:
                started.append(subprocess.Popen([str(program), *command[1:]], env=environment, stdout=out, stderr=out))
            time.sleep(1.0)
        _wait_for_node(environment)
        yield variables
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_node(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False)
        if said.stdout.strip() in ("idle", "mixed", "allocated"):
            return
        time.sleep(0.5)
    raise TimeoutError(f"its node is not idle: {said.stdout}{said.stderr}")


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("", 0))
        two.bind(("", 0))
        return [one.getsockname()[1], two.getsockname()[1]]
