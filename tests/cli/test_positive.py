"""Which of two classes is the disease, said on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from medbench.cli.plan import plan
from medbench.errors import UsageError
from medbench.running.request import build_request

WORDS = ("-d", "phantom:ddti:benign-malignant", "-a", "geometric", "-c", "small-cnn", "--json", "--positive")


def test_a_run_declares_its_positive_class() -> None:
    result = CliRunner().invoke(plan, [*WORDS, "benign"], catch_exceptions=False, standalone_mode=False)
    asked = build_request(datasets=["ddti"], augmenters=["geometric"], positive="benign")

    assert json.loads(result.stdout)["trials"]
    assert asked.study.positive == "benign"


def test_a_class_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no class 'malign' \(did you mean 'malignant'\?\)"):
        CliRunner().invoke(plan, [*WORDS, "malign"], catch_exceptions=False, standalone_mode=False)
