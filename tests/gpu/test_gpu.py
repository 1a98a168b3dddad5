"""Every cell through the command line on a GPU: a real one where there is one, else one that is none.

``tox -e gpu`` runs this folder, see docs/how-to/gpu.md. What is not real is small: the same code runs, and a tensor on
the wrong device is refused; a real card shows that its kernels are there and repeat.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from medbench.registry.plugins import load

Medbench = Callable[..., CompletedProcess[str]]
ONE_CUT = ("--protocol", "official", "--repeats", "1", "--no-yardsticks", "--no-controls", "--no-companions")
FEW = ("--budget", "steps=5,batch=4,generator_steps=5")  # five: a step for each bag, and two that are replayed
GENERATORS = (
    "acgan[generator=wgan-gp]", "acgan[generator=blur]", "acgan[generator=shuffled-labels]",
    "acgan[generator=reacgan[augment=true,checkpoint=kid]]", "acgan[generator=acgan[variant=odena]]",
    "feature-acgan[generator=dense-acgan]",
)  # fmt: skip
"""Those that no augmenter has by itself, and what is off by default; map-acgan stands on a U-Net."""
CLASSIFIERS = {
    "dots": ("vgg16[head=narrow]", "timm[model=resnet10t]", "unet-features"),
    "cubes": ("resnet10-3d", "unet-features[spatial=true]"),
}
HEAVY = {"dots": ("vgg16", "inception-v3", "timm", "monai"), "cubes": ("densenet121-3d", "resnet18-3d", "monai")}
"""On a real card only: a CPU takes minutes for them."""
LIGHT = {
    "diffusion": "diffusion[generator=diffusion[width=4,timesteps=20,sampling_steps=4]]",
    "acgan-selected": "acgan-selected[generator=selected[classifier=small-cnn]]",
    "acgan-chosen": "acgan-chosen[generator=selected[classifier=small-cnn]]",
}
"""What stands for them: their way to the device is the same, in a fraction of the time."""


WHOLE = {"none", "balanced", "geometric", "mixup", "cutmix", "hybrid", "focal"}
"""Methods whose transform or loss waits for nothing, so that all of a step is replayed."""


def outcomes(results: Path) -> dict[str, str]:
    """Return what became of each trial, "done" or why it failed, by its arm."""
    found = {}
    for path in results.glob("*/*/*/*/spec.json"):
        trial, failure = json.loads(path.read_text()), path.with_name("failure.json")
        arm = f"{trial['augmenter']} / {trial['classifier']}"
        found[arm] = json.loads(failure.read_text())["message"] if failure.is_file() else "done"
    return found


def bits(results: Path) -> dict[str, bytes]:
    """Return what was predicted and fitted."""
    files = [*results.rglob("predictions.parquet"), *results.rglob("state.safetensors")]
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("data", ["dots", "cubes"])
def test_every_augmenter_runs(medbench: Medbench, folder: Path, is_real: bool, data: str) -> None:
    results = folder / f"arms-{data}"
    light = {name: text for name, text in LIGHT.items() if data == "dots" or name == "diffusion"}
    every = [light.get(name, name) for name in load(installed=False).names("augmenter")]
    more = GENERATORS if data == "dots" else ()
    named = [word for name in (*every, *more) for word in ("-a", name)]
    ran = medbench("run", "-d", f"phantom:{data}", *named, "-c", "small-cnn", *ONE_CUT, *FEW, "GPU",
                   "--workers", "8", "--results", str(results))  # fmt: skip
    found = outcomes(results)
    skipped = (
        {} if data == "dots" else {"acgan-selected / small-cnn", "acgan-chosen / small-cnn"}
    )  # its judge is a VGG-16, for images

    assert {arm for arm, outcome in found.items() if outcome != "done"} == set(skipped), found
    assert len(found) == len(every) + len(more)
    assert ran.returncode == 0, ran.stderr
    costs = [json.loads(path.read_text())["cost"] for path in results.rglob("result.json")]
    assert all(cost["peak_gpu_mb"] > 0 and cost["device"] != "cuda:0" for cost in costs)
    how = [json.loads(path.read_text())["facts"].get("gpu_steps", "") for path in results.rglob("result.json")]
    how += [line for path in results.rglob("gpu-steps.txt") for line in path.read_text().splitlines()]
    assert any("captured" in said for said in how)
    assert not [said for said in how if "not captured" in said], "a built-in step waits for the device"
    for path in results.rglob("result.json"):
        if json.loads(path.with_name("spec.json").read_text())["augmenter"] in WHOLE:
            assert json.loads(path.read_text())["facts"]["gpu_steps"] == "captured", path


@pytest.mark.parametrize("data", ["dots", "cubes"])
def test_every_classifier_runs(medbench: Medbench, folder: Path, is_real: bool, data: str) -> None:
    results = folder / f"classifiers-{data}"
    classifiers = CLASSIFIERS[data] + (HEAVY[data] if is_real else ())
    named = [word for name in classifiers for word in ("-c", name)]
    # The CPU, which a fake GPU computes on, makes gradients of bfloat16 that are not finite.
    exact = {"MEDBENCH_TEST_FLOAT32": "1"}
    ran = medbench("run", "-d", f"phantom:{data}", "-a", "none", *named, *ONE_CUT, "GPU", "--workers", "4",
                   "--budget", "steps=2,batch=4", "--results", str(results), **exact)  # fmt: skip

    assert outcomes(results) == {f"none / {name}": "done" for name in classifiers}, ran.stderr
    assert ran.returncode == 0, ran.stderr


def test_maps_of_features_are_made(medbench: Medbench, folder: Path) -> None:
    ran = medbench("run", "-d", "phantom:dots", "-a", "feature-acgan[generator=map-acgan]", "-c",
                   "unet-features[spatial=true]", *ONE_CUT, *FEW, "GPU", "--results", "maps")  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert set(outcomes(folder / "maps").values()) == {"done"}


def test_the_server_that_jobs_are_forked_from_leaves_cuda_alone(folder: Path) -> None:
    asked = (
        "import torch; torch._C._cuda_getDeviceCount = lambda: 1 / 0; "
        "import medbench.running.job, medbench_plugins.preload"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{asked}; assert not torch.cuda.is_initialized()"], check=False, capture_output=True
    )

    assert ended.returncode == 0, ended.stderr


def test_other_workers_give_the_same_bits_and_a_cpu_takes_what_a_gpu_fitted(medbench: Medbench, folder: Path) -> None:
    ask = ("run", "-d", "phantom:dots", "-a", "reacgan", "-a", "geometric", "-a", "feature-acgan", *ONE_CUT, *FEW)
    one = medbench(*ask, "-c", "small-cnn", "GPU", "--workers", "1", "--results", "one")
    many = medbench(*ask, "-c", "small-cnn", "GPU", "--workers", "3", "--results", "many")
    both = bits(folder / "one"), bits(folder / "many")
    for result in (folder / "many").glob("*/*--small-cnn"):
        shutil.rmtree(result)
    elsewhere = medbench(*ask, "-c", "small-cnn", "--device", "cpu", "--results", "many")

    assert one.returncode == many.returncode == elsewhere.returncode == 0, one.stderr + many.stderr + elsewhere.stderr
    assert len(both[0]) == 6
    assert both[0] == both[1]
    assert ", 3 generators trained" in many.stderr  # an encoder, a GAN of its features and one of pixels
    assert "generators trained" not in elsewhere.stderr
    assert set(outcomes(folder / "many").values()) == {"done"}


def test_the_quickstart_runs(medbench: Medbench, folder: Path, is_real: bool) -> None:
    cheap = ("--budget", "steps=4,batch=4,size=16,generator_steps=4")
    few = ("--folds", "2", "--repeats", "1", *(() if is_real else cheap))
    ran = medbench("run", "--augmenter", "hybrid", *few, "GPU", "--results", "quick")

    assert ran.returncode == 0, ran.stderr
    assert "gain over the method\n" in ran.stdout
    assert set(outcomes(folder / "quick").values()) == {"done"}


def test_the_doctor_finds_nothing_wrong(medbench: Medbench) -> None:
    ended = medbench("doctor")

    assert ended.returncode == 0, ended.stdout
    assert "two folds of two steps" in ended.stdout


def test_cuda_that_does_not_start_is_said_once(medbench: Medbench, folder: Path, is_real: bool) -> None:
    if is_real:
        pytest.skip("CUDA starts here")
    ran = medbench("run", "-d", "phantom:dots", "-a", "acgan", "-c", "small-cnn", *FEW, "--folds", "3", "--device",
                   "cuda", "--workers", "2", "--results", "none", CUDA_VISIBLE_DEVICES="0")  # fmt: skip

    assert ran.returncode == 6, ran.stderr
    assert ran.stderr.splitlines()[-1].count("CUDA does not start") == 1
    assert ran.stderr.count("CUDA does not start") <= 2
