"""Quad's bandit: a plain loop over the rows as the judge, budgets met to the row."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.fates import explain
from lakebalance.frames import Frames
from lakebalance.prune.arms import Batch, play
from lakebalance.prune.influence_bandit import METHOD, InfluenceBandit
from lakebalance.pruning import pruned

SCHEMA = "id long, cluster string, influence double"
BANDIT = {"method": "influence_bandit", "by": ["cluster"], "score": "influence", "batch": 20}
ARMS = st.lists(
    st.lists(
        st.integers(1, 9).flatmap(
            lambda n: st.builds(Batch, st.just(n), st.integers(-40, 40), st.integers(0, n))
        ),
        max_size=6,
    ),
    max_size=7,
)


def judged(arms, rows, alpha, at_once):
    """The draws by the paper's formula, every arm's score worked out again in every round."""
    draws, times, seen, left = [], [0] * len(arms), [[0, 0] for _ in arms], rows
    while left and any(t < len(arm) for t, arm in zip(times, arms, strict=True)):
        total = len(draws)

        def score(i, total=total):
            if not times[i]:
                return math.inf
            return seen[i][1] / seen[i][0] + alpha * math.sqrt(2 * math.log(total) / times[i])

        open_ = [i for i in range(len(arms)) if times[i] < len(arms[i])]
        for i in sorted(open_, key=lambda i: (-score(i), i))[:at_once]:
            if not left:
                break
            batch = arms[i][times[i]]
            taken = min(left, batch.gives)
            draws.append((i, times[i], taken))
            times[i] += 1
            seen[i][0] += batch.scored
            seen[i][1] += batch.steps
            left -= taken
    return draws


@given(arms=ARMS, rows=st.integers(1, 150), alpha=st.sampled_from([0.0, 0.3, 2.0, 50.0]),
       at_once=st.integers(1, 3))  # fmt: skip
def test_draws_are_those_of_the_papers_formula_and_the_budget_is_met(arms, rows, alpha, at_once):
    game = play(arms, rows, alpha, at_once=at_once)
    assert [tuple(draw) for draw in game.draws] == judged(arms, rows, alpha, at_once)
    all_of_it = sum(batch.gives for arm in arms for batch in arm)
    assert game.kept == sum(record.kept for record in game.records) == min(rows, all_of_it)
    assert play(arms, rows, alpha, at_once=at_once) == game


def test_the_formula_of_the_cluster_score_decides():
    # After one draw each: means 0.5 and 0.3, and bonuses alike: the first is drawn until, after its
    # third draw, 0.5 + sqrt(2 ln 4 / 3) = 1.461 is less than 0.3 + sqrt(2 ln 4 / 1) = 1.965.
    first, second = [Batch(10, 5, 1)] * 9, [Batch(10, 3, 1)] * 9
    order = [draw.arm for draw in play([first, second], 5, alpha=1.0).draws]
    assert order == [0, 1, 0, 1, 0]
    assert [draw.arm for draw in play([first, second], 5, alpha=0.0).draws] == [0, 1, 0, 0, 0]
    # The larger alpha, the more evenly arms are drawn.
    even = [draw.arm for draw in play([first, second], 10, alpha=1e6).draws]
    assert sum(even) == 5


def test_a_hundred_thousand_arms_take_seconds():
    chance = np.random.default_rng(5)
    arms = [[Batch(100, int(s), 50)] * 2 for s in chance.integers(0, 1000, 100_000)]
    started = time.monotonic()
    assert play(arms, 9_000_000, 1.0).kept == 9_000_000
    assert time.monotonic() - started < 10


def clustered(seed, n=600):
    """Clusters a to d, each better than the next, of rows with a score, some of them without."""
    chance = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        cluster = "abcd"[int(chance.integers(4))]
        score = float(chance.normal(0.6 - 0.3 * "abcd".index(cluster), 0.4))
        score = [None, float("nan"), *[score] * 10][int(chance.integers(12))]
        rows.append((i, None if cluster == "d" else cluster, score))
    return rows


@pytest.fixture(scope="module")
def rows():
    return clustered(8)


def asked_of(recipe, path, **change):
    source = {"name": "s", "table": path, "key": ["id"]}
    return recipe(source, prune=[{**BANDIT, **change}])


@pytest.mark.slow
def test_the_same_rows_stay_however_they_lie(spark, table, recipe, rows):
    said, gone = [], []
    for partitions, order in ((1, rows), (5, rows[::-1])):
        asked = asked_of(recipe, table(f"g{partitions}", order, SCHEMA, partitions), rows=90)
        df = Frames(asked, spark).all_rows
        prepared = METHOD.prepare(df, asked.prune[0], "prune.0")
        said.append((dict(prepared.state), [d.to_dict() for d in prepared.diagnostics]))
        found = METHOD.function(df, asked.prune[0], "prune.0", prepared.state)
        gone.append(sorted((r["dropped"]["hi"], r["reason"]) for r in found.collect()))
    assert said[0] == said[1] and gone[0] == gone[1] and len(gone[0]) == len(rows) - 90
    [shown] = said[0][1]
    kept = {line[0]: line[-1] for line in shown["rows"]}
    draws = {line[0]: line[2] for line in shown["rows"]}
    assert sum(kept.values()) == 90 and kept["a"] == max(kept.values())
    assert draws["a"] == max(draws.values()) and min(draws.values()) >= 1
    assert f"90 rows kept in {sum(draws.values())} draws" in shown["note"]


@pytest.mark.slow
def test_a_run_keeps_exactly_the_budget_and_says_why_others_go(spark, table, recipe, rows):
    asked = asked_of(recipe, table("g", rows, SCHEMA), rows=90, threshold=0.2, alpha=0.5)
    result = lb.run(asked, spark)
    written = spark.read.format("delta").load(result.table).collect()
    assert len(written) == 90 and all(row["influence"] > 0.2 for row in written)
    [step] = result.plan.pruned
    assert step["dropped"] == len(rows) - 90 and step["fate"] == "not selected"
    arms = {line[0]: line for line in result.plan.diagnostics[0]["rows"]}
    for cluster, line in arms.items():
        assert line[-1] == sum(row["cluster"] == cluster for row in written)
    fates = explain(asked, spark, "true", limit=len(rows))
    ids = {row["id"] for row in written}
    assert {fate["row"]["id"] for fate in fates if fate["fate"] == "kept"} == ids
    reasons = {fate["reason"] for fate in fates if fate["fate"] == "not selected"}
    assert "its batch was not drawn" in reasons and "its score is not over 0.2" in reasons
    assert lb.run(asked, spark).table == result.table


def left_of(spark, asked):
    """The rows that pruning leaves."""
    frames = Frames(asked, spark)
    [left] = pruned(frames, frames.branches, lambda _, matches: matches)
    return left.drop("__lb_key", "__lb_source").collect()


def test_whole_batches_stay_by_the_mean_of_known_scores(spark, table, recipe, rows):
    asked = asked_of(recipe, table("g", rows, SCHEMA), rows=101, keep="batches", alpha=0.1)
    written = left_of(spark, asked)
    assert len(written) == 101
    unknown = [r for r in written if r["influence"] is None or math.isnan(r["influence"])]
    assert unknown and any(row["influence"] is not None and row["influence"] < 0 for row in written)


def test_of_equal_rows_as_many_stay_as_the_budget_asks(spark, table, recipe):
    path = table("g", [("a", 1.0)] * 70 + [("b", -1.0)] * 30, "cluster string, influence double")
    asked = recipe(path, prune=[{**BANDIT, "rows": 33}])
    assert [tuple(row) for row in left_of(spark, asked)] == [("a", 1.0)] * 33


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": ["cluser"]}, r'prune\.0\.by: no column "cluser"; did you mean "cluster"'),
        ({"score": "influenc"}, r'prune\.0\.score: no column "influenc"; did you mean'),
        ({"score": "cluster"}, r"score: .* of type string; it must be a number"),
        ({"rows": 599}, r"599 rows are to stay, but (\d+) have a score over 0; write at most \1,"),
    ],
)
def test_what_does_not_fit_is_refused(spark, table, recipe, rows, change, message):
    asked = asked_of(recipe, table("g", rows, SCHEMA), **{"rows": 50, **change})
    with pytest.raises(RecipeError, match=message):
        lb.plan(asked, spark)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (None, "null or NaN in all rows; compute a score first"),
        (math.inf, "infinite in 3 rows; filter such rows out"),
    ],
)
def test_scores_that_mean_nothing_are_refused(spark, score, message):
    df = spark.createDataFrame([(i, "a", score) for i in range(3)], SCHEMA)
    options = InfluenceBandit.model_validate({**BANDIT, "rows": 1})
    with pytest.raises(RecipeError, match=message):
        METHOD.prepare(df, options, "prune.0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "greater than or equal to 1"),
        ({"alpha": -1}, "greater than or equal to 0"),
        ({"threshold": math.nan}, "finite"),
        ({"by": []}, "at least 1"),
        ({"keep": "all"}, "'rows' or 'batches'"),
    ],
)
def test_options_that_mean_nothing_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        InfluenceBandit.model_validate({**BANDIT, "rows": 5, **change})
