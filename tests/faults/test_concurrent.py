"""Runs at the same time to the same target: one wins, the others say so, nothing is mixed."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from lakebalance.recipe import Recipe

from .conftest import copied, rows_of


def at_once(recipes, spark):
    """Run all recipes, none publishing before all are about to; gives results and errors."""
    barrier = Barrier(len(recipes), timeout=300)

    def one(recipe):
        def progress(stage):
            if stage == "publish":
                barrier.wait()

        try:
            return lb.run(recipe, spark, progress)
        except TableError as error:
            return error

    with ThreadPoolExecutor(len(recipes)) as pool:
        return list(pool.map(one, recipes))


@pytest.mark.slow
@pytest.mark.parametrize("exists", [False, True])
def test_of_two_different_runs_one_wins(spark, made, published, tmp_path, exists):
    lake = copied(published if exists else made, tmp_path)
    target = tmp_path / "out" / "balanced"
    recipes = [Recipe.load(lake, [f"seed={seed}"]) for seed in (1, 2)]
    outcomes = at_once(recipes, spark)
    won = [o for o in outcomes if not isinstance(o, TableError)]
    lost = [o for o in outcomes if isinstance(o, TableError)]
    assert len(won) == len(lost) == 1, outcomes
    assert "another writer changed it during this run" in str(lost[0])
    published = rows_of(spark, target)
    assert sum(published.values()) == 16_000

    loser = recipes[outcomes.index(lost[0])]
    again = lb.run(loser, spark)
    assert not again.repeated and again.version == won[0].version + 1
    assert rows_of(spark, target) != published
    assert rows_of(spark, target, won[0].version) == published


@pytest.mark.slow
def test_the_same_run_twice_at_once_is_one_run(spark, lake, tmp_path):
    first, second = at_once([Recipe.load(lake)] * 2, spark)
    assert not isinstance(first, TableError), first
    assert not isinstance(second, TableError), second
    assert first.version == second.version == 0
    assert sum(rows_of(spark, tmp_path / "out" / "balanced").values()) == 16_000
    ledger = spark.read.format("delta").load(str(tmp_path / "out/_lakebalance/ledger"))
    assert ledger.count() == 1
    # Each wrote the groups down; whoever reads them finds each once.
    written = spark.read.format("delta").load(str(tmp_path / "out/_lakebalance/allocations"))
    assert written.count() == 2 * len(first.plan.groups)
    again = lb.run(Recipe.load(lake), spark)
    assert again.repeated and again.plan.groups == first.plan.groups


@pytest.mark.slow
def test_of_ten_runs_at_once_each_says_what_became_of_it(spark, made, tmp_path):
    lake, target = copied(made, tmp_path), tmp_path / "out" / "balanced"
    # Five recipes, each twice: of equal ones both may say that they have made the same version.
    recipes = [Recipe.load(lake, [f"seed={seed}"]) for seed in (1, 2, 3, 4, 5)] * 2
    outcomes = at_once(recipes, spark)
    versions = spark.sql(f"DESCRIBE HISTORY delta.`{target}`").count()
    won = [o for o in outcomes if not isinstance(o, TableError)]
    assert 1 <= len(won) <= 2 and versions == 1, outcomes
    assert len({o.plan.run_id for o in won}) == 1
    published = rows_of(spark, target)
    assert sum(published.values()) == 16_000

    # Whoever lost does it again, one after the other, and each gets what it would have made alone.
    for i, recipe in enumerate(recipes[:5]):
        lb.run(recipe, spark)
        if recipe.seed == recipes[outcomes.index(won[0])].seed:
            assert rows_of(spark, target, 0) == published, i
    ledger = spark.read.format("delta").load(str(tmp_path / "out/_lakebalance/ledger"))
    assert ledger.select("run_id").distinct().count() == ledger.count() == 5
