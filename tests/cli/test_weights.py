"""Pretrained weights on the command line: what does not fit is refused by `plan`, before any training."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from medbench import cli

TOYS = str(Path(__file__).parents[1] / "toys")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    error: str


Medbench = Callable[..., Ended]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def medbench(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> Medbench:
    """The command line in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(cache))
    monkeypatch.setenv("MEDBENCH_RESULTS", str(tmp_path / "runs"))

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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a small network of timm, and the same spoilt in each way."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("files")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        good = {k: v.contiguous() for k, v in timm.create_model("test_resnet").state_dict().items()}
    save_file(good, folder / "good.safetensors")
    save_file({k: v for k, v in good.items() if k != "layer2.0.conv1.weight"}, folder / "lacking.safetensors")
    save_file(good | {"bn1.running_var": good["bn1.running_var"] * float("nan")}, folder / "nan.safetensors")
    save_file(good | {"bn1.bias": good["bn1.bias"] + float("inf")}, folder / "infinite.safetensors")
    (folder / "truncated.safetensors").write_bytes((folder / "good.safetensors").read_bytes()[:-1000])
    torch.save(good, folder / "whole.pth")
    (folder / "truncated.pth").write_bytes((folder / "whole.pth").read_bytes()[:5000])
    save_file(timm.create_model("test_vit").state_dict(), folder / "foreign.safetensors")
    return folder


def one_sentence(ended: Ended, code: int, *says: str) -> None:
    flat = re.sub(r"\s+", " ", ended.error)
    assert ended.code == code, ended
    assert ended.error.count("Error: ") == 1
    assert all(part in flat for part in says), flat


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        ("lacking.safetensors", "tensor layer2.0.conv1.weight of the network is missing"),
        ("nan.safetensors", "tensor bn1.running_var holds NaN or infinity"),
        ("infinite.safetensors", "tensor bn1.bias holds NaN or infinity"),
        ("truncated.safetensors", "cannot be read as weights"),
        ("truncated.pth", "cannot be read as weights"),
        ("foreign.safetensors", "tensor blocks.0.attn.proj.bias is too many"),
        ("absent.pth", "(No such file or directory)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_the_plan(
    medbench: Medbench, files: Path, tmp_path: Path, spoilt: str, says: str
) -> None:
    data = ("plan", "-d", "phantom:toy", "-a", "plain-toy", "--folds", "3", "--repeats", "1", "--plugins-dir", TOYS)

    one_sentence(medbench(*data, "-c", f"timm[model=test_resnet,pretrained={files / spoilt}]"), 3, spoilt, says)
    if spoilt in ("lacking.safetensors", "nan.safetensors", "truncated.pth"):
        extractor = f"timm-features[model=test_resnet,weights={files / spoilt}]"
        one_sentence(medbench(*data, "-c", "mean", "--extractor", extractor), 3, spoilt, says)
    assert not (tmp_path / "runs").exists()


def test_what_fits_is_planned_and_networks_without_packaged_weights_are_refused(
    medbench: Medbench, files: Path
) -> None:
    data = ("plan", "-d", "phantom:toy", "-a", "plain-toy", "--folds", "3", "--repeats", "1", "--plugins-dir", TOYS)

    assert medbench(*data, "-c", f"timm[model=test_resnet,pretrained={files / 'good.safetensors'}]").code == 0
    for recipe, name in (("vgg16", "vgg16"), ("timm[model=resnet18", "resnet18"), ("small-cnn", "small-cnn")):
        text = f"{recipe}{',' if '[' in recipe else '['}pretrained=imagenet]"
        one_sentence(
            medbench(*data, "-c", text), 2, f"no package holds weights for {name}", "efficientnet_lite0", "weights list"
        )
    one_sentence(medbench(*data, "-c", "timm[pretrained=imagenet,trunk=2]"), 2, "timm.trunk: got 2")


