"""The benchmark runs, and every exact contestant meets the plan."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_contestant_runs_on_a_small_lake(tmp_path):
    script = Path(__file__).parent / "balance.py"
    shown = subprocess.run(
        [sys.executable, script, "--rows", "20000", "--repeats", "1", "--folder", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "lakebalance" in shown.stdout and "DuckDB" in shown.stdout


@pytest.mark.slow
def test_ordering_runs_on_a_small_lake(tmp_path):
    script = Path(__file__).parent / "ordering.py"
    shown = subprocess.run(
        [sys.executable, script, "--rows", "20000", "--repeats", "1", "--folder", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "floor" in shown.stdout
