"""``medbench doctor``: is this installation sound, and what may it use?"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from medbench import __version__, devices, plugins
from medbench.decode import cache_folder
from medbench.errors import ResourceError

LIBRARIES = ("torch", "torchvision", "timm", "monai", "pydicom", "nibabel", "sklearn", "polars")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str


@click.command(short_help="Check this installation.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> None:
    """Check libraries, decoders, devices, plugins and disk; exit with 6 and the way out where something is wrong."""
    findings = [
        Finding("medbench", True, f"{__version__} on Python {platform.python_version()}, {platform.machine()}"),
        *map(_library, LIBRARIES),
        _decoders(),
        _devices(),
        _plugins(),
        _disk(),
    ]
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
            f"{Path(sys.executable).name} -m pip install --force-reinstall torch torchvision"
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


def _devices() -> Finding:
    found = devices.gpus()
    if not found:
        return Finding("device", True, f"no NVIDIA GPU; {os.cpu_count()} CPU cores")
    if not _library("torch").ok:
        return Finding("device", False, f"{found} GPUs, but torch cannot be imported")
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return Finding(
            "device",
            False,
            f"{found} GPUs, but torch {torch.__version__} cannot use them; install a CUDA build of torch",
        )
    return Finding("device", True, ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))


def _plugins() -> Finding:
    broken = [p for p in plugins.load().plugins if p.error]
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
