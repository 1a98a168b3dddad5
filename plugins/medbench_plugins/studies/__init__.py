"""Built-in studies, one TOML file each."""

from __future__ import annotations

from pathlib import Path

import medbench


@medbench.hookimpl
def register_studies() -> list[Path]:
    """Return the built-in study files."""
    return sorted(Path(__file__).parent.glob("*.toml"))
