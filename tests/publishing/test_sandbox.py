"""The process that reads a stranger's bundle: without a network where the kernel allows it, and otherwise as it was."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from _bundles import ToyRun
from medbench.publishing.verify import sandbox

# In a process of its own, for a process that left its network never comes back.
ISOLATED = """
import ctypes, json, os, socket, sys, tempfile
import encodings.idna
from pathlib import Path
from medbench.publishing.verify import sandbox

as_user, forbidden, reads = sys.argv[1] == "user", sys.argv[2], sys.argv[3:]
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=10).close()
if as_user:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: as if it had been started by that user
if forbidden == "net":
    real = sandbox._unshare
    sandbox._unshare = lambda flags: flags != sandbox._NEW_NET and real(flags)
elif forbidden == "all":
    sandbox._unshare = lambda flags: False
before = os.getuid(), os.getgid()
isolated = sandbox.isolate(reads)
try:
    socket.create_connection(server.getsockname(), timeout=10).close()
    connected = True
except OSError:
    connected = False
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "x"
    path.write_text("kept")
    owned, kept = path.stat().st_uid, path.read_text()
print(json.dumps({"isolated": isolated, "connected": connected, "same": before == (os.getuid(), os.getgid()),
                  "owner": owned == before[0], "kept": kept}))
"""


def isolated(who: str = "self", forbidden: str = "nothing", *reads: Path) -> dict[str, bool | str]:
    done = subprocess.run([sys.executable, "-c", ISOLATED, who, forbidden, *map(str, reads)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    found: dict[str, bool | str] = json.loads(done.stdout)
    return found


def needs(found: dict[str, bool | str]) -> None:
    if not found["isolated"]:
        pytest.skip("this kernel, or what this runs in, gives no network namespace to this user")


def test_a_connection_to_this_very_machine_fails() -> None:
    found = isolated()
    needs(found)

    assert found == {"isolated": True, "connected": False, "same": True, "owner": True, "kept": "kept"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_without_rights_leaves_the_network_too() -> None:
    found = isolated("user")
    needs(found)

    assert found == {"isolated": True, "connected": False, "same": True, "owner": True, "kept": "kept"}


def test_where_it_is_refused_all_goes_on_as_before() -> None:
    assert isolated("self", "all") == {"isolated": False, "connected": True, "same": True, "owner": True,
                                       "kept": "kept"}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what is not its own")
def test_what_root_may_read_of_others_stays_readable(tmp_path: Path) -> None:
    needs(isolated("self", "net"))
    path = tmp_path / "of-another"
    path.touch(mode=0o600)
    os.chown(path, 12345, 12345)

    assert isolated("self", "net", path)["isolated"] is False  # it would have lost the bundle
    assert isolated("self", "net", tmp_path)["isolated"] is True


def test_a_system_without_namespaces_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoUnshare:
        def __init__(self, *_: object, **__: object) -> None:
            pass

    monkeypatch.setattr(ctypes, "CDLL", NoUnshare)

    assert sandbox.isolate() is False


def test_the_process_that_reads_a_bundle_has_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin of ours tries, in the process itself, to reach a server on this machine."""
    needs(isolated())
    import socket

    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    run, path = ToyRun(tmp_path / "runs"), tmp_path / "toys.medbench.zip"
    path.write_bytes(run.bundle())
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        (plugins / "caller.py").write_text(
            "import socket\nfrom pathlib import Path\n"
            f"try:\n    socket.create_connection({server.getsockname()!r}, timeout=5).close()\n    said = 'yes'\n"
            "except OSError as error:\n    said = str(error)\n"
            f"Path({str(tmp_path / 'said')!r}).open('a').write(said + '\\n')\n"
        )
        given = {"bundle": str(path), "allowed": None, "accept_repeated": False}
        seen = sandbox.run_task("read", given)
        more = {"truth": str(tmp_path), "missing": {"phantom:toy": "it is not here"}, "blocked": [], "others": None,
                "plugin_folders": [str(plugins)]}  # fmt: skip
        (tmp_path / "sources.json").write_text("[]")
        sandbox.run_task("check", {**given, **seen, **more})

    assert (tmp_path / "said").read_text().strip() not in ("", "yes")
