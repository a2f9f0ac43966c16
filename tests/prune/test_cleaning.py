"""Tomek links and edited nearest neighbours, with imbalanced-learn as the judge."""

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.column_checks import check_columns
from lakebalance.console import pruned_text
from lakebalance.core.counts import GroupCount
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import centred
from lakebalance.core.spark_errors import said_for_users
from lakebalance.frames import Frames
from lakebalance.prune.enn import EditedNearestNeighbours, contradicted
from lakebalance.prune.neighbourhoods import Points
from lakebalance.prune.survey import losing
from lakebalance.prune.tomek import Tomek, linked
from lakebalance.pruning import pruned
from neighbourly import FEATURES, SCHEMA, dropped_ids, keyed, matches

PLACES = {"by": ["label"], "features": FEATURES, "scale": "none"}
SEED, COUNTS = 5, (260, 90, 40)


def placed(data, scale):
    """Points around their mean, in standard deviations where they are asked for."""
    at, spread = centred(data)
    return at / spread if scale == "standard" else at


def judged(sampler, rows, scale="none"):
    """The ids that imbalanced-learn drops."""
    data = np.array([r[2:5] for r in rows])
    sampler.fit_resample(placed(data, scale), np.array([r[1] for r in rows]))
    return sorted({r[0] for r in rows} - {rows[i][0] for i in sampler.sample_indices_})


def decided(decide, options, rows, scale="none"):
    """The ids that a method drops, without Spark."""
    at = placed(np.array([r[2:5] for r in rows]), scale)
    group = np.array([r[1] for r in rows])
    counts = [GroupCount(g, "", {"label": g}, n, n) for g, n in enumerate(COUNTS)]
    lose = [g.id for g in losing(counts, options, "prune.0")]
    return sorted(decide(Points(at, group, np.flatnonzero(np.isin(group, lose))), options).rows)


STRATEGIES = ["auto", "majority", "not minority", "not majority", "all", [0], [1, 2]]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_tomek_decides_as_imbalanced_learn(rows, strategy):
    judge = pytest.importorskip("imblearn.under_sampling").TomekLinks(sampling_strategy=strategy)
    options = Tomek(method="tomek", **PLACES, sampling_strategy=strategy)
    assert decided(linked, options, rows) == judged(judge, rows) != []


