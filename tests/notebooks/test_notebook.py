"""Executes the notebook as a reader would, and checks what it shows and what it published."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "flights_from_skew_to_balance.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def shown(cell):
    """What a cell printed, and its value as HTML or else as text."""
    parts = [output.get("text", "") for output in cell.outputs]
    for output in cell.outputs:
        data = output.get("data", {})
        parts.append(data.get("text/html", data.get("text/plain", "")))
    return "\n".join(parts)


def test_it_is_committed_without_outputs(notebook):
    # Run ids, paths and timings differ each time; what it shows is checked by executing it.
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count] == []


def test_it_uses_the_session_that_is_there(notebook, spark, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE", str(tmp_path))
    monkeypatch.setattr("lakebalance.core.session.local_session", lambda: pytest.fail("a new one"))
    names = {"spark": spark}
    exec(code(notebook, "session").source, names)
    assert names["spark"] is spark


@pytest.mark.slow
def test_it_runs_from_skew_to_balance(notebook, spark, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE", str(tmp_path))
    monkeypatch.setenv(
        "PYTHONPATH", str(ROOT / "lib") + os.pathsep + os.environ.get("PYTHONPATH", "")
    )
    # A short life is not worth Java's best compiler.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))

    assert "1,833 : 1" in shown(code(notebook, "skew"))
    headline = re.sub("<[^>]*>", "", shown(code(notebook, "plan")))
    assert "336,776 rows of 3 sources would become 100,000" in headline
    assert "sampled out" in shown(code(notebook, "explain-kept")) or "kept" in shown(
        code(notebook, "explain-kept")
    )
    assert "quarantined" in shown(code(notebook, "explain-quarantined"))
    published = spark.read.format("delta").load(str(tmp_path / "flights_balanced"))
    counts = {
        row["carrier"]: row["count"] for row in published.groupBy("carrier").count().collect()
    }
    assert sum(counts.values()) == 100_000
    assert len(counts) == 16
    assert max(counts.values()) / min(counts.values()) < 100
