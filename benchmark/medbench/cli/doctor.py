"""``medbench doctor``: is this installation sound, and what may it use?"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from medbench import __version__
from medbench.data.cache_folder import cache_folder
from medbench.errors import ResourceError
from medbench.registry import plugins as catalogue
from medbench.running import devices, numerics

FIT_SECONDS = 300
TINY = (
    "-a", "none", "--folds", "2", "--repeats", "1", "--no-controls", "--no-companions", "--no-yardsticks",
    "--workers", "1", "--budget", "steps=2,batch=4,size=16",
)  # fmt: skip
"""The quickstart's drawn pictures, and as little of the rest as makes a run."""
REINSTALL = f"{Path(sys.executable).name} -m pip install --force-reinstall torch torchvision"
ASK_CUDA = """
import json, torch
cuda = {"torch": torch.__version__, "cuda": torch.version.cuda, "error": "", "devices": [], "built_for": []}
try:
    torch.cuda.init()
    torch.zeros(1, device="cuda").add_(1).item()
    cuda["built_for"] = torch.cuda.get_arch_list()
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        major, minor = torch.cuda.get_device_capability(i)
        name = torch.cuda.get_device_name(i)
        cuda["devices"].append({"name": name, "free": free / 2**30, "total": total / 2**30, "sm": f"{major}{minor}"})
except (RuntimeError, AssertionError) as error:
    cuda["error"] = str(error).splitlines()[0] if str(error) else type(error).__name__
print(json.dumps(cuda))
"""
"""Run in a process of its own, where torch may be one that does not work."""
LIBRARIES = ("torch", "torchvision", "timm", "monai", "pydicom", "nibabel", "sklearn", "polars")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str


@click.command(short_help="Check this installation.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--fit/--no-fit", default=True, show_default=True, help="Train two steps on each device.")
def doctor(as_json: bool, fit: bool) -> None:
    """Check libraries, decoders, devices, plugins and disk, then train a little on each device.

    It exits with 6 and the way out where something is wrong.
    """
    findings = [
        Finding("medbench", True, f"{__version__} on Python {platform.python_version()}, {platform.machine()}"),
        *map(_library, LIBRARIES),
        _versions(),
        _decoders(),
        _processor(),
        _devices(),
        _plugins(),
        _disk(),
    ]
    if fit and all(f.ok for f in findings):  # what is wrong already would be reported again
        findings += _fits()
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], indent=1))
    else:
        for f in findings:
            click.echo(f"{'ok   ' if f.ok else 'WRONG'}  {f.what:<12} {f.found}")
    if bad := [f for f in findings if not f.ok]:
        raise ResourceError(f"{len(bad)} of {len(findings)} checks failed, the first: {bad[0].what}: {bad[0].found}")


