"""Twelve invented entries and their site, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs" / "benchmarks"))

from site_speed import publish

from medbench.site.build import build

COUNT = 12


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entries") / "published"
    publish(folder, COUNT, arms=5)
    return folder


@pytest.fixture(scope="session")
def site(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "site"
    assert build(published, out) == COUNT
    return out
