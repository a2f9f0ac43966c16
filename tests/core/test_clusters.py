"""Classes divided into parts of rows that lie together."""

import datetime as dt
import json
import math
import random
from collections import Counter

import pytest
from pydantic import ValidationError
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.clusters import Clusters, find_clusters
from lakebalance.core.errors import RecipeError
from lakebalance.recipe.made_groups import Cluster

chance = random.Random(5)
DAY = dt.date(2024, 1, 1)
FLIGHTS = [
    (i, "UA" if i < 900 else "B6" if i < 1250 else "HA", float(int(chance.lognormvariate(2, 1))),
     chance.gauss(0, 1), DAY + dt.timedelta(chance.randrange(365)))
    for i in range(1310)
]  # fmt: skip
SCHEMA = "id long, `The Carrier` string, `dep.delay x` double, Y float, day date"


def spec(*of, **parts):
    return Cluster(of=list(of), **parts)


def counted(df, found, *by):
    rows = df.groupBy(*[f"`{name}`" for name in by], found.group(df).alias("part")).count()
    return {tuple(row)[:-1]: row["count"] for row in rows.collect()}


@pytest.fixture(scope="module")
def flights(spark):
    return spark.createDataFrame(FLIGHTS, SCHEMA)


@pytest.fixture(scope="module")
def found(flights):
    two = [flights.where("id % 3 = 0"), flights.where("id % 3 > 0")]
    asked = spec("dep.delay x", "Y", "day", floor=70)
    return find_clusters(two, "part", asked, ["The Carrier"], "p")


def test_parts_keep_the_bound_and_a_row_knows_its_own(flights, found):
    assert [(c.name, c.rows, len(c.sizes), c.most) for c in found.classes] == [
        ("B6", 350, 5, 77), ("UA", 900, 13, 77),
    ]  # fmt: skip
    assert all(53 <= n <= c.most for c in found.classes for n in c.sizes)
    expected = {(c.name, f"{i:02}"): n for c in found.classes for i, n in enumerate(c.sizes, 1)}
    assert counted(flights, found, "The Carrier") == {("HA", "all"): 60, **expected}
    assert found.diagnostic.rows[1][:3] == ["UA", 900, 13]


def test_parts_are_the_same_however_rows_lie_and_after_json(flights, found):
    asked = spec("dep.delay x", "Y", "day", floor=70)
    moved = flights.orderBy(F.col("id").desc()).repartition(5)
    assert find_clusters([moved], "part", asked, ["The Carrier"], "p") == found
    assert Clusters.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_blobs_of_embeddings_are_not_mixed_though_most_elements_are_noise(spark):
    def row(i):
        blob = i % 2
        e = [chance.gauss(9 * blob if j == 13 else 0, 1) for j in range(20)]
        return i, "a" if i < 300 else "b", e, float(blob)

    df = spark.createDataFrame(
        [row(i) for i in range(450)], "id int, c string, e array<float>, b double"
    )
    found = find_clusters([df], "part", spec("e", floor=150), ["c"], "p")
    assert counted(df, found, "c", "b") == {
        ("a", 0.0, "1"): 150, ("a", 1.0, "2"): 150, ("b", 0.0, "all"): 75, ("b", 1.0, "all"): 75,
    }  # fmt: skip
    strange = [(1, "a", None, 0.0), (2, "a", [1.0] * 19, 0.0), (3, "b", [math.nan] * 20, 0.0)]
    others = spark.createDataFrame(strange, df.schema)
    assert counted(others, found, "c") == {("a", None): 2, ("b", None): 1}


def test_rows_without_a_place_are_refused_or_a_part_of_their_own(spark):
    rows = [("a" if i < 30 else None, float(i) if i % 10 else math.nan) for i in range(40)]
    df = spark.createDataFrame([*rows, ("a", None)], "c string, x double")
    with pytest.raises(RecipeError, match=r'p.of: column "x" is null or NaN in 5 of 41 rows; '
                                          r"write p.nulls: own_part"):  # fmt: skip
        find_clusters([df], "part", spec("x"), ["c"], "p")
    found = find_clusters([df], "part", spec("x", floor=1, nulls="own_part"), ["c"], "p")
    assert counted(df, found, "c") == {
        ("a", "1"): 9, ("a", "2"): 9, ("a", "3"): 9, ("a", None): 4, (None, "all"): 9,
        (None, None): 1,
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"infinite, or over 1e[+]300, in 1 of 1 rows"):
        far = df.limit(1).withColumn("x", F.lit(-math.inf))
        find_clusters([far], "part", spec("x"), ["c"], "p")


