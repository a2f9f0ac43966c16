"""SMOTE for categories alone: distances, neighbours and votes, against imbalanced-learn's own."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.places import Places
from lakebalance.core.registry import methods
from lakebalance.sample.children import Parents, commonest
from lakebalance.sample.combinations import nearest_rows
from lakebalance.sample.smoten import voted
from lakebalance.sample.thresholds import GROUP, Share, Threshold
from lakebalance.sample.value_tables import ValueTable, from_state, to_state

TO_MAX = {"balance": {"by": ["label"], "method": "to_max"}}
SMOTEN = {"method": "smoten", "categorical": ["colour", "size", "flag", "day"]}
K = 5


def drawn(seed, groups, values):
    """Codes whose frequencies differ from group to group, and the groups."""
    chance = np.random.default_rng(seed)
    codes = [
        chance.choice(n, p=chance.dirichlet(np.ones(n)), size=rows)
        for rows in groups
        for n in values
    ]
    blocks = [
        np.column_stack(codes[i : i + len(values)]) for i in range(0, len(codes), len(values))
    ]
    return np.vstack(blocks), np.repeat(np.arange(len(groups)), groups)


def tables_of(codes, labels):
    """The counts of values by group, as Spark would count them."""
    tables = []
    for i, column in enumerate(codes.T):
        counts = np.zeros((column.max() + 1, labels.max() + 1), dtype=np.int64)
        np.add.at(counts, (column, labels), 1)
        tables.append(ValueTable(f"c{i}", [f"{v:03d}" for v in range(len(counts))], counts))
    return tables


def options(**more):
    return methods("sample")["smoten"].options(**{**SMOTEN, "k_neighbors": K, **more})


def test_values_are_as_far_apart_as_in_imbalanced_learn():
    pairwise = pytest.importorskip("imblearn.metrics.pairwise")
    codes, labels = drawn(1, [400, 150, 30], [3, 7, 40, 1])
    known = pairwise.ValueDifferenceMetric(n_categories=codes.max(axis=0) + 1).fit(codes, labels)
    tables = tables_of(codes, labels)
    for i, (table, column) in enumerate(zip(tables, codes.T, strict=True)):
        # The others stay at a value of their own, from which it is nowhere.
        alone = np.zeros((len(table.texts), codes.shape[1]), dtype=int)
        alone[:, i] = np.arange(len(table.texts))
        found = table.distances(np.arange(len(table.texts)))
        present = np.unique(column)
        expected = known.pairwise(alone)[np.ix_(present, present)]
        np.testing.assert_allclose(found[np.ix_(present, present)], expected, atol=1e-11)
        assert (found == found.T).all() and not found.diagonal().any()
    state = to_state(tables, [5, 7, 9])
    assert [t.counts.tolist() for t in from_state(state)] == [t.counts.tolist() for t in tables]


@pytest.mark.parametrize(
    ("values", "rows", "k"),
    [([2, 2], 700, 5), ([30, 40, 2, 3], 3000, 5), ([9, 9, 9, 9, 9], 9500, 9), ([1], 4, 3)],
)
def test_the_nearest_rows_are_those_that_measuring_all_finds(values, rows, k):
    codes, labels = drawn(2, [rows, rows // 2], values)
    own = codes[labels == 0]
    apart = [table.distances(np.arange(len(table.texts))) for table in tables_of(codes, labels)]
    # Some values are in no row here, but in the table they are.
    apart = [np.nan_to_num(each) for each in apart]
    asked = np.arange(0, len(own), max(len(own) // 300, 1))
    near, far = nearest_rows(own, apart, asked, k)
    place = np.arange(len(own))
    for row, i in enumerate(asked):
        to_all = sum(each[own[i, c], own[:, c]] for c, each in enumerate(apart))
        to_all[i] = np.inf
        expected = np.lexsort((place, to_all))[:k]
        assert near[row].tolist() == expected.tolist()
        assert far[row].tolist() == to_all[expected].tolist()


def test_children_have_the_values_that_imbalanced_learn_gives_them():
    known = pytest.importorskip("imblearn.over_sampling")
    codes, labels = drawn(4, [400, 60], [9, 11, 8, 7])
    _, first = np.unique(np.column_stack([labels, codes]), axis=0, return_index=True)
    codes, labels = codes[np.sort(first)], labels[np.sort(first)]
    own = codes[labels == 1]
    tables = tables_of(codes, labels)
    texts = [pa.array([t.texts[v] for v in c]) for t, c in zip(tables, own.T, strict=True)]
    copies = np.full(len(own), 2)
    parents = Parents(
        Places([]), np.empty((len(own), 0)), np.arange(len(own)), copies, texts, texts
    )
    made = voted(parents, options(categorical=["a", "b", "c", "d"]), tables)
    assert made.parents.shape == (2 * len(own), K + 1)
    children = list(zip(*[values.to_pylist() for values in made.categories], strict=True))
    assert children[::2] == children[1::2]

    apart = [table.distances(np.arange(len(table.texts))) for table in tables]
    far = sum(a[np.ix_(c, c)] for a, c in zip(apart, own.T, strict=True))
    ranked = np.sort(far, axis=1)
    assert (ranked[:, K + 1] - ranked[:, K] > 1e-9).all()  # no ties at the last neighbour
    model = known.SMOTEN(k_neighbors=K, random_state=0, sampling_strategy={0: 2000, 1: 3000})
    named = np.array([[t.texts[v] for t, v in zip(tables, row, strict=True)] for row in codes])
    named, labels_out = model.fit_resample(named.astype(object), labels)
    theirs = named[len(codes) :][labels_out[len(codes) :] == 1]
    assert {tuple(row) for row in theirs} == set(children)
    assert len(set(children)) > 10


def test_the_least_of_the_commonest_values_wins_and_null_comes_last():
    values = pa.array([None, "b", "a", None, "b", "a"])
    voters = np.array([[0, 1, 2], [0, 3, 1], [1, 2, 0], [4, 1, 5], [0, 1, 4]])
    assert commonest(values, voters).to_pylist() == ["a", None, "a", "b", "b"]
    numbers = pa.array([10, 9, 10, 9])
    assert commonest(numbers, np.array([[0, 1, 2, 3]])).to_pylist() == [9]


def test_equal_rows_vote_each_and_ties_go_by_key():
    """Of twelve equal rows each has the first five others for neighbours."""
    codes, labels = np.repeat([[0], [1], [0]], [12, 2, 9], axis=0), np.repeat([0, 1], [14, 9])
    texts = pa.array(["a"] * 12 + ["b"] * 2)
    copies = np.array([1] + [0] * 12 + [1])
    parents = Parents(Places([]), np.empty((14, 0)), np.arange(14), copies, [texts], [texts])
    table = tables_of(codes, labels)[0]
    made = voted(parents, options(), [ValueTable("c", ["a", "b"], table.counts)])
    assert made.parents.tolist() == [[0, 1, 2, 3, 4, 5], [13, 12, 0, 1, 2, 3]]
    assert made.categories[0].to_pylist() == ["a", "a"]


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_fewer_rows_than_neighbours_vote_as_many_as_there_are(rows):
    texts = pa.array(["a", "b", "b", "b"][:rows])
    table = ValueTable("c", ["a", "b"], np.array([[1, 5], [3, 2]]))
    copies = np.array([3, 0, 0, 0][:rows])
    parents = Parents(Places([]), np.empty((rows, 0)), np.arange(rows), copies, [texts], [texts])
    made = voted(parents, options(fewer="reduce"), [table])
    assert made.parents.tolist() == [list(range(rows))] * 3
    assert made.categories[0].to_pylist() == ["b" if rows == 4 else "a"] * 3


@pytest.fixture(scope="module")
def rows():
    """Rows with text, whole numbers, truth and days as categories, some of them null."""
    codes, labels = drawn(9, [240, 30], [6, 9, 2, 5])
    colours = ["red", "green", None, "blue", "black", "white"]
    return [
        (
            i,
            "many" if label == 0 else "rare",
            colours[colour],
            int(size) + 7,
            bool(flag),
            dt.date(2024, 2, 27) + dt.timedelta(days=int(day)),
            float(i),
        )
        for i, (label, (colour, size, flag, day)) in enumerate(zip(labels, codes, strict=True))
    ]


SCHEMA = "id long, label string, colour string, size int, flag boolean, day date, x double"
NAMES = [column.split()[0] for column in SCHEMA.split(", ")]
OF_COLUMNS = [(n, k.replace("long", "bigint")) for n, k in map(str.split, SCHEMA.split(", "))]


@pytest.fixture(scope="module")
def source(spark, rows, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("smoten") / "source")
    spark.createDataFrame(rows, SCHEMA).write.format("delta").save(path)
    return {"name": "s", "table": path, "key": ["id"]}


def expected_children(rows, keys):
    """By measuring all rows: who votes about the children of each rare row, and their values."""
    pairwise = pytest.importorskip("imblearn.metrics.pairwise")
    columns = list(zip(*[row[2:6] for row in rows], strict=True))
    ranks = [sorted(set(c), key=lambda v: (v is None, v)) for c in columns]
    codes = np.array([[r.index(v) for r, v in zip(ranks, row[2:6], strict=True)] for row in rows])
    labels = np.array([row[1] for row in rows])
    metric = pairwise.ValueDifferenceMetric(n_categories=[len(r) for r in ranks]).fit(codes, labels)
    own = np.flatnonzero(labels == "rare")
    far = np.round(metric.pairwise(codes[own]), 9)
    text = {row["id"]: key for key, row in keys.items()}
    signed = [int(text[rows[i][0]][:16], 16) for i in own]
    order = np.array([h - 2**64 if h >= 2**63 else h for h in signed], dtype=np.int64)
    found = {}
    for row, i in enumerate(own):
        others = np.where(np.arange(len(own)) == row, np.inf, far[row])
        voters = [i, *own[np.lexsort((order, others))[:K]]]
        values = [ranks[c][np.bincount(codes[voters, c]).argmax()] for c in range(codes.shape[1])]
        found[rows[i][0]] = [rows[v][0] for v in voters], values
    return found


@pytest.mark.slow
def test_a_run_makes_what_the_votes_say(spark, source, recipe, rows, by_key, tmp_path):
    asked = recipe(source, allocate=TO_MAX, sample={**SMOTEN, "blank": ["x"]})
    result = lb.run(asked, spark)
    assert [p["found"] for p in result.published] == [240, 240]
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert output.dtypes == [*OF_COLUMNS, ("lb_parents", "array<string>")]
    originals, made = [], []
    for row in output.collect():
        (originals if row["lb_parents"] is None else made).append(row)
    assert sorted(str(tuple(row)[:-1]) for row in originals) == sorted(map(str, rows))
    assert len(made) == 210
    keys = by_key(source["table"])
    expected = expected_children(rows, keys)
    for row in made:
        voters, values = expected[row["id"]]
        assert [keys[text]["id"] for text in row["lb_parents"]] == voters
        assert [row["colour"], row["size"], row["flag"], row["day"], row["x"]] == [*values, None]
    lines = {line[0]: line[1] for line in result.plan.diagnostics[-1]["rows"]}
    assert lines == {"colour": 6, "size": 9, "flag": 2, "day": 5}
    [fate] = lb.explain(asked, spark, "id = 250")
    assert (fate["fate"], fate["copies"], fate["children"]) == ("kept", 1, 7)


def test_the_same_rows_however_the_source_lies(framed, rows):
    method, asked = methods("sample")["smoten"], options()
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    columns |= {name: pa.array(columns[name]) for name in ("colour", "day")}
    shares = {g: Share(n, 300, Threshold(300 // n, 0)) for g, n in ((0, 240), (1, 30))}
    found = []
    for partitions, order in ((1, 1), (5, -1)):
        data = {name: values[::order] for name, values in columns.items()}
        group = F.when(F.col("label") == "rare", 1).otherwise(0).cast("bigint")
        frames = [framed(data, partitions).withColumn(GROUP, group)]
        state = method.prepare(frames, shares, asked).state
        made = method.function(frames, shares, asked, state).where("lb_parents is not null")
        found.append((state, sorted(map(str, made.collect()))))
    assert found[0] == found[1]
    assert len(found[0][1]) > 300


def test_rows_that_are_held_out_count_for_nothing(spark, source, recipe):
    split = {"by": ["id"], "shares": {"test": 0.4}}
    plan = lb.plan(recipe(source, allocate=TO_MAX, sample=SMOTEN, split=split), spark)
    available = {group.id: group.available for group in plan.groups}
    assert 100 < sum(available.values()) < 230
    for column in plan.prepared["columns"]:
        totals = np.sum(column["rows"], axis=0).tolist()
        assert dict(zip(plan.prepared["groups"], totals, strict=True)) == available


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"categorical": ["color"]},
            'sample.categorical: no column "color"; did you mean "colour"',
        ),
        ({"categorical": ["label"]}, r'"label" is in allocate\.balance\.by already'),
        ({"k_neighbors": 30}, r'group "s/rare" has 30 rows .* need 31; .*fewer: reduce'),
        ({"max_cells": 180}, r'"size" has 9 different values; .*sample\.max_cells: 190 '),
        ({"max_cells": 10}, r'"size" has 9 different values; .*sample\.max_cells: 190 '),
        ({"max_group_rows": 29}, r'group "s/rare" has 30 rows .* at most 29'),
    ],
)
def test_what_cannot_be_is_said_by_plan(spark, source, recipe, changes, message):
    with pytest.raises(RecipeError, match=message):
        lb.plan(recipe(source, allocate=TO_MAX, sample={**SMOTEN, **changes}), spark)


def test_one_group_alone_has_no_distances(spark, source, recipe):
    allocate = {"mix": {"method": "equal"}, "rows": 400}
    with pytest.raises(RecipeError, match=r"there is one group only; write allocate\.balance\.by"):
        lb.plan(recipe(source, allocate=allocate, sample=SMOTEN), spark)


def test_features_are_refused():
    with pytest.raises(ValidationError, match=r"smoten takes no features.*method: smote_nc"):
        options(features=["x"])
