"""The benchmarks run, and every exact contestant meets the plan."""

import subprocess
import sys
from pathlib import Path

import pytest


def shown_by(script, folder):
    """What a benchmark prints for a small lake."""
    return shown_with(script, "--rows", "20000", "--repeats", "1", "--folder", folder)


def shown_with(script, *options):
    command = [sys.executable, Path(__file__).parent / script, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_contestant_runs_on_a_small_lake(tmp_path):
    shown = shown_by("balance.py", tmp_path)
    assert "lakebalance" in shown and "DuckDB" in shown


@pytest.mark.slow
def test_ordering_runs_on_a_small_lake(tmp_path):
    assert "floor" in shown_by("ordering.py", tmp_path)


@pytest.mark.slow
def test_budgets_are_met_on_a_small_table(tmp_path):
    assert "tokens, by weight" in shown_by("budgets.py", tmp_path / "budgets")


@pytest.mark.slow
def test_exact_duplicates_leave_as_many_rows_as_spark_s_own(tmp_path):
    lines = shown_by("exact.py", tmp_path).splitlines()[-2:]
    # Of 2,000 rows that take another one's columns, every tenth takes those of one that has gone.
    assert {line.split(" | ")[-1] for line in lines} == {"18,200 |"}


@pytest.mark.slow
def test_batches_against_an_index_leave_the_same_texts(tmp_path):
    assert "the same texts as all at once" in shown_by("minhash_index.py", tmp_path)


@pytest.mark.slow
def test_forgotten_keys_are_found_no_more(tmp_path):
    shown = shown_with("forget.py", "--rows", "20000", "--keys", "60", "--folder", tmp_path)
    assert "60 rows of the source asked for" in shown
    assert "0 found in its 20,000 rows afterwards" in shown


@pytest.mark.slow
def test_tools_agree_on_a_few_texts():
    shown = shown_with("minhash_agreement.py", "--texts", "400")
    assert "Random words with planted copies: 400 texts" in shown and "Real texts" in shown
    assert "| ≥ 0.8 | all |" in shown