def test_what_cannot_be_divided_is_refused(spark, flights):
    arrays = flights.withColumn("e", F.array_repeat("Y", F.col("id").cast("int") % 2 + 1))
    for of, more, message in [
        (["they"], {}, 'p.of: no column "they"'),
        (["The Carrier"], {}, "is string, which is no number, date or time; name numbers"),
        (["e"], {}, 'column "e" has arrays of 1 to 2 numbers; all must have as many'),
        (["Y"], {"floor": 1, "within": "id % 2"}, None),
        (["Y"], {"floor": 1, "within": "IF(id = 0, 0, 1)"}, "1,309 parts of about 1 rows, where "
         "1,000 is the most; the smallest class has 1 rows; write floor: 2 or more"),
    ]:  # fmt: skip
        df = arrays.withColumn("c", F.expr(more.pop("within", "`The Carrier`")))
        if message is None:
            assert find_clusters([df], "part", spec(*of, **more), ["c"], "p").classes == []
            continue
        with pytest.raises(RecipeError) as error:
            find_clusters([df], "part", spec(*of, **more), ["c"], "p")
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("by", "cluster", "message"),
    [
        (["c"], {}, "no rule has 'part' in by"),
        (["part"], {}, "by has no other column"),
        (["c", "part"], {"within": ["d"]}, "'d' is no column or bins in the `by`"),
        (["c", "part"], {"of": ["x", "x"]}, "'x' is there twice"),
        (["c", "part"], {"within": ["x"]}, "'x' is there twice"),
    ],
)
def test_a_recipe_says_which_classes_are_divided(recipe, by, cluster, message):
    allocate = {
        "clusters": {"part": {"of": ["x"], **cluster}},
        "balance": {"by": by, "method": "equal"},
    }
    with pytest.raises(ValidationError, match=message):
        recipe("t/x", allocate=allocate)


def test_the_classes_are_made_by_the_other_columns(recipe):
    allocate = {"clusters": {"part": {"of": ["x"]}, "bit": {"of": ["x"], "within": ["d"]}},
                "balance": {"by": ["c", "part"], "method": "equal"},
                "within": [{"by": ["d", "bit"], "method": "equal"}]}  # fmt: skip
    asked = recipe("t/x", allocate=allocate)
    assert (asked.within("part"), asked.within("bit")) == (["c", "d"], ["d"])


@pytest.fixture
def divided(recipe, tmp_path):
    """A recipe that balances parts of classes; rows of an id from 900 on are held out."""

    def make(path, **parts):
        allocate = {
            "bins": {"late": {"of": "x", "edges": [1000]}},
            "clusters": {"The part": {"of": ["x", "y.z"], "floor": 110, "within": ["c"]}},
            "balance": {"by": ["c"], "method": "equal"},
            "within": [{"by": ["The part", "late"], "method": "equal"}],
            "rows": 300,
        }
        source = {"name": "s", "table": path, "key": ["id"]}
        return recipe(source, **{"allocate": allocate, "split": {"done": True}, **parts})

    return make


@pytest.mark.slow
def test_parts_are_balanced_published_and_explained_and_held_out_rows_decide_nothing(
    spark, table, divided, tmp_path
):
    rows = [
        (i, "a" if i < 500 else "tied" if i < 840 else "b", float(i % 97), i * 0.5, i)
        if not 500 <= i < 700
        else (i, "tied", 0.0, 0.0, i)
        for i in range(900)
    ]
    late = [(i, "a", None if i % 2 else 1e9, 1.0, i) for i in range(900, 940)]
    twice = [(-i, *rows[i][1:]) for i in range(400, 440)]
    schema = "id long, c string, x double, `y.z` double, n int"
    asked = divided(
        table("all", [*rows, *late, *twice], schema),
        split={"time": "id", "starts": {"test": 900}},
        prune=[{"method": "exact", "columns": ["n"]}],
    )
    result = lb.run(asked, spark)
    [found] = result.plan.clusters
    training = spark.createDataFrame(rows, schema)
    specs = asked.allocate.clusters["The part"]
    assert found == find_clusters([training], "The part", specs, ["c"], "p")
    parts = {c.name: c for c in found.classes}
    assert len(parts["a"].sizes) == 5 and max(parts["a"].sizes) <= parts["a"].most == 110
    assert parts["tied"].sizes.count(max(parts["tied"].sizes)) == 1
    [warning] = [w for w in result.plan.warnings if w["code"] == "cluster_too_full"]
    assert "tied (" in warning["message"] and "x, y.z" in warning["message"]
    assert [p["found"] for p in result.published] == [p["planned"] for p in result.published]
    of_a = [p["found"] for p in result.published if p["group"]["c"] == "a"]
    assert of_a == [20] * 5
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert output.columns == ["id", "c", "x", "y.z", "n"]
    again = lb.run(asked, spark)
    assert again.repeated and again.plan.clusters == result.plan.clusters
    df = spark.read.format("delta").load(str(tmp_path / "all")).where("id in (7, 777, 890, 901)")
    expected = {
        r["id"]: r["part"] for r in df.select("id", found.group(df).alias("part")).collect()
    }
    fates = {f["row"]["id"]: f for f in lb.explain(asked, spark, "id in (7, 777, 890, 901)")}
    assert {i: f["group"]["The part"] for i, f in fates.items()} == expected
    assert expected[890] == "all" and expected[901] is None and fates[901]["fate"] == "held out"
    assert Counter(d["title"] for d in result.plan.diagnostics)["Parts of classes: The part"] == 1
