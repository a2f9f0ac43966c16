"""Who may import whom, and what the product's code may not touch."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1] / "lib" / "lakebalance"
STAGES = {"expect", "prune", "allocate", "sample", "publish", "report", "lake", "profiling"}
FORBIDDEN = re.compile(
    r"\.rdd\b|_jvm|_jsc|sparkContext|monotonically_increasing_id\(|F\.rand\(|\.randn\(|"
    r"\.cache\(|\.persist\(|\.toPandas\(|spark\.conf\.set|\beval\(|pickle|yaml\.load\("
)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lakebalance."):
            yield node.module.split(".")[1]


def test_stages_import_core_but_not_each_other():
    files = [p for p in ROOT.rglob("*.py") if p.parent.name in STAGES]
    assert len(files) > 15
    for path in files:
        allowed = {path.parent.name, "core"} | (
            {"recipe"} if path.parent.name == "expect" else set()
        )
        assert set(imports(path)) <= allowed, path
    for path in (ROOT / "core").glob("*.py"):
        assert set(imports(path)) <= {"core"}, path


def test_nothing_that_serverless_refuses_or_chance_decides():
    for path in ROOT.rglob("*.py"):
        assert not FORBIDDEN.search(path.read_text()), path


def test_allocators_need_no_spark():
    for path in (ROOT / "allocate").glob("*.py"):
        assert "pyspark" not in path.read_text(), path


def test_what_is_planned_and_ruled_out_in_a_lake_needs_no_spark():
    pure = ["facts", "log", "log_files", "prices", "ranges", "values"]
    files = [ROOT / "lake" / f"{name}.py" for name in pure]
    files += sorted((ROOT / "lake").glob("retention*.py"))
    assert len(files) == 10
    for path in files:
        assert "pyspark" not in path.read_text(), path
