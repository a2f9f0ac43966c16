"""Which row of a cluster stays, for every reason, and what reasons are refused."""

import datetime as dt
import decimal
import math

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import hash128
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.prune.exact import Exact, exact
from lakebalance.prune.keep import Keep
from lakebalance.prune.rank import Ranking, check_keep
from lakebalance.recipe.load import loads
from neighbourly import keyed

SCHEMA = (
    "id long, c int, n long, x double, d decimal(10,2), t string, b boolean, day date, "
    "at timestamp, wall timestamp_ntz, raw binary, list array<int>, m map<string,int>"
)
DAY, NAN = dt.date(2024, 5, 1), math.nan
AT = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
WALL = dt.datetime(2024, 3, 31, 2, 30)  # an hour that no clock of central Europe shows
MICRO = dt.timedelta(microseconds=1)


def row(id_, c, n=None, x=None, d=None, t=None, b=None, day=None, at=None, wall=None, raw=None,
        items=None, m=None):  # fmt: skip
    d = None if d is None else decimal.Decimal(d)
    return (id_, c, n, x, d, t, b, day, at, wall, raw, items, m)


ROWS = [
    row(1, 0, -(2**63), NAN, "1.50", "a", False, DAY, AT, WALL, b"a", [1], {"k": 1}),
    row(2, 0, 2**63 - 1, 1.0, "-2.25", "ab", True, None, AT + MICRO, WALL + MICRO, b"a\xff", []),
    row(3, 0, None, -1.0, "1.51", "", None, dt.date(1, 1, 1), None, None, b"", None),
    row(4, 1, 5, None, None, None),
    row(5, 1, 5, NAN, None, "   ", raw=b""),
    row(6, 1, 5, math.inf, None, "𝔘𝔫𝔦 é", b=True),
    row(7, 1, 5, -0.0, None, "Uni\u0301 ee", b=True),
]
# Of cluster 0 and of cluster 1 the id that stays.
STAYS = {
    "first_by": {"n": (1, None), "x": (3, 7), "t": (3, 5), "day": (3, None), "at": (1, None)},
    "last_by": {"n": (2, None), "x": (2, 6), "d": (3, None), "t": (2, 6),
                "day": (1, None), "at": (2, None), "wall": (2, None), "raw": (2, 5)},
    "highest": {"n": (2, None), "x": (2, 6), "d": (3, None)},
    "longest": {"t": (2, 7)},
}  # fmt: skip


@pytest.fixture(scope="module")
def df(spark):
    made = spark.createDataFrame(ROWS, SCHEMA)
    names = F.concat(F.lit("s"), F.col("id") % 3).alias(SOURCE)
    return made.select("*", hash128(made, ["id"], "key", "s").alias(KEY), names)


def stay(df, keeps):
    """Of each cluster the id that stays, for each of several reasons, in one job."""
    ranks = [Ranking(df, keep, "prune.0.keep", ["t"]).column for keep in keeps]
    with_ranks = df.select("c", "id", KEY, *[rank.alias(f"r{i}") for i, rank in enumerate(ranks)])
    kept = with_ranks.groupBy("c").agg(*[F.min(f"r{i}").alias(f"r{i}") for i in range(len(keeps))])
    ids = {r[KEY]: r["id"] for r in with_ranks.select("id", KEY).collect()}
    rows = {r["c"]: r for r in kept.collect()}
    return [tuple(ids[rows[c][f"r{i}"][KEY]] for c in sorted(rows)) for i in range(len(keeps))]


