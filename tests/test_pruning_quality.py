"""What prune-eval measures, on a sample of texts with near-duplicates of their own."""

from pathlib import Path

import pytest

import lakebalance as lb
from lakebalance.console import show_quality
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.tables import newest_version
from lakebalance.prune.minhash import MinHash
from lakebalance.pruning_quality import Counted, said_of
from lakebalance.publish.state import State
from tests.prune.planted import planted

OWN = {"method": "minhash", "columns": ["text"], "threshold": 0.8}


@pytest.mark.slow
def test_planted_copies_are_found_and_nothing_is_left_behind(spark, table, recipe):
    texts, _ = planted(400)
    path = table("s", [*enumerate(texts), (400, None)], "id long, text string")
    source = {"name": "s", "table": path, "key": ["id"]}
    made = recipe(source, prune=[{"method": "exact"}, OWN])
    (said,) = lb.prune_eval(made, spark, rows=350)
    assert said["step"] == 1 and 300 < said["rows"] < 400
    assert said["rows"] / 4 < said["planted"] < said["rows"] / 2
    near = [b for b in said["bands"] if b["from"] >= 0.8]
    assert said["recall"] == sum(b["found"] for b in near) / sum(b["planted"] for b in near) > 0.9
    # Some rows are linked to the one that stays by others alone.
    dropped = {b["from"]: b["dropped"] for b in said["bands"]}
    matched = sum(rows for least, rows in dropped.items() if least >= 0.8)
    assert 0.8 < said["precision"] == matched / sum(dropped.values()) < 1
    assert {b["from"] for b in said["bands"] if b["planted"]} >= {0.7, 0.75, 0.8, 0.85, 0.9}
    below = [b for b in said["bands"] if 0.7 <= b["from"] < 0.75]
    assert sum(b["found"] for b in below) < sum(b["planted"] for b in below)
    # Near-duplicates that the texts had before are dropped, too.
    assert sum(dropped.values()) > sum(b["found"] for b in near)
    folder = State.beside(made.publish.table, None).folder
    names = [p.name for p in Path(folder).iterdir()]
    assert names and all(name.startswith("scratch-test-eval") for name in names)
    assert all(spark.read.format("delta").load(f"{folder}/{name}").isEmpty() for name in names)
    assert newest_version(spark, State(folder).table("../out")) is None


def test_texts_that_are_too_short_are_said(spark, table, recipe):
    made = recipe(table("s", [("a b c",)] * 3, "text string"), prune=[OWN])
    with pytest.raises(TableError, match=r"prune.0: no text of the sample has enough tokens"):
        lb.prune_eval(made, spark)


def test_what_cannot_be_measured(recipe):
    with pytest.raises(RecipeError, match="prune: no step is minhash; copies are planted"):
        lb.prune_eval(recipe("a/b", prune=[{"method": "exact"}]), None)
    with pytest.raises(RecipeError, match="rows must be 1 or more; there was 0"):
        lb.prune_eval(recipe("a/b", prune=[OWN]), None, rows=0)


def test_a_threshold_inside_a_band_cuts_it(capsys):
    options = MinHash(**{**OWN, "threshold": 0.82})
    pairs = [Counted(16, False, 10, 3), Counted(16, True, 20, 19), Counted(18, True, 5, 5)]
    dropped = [Counted(16, True, 19, 19), Counted(14, False, 1, 1)]
    said = said_of(options, pairs, dropped)
    assert said["planted"] == 35 and said["recall"] == 24 / 25 and said["precision"] == 19 / 20
    assert [(b["from"], b["planted"], b["found"], b["dropped"]) for b in said["bands"]] == [
        (0.7, 0, 0, 1),
        (0.8, 30, 22, 19),
        (0.9, 5, 5, 0),
    ]
    assert said["bands"][0]["recall"] is None
    show_quality({"step": 1, "rows": 100, **said})
    shown = capsys.readouterr().out
    assert "0.80 to 0.85" in shown and "recall 0.96, precision 0.95." in shown
    empty = said_of(options, [], [])
    assert empty["recall"] is None and empty["precision"] is None and empty["bands"] == []
