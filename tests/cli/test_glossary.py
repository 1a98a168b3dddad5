"""``medbench glossary``: every word that a table uses is explained by one command."""

from __future__ import annotations

from click.testing import CliRunner

from medbench.cli import cli
from medbench.glossary import TERMS


def test_a_word_is_explained() -> None:
    result = CliRunner().invoke(cli, ["glossary", "balanced", "accuracy"])

    assert result.exit_code == 0
    assert "mean over the classes" in " ".join(result.output.split())


def test_other_words_lead_to_the_one_that_is_used() -> None:
    assert "method above it" in CliRunner().invoke(cli, ["glossary", "control"]).output


def test_without_a_word_all_are_listed() -> None:
    output = CliRunner().invoke(cli, ["glossary"]).output

    assert all(f"{name}\n" in output or f"{name} (also:" in output for name in TERMS)


def test_an_unknown_word_is_refused() -> None:
    result = CliRunner().invoke(cli, ["glossary", "balansed accuracy"])

    assert result.exit_code != 0
    assert "did you mean" in str(result.exception)


def test_scores_are_found_by_their_name_in_files() -> None:
    output = " ".join(CliRunner().invoke(cli, ["glossary", "tstr"]).output.split())

    assert output.startswith("trained on generated (also: tstr)")
    assert "higher is better" in output
    assert CliRunner().invoke(cli, ["glossary", "coverage"]).output.splitlines().count("coverage") == 1
