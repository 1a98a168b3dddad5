"""Bad input: the right exit code, one sentence that names the field or file and the fix, and nothing written."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from medbench import cli
from medbench.data import cache
from medbench.planning import study
from medbench.running import devices

TOYS = str(Path(__file__).parents[1] / "toys")
NO_SCORES = ("-p", "no:medbench.scores", "-p", "no:medbench.extractors")  # they take most of the time of a toy's trial
TOY = ("-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "3", "--repeats", "1", "--no-yardsticks",
       "--plugins-dir", TOYS, *NO_SCORES)  # fmt: skip
REAL = ("-d", "toy", "-a", "plain-toy", "-c", "mean", "--folds", "3", "--repeats", "1", "--no-yardsticks",
       "--plugins-dir", TOYS, *NO_SCORES)  # fmt: skip
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    error: str


Medbench = Callable[..., Ended]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache, a store and a working directory of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDBENCH_RESULTS", str(tmp_path / "runs"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_DEBUG", "MEDBENCH_DISABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def medbench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Medbench:
    """The command line in this process, with everything but the interpreter's start."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["medbench", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capfd.readouterr()
        return Ended(int(end.value.code or 0), captured.out, captured.err)

    return call


def started(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "medbench", *arguments]
    return subprocess.run(run, capture_output=True, text=True, timeout=120, **more)


def ran(*arguments: str) -> Ended:
    """Run a study in a process of its own, since the toys' executor forks."""
    ended = started("run", *arguments, "--executor", "forks", "--workers", "1")
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def refused(ended: Ended, code: int, *says: str) -> None:
    """Check the contract of every refusal."""
    assert ended.code == code, ended
    message = ended.error[ended.error.index("Error: ") :]
    for text in says:
        assert text in message, message
    assert len(ended.error.splitlines()) <= 10
    assert len(message.strip().splitlines()) == 1
    assert "Traceback" not in ended.error
    assert "fault of medbench" not in ended.error
    assert ended.out == ""


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def toy_data(folder: Path, labels: np.ndarray, x: np.ndarray | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8)) if x is None else x
    np.savez(folder / "toy.npz", x=drawn.astype(np.uint8), labels=labels)
    return folder


def pictures(folder: Path, names: list[str]) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
    return folder