def _library(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  a broken installation may raise anything
        return Finding(name, False, explain(str(error).splitlines()[0] if str(error) else type(error).__name__))
    return Finding(name, True, str(getattr(module, "__version__", "")))


def explain(error: str) -> str:
    """Say what an import error means and the way out of it."""
    if "torchvision::nms" in error:
        return (
            "torch and torchvision are of different builds (operator torchvision::nms does not exist); run: "
            + REINSTALL
        )
    return f"{error[:200]}; run: {Path(sys.executable).name} -m pip install medbench"


def _decoders() -> Finding:
    missing = []
    for module in ("libjpeg", "openjpeg", "rle"):
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(f"pylibjpeg-{module}")
    if missing:
        return Finding("DICOM", False, f"no decoder for compressed DICOM: install {', '.join(missing)}")
    return Finding("DICOM", True, "JPEG, JPEG-LS, JPEG 2000 and RLE can be decoded")


def _versions() -> Finding:
    """Compare the builds of torch and torchvision: of two, operators of the one are missing in the other."""
    try:
        torch, vision = importlib.import_module("torch"), importlib.import_module("torchvision")
    except Exception:  # noqa: BLE001  reported by the libraries' own lines
        return Finding("builds", True, "not compared: torch or torchvision cannot be imported")
    builds = [str(module.__version__).partition("+")[2] for module in (torch, vision)]  # "cu132", "cpu", or unknown
    of = f"torch {torch.__version__}, torchvision {vision.__version__}"
    if all(builds) and builds[0] != builds[1]:
        return Finding("builds", False, f"{of} are of different builds; run: {REINSTALL}")
    return Finding("builds", True, of)


def _processor() -> Finding:
    """Say which instructions the processor has: the bits of a training hang on them unless numerics are portable."""
    can = "portable is possible" if numerics.is_portable_here() else "portable is not possible, it needs x86 and AVX2"
    return Finding("processor", True, f"{platform.machine()}, {numerics.instruction_set()}; numerics: {can}")


def _devices() -> Finding:
    """Ask the driver, and start CUDA in a process of its own: what is started there cannot hinder a run's server."""
    found = devices.gpus()
    if not found:
        return Finding("device", True, f"no NVIDIA GPU; {os.cpu_count()} CPU cores")
    driver = _output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").partition("\n")[0]
    named = f"{found} GPUs, driver {driver or 'not told'}"
    answer = _output_of(sys.executable, "-c", ASK_CUDA)
    try:
        cuda = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        return Finding("device", False, f"{named}, but torch cannot be asked for them: {answer[-200:] or 'no answer'}")
    if cuda["error"]:
        return Finding(
            "device", False,
            f"{named}, but torch {cuda['torch']} (CUDA {cuda['cuda']}) cannot use them: {cuda['error'][:200]}; "
            "install a torch whose CUDA the driver supports",
        )  # fmt: skip
    each = [f"{d['name']}, {d['free']:.0f} of {d['total']:.0f} GiB free, sm_{d['sm']}" for d in cuda["devices"]]
    known = cuda["built_for"]
    lacking = [d["name"] for d in cuda["devices"] if known and not _is_built_for(d["sm"], known)]
    if lacking:
        return Finding("device", False, f"{named}; torch {cuda['torch']} is not built for {lacking[0]}: {each[0]}")
    return Finding("device", True, f"{named}: {'; '.join(each)}")


def _is_built_for(sm: str, built_for: list[str]) -> bool:
    """Say whether code for a card is there: for its own generation and not above it, or to be compiled when it runs."""
    own = [b.removeprefix("sm_") for b in built_for if b.startswith("sm_")]
    own = [b.rstrip("af") for b in own]
    later = [b.removeprefix("compute_").rstrip("af") for b in built_for if b.startswith("compute_")]
    return any(b[:-1] == sm[:-1] and int(b) <= int(sm) for b in own) or any(int(b) <= int(sm) for b in later)


def _fits() -> list[Finding]:
    """Train two steps on every device through the command line, as a run does it."""
    return [_fit(device) for device in devices.choose("auto")]


def _fit(device: str) -> Finding:
    what = f"fit {device}"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medbench-doctor-", ignore_cleanup_errors=True) as scratch:
        environment = {**os.environ, "MEDBENCH_CACHE": scratch, "MEDBENCH_DEBUG": "0", "PYTHONSAFEPATH": "1"}
        try:
            ended = subprocess.run(  # noqa: S603  its own command line
                [sys.executable, "-m", "medbench", "run", *TINY, "--device", device, "--results", f"{scratch}/runs"],
                capture_output=True, text=True, env=environment, cwd=scratch, timeout=FIT_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Finding(what, False, f"not done after {FIT_SECONDS} s; is the machine very busy?")
    seconds = time.monotonic() - started
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Finding(what, False, f"a run of two steps ended with {ended.returncode}: {last[:300]}")
    return Finding(what, True, f"two folds of two steps, {seconds:.0f} s with all imports")


def _output_of(*command: str) -> str:
    """Return what a program prints, or why it did not."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return (ended.stdout if ended.returncode == 0 else ended.stderr).strip()


def _plugins() -> Finding:
    broken = [p for p in catalogue.load().plugins if p.error]
    if broken:
        return Finding("plugins", False, f"{broken[0].name}: {broken[0].error}")
    return Finding("plugins", True, "every plugin loads")


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "cannot be written" if folder.is_dir() else "is a file"
        return Finding("disk", False, f"{folder} {why}; set MEDBENCH_CACHE to a folder of yours")
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("disk", free > 1, f"{free:.0f} GiB free for decoded data (MEDBENCH_CACHE moves it)")
