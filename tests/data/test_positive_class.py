"""The class that a data set declares as positive: known sets of before have it, a study goes before it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from _synthetic_store import SyntheticRun
from medbench.cli import cli
from medbench.data.positive_class import declared_positive, with_positive
from medbench.errors import ContractError
from medbench.registry import plugins
from medbench.registry.display_names import positive_class
from medbench.testing.datasets import check_dataset
from toys import ToyData

DECLARED = {
    "ddti": "malignant",
    "ddti:tirads": "",
    "vindr-spinexr:abnormal": "Abnormal",
    "vindr-spinexr:case-1": "",
    "fracatlas:fracture": "fractured",
    "medmnist[flag=breastmnist]": "malignant",
    "medmnist[flag=adrenalmnist3d]": "hyperplasia",
    "medmnist[flag=nodulemnist3d]": "",
    "mura:abnormal": "",
}
PLUGIN = """
from dataclasses import dataclass
import medbench

@dataclass(frozen=True)
class Fake:
    name: str = "fake"
    size = 8
    positive = "no"
    card = medbench.Card("Fake", "CC0", "none", "none", "nothing")
    def index(self, root): ...
    def read(self, root, records, size): ...
    def phantom(self, root, *, seed, patients, null): ...

@medbench.hookimpl
def register_datasets():
    return [Fake()]
"""


@pytest.mark.parametrize(("text", "wanted"), DECLARED.items())
def test_built_in_data_sets_declare_it_where_it_is_agreed(text: str, wanted: str) -> None:
    dataset = plugins.load().resolve("dataset", text)
    classes = dataset.release.classes if hasattr(dataset, "release") else getattr(dataset, "classes", ("a", "b"))

    assert declared_positive(dataset, classes) == getattr(dataset, "positive", "") == wanted
    if wanted:  # so that tables read without plugins, and entries, name the same class
        assert classes[positive_class(classes) or 0] == wanted


def test_a_record_of_before_gets_it_where_the_set_is_known() -> None:
    record = {"study": {}, "sources": [{"dataset": "phantom:ddti", "classes": ["benign", "malignant"]},
                                       {"dataset": "elsewhere", "classes": ["a", "b"]}]}  # fmt: skip
    found = with_positive(record, plugins.load())

    assert [source.get("positive") for source in found["sources"]] == ["malignant", None]
    assert "positive" not in record["sources"][0]


@pytest.mark.parametrize(
    ("more", "said"), [({}, "no, as the data set declares"), ({"positive": "yes"}, "yes, as the study")]
)
def test_wide_tables_take_the_data_set_s_class_unless_the_study_names_one(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    run = SyntheticRun(tmp_path, datasets=["fake"], tree={"balanced": ""}, patients=30, repeats=1, **more)
    run.fill({"balanced": 0.8}).save()
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "fake.py").write_text(PLUGIN)
    asked = ["leaderboard", "--wide", "--results", str(run.root), "--plugins-dir", str(tmp_path / "plugin")]
    done = CliRunner().invoke(cli, asked)

    assert done.exit_code == 0, done.output
    assert f"Positive: {said}" in " ".join(done.output.split())


def test_the_contract_refuses_a_class_that_is_none(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Wrong(ToyData):
        positive: ClassVar[str] = "ill"

    with pytest.raises(ContractError, match="positive is 'ill', and the classes are no, yes"):
        check_dataset(Wrong(), tmp_path / "check")
