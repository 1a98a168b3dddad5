"""A notebook: progress in the cell that runs, and results drawn as tables."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from medbench.api.notebook_progress import NotebookProgress, is_notebook

TOYS = Path(__file__).parents[1] / "toys"
CELLS = (
    "import medbench",
    f"""found = medbench.run(datasets=["phantom:toy"], augmenters=["adds"], classifiers=["mean"], folds=3, repeats=1,
                     yardsticks=False, plugin_folders=[{str(TOYS)!r}], executor="forks", workers=1, results="runs",
                     blocked=["medbench.scores", "medbench.extractors"])""",
    "found",
    "found.board()",
    "found.compare('adds', 'plain-toy')",
    "medbench.plan(datasets=['phantom:toy'], augmenters=['adds'], classifiers=['mean'], folds=3, repeats=1, "
    f"yardsticks=False, plugin_folders=[{str(TOYS)!r}], results='runs')",
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_shows_progress_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    resources = {"metadata": {"path": str(tmp_path)}}

    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()

    ran, results, board, compared, planned = (cell.outputs for cell in notebook.cells[1:])
    progress = [o["data"]["text/html"] for o in ran if "text/html" in o.get("data", {})]
    assert len(progress) == 1  # one output, redrawn in place
    assert "9 of 9 training runs done" in progress[0]
    assert 'value="12"' in progress[0]
    for outputs, text in ((results, "adds"), (board, "plain-toy"), (compared, "adds"), (planned, "stored already")):
        assert text in outputs[0]["data"]["text/html"]


def test_outside_of_a_kernel_there_is_no_notebook() -> None:
    assert not is_notebook()


def test_names_of_others_are_escaped() -> None:
    progress = NotebookProgress()
    progress._sentences.append("<script>")
    progress._run.started("job", "<b>", "trial")

    assert "<script>" not in progress._html()
    assert "<b>" not in progress._html()