def test_the_row_that_each_reason_names_stays_and_ties_go_on(df):
    asked = [(Keep(**{name: of}), ids) for name, by in STAYS.items() for of, ids in by.items()]
    asked += [
        # 7 and 6 are as complete, and so are most of a cluster's; the next reason tells them apart.
        ([Keep(most_complete=["x", "b"]), Keep(last_by="id")], (2, 7)),
        ([Keep(most_complete=True), Keep(first_by="id")], (1, 6)),
        ([Keep(most_complete=["t", "list"]), Keep(first_by="id")], (1, 6)),
        (Keep(longest=True), (2, 7)),
        ([Keep(first_by="c"), Keep(longest=["t", "t"])], (2, 7)),
        (Keep(first_by=["b", "id"]), (1, 6)),
        (Keep(last_by=["b", "id"]), (2, 7)),
        ([Keep(sources=["s2", "s0"]), Keep(highest="id")], (2, 5)),
        ([Keep(sources=["s0"]), Keep(highest="id")], (3, 6)),
        (Keep(first_by="list"), (2, None)),
    ]
    found = stay(df, [keep for keep, _ in asked])
    # None: all of them are equal, so that the smallest key hash stays, whichever that is.
    by_hash = stay(df, [None])[0]
    for (keep, wanted), ids in zip(asked, found, strict=True):
        assert ids == tuple(w or h for w, h in zip(wanted, by_hash, strict=True)), keep


def dropped(df, method, options, **more):
    """For each id that is dropped the one that stays, and its match."""
    found = method(df, options, "prune.0", **more)
    ids = {r[KEY]: r["id"] for r in df.select("id", KEY).collect()}
    return {ids[r["dropped"]]: (ids[r["kept"]], r) for r in found.collect()}


def test_of_equal_copies_the_row_of_a_group_that_is_short_stays(spark):
    # "many" has the most rows but says the same all the time; "few" has the most to say.
    said = [("many", "word one")] * 6 + [("few", f"word {w}") for w in ("one", "two", "three")]
    said += [(None, "word two"), (None, "word four")]
    rows = [(i, group, text) for i, (group, text) in enumerate(said)]
    df = spark.createDataFrame(rows, "id long, `g.g` string, text string").repartition(3)
    df = df.select("*", hash128(df, ["id"], "key", "s").alias(KEY))
    keep = [{"short_of": ["g.g"]}, {"first_by": "id"}]
    compared = {"columns": ["text"], "keep": keep}
    stays = {6: 0, 7: 9} | dict.fromkeys(range(1, 6), 0)
    found = dropped(df, exact, Exact(method="exact", **compared))
    assert {i: kept for i, (kept, _) in found.items()} == stays
    assert found[6][1]["members"] == 7 and found[7][1]["members"] == 2
    assert {i: m["stayed_by"] for i, (_, m) in found.items() if i in (1, 6, 7)} == {
        1: "first_by: id",
        6: "short_of: g.g",
        7: "short_of: g.g",
    }


@pytest.mark.slow
def test_explain_says_why_a_row_stayed_and_short_of_takes_columns_of_rules(spark, table, recipe):
    rows = [
        *[(0, "a b c", 5.0, "x"), (1, "a b c", 7.5, "x"), (2, "a  b c", 9.0, "y")],
        *[(3, "d", 0.5, "y"), (4, "d", 7.0, "y"), (5, "e", 0.1, "y"), (6, "f", 0.2, "y")],
    ]
    schema = "id long, text string, v double, label string"
    one, two = table("one", rows[:3], schema), table("two", rows[3:], schema)
    sources = [keyed(one) | {"name": "web"}, keyed(two) | {"name": "curated"}]
    keep = [{"sources": ["curated"]}, {"longest": True}, {"short_of": "balance"}]
    made = recipe(
        *sources,
        prune=[{"method": "minhash", "columns": ["text"], "keep": keep}],
        allocate={
            "balance": {"by": ["label", "high"], "method": "none"},
            "bins": {"high": {"of": "v", "edges": [6.0]}},
        },
    )
    assert lb.run(made, spark).rows == 4
    said = {d["row"]["id"]: d for d in lb.explain(made, spark, "id < 7")}
    assert [i for i in range(7) if said[i]["fate"] == "kept"] == [2, 4, 5, 6]
    assert said[0]["of_row"]["id"] == said[1]["of_row"]["id"] == 2
    assert said[0]["stayed_by"] == "longest: text" and said[0]["members"] == 3
    assert said[0]["kept_source"] == "web"
    # Of the rows labelled y, fewer say different things where v is high.
    assert said[3]["of_row"]["id"] == 4 and said[3]["stayed_by"] == "short_of: label, high"


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"highest": "t"}, r'keep.highest: column "t" is of type string; name a column of numbers'),
        ({"highest": "nn"}, r'keep.highest: no column "nn"; did you mean "n"'),
        ({"last_by": ["n", "m"]}, r'last_by: column "m" is of type map<string,int>, which cannot'),
        ({"last_by": "list"}, r'last_by: column "list" is of type array<int>, which cannot put'),
        ({"first_by": "m"}, r'first_by: column "m" is of type map<string,int>, which cannot put'),
        ({"longest": "n"}, r'longest: column "n" is of type bigint; name columns of text'),
        ({"most_complete": ["q"]}, r'keep.most_complete: no column "q"'),
        ({"short_of": ["q"]}, r'keep.short_of: no column "q"'),
        ({"short_of": "balance"}, r"keep.short_of: balance means the columns of a recipe's rules"),
    ],
)
def test_columns_that_put_nothing_in_order(df, keep, message):
    with pytest.raises(RecipeError, match=message):
        check_keep(df, Keep(**keep), "prune.0.keep", ["t"])