def test_weights_are_listed_and_a_file_is_looked_at(medbench: Medbench, files: Path) -> None:
    rows = json.loads(medbench("weights", "list", "--json").out)
    listed = medbench("weights", "list").out
    recipe = f"timm[model=test_resnet,pretrained={files / 'good.safetensors'}]"
    told = json.loads(medbench("weights", "check", recipe, "--json").out)
    text = medbench("weights", "check", recipe, "--channels", "3").out

    assert {"efficientnet_lite0, ImageNet", "MedicalNet"} <= {row["name"] for row in rows}
    for row in rows:
        assert f"  get:   {row['get']}\n" in listed
        assert f"'{row['recipe']}'" in listed
    assert (told["network"], told["head"]) == ("test_resnet", "new: fc")
    assert told["sha256"] == hashlib.sha256((files / "good.safetensors").read_bytes()).hexdigest()
    assert told["adapted"] == "conv1.0"  # gray images, and statistics that are those of -1 to 1
    assert told["pixels"] == "from -1 to 1"
    assert "adapted  nothing" in text
    one_sentence(medbench("weights", "check", "small-cnn"), 2, "small-cnn begins from scratch")
    one_sentence(medbench("weights", "check", "mean", "--plugins-dir", TOYS), 2, "mean cannot be looked at")
    nan = f"timm[model=test_resnet,pretrained={files / 'nan.safetensors'}]"
    one_sentence(medbench("weights", "check", nan), 3, "tensor bn1.running_var holds NaN")


@pytest.fixture(scope="module")
def medicalnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as MedicalNet's ResNet-10 is published, from a random network, and the same spoilt."""
    import torch
    from monai.networks.nets.resnet import resnet10

    folder = tmp_path_factory.mktemp("medicalnet")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = resnet10(spatial_dims=3, n_input_channels=1, feed_forward=False, bias_downsample=False)
    good = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    good["module.conv_seg.0.weight"] = torch.zeros(512, 32, 2, 2, 2)
    torch.save({"state_dict": good}, folder / "resnet_10.pth")
    spoilt = good | {"module.bn1.weight": good["module.bn1.weight"] * float("nan")}
    torch.save({"state_dict": spoilt}, folder / "nan.pth")
    (folder / "truncated.pth").write_bytes((folder / "resnet_10.pth").read_bytes()[:9000])
    torch.save({"fc.weight": torch.zeros(2, 2), "blocks.0.weight": torch.zeros(2, 2)}, folder / "foreign.pth")
    return folder


VOLUMES = ("-d", "phantom:toy[dimensions=3]", "-a", "feature-mixup", "--folds", "2", "--repeats", "1",
           "--no-yardsticks", "--budget", "steps=20,batch=8,size=8", "-p", "no:medbench.scores", "--plugins-dir",
           TOYS)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "file", "says"),
    [
        ("resnet10", "nan.pth", "nan.pth: tensor bn1.weight holds NaN or infinity"),
        ("resnet10", "truncated.pth", "truncated.pth cannot be read as weights"),
        ("resnet10", "foreign.pth", "foreign.pth: tensor blocks.0.weight is too many"),
        ("resnet10", "absent.pth", "(No such file or directory)"),
        ("resnet18", "resnet_10.pth", "resnet_10.pth: tensor layer"),
    ],
)
def test_an_encoder_of_volumes_whose_file_does_not_fit_is_refused_in_the_plan(
    medbench: Medbench, medicalnet: Path, tmp_path: Path, model: str, file: str, says: str
) -> None:
    encoder = f"monai-features[model={model},weights={medicalnet / file}]"

    one_sentence(medbench("plan", *VOLUMES, "-c", f"frozen[encoder={encoder}]"), 3, file, says)
    assert not (tmp_path / "runs").exists()


def test_a_board_of_volumes_on_an_encoder_by_file_records_it_in_every_result(
    medbench: Medbench, medicalnet: Path, tmp_path: Path
) -> None:
    file = medicalnet / "resnet_10.pth"
    ran = medbench("run", *VOLUMES, "-c", f"frozen[encoder=monai-features[weights={file}]]", "--workers", "1")

    assert ran.code == 0, ran.error
    assert "Linear layer on frozen resnet10 (weights=resnet_10.pth) features" in " ".join(ran.out.split())
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("result.json")]
    assert len(results) == 3 * 2  # methods on features too
    assert {r["facts"]["encoder"] for r in results} == {hashlib.sha256(file.read_bytes()).hexdigest()}
