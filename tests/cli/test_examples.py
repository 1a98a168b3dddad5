"""The pages on plugins: what they show is run as it stands."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from in_this_process import in_this_process
from medbench.cli.new_plugin import CONTRACTS, plugin_files
from medbench.cli.plugins import check

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "docs" / "examples"
TOYS = Path(__file__).parents[1] / "toys"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (PROJECT / "docs" / "plugins").glob("*.md")}
QUICK = ("--folds", "2", "--repeats", "1", "--budget", "smoke", "--plugins-dir", str(TOYS), "-p", "no:medbench.scores",
         "-p", "no:medbench.extractors")  # fmt: skip


def block(page: str, language: str = "python") -> str:
    """Return the first block of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)[0]


def medbench(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`, with a cache and results of its own there."""
    environment = {
        **os.environ,
        "MEDBENCH_CACHE": str(folder / "cache"),
        "MEDBENCH_RESULTS": str(folder / "runs"),
        **variables,
    }
    run = [sys.executable, "-m", "medbench", *arguments]
    return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=folder, timeout=200)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin of every page as a file of a folder."""
    folder = tmp_path_factory.mktemp("plugins")
    for page in PAGES.keys() - {"index"}:
        (folder / f"of_{page}.py").write_text(block(page), encoding="utf-8")
    (folder / "thyroid.toml").write_text(block("study", "toml"), encoding="utf-8")
    return folder


def installed(site: Path, module: str, source: str, project: dict[str, str], points: dict[str, str]) -> None:
    """Lay a distribution into a folder as an installer would."""
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {target}\n" for name, target in points.items()]
    (info / "entry_points.txt").write_text("[medbench]\n" + "".join(lines))


def test_there_is_a_page_for_every_kind() -> None:
    assert PAGES.keys() == {*CONTRACTS, "observer", "index"}


@pytest.mark.parametrize("kind", CONTRACTS)
def test_the_plugin_of_every_page_is_what_is_started_and_keeps_its_contract(kind: str, plugins: Path) -> None:
    """A page shows what ``plugins new`` writes under the name in its command."""
    name, flag = re.findall(r"^medbench plugins new (\S+)(.*)$", PAGES[kind], re.MULTILINE)[0]
    made = plugin_files(kind, name)

    checked = CliRunner().invoke(check, [name, "--plugins-dir", str(plugins)])

    assert flag == ("" if kind == "augmenter" else f" --kind {kind}")
    assert made[f"medbench_{name.replace('-', '_')}.py"] == block(kind)
    assert kind != "study" or made[f"{name}.toml"] == block(kind, "toml")
    assert checked.exit_code == 0, checked.output
    assert checked.output.startswith("ok      ")


def test_the_plugins_of_the_pages_run_to_a_leaderboard_and_a_csv(tmp_path: Path, plugins: Path) -> None:
    ran = medbench(tmp_path, "run", "-d", "phantom:squares", "-a", "invert[share=0.5]", "-a", "geometric", "-c",
                   "nearest-mean", *QUICK, "--executor", "forks", "--no-yardsticks", "--plugins-dir",
                   str(plugins))  # fmt: skip
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.reader(file))

    assert ran.returncode == 0, ran.stderr
    assert sorted(row[1] for row in rows) == ["balanced"] * 2 + ["invert[share=0.5]"] * 2 + ["none"] * 2
    assert all(0 <= float(row[3]) <= 1 for row in rows)
    assert "nearest-mean does not take the transform that geometric gives" in " ".join(ran.stdout.split())


def test_the_project_file_of_the_page_announces_its_plugin(tmp_path: Path) -> None:
    project = tomllib.loads(block("augmenter", "toml"))["project"]
    points = project["entry-points"]["medbench"]
    installed(tmp_path / "site", points["invert"], block("augmenter"), project, points)

    shown = medbench(tmp_path, "plugins", "show", "invert", PYTHONPATH=str(tmp_path / "site"))

    assert "augmenter invert, from invert" in shown.stdout
    assert "share = 1.0" in shown.stdout
    assert "plugin invert, from medbench-invert 0.1, provides augmenters: invert" in shown.stdout


def test_the_example_is_short() -> None:
    assert len((EXAMPLES / "pixel_gaussian.py").read_text().splitlines()) < 40
    assert "docs/examples" in PAGES["generator"]


def test_a_generator_of_ones_own_keeps_its_contract_in_2d_and_3d(tmp_path: Path) -> None:
    checked = in_this_process("plugins", "check", "pixel-gaussian", "--plugins-dir", str(EXAMPLES), folder=tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ok      generator pixel-gaussian" in checked.stdout


@pytest.mark.parametrize("way", ["folder", "distribution"])
def test_a_generator_of_ones_own_feeds_the_arms_of_another_plugin(tmp_path: Path, way: str) -> None:
    source = (EXAMPLES / "pixel_gaussian.py").read_text()
    where: tuple[str, ...] = ("--plugins-dir", str(EXAMPLES))
    variables = {}
    if way == "distribution":
        project = {"name": "medbench-gaussian", "version": "0.1"}
        installed(tmp_path / "site", "own_gaussian", source, project, {"own-gaussian": "own_gaussian"})
        where, variables = (), {"PYTHONPATH": str(tmp_path / "site")}

    ran = medbench(tmp_path, "run", "-d", "phantom:toy", "-a", "acgan[generator=pixel-gaussian[spread=0.5]]", "-c",
                   "mean", *QUICK, "--executor", "forks", *where, **variables)  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert "└ pixel-gaussian images" in ran.stdout
    assert "2 generators trained" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["phantom:toy", "phantom:toy:volumes"])
def test_a_generator_of_ones_own_stands_in_a_hybrid_of_images_and_of_volumes(tmp_path: Path, dataset: str) -> None:
    ran = medbench(tmp_path, "run", "-d", dataset, "-a", "hybrid[generator=pixel-gaussian]", "-c", "small-cnn[width=4]",
                   *QUICK, "--no-yardsticks", "--budget", "steps=4,batch=8,size=16", "--plugins-dir",
                   str(EXAMPLES))  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert "└ hybrid: pixel-gaussian" in ran.stdout
    assert "└ + copied images" in ran.stdout