@pytest.mark.parametrize("kind", ["all", "mode"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
@pytest.mark.parametrize("k", [1, 3, 6])
def test_enn_decides_as_imbalanced_learn(rows, strategy, k, kind):
    under = pytest.importorskip("imblearn.under_sampling")
    judge = under.EditedNearestNeighbours(sampling_strategy=strategy, n_neighbors=k, kind_sel=kind)
    options = EditedNearestNeighbours(
        **{"method": "enn", **PLACES, "n_neighbors": k, "kind_sel": kind},
        sampling_strategy=strategy,
    )
    assert decided(contradicted, options, rows, "standard") == judged(judge, rows, "standard") != []


@pytest.mark.parametrize("method", ["tomek", "enn"])
def test_the_rows_that_imbalanced_learn_drops(spark, path, recipe, rows, method):
    under = pytest.importorskip("imblearn.under_sampling")
    sampler = {"tomek": under.TomekLinks, "enn": under.EditedNearestNeighbours}[method]
    frames = Frames(recipe(keyed(path)), spark)
    found = matches(
        frames, {"method": method, **PLACES, "scale": "standard", "sampling_strategy": [0, 2]}
    )
    assert dropped_ids(found, frames) == judged(
        sampler(sampling_strategy=[0, 2]), rows, "standard"
    ) != []  # fmt: skip


LINE = np.array([[0.0], [1.0], [1.5], [4.0], [5.0], [5.1]])
GROUP = np.array([0, 0, 1, 1, 1, 0])


def test_links_on_a_line():
    options = Tomek(method="tomek", by=["g"], features=["x"])
    found = linked(Points(LINE, GROUP, np.arange(6)), options)
    # 0's nearest is 1, of its own group; 3's is 4, whose nearest is 5.
    assert found.rows.tolist() == [1, 2, 4, 5]
    assert found.neighbours.tolist() == [2, 1, 5, 4]
    np.testing.assert_allclose(found.distances, [0.5, 0.5, 0.1, 0.1])
    assert linked(Points(LINE, GROUP, np.array([0, 1])), options).rows.tolist() == [1]


@pytest.mark.parametrize(
    ("k", "kind", "rows", "neighbours"),
    [
        (1, "all", [1, 2, 4, 5], [2, 1, 5, 4]),
        (3, "all", [0, 1, 2, 3, 4, 5], [2, 2, 1, 5, 5, 4]),
        # 0 sees 0, 1, 1 and 1 sees 1, 0, 1; 2 sees 0, 0, 1; 3 and 4 see two of their own.
        (3, "mode", [0, 1, 2, 5], [2, 2, 1, 4]),
        # Of a tie, the first group counts: 0 and 1 stay, 3 and 4 do not.
        (2, "mode", [2, 3, 4, 5], [1, 5, 5, 4]),
    ],
)
def test_contradictions_on_a_line(k, kind, rows, neighbours):
    options = EditedNearestNeighbours(
        method="enn", by=["g"], features=["x"], n_neighbors=k, kind_sel=kind
    )
    found = contradicted(Points(LINE, GROUP, np.arange(6)), options)
    assert found.rows.tolist() == rows and found.neighbours.tolist() == neighbours


@pytest.mark.parametrize("method", ["tomek", "enn"])
def test_the_same_rows_however_the_source_lies_and_in_many_tasks(
    spark, table, recipe, method, monkeypatch
):
    # Whole numbers, so that most neighbours are ties.
    chance = np.random.default_rng(8)
    rows = [(i, int(g), float(x), float(y), 0.0) for i, (g, x, y) in
            enumerate(chance.integers(0, [2, 6, 6], (200, 3)))]  # fmt: skip
    found = []
    for partitions, in_a_task in ((1, 50_000), (3, 17)):
        monkeypatch.setattr("lakebalance.prune.neighbourhoods.ASKED_IN_A_TASK", in_a_task)
        order = sorted(rows, key=lambda r: (r[0] * 7919) % (190 + partitions))
        path = table(f"s{partitions}", order, SCHEMA, partitions)
        frames = Frames(recipe(keyed(path)), spark)
        options = {"method": method, **PLACES, "sampling_strategy": "all"}
        found.append(sorted(map(str, matches(frames, options).collect())))
    assert found[0] == found[1] != []


def test_equal_rows_without_a_key_are_dropped_one_by_one(spark, table, recipe):
    # Three equal rows at a place and one of another group beside them.
    rows = [(9, 0, 0.0, 0.0, 0.0)] * 3 + [(7, 1, 0.5, 0.0, 0.0), (8, 1, 9.0, 0.0, 0.0)]
    path = table("s", rows, SCHEMA)
    prune = [{"method": "enn", **PLACES, "n_neighbors": 2, "sampling_strategy": [0]}]
    frames = Frames(recipe(path), spark)
    assert matches(frames, prune[0]).collect() == []  # each has two of its own beside it
    prune[0]["n_neighbors"] = 3
    frames = Frames(recipe(path, prune=prune), spark)
    (left,) = pruned(frames, frames.branches, lambda _, found: found)
    assert sorted(r["id"] for r in left.select("id").collect()) == [7, 8]


def test_of_equal_rows_some_can_go_and_others_stay(spark):
    from lakebalance.prune.matches import MATCH, matches_from, remove

    df = spark.createDataFrame([(1, (5, 6))] * 4 + [(2, (7, 8))] * 2 + [(3, (9, 9))],
                               "id long, __lb_key struct<hi: long, lo: long>")  # fmt: skip
    found = spark.createDataFrame([(5, 6, 9, 9, 3, 1, 0.5), (7, 8, 9, 9, 2, 0, 0.5)], MATCH)
    left = remove(df, matches_from(found, "tomek"), unique_keys=False)
    assert sorted(left.columns) == sorted(df.columns)
    assert sorted(r["id"] for r in left.collect()) == [1, 3]


@pytest.mark.slow
def test_held_out_and_quarantined_rows_are_no_neighbours_and_stay(
    spark, path, recipe, rows, tmp_path
):
    judge = pytest.importorskip("imblearn.under_sampling").EditedNearestNeighbours()
    split = {"time": "x", "starts": {"test": 0.9}}
    expectation = {
        "expectation": "ExpectColumnValuesToBeBetween",
        "args": {"column": "id", "min_value": 20},
    }
    made = recipe(
        keyed(path),
        split=split,
        expect={"expectations": [expectation]},
        prune=[
            {"method": "exact", "columns": ["id"]},
            {"method": "enn", **PLACES},
        ],
        publish={"table": str(tmp_path / "out"), "source_column": None},
    )
    result = lb.run(made, spark)
    training = [r for r in rows if r[2] < 0.9 and r[0] >= 20]
    dropped = judged(judge, training)
    assert len(dropped) > 20
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert sorted(r["id"] for r in output.select("id").collect()) == sorted(
        {r[0] for r in training} - set(dropped)
    )
    test = spark.read.format("delta").load(str(tmp_path / "out") + "_test")
    assert test.count() == sum(r[2] >= 0.9 and r[0] >= 20 for r in rows)
    assert result.plan.pruned == [
        {"method": "exact", "dropped": 0, "fate": "duplicate"},
        {"method": "enn", "dropped": len(dropped), "fate": "cleaned"},
    ]  # fmt: skip
    said = result.to_dict()
    assert pruned_text(said) == f"0 duplicates dropped, {len(dropped)} rows cleaned"

    by_id = {r[0]: r for r in rows}
    fates = lb.explain(made, spark, f"id IN ({', '.join(map(str, dropped[:5]))})")
    assert len(fates) == 5
    for fate in fates:
        row, other = by_id[fate["row"]["id"]], by_id[fate["of_row"]["id"]]
        assert (fate["fate"], fate["by"], fate["copies"]) == ("cleaned", "prune.1 (enn)", 0)
        assert other[1] != row[1] and other in training
        assert fate["distance"] == pytest.approx(np.linalg.norm(np.subtract(row[2:], other[2:])))
    kept = next(r[0] for r in training if r[0] not in dropped)
    held = next(r[0] for r in rows if r[2] >= 0.9 and r[0] >= 20)
    words = {f["row"]["id"]: f["fate"] for f in lb.explain(made, spark, f"id IN ({kept}, {held})")}
    assert words == {kept: "kept", held: "held out"}


def test_neighbours_are_of_all_sources_and_groups_can_be_bins(spark, table, recipe):
    one = table("one", [(1, 0, 0.0, 0.0, 0.0), (2, 0, 5.0, 0.0, 0.0)], SCHEMA)
    two = table("two", [(1, 9, 0.1, 0.0, 0.0), (2, 0, 4.0, 0.0, 0.0)], SCHEMA)
    made = recipe(
        keyed(one),
        {"name": "t", "table": two, "key": ["id"]},
        allocate={
            "bins": {"high": {"of": "label", "edges": [5]}},
            "balance": {"by": ["high"], "method": "to_max"},
        },
        prune=[{"method": "tomek", **PLACES, "by": ["high"], "features": ["x", "y"]}],
    )
    plan = lb.plan(made, spark)
    assert [(g.source, g.rows, g.available) for g in plan.groups] == [
        ("s", 2, 1), ("t", 1, 1), ("t", 1, 1),
    ]  # fmt: skip


def test_any_group_values_can_be_named(spark, table, recipe):
    schema = "id long, `My label` string, b decimal(9,2), t timestamp, x double"
    rows = [(1, "a", None, None, 0.0), (2, None, None, None, 0.1), (3, "a", None, None, 9.0)]
    frames = Frames(recipe(keyed(table("s", rows, schema))), spark)
    options = {"method": "tomek", "by": ["My label"], "features": ["x"]}
    for strategy, ids in (([None], [2]), (["a"], [1]), ([None, {"My label": "a"}], [1, 2])):
        found = matches(frames, {**options, "sampling_strategy": strategy})
        assert dropped_ids(found, frames) == ids
    both = {**options, "by": ["My label", "b"], "sampling_strategy": [{"My label": "a", "b": None}]}
    assert dropped_ids(matches(frames, both), frames) == [1]


def test_nulls_are_the_mean_where_that_is_asked(spark, table, recipe):
    rows = [(1, 0, 0.0, None, 0.0), (2, 1, 0.0, 2.0, 0.0), (3, 1, 0.0, 1.0, 0.0),
            (4, 0, 0.0, float("nan"), 0.0), (5, 0, 0.0, 9.0, 0.0)]  # fmt: skip
    frames = Frames(recipe(keyed(table("s", rows, SCHEMA))), spark)
    options = {"method": "enn", **PLACES, "features": ["y"], "n_neighbors": 1}
    found = matches(frames, {**options, "nulls": "ignore", "sampling_strategy": "all"})
    # Both are at (2 + 1 + 9) / 3 = 4, and nearest to each other; 9 is nearest to them.
    assert dropped_ids(found, frames) == []


def test_no_rows_are_no_matches(spark, path, recipe):
    frames = Frames(recipe({**keyed(path), "where": "id < 0"}), spark)
    assert matches(frames, {"method": "tomek", **PLACES}).collect() == []


BAD = [
    ({"features": ["xx"]}, 'prune.0.features: no column "xx"; did you mean "x"?'),
    ({"by": ["lable"]}, 'prune.0.by: no column "lable"; did you mean "label"?'),
    ({"features": ["name"]}, '"name" is string, which is no number, date or time; leave it out'),
    ({"features": ["x", "x"]}, 'column "x" is there twice'),
    ({"features": ["x", "label"]}, 'column "label" is in prune.0.by already'),
    ({"features": ["y"]}, "is null or NaN in 2 of 5 rows; write prune.0.nulls: ignore"),
    ({"features": ["never"]}, "is null or NaN in all 5 rows; leave it out"),
    ({"features": ["far"]}, 'column "far" is infinite or over 1e\+150 in 1 of 5 rows; filter'),
    ({"features": ["same"]}, "all 5 rows have the same values in these columns"),
    ({"by": ["same"]}, "all 5 rows are of one group, same=1.0; name columns"),
    ({"n_neighbors": 5}, "there are 5 rows, and 5 neighbours need 6; write prune.0.n_neighbors: 4"),
    ({"max_rows": 4}, "5 rows are searched .* at most 4; write prune.0.max_rows: 5 where"),
    ({"sampling_strategy": ["2"]}, 'no group label="2"; did you mean "label=1"'),
    ({"sampling_strategy": [2], "by": ["label", "same"]}, "write each group as {label: 2, …}"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(spark, tmp_path_factory):
    """Five rows with columns of every trouble."""
    folder = str(tmp_path_factory.mktemp("bad") / "source")
    nan, inf = float("nan"), float("inf")
    rows = [
        (1, 0, 0.0, None, 1.0, None, 0.0, "a"),
        (2, 1, 1.0, nan, 1.0, None, 1.0, "b"),
        (3, 1, 2.0, 1.0, 1.0, None, 2.0, "c"),
        (4, 0, 3.0, 2.0, 1.0, None, inf, "d"),
        (5, 0, 4.0, 3.0, 1.0, nan, 4.0, "e"),
    ]
    schema = "id long, label int, x double, y double, same double, never double, far double"
    spark.createDataFrame(rows, f"{schema}, name string").write.format("delta").save(folder)
    return folder


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=[str(w) for w, _ in BAD])
def test_what_cannot_be_is_refused(spark, bad, recipe, wrong, message):
    options = {"method": "enn", "by": ["label"], "features": ["x"], **wrong}
    frames = Frames(recipe(keyed(bad), prune=[options]), spark)
    with pytest.raises(RecipeError, match=message), said_for_users("prune"):
        check_columns(frames)
        pruned(frames, frames.branches, lambda _, found: found.collect())


@pytest.mark.parametrize(
    "wrong",
    [
        {"sampling_strategy": "minority"},
        {"n_neighbors": 0},
        {"kind_sel": "most"},
        {"features": []},
        {"by": []},
        {"max_rows": 0},
        {"seed": 1},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        EditedNearestNeighbours(**{"method": "enn", "by": ["a"], "features": ["x"], **wrong})
