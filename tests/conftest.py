"""Fixtures that several test files share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from medbench.testing import SandboxContext

sys.path.append(str(Path(__file__).parent / "toys"))  # worker processes import toys by name


@pytest.fixture
def context(tmp_path: Path) -> SandboxContext:
    """A small budget, a folder and derived seeds."""
    folder = tmp_path / "context"
    folder.mkdir()
    return SandboxContext(folder)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; tests that use it skip where it is absent."""
    folder = Path(os.environ.get("MEDBENCH_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}; set MEDBENCH_TEST_DATA to run this test")
    return folder