def test_no_text_is_compared_and_no_sources_are_there(df):
    with pytest.raises(RecipeError, match=r"keep.1.longest: no text is compared; name columns"):
        check_keep(df, [Keep(first_by="n"), Keep(longest=True)], "prune.0.keep", ["n"])
    with pytest.raises(RecipeError, match=r"keep.sources: the rows have no sources"):
        Ranking(df.drop(SOURCE), Keep(sources=["s"]), "prune.0.keep")
    check_keep(df.drop(SOURCE), Keep(sources=["s"]), "prune.0.keep", [])


TEXT = """
name: n
sources: [{name: web, table: a/b}, {name: curated, table: a/c}]
prune: [{method: exact, keep: KEEP}]
allocate:
  balance: {by: [label, parts], method: none}
  clusters: {parts: {of: [x]}}
publish: {table: a/d}
"""


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("{sources: [curated, wep]}", r'prune.0.keep.sources: no source "wep"; did you mean "web"'),
        ("[{first_by: a}, {sources: [b]}]", r'prune.0.keep.1.sources: no source "b"; there are: c'),
        ("{sources: [web, web]}", r"r.yaml:4  prune.0.keep: sources has a name twice"),
        ("{first_by: a, highest: b}", r"r.yaml:4  prune.0.keep: write one of first_by, last_by"),
        ("{}", r"prune.0.keep: write one of first_by"),
        ("[]", r"prune.0.keep: List should have at least 1 item"),
        ("[{longest: true}, {higest: a}]", r'keep.1.higest: unknown field; did you mean "highest"'),
        ("{longest: 3}", r"prune.0.keep.longest: must be True or a valid string or a valid list; "
         r"there was 3"),
        ("first_by", r"prune.0.keep: must be a valid dictionary .*; there was 'first_by'"),
        ("{first_by: []}", r"keep.first_by: .*at least 1 item"),
        ("{short_of: [parts]}", r'short_of: the clusters "parts" are found in what pruning leaves'),
    ],
)  # fmt: skip
def test_reasons_that_a_recipe_cannot_have(keep, message):
    with pytest.raises(RecipeError, match=message):
        loads(TEXT.replace("KEEP", keep), "r.yaml", environ={})


def test_balance_must_have_columns():
    bare = TEXT.replace("KEEP", "{short_of: balance}")
    assert loads(bare).pruning[0].keep == [Keep(short_of=["label"])]
    with pytest.raises(RecipeError, match="short_of: allocate has no balance with columns in by"):
        loads(bare[: bare.index("allocate")] + "publish: {table: a/d}")


@pytest.mark.parametrize(
    "keep", ["{first_by: a}", "[{sources: [web]}, {longest: text}, {most_complete: [a, b]}]"]
)
def test_reasons_survive_being_written_again(keep):
    recipe = loads(TEXT.replace("KEEP", keep))
    again = loads(recipe.to_yaml())
    assert again == recipe and again.hash == recipe.hash
