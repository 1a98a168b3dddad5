"""How the documentation is built: ``tox -e docs``, or ``sphinx-build -W docs site/docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pages_from_code

import medbench

project = "medbench"
author = "the medbench authors"
copyright = f"{author}, Apache-2.0"
release = version = medbench.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["benchmarks", "examples", "_build"]

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "force"  # so that the page shows what this version prints
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 500

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True

html_theme = "furo"
html_title = f"medbench {release}"
html_static_path = ["static"]
html_js_files = ["reachable.js"]
html_theme_options = {
    "source_repository": "https://github.com/medbench/medbench",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_show_sphinx = False
html_copy_source = False
linkcheck_ignore = [r"https?://.*"]  # links that leave the documentation are checked for their form alone, by a test


def setup(app: object) -> None:
    """Have what is generated from the code put into the pages that ask for it."""
    pages_from_code.COUNTED["sizes"] = True
    app.connect("source-read", pages_from_code.fill_in)  # type: ignore[attr-defined]
