"""Every notebook runs from a clean kernel, and its committed outputs show no machine."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.slow
@by_name
def test_notebook_runs_from_a_clean_kernel(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    # A cell that raises makes execute raise, with the cell and its traceback.
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    # Warnings of the library, were there any, would stand on the cells' standard error.
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@by_name
def test_committed_outputs_are_whole_and_show_no_paths(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Executed once, top to bottom, without errors.
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)

    text = path.read_text(encoding="utf-8")
    for place in (sys.prefix, sys.base_prefix, str(ROOT), str(Path.home())):
        assert place == "/" or place not in text, place
    assert not re.search(r"/(home|Users|tmp|root)/", text)


@by_name
def test_every_figure_is_described(path: Path) -> None:
    """For those who do not see it: the site takes the words from the cell's metadata."""
    for cell in nbformat.read(path, as_version=4).cells:
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            described = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(described.split()) >= 5, cell.source
