"""Plugins: found, blocked, blamed; a broken one stops nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.errors import PluginError, UsageError
from medbench.registry import hookspecs
from medbench.registry.catalogue import HOOKS
from medbench.registry.plugins import load

GOOD = """
from dataclasses import dataclass
import medbench

@dataclass(frozen=True)
class Invert:
    name: str = "invert"
    space = "pixels"
    gives = frozenset({"samples"})
    control = None

    def fit(self, train, context):
        return medbench.TrainingSet(train.with_synthetic(255 - train.x, train.labels, maker=self.name))

@medbench.hookimpl
def register_augmenters():
    return [Invert()]
"""
BROKEN = {
    "no-library": "import no_such_library\n",
    "syntax": "def broken(:\n",
    "exits": "import sys\nsys.exit(0)\n",
    "exits_in_hook": "import sys, medbench\n@medbench.hookimpl\ndef register_augmenters():\n    sys.exit(0)\n",
    "raises_in_hook": "import medbench\n@medbench.hookimpl\ndef register_augmenters():\n    raise RuntimeError('x')\n",
    "wrong_type": "import medbench\n@medbench.hookimpl\ndef register_augmenters():\n    return [object()]\n",
    "not_frozen": GOOD.replace("frozen=True", "frozen=False").replace('"invert"', '"thawed"'),
    "unknown_hook": "import medbench\n@medbench.hookimpl\ndef register_dataset():\n    return []\n",
    "wrong_argument": "import medbench\n@medbench.hookimpl\ndef register_augmenters(colour):\n    return []\n",
    "taken_name": GOOD.replace('"invert"', '"geometric"'),
    "prints": "print('hello' * 10)\nraise ValueError('no')\n",
}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_folder_is_found_and_provides_what_it_registers(tmp_path: Path) -> None:
    catalogue = load(folders=[write(tmp_path / "good_folder", invert_good=GOOD)], installed=False)

    assert "invert" in catalogue.names("augmenter")
    assert catalogue.owner("augmenter", "invert") == "invert_good"


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_stops_nobody_and_says_what_is_wrong(tmp_path: Path, kind: str) -> None:
    module = f"broken_{kind.replace('-', '_')}"
    catalogue = load(folders=[write(tmp_path / "f", **{module: BROKEN[kind]})], installed=False)
    broken = next(p for p in catalogue.plugins if p.name == module)

    assert broken.error
    assert broken.provides == {}
    assert "geometric" in catalogue.names("augmenter")
    with pytest.raises(PluginError):
        catalogue.registered("augmenter", module)
    if kind != "taken_name":
        assert catalogue.resolve("augmenter", "geometric").name == "geometric"


def test_a_name_claimed_twice_is_nobodys(tmp_path: Path) -> None:
    catalogue = load(folders=[write(tmp_path / "g", second_geometric=BROKEN["taken_name"])], installed=False)

    with pytest.raises(PluginError, match="both provide the augmenter 'geometric'"):
        catalogue.resolve("augmenter", "geometric")


def test_a_plugin_can_be_left_out_and_a_stranger_cannot() -> None:
    catalogue = load(blocked=["medbench.generators"], installed=False)

    assert catalogue.names("generator") == []
    with pytest.raises(UsageError, match=r"no plugin is named 'medbench.generator' \(did you mean"):
        load(blocked=["medbench.generator"], installed=False)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'hybrid'.*there are: none, balanced"):
        load(installed=False).resolve("augmenter", "hybird")


def test_a_glob_takes_all_that_match() -> None:
    names = [d.name for d in load(installed=False).matching("dataset", "vindr-spinexr:case-*")]

    assert names == ["vindr-spinexr:case-1", "vindr-spinexr:case-2", "vindr-spinexr:case-3"]


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from medbench.registry.plugins import load; load(installed=False);"
        "print([m for m in ('torch', 'timm', 'monai', 'sklearn', 'polars', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_help_loads_no_plugin() -> None:
    code = (
        "import sys; from medbench.cli import cli; cli.main(['--help'], standalone_mode=False);"
        "print([m for m in sys.modules if m.startswith(('medbench_', 'numpy.linalg', 'rich'))], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert [m for m in json.loads(result.stderr.replace("'", '"')) if m.startswith("medbench_")] == []


def test_the_environment_leaves_out_what_is_not_medbenchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_DISABLE_PLUGINS", "1")

    assert {p.distribution for p in load().plugins} == {"medbench"}


EVENTS = """
import medbench
heard = []

@medbench.hookimpl
def trial_started(trial):
    heard.append(("started", trial))

@medbench.hookimpl
def trial_finished(trial, result):
    heard.append(("finished", trial, result))

@medbench.hookimpl
def trial_failed(trial, error):
    raise SystemExit(0)
"""


def test_events_reach_observers_and_a_breaking_observer_is_named(tmp_path: Path) -> None:
    catalogue = load(folders=[write(tmp_path / "e", observer_events=EVENTS)], installed=False)
    import observer_events  # type: ignore[import-not-found]

    assert catalogue.announce("trial_started", trial="t") == []
    assert catalogue.announce("trial_finished", trial="t", result="r") == []
    assert observer_events.heard == [("started", "t"), ("finished", "t", "r")]
    assert (
        "plugin 'observer_events' failed in trial_failed" in catalogue.announce("trial_failed", trial="t", error="e")[0]
    )


def test_every_hook_is_registered_through() -> None:
    specified = {name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "medbench_spec")}

    assert {hook for hook, _ in HOOKS.values()} | {"trial_started", "trial_finished", "trial_failed"} == specified


def test_an_installed_distribution_is_found_by_its_entry_point(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "medbench_invert-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "medbench_invert.py").write_text(GOOD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: medbench-invert\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[medbench]\ninvert = medbench_invert\n")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    run = [sys.executable, "-m", "medbench", "plugins", "list", "--json"]

    listed = json.loads(subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout)
    off = subprocess.run(
        run, capture_output=True, text=True, check=True, env={**environment, "MEDBENCH_DISABLE_PLUGINS": "1"}
    )

    mine = next(p for p in listed if p["name"] == "invert")
    assert (mine["distribution"], mine["version"], mine["provides"]) == (
        "medbench-invert",
        "0.1",
        {"augmenter": ["invert"]},
    )
    assert "medbench-invert" not in off.stdout
