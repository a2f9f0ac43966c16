"""Executes the notebooks as a reader would, and checks what they show and what they published."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOKS / "flights_from_skew_to_balance.ipynb", as_version=4)


@pytest.fixture
def execute(monkeypatch, tmp_path):
    """Execute a notebook in a lake of its own."""
    paths = [str(ROOT / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("LAKE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    # A short life is not worth Java's best compiler.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

    def run(notebook):
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))

    return run


def code(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def shown(cell):
    """What a cell printed, and its value as HTML or else as text."""
    parts = [output.get("text", "") for output in cell.outputs]
    for output in cell.outputs:
        data = output.get("data", {})
        parts.append(data.get("text/html", data.get("text/plain", "")))
    return "\n".join(parts)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path):
    # Run ids, paths and timings differ each time; what it shows is checked by executing it.
    notebook = nbformat.read(path, as_version=4)
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
def test_it_runs_from_skew_to_balance(notebook, execute, spark, tmp_path):
    execute(notebook)
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


@pytest.mark.slow
def test_balance_raises_recall_and_says_what_it_costs(execute, spark, tmp_path):
    notebook = nbformat.read(NOTEBOOKS / "recall_of_a_rare_class.ipynb", as_version=4)
    execute(notebook)
    rows = {
        name: spark.read.format("delta").load(str(tmp_path / f"late{name}"))
        for name in ("", "_natural", "_test")
    }
    assert rows[""].count() == rows["_natural"].count() == 100_000
    assert rows[""].where("dep_delay >= 120").count() == 50_000
    lake = [spark.read.format("delta").load(str(p)) for p in tmp_path.glob("flights_???")]
    days = rows["_test"].select("month", "day").distinct()
    held_out = [f.where("NOT isnan(dep_delay)").join(days, ["month", "day"]).count() for f in lake]
    assert len(lake) == 3 and rows["_test"].count() == sum(held_out)
    assert rows[""].join(days, ["month", "day"]).count() == 0
    html = code(notebook, "compare").outputs[0]["data"]["text/html"]
    numbers = [float(n) for n in re.findall(r">\s*(0\.\d{3})\s*<", html)]
    natural, balanced, recalibrated = (numbers[i : i + 5] for i in (0, 5, 10))
    assert balanced[0] > 0.5 > natural[0] and balanced[1] < 0.5
    # Neither order nor knowledge changes: only where the threshold lies.
    assert abs(balanced[2] - natural[2]) < 0.05
    assert recalibrated[3] < balanced[3] and abs(recalibrated[4] - natural[4]) < 0.02