# -- study files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sedd = 1", [":2:1: unknown key 'sedd' (did you mean 'seeds'?)", "there are: about"]),
        ("[budget]\n  stps = 1", [":3:3: unknown key 'budget.stps' (did you mean 'steps'?)"]),
        ("[phantom]\nsize = 3\n[budget]\nsize = 32", [":3:1: unknown key 'phantom.size'"]),
        ("seeds = 1\nrepeats = 2\nseeds = 2", [":4:10: 'seeds' is given twice, first in line 2; leave one out"]),
        ("[budget]\nsteps = 1\n[budget]\nbatch = 1", [":4:8: 'budget' is given twice, first in line 2"]),
        ("seeds = 1e3", [":2:1: seeds = 1000.0 (float): input should be a valid integer"]),
        ("seeds = 010", [":2:10: is not TOML"]),
        ("name = NO", [":2:8: is not TOML: invalid value; mend that line"]),
        ('folds = "3"', [":2:1: folds = '3' (str): input should be a valid integer"]),
        ("folds = true", [":2:1: folds = True (bool)"]),
        ("folds = 0", [":2:1: folds = 0 (int): input should be greater than or equal to 2"]),
        ("folds = -1", ["folds = -1 (int): input should be greater than or equal to 2"]),
        ("folds = 1_000_000", ["folds = 1000000 (int): input should be less than or equal to 100"]),
        ('"folds" = 0', [":2:1: folds = 0"]),
        ("worth = nan", ["worth = nan (float): input should be a finite number"]),
        ("worth = 0", ["worth = 0.0 (float): input should be greater than 0"]),
        ("augmenters = 'adds'", [":2:1: augmenters = 'adds' (str): input should be a valid list"]),
        ("augmenters = ['adds', 3]", [":2:1: augmenters = 3 (int): input should be a valid string"]),
        ("protocols = []", [":2:1: protocols = [] (list): list should have at least 1 item"]),
        ("protocols = ['patints']", ["no protocol is named 'patints' (did you mean 'patients'?)"]),
        ("budget = 3", [":2:1: budget must be a table; write [budget]"]),
        ("[budget]\nbatch = 0", [":3:1: budget.batch = 0 (int): input should be greater than or equal to 1"]),
        ("budget.batch = 0", [":2:1: budget.batch = 0"]),
        ("budget = {batch = 0}", [":2:1: budget.batch = 0"]),
        ("[phantom]\nnull = 'no'", [":3:1: phantom.null = 'no' (str): input should be a valid boolean"]),
        (
            "name = '../../evil'",
            [":2:1: name = '../../evil' (str): a name has 1 to 100 printable characters, no slash"],
        ),
        ('name = "\\u001b[2J"', ["a name has 1 to 100 printable characters"]),
        (f"about = {'[' * 5000}", ["is nested too deeply"]),
        (f"seeds = {'9' * 5000}", ["a number too long"]),
        (f"name = ['{'x' * 100_000}']", ["name = ['xxx"]),
        ("\t[x]\n&a *a", [":3:1: is not TOML: invalid statement"]),
    ],
)
def test_a_fault_of_a_study_file_names_line_key_and_fix(
    medbench: Medbench, tmp_path: Path, text: str, says: list[str]
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f"datasets = ['phantom:toy']\n{text}\n")

    ended = medbench("run", str(path), "-a", "adds", "-c", "mean", "--plugins-dir", TOYS)

    refused(ended, 2, *says)
    assert len(ended.error) < 500
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text; save it as UTF-8"),
        (b"#" * 2**21, "larger than 1 MiB"),
        (None, "cannot be read (Is a directory)"),
    ],
)
def test_a_study_file_that_is_none_is_named(
    medbench: Medbench, tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "study.toml"
    path.mkdir() if content is None else path.write_bytes(content)

    refused(medbench("plan", str(path)), 2, str(path), says)


@not_as_root
def test_a_study_file_without_permission_is_named(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("folds = 3\n")
    (tmp_path / "s.toml").chmod(0)

    refused(medbench("plan", "s.toml"), 2, "s.toml: cannot be read (Permission denied)")


def test_a_study_may_be_written_by_an_editor_that_adds_a_mark_and_lie_under_any_name(tmp_path: Path) -> None:
    for name in ("-dash.toml", "with space.toml", "größe 研究.toml", "v1.2.toml"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbffolds = 3\r\n")

        assert study.read(tmp_path / name).name == name.removesuffix(".toml")


@pytest.mark.parametrize("name", ["typo", "quickstrat", "missing.toml"])
def test_an_unknown_study_is_named(medbench: Medbench, name: str) -> None:
    refused(medbench("run", name), 2, name)


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--folds", "0"), 2, "folds = 0 (int)"),
        (("--folds", "-1"), 2, "folds = -1 (int)"),
        (("--folds", "1000000"), 2, "less than or equal to 100"),
        (("--folds", "many"), 2, "'--folds': 'many' is not a valid integer"),
        (("--seeds", "0"), 2, "seeds = 0"),
        (("--repeats", "0"), 2, "repeats = 0"),
        (("--worth", "nan"), 2, "worth = nan (float): input should be a finite number"),
        (("--budget", "batch=0"), 2, "--budget: budget.batch = 0"),
        (("--budget", "batch=1.5"), 2, "--budget batch=1.5: expected a whole number"),
        (("--budget", f"batch={'9' * 5000}"), 2, "expected a whole number"),
        (("--budget", "btch=1"), 2, "--budget btch=1: no such key (did you mean 'batch'?)"),
        (("--budget", "quik"), 2, "--budget quik: no such budget (did you mean 'quick'?); there are: smoke"),
        (("--budget", "quick,a[b"), 2, "brackets"),
        (("-d", "phantom:tooy"), 2, "no data set is named 'tooy' (did you mean 'toy'?); there are:"),
        (("-d", "zz*"), 2, "no data set matches 'zz*'"),
        (("-d", ""), 2, "'' is not a name"),
        (("-a", "ads"), 2, "no augmenter is named 'ads' (did you mean 'adds'?); there are: none"),
        (("-a", "adds[honst=true]"), 2, "adds has no parameter 'honst' (did you mean 'honest'?); it has: generator"),
        (("-a", "adds[honest=maybe]"), 2, "adds[honest=maybe]: expected true or false; the default is true"),
        (("-a", "adds[generator=nois]"), 2, "no generator is named 'nois' (did you mean 'noise'?)"),
        (("-a", "adds["), 2, "'adds[' has no closing bracket"),
        (("-c", "meen"), 2, "no classifier is named 'meen' (did you mean 'mean'?)"),
        (("--protocol", "patient"), 2, "did you mean 'patients'?"),
        (("--protocol", "patients[train=²]"), 2, "write train=1000/140/52"),
        (("--protocol", "patients[train=1/2/3]"), 3, "names 3 classes, the data set has 2: no, yes"),
        (("--set", "adds"), 2, "--set adds: write --set NAME.PARAMETER=VALUE"),
        (("--set", "adds.x=1"), 2, "adds has no parameter 'x'"),
        (("--set", "nobody.x=1"), 2, "--set nobody.x=1: nothing named 'nobody' takes part"),
        (("--set", "adds.honest=true],x=[["), 2, "brackets"),
        (("--shard", "3/2"), 2, "--shard 3/2: write I/N with I from 1 to N"),
        (("--shard", "0/2"), 2, "--shard 0/2"),
        (("--shard", "²/³"), 2, "--shard ²/³"),
        (("--shard", "1"), 2, "--shard 1"),
        (("--shard", f"1/{'9' * 5000}"), 2, "--shard 1/9"),
        (("--device", "gpu"), 2, "--device gpu: write auto, cpu, cuda, or cuda:0,cuda:1"),
        (("--device", "cuda:²"), 2, "--device cuda:²"),
        (("--device", ""), 2, "--device"),
        (("--executor", "lokal"), 2, "no executor is named 'lokal' (did you mean 'local'?); there are: local"),
        (("--workers", "0"), 2, "'--workers': 0 is not in the range"),
        (("--limit", "0"), 2, "'--limit'"),
        (("-p", "toys"), 2, "-p toys: write -p no:NAME"),
        (("-p", "no:toyz"), 2, "-p no:toyz: no plugin is named 'toyz' (did you mean 'toys'?)"),
        (("--plugins-dir", "nowhere"), 2, "--plugins-dir nowhere: no such folder"),
        (("--plugins-dir",), 2, "requires an argument"),
        (("--folds", "90"), 3, "class 'yes' has 41 patients, too few for 90 folds; use --folds 41 or fewer"),
        (("--nonsense",), 2, "there is no option --nonsense: `medbench run --help` lists all of them"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_decoded_or_stored(
    medbench: Medbench, tmp_path: Path, options: tuple[str, ...], code: int, says: str
) -> None:
    refused(medbench("run", *TOY, *options), code, says)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache" / "decoded").exists()


@pytest.mark.parametrize(
    ("data", "classifier", "says"),
    [
        ("phantom:toy", "densenet121-3d", "densenet121-3d takes 3-D images, the data are 2-D; choose another"),
        ("phantom:toy:volumes", "vgg16", "vgg16 takes 2-D images, the data are 3-D; choose another"),
    ],
)
def test_a_network_of_other_dimensions_is_refused_before_any_work(
    medbench: Medbench, tmp_path: Path, data: str, classifier: str, says: str
) -> None:
    ended = medbench("run", "-d", data, "-a", "plain-toy", "-c", classifier, "--plugins-dir", TOYS)

    refused(ended, 2, "nothing is left to run", says)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache" / "decoded").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_huge_matrix_is_counted_at_once_and_wants_a_yes(medbench: Medbench, command: str) -> None:
    ended = medbench(command, *TOY, "--folds", "40", "--repeats", "1000", "--seeds", "100")

    refused(ended, 2, "this is 12,000,000 training runs: 4,000,000 folds, repeats and seeds a method", "add --yes")


def test_a_gpu_that_is_not_there_is_a_matter_of_resources(medbench: Medbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    refused(medbench("run", *TOY, "--device", "cuda"), 6, "--device cuda: no NVIDIA GPU is visible", "--device cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    refused(medbench("run", *TOY, "--device", "cuda:2"), 6, "there are 2 GPUs, cuda:2 is not one; use --device cuda")


def test_doubled_names_and_overlapping_globs_count_once(medbench: Medbench) -> None:
    once = json.loads(medbench("plan", *TOY, "--json").out)
    twice = json.loads(
        medbench("plan", *TOY, "-d", "phantom:toy", "-a", "add*", "-c", "mea*", "--protocol", "patients", "--protocol",
                 "patients", "--json").out
    )  # fmt: skip

    assert twice["trials"] == once["trials"] == 9
    assert twice["sources"] == once["sources"]


# -- the data set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "toy: where is it? Give --data FOLDER"),
        (("--data", "nowhere"), "--data nowhere: no such folder"),
        (("--data", "toy=nowhere"), "--data toy=nowhere: no such folder"),
        (("--data", "real", "--data", "tyo=real"), "no data set 'tyo' takes part (did you mean 'toy'?)"),
    ],
)
def test_data_that_are_not_there_are_named(
    medbench: Medbench, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    toy_data(tmp_path / "real", np.arange(60) % 2)

    refused(medbench("run", *REAL, *options), 2, says)


def test_the_environment_may_say_where_the_data_are(
    medbench: Medbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDBENCH_DATA", str(toy_data(tmp_path / "real", np.arange(60) // 2 % 2)))
    assert medbench("plan", *REAL).code == 0
    monkeypatch.setenv("MEDBENCH_DATA", str(tmp_path / "nowhere"))
    refused(medbench("plan", *REAL), 2, "nowhere: no such folder")


def test_one_class_only_is_no_data_set(medbench: Medbench, tmp_path: Path) -> None:
    toy_data(tmp_path / "real", np.ones(60, dtype=int))

    refused(medbench("run", *REAL, "--data", "real"), 3, "toy: only the class 'yes' occurs", "at least two")
    assert not (tmp_path / "runs").exists()


def test_fewer_patients_than_folds_says_the_largest_number_that_works(medbench: Medbench, tmp_path: Path) -> None:
    toy_data(tmp_path / "real", (np.arange(60) >= 48).astype(int))

    refused(medbench("plan", *REAL, "--folds", "40", "--data", "real"), 3, "'yes' has 6 patients", "use --folds 6")
    assert medbench("plan", *REAL, "--folds", "6", "--data", "real").code == 0


def test_a_class_without_two_patients_is_named(medbench: Medbench, tmp_path: Path) -> None:
    toy_data(tmp_path / "real", (np.arange(60) >= 58).astype(int))

    refused(medbench("plan", *REAL, "--data", "real"), 3, "class 'yes' has 1 patient", "it needs at least 2")


def test_a_patient_on_both_sides_of_an_official_cut_stops_everything(medbench: Medbench, tmp_path: Path) -> None:
    ended = medbench("run", *TOY, "-d", "phantom:toy:leaky", "--protocol", "official")

    refused(ended, 8, "phantom:toy:leaky: the cut of protocol 'official' leaks", "use --protocol patients")
    assert not (tmp_path / "runs").exists()


def test_a_picture_on_both_sides_of_an_official_cut_stops_everything(medbench: Medbench, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8))
    x[59] = x[0]
    toy_data(tmp_path / "real", np.arange(60) // 2 % 2, x)

    refused(medbench("run", *REAL, "--data", "real", "--protocol", "official"), 8, "duplicate", "mend the data set")
    assert not list((tmp_path / "runs").rglob("spec.json"))


def test_a_picture_in_two_places_stays_on_one_side_of_other_cuts(medbench: Medbench, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8))
    x[59] = x[0]
    toy_data(tmp_path / "real", np.arange(60) // 2 % 2, x)
    ended = ran(*REAL, "--data", "real", "--format", "json")

    assert ended.code == 0
    assert "notes on the images, which `medbench plan` lists" in ended.error
    planned = " ".join(medbench("plan", *REAL, "--data", "real").out.split())
    assert "1 patient shares a picture with another" in planned
    assert "different labels" in planned


def test_data_that_changed_are_decoded_anew(tmp_path: Path) -> None:
    from toys import ToyData  # type: ignore[import-not-found]

    root = toy_data(tmp_path / "real", np.arange(60) // 2 % 2)
    first = cache.decode(ToyData(), root, size=8)
    same = cache.decode(ToyData(), root, size=8)
    times = (root / "toy.npz").stat()
    toy_data(root, np.arange(60) // 2 % 2, np.full((60, 8, 8), 7) + np.arange(60)[:, None, None])
    os.utime(root / "toy.npz", ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    changed = cache.decode(ToyData(), root, size=8)

    assert same == first
    assert changed.fingerprint != first.fingerprint


@pytest.fixture(autouse=True)
def toys_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOYS)


def test_data_behind_links_within_the_folder_are_data_as_well(tmp_path: Path) -> None:
    from medbench.registry.plugins import load

    folder = load(installed=False).resolve("dataset", "folder")
    found = []
    for name in ("one", "two"):
        for label in ("a", "b"):
            images = [f"{label}{i}.png" for i in range(3)]
            pictures(tmp_path / f"linked-{name}" / ".store" / label, images)
        linked = tmp_path / f"linked-{name}"
        Image.new("L", (12, 12), 9 if name == "one" else 90).save(linked / ".store" / "a" / "a0.png")
        for label in ("a", "b"):
            (linked / label).symlink_to(linked / ".store" / label)
        found.append(cache.decode(folder, linked, size=8))
    Image.new("L", (12, 12), 200).save(tmp_path / "linked-two" / ".store" / "a" / "a0.png")
    changed = cache.decode(folder, tmp_path / "linked-two", size=8)

    assert len({d.fingerprint for d in [*found, changed]}) == 3


def make_circle(root: Path) -> None:
    (root / "a" / "again").symlink_to(root)


def make_self(root: Path) -> None:
    (root / "a" / "self.png").symlink_to("self.png")


def make_twins(root: Path) -> None:
    pictures(root, ["a/X.png", "a/x.png"])


def make_bytes(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/a/b\xff.png"))).write_bytes((root / "a" / "0.png").read_bytes())


def make_newline(root: Path) -> None:
    (root / "a" / "one\n\x1b[2Jtwo.png").write_bytes((root / "a" / "0.png").read_bytes())


def make_pipe(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe.png")


def make_empty(root: Path) -> None:
    (root / "a" / "empty.png").touch()


def make_damaged(root: Path) -> None:
    (root / "a" / "damaged.png").write_bytes((root / "a" / "0.png").read_bytes()[:60])


def make_leave(root: Path) -> None:
    (root / "a" / "disk").symlink_to("/")


def make_long(root: Path) -> None:
    Image.new("1", (60_000, 660)).save(root / "a" / "long.png")


def make_scans(root: Path) -> None:
    path = root / "a" / "scans.jpg"
    Image.new("L", (1_600, 1_600)).save(path, progressive=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * 400 + whole[-2:])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (make_circle, "remove the link"),
        (make_leave, "a/disk: is a link out of the data folder"),
        (make_long, "a/long.png is a picture of 60000 x 660"),
        (make_scans, "a/scans.jpg is a JPEG of 1600 x 1600 in 40"),
        (make_self, "self.png"),
        (make_twins, "differ only by"),
        (make_bytes, r"b\xff.png"),
        (make_newline, r"one\n"),
        (make_pipe, "pipe.png is a named pipe"),
        (make_empty, "images of 0 bytes"),
        (make_damaged, "damaged.png"),
    ],
)
def test_a_file_that_cannot_be_data_is_named(
    medbench: Medbench, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    pictures(tmp_path / "own", [f"{label}/{i}.png" for label in "ab" for i in range(6)])
    if spoil is make_twins and (tmp_path / "OWN").exists():
        pytest.skip("this file system does not tell cases apart")
    spoil(tmp_path / "own")
    ended = medbench("run", "-d", "folder", "--data", "own", "-a", "none", "-c", "mean", "--folds", "2",
                     "--plugins-dir", TOYS)  # fmt: skip

    assert ended.code == 3, ended
    assert says in ended.error
    assert "\x1b" not in ended.error
    assert "fault of medbench" not in ended.error
    assert len(ended.error.splitlines()) <= 10
    assert not list((tmp_path / "runs").rglob("spec.json"))
    assert not list((tmp_path / "cache").rglob("*.partial"))


@pytest.mark.parametrize("name", ["folder", "brain-tumour", "vindr-spinexr:abnormal", "ddti", "mura:abnormal"])
def test_no_reader_follows_a_link_out_of_the_folder(medbench: Medbench, tmp_path: Path, name: str) -> None:
    pictures(tmp_path / "own", ["a/0.png", "b/0.png"])
    make_leave(tmp_path / "own")

    refused(
        medbench("datasets", "check", name, "own"), 3, "a/disk: is a link out of the data folder", "remove the link"
    )


# -- results, cache and memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "status", "leaderboard", "logs"])
@pytest.mark.parametrize(
    ("mark", "says"),
    [
        (None, "is a file, not a folder of results; give another --results"),
        ('{"schema": 99}', "written by a newer medbench (schema 99 > 1); update medbench"),
        ('{"schema": "new"}', "is damaged; restore it with"),
        ("[]", "is damaged; restore it with"),
    ],
)
def test_a_store_that_is_none_of_ours_is_left_as_it_is(
    medbench: Medbench, tmp_path: Path, command: str, mark: str | None, says: str
) -> None:
    place = tmp_path / "runs"
    if mark is None:
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "medbench-store.json").write_text(mark)
    before = everything(tmp_path / "runs")

    refused(medbench(command, *(TOY if command in ("run", "plan") else ())), 5, "runs", says)
    assert everything(tmp_path / "runs") == before
    assert place.is_dir() or place.read_text() == "mine"


@not_as_root
def test_a_store_that_may_not_be_written_says_so(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "medbench-store.json").write_text('{"schema": 1}')
    (tmp_path / "runs").chmod(0o500)

    refused(medbench("run", *TOY, "--executor", "forks"), 5, "cannot be written (Permission denied)", "--results")


def test_a_store_without_locks_is_refused_and_not_waited_for(
    medbench: Medbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.lockf", no_locks)

    refused(medbench("run", *TOY, "--executor", "forks"), 5, "its file system has no locks", "on a local disk")


def test_too_little_address_space_is_one_sentence(tmp_path: Path) -> None:
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20,) * 2); import medbench.cli; "
    run = [sys.executable, "-c", f"{limited}sys.argv = ['medbench', 'leaderboard']; medbench.cli.main()"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)

    assert done.returncode == 6
    assert done.stderr.startswith(
        "Error: this process may use 419 MB of address space, and needs 2,000: raise the limit"
    )
    assert done.stderr.count("\n") == 1


def test_a_damaged_result_is_named_and_stays(medbench: Medbench, tmp_path: Path) -> None:
    assert ran(*TOY).code == 0
    damaged = next((tmp_path / "runs").rglob("result.json"))
    damaged.write_bytes(bytes(100))
    before = everything(tmp_path / "runs")

    refused(
        medbench("leaderboard"),
        5,
        str(damaged.parent),
        "run `medbench store repair`, which loses nothing, then the same command",
    )
    assert everything(tmp_path / "runs") == before


def without_next(text: str) -> str:
    """Return a table without the commands that it advises: a run knows more options than a store."""
    return text.partition("\n Next:")[0]


def test_a_study_is_found_again_by_its_file_or_name(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "v1.2 größe[a].toml").write_text(
        "datasets = ['phantom:toy']\naugmenters = ['plain-toy']\nclassifiers = ['mean']\nfolds = 2\nrepeats = 1\n"
    )
    first = ran("v1.2 größe[a].toml", "--plugins-dir", TOYS)

    assert first.code == 0
    for name in ("v1.2 größe[a]", "v1.2 größe[a].toml"):
        found = medbench("leaderboard", name).out
        assert without_next(found) == without_next(first.out)
        assert "medbench report 'v1.2 größe[a]" in found  # what is advised can be pasted
    refused(medbench("leaderboard", "*"), 2, "no run of * here; there are: v1.2 größe[a]")


@pytest.mark.parametrize("data", ["phantom", "real", "seen"])
def test_a_cache_that_cannot_be_written_is_named(
    medbench: Medbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    toy_data(tmp_path / "real", np.arange(60) // 2 % 2)
    if data == "seen":
        (tmp_path / "decoded").mkdir()
        (tmp_path / "decoded" / "seen").touch()
        monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path))
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "file"))
    ended = medbench("run", *(TOY if data == "phantom" else (*REAL, "--data", "real")))

    assert ended.code == 6, ended
    assert "cannot be written there" in ended.error
    assert "set MEDBENCH_CACHE" in ended.error
    assert ended.out == ""


def test_a_disk_that_fills_while_decoding_leaves_nothing_half(
    medbench: Medbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    ended = medbench("run", *TOY)

    refused(ended, 6, "No space left on device", "free some space or set MEDBENCH_CACHE")
    assert list((tmp_path / "cache" / "decoded").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "there is not enough memory; use --workers 1"),
        (OSError(errno.ENOSPC, "No space left on device", "there"), "there: the disk is full; free some space"),
    ],
)
def test_want_of_memory_or_disk_is_a_matter_of_resources(
    medbench: Medbench, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("medbench.running.study_run.prepare", fails)

    refused(medbench("run", *TOY), 6, says)


# -- doctor --------------------------------------------------------------------------------------------------------


def test_builds_that_do_not_fit_are_explained_with_the_way_out(
    medbench: Medbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imported(name: str, *_: Any) -> ModuleType:
        if name in ("torchvision", "timm"):
            raise RuntimeError("operator torchvision::nms does not exist")
        return ModuleType(name)

    module = cli_doctor()
    monkeypatch.setattr(module, "importlib", SimpleNamespace(import_module=imported))
    ended = medbench("doctor")

    assert ended.code == 6
    assert "torch and torchvision are of different builds" in ended.error
    assert "-m pip install --force-reinstall torch torchvision" in ended.error
    assert ended.out.count("WRONG") == 2
    assert "Traceback" not in ended.error


def test_a_driver_without_a_fitting_torch_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"torch": "2.11.0", "cuda": "13.0", "error": "The NVIDIA driver on your system is too old", "devices": []}
    module = cli_doctor()
    monkeypatch.setattr(devices, "gpus", lambda: 2)
    monkeypatch.setattr(module, "_output_of", lambda *c: "550.1" if c[0] == "nvidia-smi" else json.dumps(told))
    finding = module._devices()

    assert not finding.ok
    assert re.search(r"2 GPUs, driver 550.1, but torch 2.11.0 \(CUDA 13.0\) cannot use them: .* too old", finding.found)


@pytest.mark.parametrize(("sm", "is_ok"), [("90", True), ("86", True), ("120", False), ("61", False)])
def test_a_card_that_torch_is_not_built_for_is_named(monkeypatch: pytest.MonkeyPatch, sm: str, is_ok: bool) -> None:
    card = {"name": "A card", "free": 70.0, "total": 80.0, "sm": sm}
    told = {"torch": "2.11.0", "cuda": "13.0", "error": "", "devices": [card], "built_for": ["sm_80", "sm_90"]}
    module = cli_doctor()
    monkeypatch.setattr(devices, "gpus", lambda: 1)
    monkeypatch.setattr(module, "_output_of", lambda *c: json.dumps(told))
    finding = module._devices()

    assert finding.ok == is_ok
    assert "A card" in finding.found
    assert ("70 of 80 GiB free" in finding.found) == is_ok or not is_ok


def test_two_builds_of_torch_and_torchvision_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.11.0+cu130", "torchvision": "0.26.0+cpu"}
    module = cli_doctor()
    fake = SimpleNamespace(import_module=lambda name: SimpleNamespace(__version__=versions[name]))
    monkeypatch.setattr(module, "importlib", fake)

    assert not module._versions().ok
    versions["torchvision"] = "0.26.0+cu130"
    assert module._versions().ok


def test_a_run_that_fails_on_a_device_is_found_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    module = cli_doctor()
    ended = SimpleNamespace(returncode=7, stderr="decoding\nError: every job so far ended with the same failure.")
    monkeypatch.setattr(module.subprocess, "run", lambda *a, **k: ended)
    finding = module._fit("cpu")

    assert not finding.ok
    assert "ended with 7: Error: every job" in finding.found


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_is_a_file_is_found_by_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / place))
    finding = cli_doctor()._disk()

    assert not finding.ok
    assert "is a file; set MEDBENCH_CACHE" in finding.found


def cli_doctor() -> Any:
    return sys.modules.get("medbench.cli.doctor") or importlib.import_module("medbench.cli.doctor")


# -- plugins -------------------------------------------------------------------------------------------------------

AUGMENTER = """
from dataclasses import dataclass
import medbench

@dataclass(frozen=True)
class Copy:
    name: str = "{name}"
    space = "pixels"
    gives = frozenset({{"sampling"}})
    control = None

    def fit(self, train, context):
        return medbench.TrainingSet(train)

@medbench.hookimpl
def register_augmenters({argument}):
    return [Copy()]
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_library\n", "its import failed with ModuleNotFoundError: No module named 'no_such_library'"),
        ("def broken(:\n", "its import failed with SyntaxError"),
        ("import sys\nsys.exit(0)\n", "its import failed with SystemExit"),
        ("import medbench\n@medbench.hookimpl\ndef register_augmenters():\n    exit(0)\n", "SystemExit"),
        (AUGMENTER.format(name="x1", argument="colour"), "colour"),
        (AUGMENTER.format(name="x2", argument="").replace("_augmenters", "_augmenter"), "unknown hook"),
        (AUGMENTER.format(name="geometric", argument=""), "is already provided by 'medbench.augmenters'"),
        ("print('\\x1b[2J' * 1000)\nraise ValueError('\\x1b[2J no')\n", "ValueError"),
    ],
)
def test_a_broken_plugin_asked_for_by_name_is_the_plugins_fault_and_stops_nobody_else(
    medbench: Medbench, tmp_path: Path, text: str, says: str
) -> None:
    module = f"bad_input_{abs(hash(text))}"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f"{module}.py").write_text(text)

    ended = medbench("run", *TOY, "--plugins-dir", "own", "-a", module)

    refused(ended, 4, module, says)
    assert "\x1b" not in ended.error
    assert medbench("plan", *TOY, "--plugins-dir", "own").code == 0
    assert says in medbench("plugins", "list", "--plugins-dir", "own").out


def test_a_name_that_two_plugins_claim_is_nobodys(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "bad_input_second.py").write_text(AUGMENTER.format(name="geometric", argument=""))

    ended = medbench("run", *TOY, "--plugins-dir", "own", "-a", "geometric")

    refused(ended, 4, "'medbench.augmenters' and 'bad_input_second' both provide the augmenter 'geometric'", "-p no:")
    left = medbench("plan", *TOY, "--plugins-dir", "own", "-a", "geometric", "-p", "no:bad_input_second")
    assert left.code == 0


def test_two_plugins_of_one_name_name_both_places(medbench: Medbench, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad_input_same.py").write_text(AUGMENTER.format(name=f"same-{folder}", argument=""))
    both = ("--plugins-dir", "first", "--plugins-dir", "second")

    assert medbench("plan", *TOY, *both, "-a", "same-first").code == 0
    ended = medbench("plugins", "show", "bad_input_same", *both)
    assert ended.code == 4
    assert "second and first both have a plugin of that name; rename one of the two" in ended.error


def test_a_plugin_file_whose_name_is_taken_is_not_mistaken_for_its_namesake(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "random.py").write_text(AUGMENTER.format(name="mine", argument=""))

    ended = medbench("plugins", "show", "random", "--plugins-dir", "own")

    refused(ended, 4, "the name 'random' is taken by another module; rename random.py")


# -- terminals, pipes and paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("datasets", "list"), ("plugins", "list", "--json"), ("run", *TOY, "--executor", "forks")],
)
def test_a_reader_that_closes_early_ends_nothing_in_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = [sys.executable, "-m", "medbench", *arguments]
    ended = subprocess.run(run, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writing)

    assert ended.returncode == 0, ended.stderr
    assert "Error" not in ended.stderr
    if arguments[0] == "run":
        assert len(list((tmp_path / "runs").rglob("result.json"))) == 9


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_to_a_full_disk_is_a_matter_of_resources() -> None:
    run = [sys.executable, "-m", "medbench", "datasets", "list"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)

    assert ended.returncode == 6
    assert "the disk is full" in ended.stderr


def test_a_dumb_and_narrow_terminal_gets_plain_text(tmp_path: Path) -> None:
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "20", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = started("run", *TOY, "--executor", "forks", env=environment)

    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout + ended.stderr).isascii()
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "9 training runs done" in ended.stderr


def test_the_exit_codes_are_those_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("sedd = 1\n")
    toy_data(tmp_path / "real", np.ones(60, dtype=int))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "medbench-store.json").write_text('{"schema": 99}')
    for code, arguments in (
        (2, ("plan", "s.toml")),
        (2, ("runn",)),
        (3, ("plan", *REAL, "--data", "real")),
        (5, ("leaderboard",)),
    ):
        ended = started(*arguments)

        refused(Ended(ended.returncode, ended.stdout, ended.stderr), code)


@pytest.mark.parametrize("name", ["with space", "größe 研究", "-dash", "a=b"])
def test_folders_of_any_name_work(medbench: Medbench, tmp_path: Path, name: str) -> None:
    toy_data(tmp_path / name, np.arange(60) // 2 % 2)
    results = str(tmp_path / "results" / name)
    ended = ran(*REAL, "--data", name, "--results", results)

    assert ended.code == 0, ended.error
    assert medbench("datasets", "check", "toy", "--plugins-dir", TOYS, "--", name).code == 0
    assert without_next(medbench("leaderboard", "--results", results).out) == without_next(ended.out)


@pytest.mark.parametrize(
    "method",
    ["wgan[generator=rare-only]", "synthetic-only[generator=rare-only]",
     "acgan-selected[generator=selected[generator=rare-only]]"],
)  # fmt: skip
def test_a_plan_refuses_a_generator_of_the_rarer_classes_where_all_are_filled(medbench: Medbench, method: str) -> None:
    ended = medbench("plan", "-d", "phantom:ddti:benign-malignant", "-a", method, "-c", "small-cnn")

    assert ended.code == 2
    assert ".generator: rare-only makes no images of the largest class; " in ended.error
