"""Near-duplicate records as recipes drop them; all pairs, one by one, say what is to be found."""

import datetime as dt
import math
import random
import unicodedata
from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import functions as F
from rapidfuzz.distance import JaroWinkler, Levenshtein

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.core.record_pairs import Within
from lakebalance.core.record_similarity import gap
from lakebalance.prune import block_pairs
from lakebalance.prune.block_keys import band
from lakebalance.prune.record_columns import Columns
from lakebalance.prune.record_fields import comparisons
from lakebalance.prune.records import Records, check_columns, records
from lakebalance.recipe.load import loads
from neighbourly import keyed, with_keys

DAY = dt.timedelta(days=1)
COLUMNS = [
    *("id long", "`Full Name` string", "`a.b` string", "tags array<string>"),
    *("codes array<double>", "price double", "cost decimal(20,4)", "seen timestamp"),
    *("`on` date", "wall timestamp_ntz", "place struct<x: double, tags: map<string,int>>"),
    "area int",
]
SCHEMA = ", ".join(COLUMNS)
FIELDS = {
    "Full Name": {"compare": "text", "weight": 2},
    "a.b": {"compare": "text", "measure": "levenshtein", "weight": 0.5},
    "tags": {"compare": "set"},
    "codes": {"compare": "set", "weight": 0.7},
    "price": {"compare": "numeric", "tolerance": 0.05, "relative": True},
    "cost": {"compare": "numeric", "tolerance": 2.5},
    "seen": {"compare": "numeric", "tolerance": "36 hours", "weight": 0.4},
    "on": {"compare": "numeric", "tolerance": "3 days", "weight": 0.4},
    "wall": {"compare": "numeric", "tolerance": "90 seconds", "weight": 0.4},
    "place": {"compare": "exact", "weight": 0.3},
}
BLOCK_ON = [
    ["area", {"of": "Full Name", "prefix": 2}],
    [{"of": "tags", "jaccard": 0.6}],
    [{"of": "price", "within": 0.02, "relative": True}, {"of": "on", "within": "2 days"}],
    ["place", {"of": "cost", "within": 1.5}],
    [{"of": "a.b", "jaccard": 0.5}, "area"],
]
OPTIONS = {"method": "records", "block_on": BLOCK_ON, "fields": FIELDS, "threshold": 0.88}


def messy(count=240):
    """Records of a few families, each with something changed, or missing."""
    chance = random.Random(4)

    def typo(text):
        at = chance.randrange(len(text))
        return text[:at] + chance.choice(["", "x", text[at] * 2, text[at].upper()]) + text[at + 1 :]

    def family():
        return [
            " ".join(chance.choice(["Émile", "Anna", "Li", "Bob"]) for _ in range(2)),
            " ".join(chance.choice(["red", "old", "car", "big", "toy"]) for _ in range(4)),
            chance.sample(["a", "b", "C", "d d", "é", "f"], chance.randrange(1, 5)),
            [float(chance.randrange(4)) for _ in range(3)],
            round(chance.uniform(1, 3), 2),
            Decimal(chance.randrange(10**4)) / 1000,
            dt.datetime(2024, 3, 30, 12) + DAY * chance.randrange(4),
            dt.date(2024, 1, 1) + DAY * chance.randrange(6),
            dt.datetime(2024, 3, 31, 2, 30) + dt.timedelta(seconds=chance.randrange(100)),
            (float(chance.randrange(2)), {"k": chance.randrange(2), "j": 1}),
            chance.randrange(3),
        ]

    rows = []
    families = [family() for _ in range(count // 6)]
    for i in range(count):
        row = list(chance.choice(families))
        if chance.random() < 0.6:
            row[0] = typo(row[0])
        if chance.random() < 0.5:
            row[1] = typo(row[1])
        if chance.random() < 0.3:
            row[2] = [*row[2], chance.choice(["a", "B ", None, "z"])]
        row[4] *= chance.choice([1, 1, 1.01, 1.04])
        row[5] += chance.choice([0, 0, Decimal("0.0001"), 1])
        row[7] += DAY * chance.choice([0, 0, 1])
        for at in range(len(row)):
            if chance.random() < 0.06:
                row[at] = chance.choice([None, {0: "", 1: " ", 2: [], 3: [], 4: math.nan}.get(at)])
        rows.append((i, *row))
    odd = list(rows[0][1:])
    rows += [(count, *odd), (count + 1, *odd), (count + 2, *[None] * 11), (count + 3, *[None] * 11)]
    odd[3], odd[4], odd[9] = [-0.0, math.nan], -0.0, (-0.0, {"j": 1, "k": 0})
    rows.append((count + 4, *odd))
    odd[3], odd[4], odd[9] = [math.nan, 0.0, 0.0], 0.0, (0.0, {"k": 0, "j": 1})
    rows.append((count + 5, *odd))
    return rows


def frame(spark, rows, partitions=2):
    return with_keys(spark.createDataFrame(rows, SCHEMA).repartition(partitions))


def said(text):
    if text is None:
        return None
    return " ".join(unicodedata.normalize("NFKC", text).lower().split()) or None


def number(value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(value) if not isinstance(value, dt.date) else value


def member(value):
    if isinstance(value, str):
        return said(value)
    return None if value is None else "NaN" if math.isnan(value) else value + 0.0


def sets(value):
    if isinstance(value, str):
        return set((said(value) or "").split()) or None
    members = {m for v in value or [] if (m := member(v)) is not None}
    return members or None


def plain(value):
    if isinstance(value, tuple):
        return (value[0] + 0.0, tuple(sorted(value[1].items())))
    return said(value) if isinstance(value, str) else value


def apart(x, y, length, relative=False):
    """How many times ``length`` two values are apart."""
    if isinstance(length, str):
        count, unit = length.split()
        length, relative = dt.timedelta(**{unit: int(count)}), False
    if x == y:
        return 0.0
    return abs(x - y) / (max(abs(x), abs(y)) if relative else 1) / length


def similarity(one, other, options):
    """The similarity of two rows, and the share of the fields' weight that both have."""
    total = weight = 0.0
    for name, field in options.fields.items():
        read = {"text": said, "set": sets, "numeric": number, "exact": plain}[field.compare]
        x, y = read(one[name]), read(other[name])
        if x is None or y is None:
            continue
        if field.compare == "text":
            measure = Levenshtein if field.measure == "levenshtein" else JaroWinkler
            own = measure.normalized_similarity(x, y)
        elif field.compare == "set":
            own = len(x & y) / len(x | y)
        elif field.compare == "numeric":
            own = max(1 - apart(x, y, field.tolerance, field.relative), 0)
        else:
            own = float(x == y)
        total, weight = total + field.weight * own, weight + field.weight
    share = weight / sum(field.weight for field in options.fields.values())
    return (total / weight if weight else math.nan), share


def agree(one, other, rule):
    for part in rule:
        if isinstance(part, str):
            x, y = plain(one[part]), plain(other[part])
            same = x == y
        else:
            x, y = one[part.of], other[part.of]
            if part.prefix:
                x, y = (said(v) for v in (x, y))
                same = x is not None and y is not None and x[: part.prefix] == y[: part.prefix]
            elif part.jaccard:
                x, y = sets(x), sets(y)
                same = x and y and len(x & y) / len(x | y) >= part.jaccard
            else:
                x, y = number(x), number(y)
                known = x is not None and y is not None
                same = known and apart(x, y, part.within, part.relative) <= 1
        if x is None or y is None or not same:
            return False
    return True


def near_by_all_pairs(rows, options):
    """Each pair of near-duplicates, and its similarity."""
    found = {}
    for j, other in enumerate(rows):
        for i, one in enumerate(rows[:j]):
            mean, share = similarity(one, other, options)
            assert not abs(mean - options.threshold) < 1e-9, "too close for a test"
            enough = mean >= options.threshold and share >= options.min_weight - 1e-12
            if enough and any(agree(one, other, rule) for rule in options.block_on):
                found[i, j] = mean
    return found


def dropped(df, scratch=None, **options):
    """For each id that is dropped the id that is kept, the similarity, fields and the cluster."""
    found = records(df, Records(**{**OPTIONS, **options}), "prune.0", scratch)
    ids = {tuple(r["__lb_key"]): r["id"] for r in df.select("id", "__lb_key").collect()}
    rows = found.collect()
    assert all(r["rows"] == 1 and r["method"] == "records" for r in rows)
    return {ids[tuple(r["dropped"])]: (ids[tuple(r["kept"])], r["similarity"], r["fields"],
                                       r["cluster"]) for r in rows}  # fmt: skip


def clusters_of(pairs, count):
    least = list(range(count))

    def root(i):
        while least[i] != i:
            i = least[i]
        return i

    for i, j in pairs:
        least[max(root(i), root(j))] = min(root(i), root(j))
    return [root(i) for i in range(count)]


@pytest.fixture(scope="module")
def known():
    """The messy records by name, their pairs of near-duplicates, and what those are linked by."""
    rows = messy()
    names = [part.split("` " if "`" in part else " ")[0].strip("` ") for part in COLUMNS]
    by_name = [dict(zip(names, row, strict=True)) for row in rows]
    pairs = near_by_all_pairs(by_name, Records(**OPTIONS))
    return rows, by_name, pairs


@pytest.fixture
def scratch(spark, tmp_path):
    """Writes frames to files, and gives them back as another partitioning would have them."""
    written = []

    def write(df, name):
        written.append(name)
        df.repartition(3).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    write.names = written
    return write


def test_what_all_pairs_say(spark, known, scratch, monkeypatch):
    rows, by_name, pairs = known
    # Tiles of five records, and batches that cut them.
    monkeypatch.setattr(block_pairs, "tile_rows", lambda _: 5)
    setting = "spark.sql.execution.arrow.maxRecordsPerBatch"
    spark.conf.set(setting, 3)
    try:
        found = dropped(frame(spark, rows, 3), scratch, keep={"first_by": "id"})
    finally:
        spark.conf.unset(setting)
    root = clusters_of(pairs, len(rows))
    assert len(pairs) > 100 and 30 < len(set(root)) < len(rows) - 60
    # Ids are places, and the first of each cluster stays.
    wanted = {i: kept for i, kept in enumerate(root) if kept != i}
    assert {i: kept for i, (kept, *_) in found.items()} == wanted
    assert scratch.names == ["records", "blocks", "edges"]
    options = Records(**OPTIONS)
    for i, (kept, similar, fields, _) in found.items():
        whole = similarity(by_name[i], by_name[kept], options)[0]
        assert similar == pytest.approx(whole, abs=1e-9)
        if fields is not None:
            assert set(fields) == set(FIELDS)
            known_ones = {n: s for n, s in fields.items() if s is not None}
            weights = {name: FIELDS[name].get("weight", 1) for name in known_ones}
            mean = sum(weights[n] * s for n, s in known_ones.items()) / sum(weights.values())
            assert similar == pytest.approx(mean)
    copies = [i for i, (_, _, fields, _) in found.items() if fields is None]
    assert copies and all(found[i][1] == 1 for i in copies)


def test_numbers_that_agree_are_in_neighbouring_bands_on_one_side(spark):
    width, share = 0.1, 0.05
    values = {0.0, math.inf, -math.inf, 5e-324, 1.7e308, 1e16, 1e16 + 2, 2.0**53 * width}
    for i in (0, 1, 2, 7, 10**6, 10**15):
        for edge in (2 * width * i, width * i, (1 - share) ** i if i < 10**4 else 1.0):
            near = [edge, edge + width, edge * (1 - share), edge / (1 - share)]
            values |= {math.nextafter(n, to) for n in near for to in (n, -math.inf, math.inf)}
    numbers = sorted(values | {-value for value in values})
    parts = [Within("v0", width, False), Within("v0", share, True)]
    df = spark.createDataFrame([(number,) for number in numbers], "v0 double")
    bands = [F.struct(*band(F.col("v0"), part)).alias(f"b{i}") for i, part in enumerate(parts)]
    found = {row["v0"]: row[1:] for row in df.select("v0", *bands).collect()}
    pairs_seen = 0
    for i, part in enumerate(parts):
        for x in numbers:
            for y in numbers:
                if gap(np.array([x]), np.array([y]), part.relative)[0] <= part.width and x < y:
                    (side, at), (its, other) = found[x][i], found[y][i]
                    assert side == its and abs(at - other) <= 1, (x, y, part)
                    pairs_seen += 1
    assert pairs_seen > 100


def people(table, recipe):
    rows = [
        (1, "Anna Keller", "8001", 1980, 3), (2, "Ana Keller", "8001", 1980, 2),
        (3, "Anna Keller", "8001", None, 1), (4, "Anna Keller", "9000", 1980, 1),
        (5, None, "8001", 1980, 1), (6, None, None, None, 1), (7, None, None, None, 1),
        (8, "Ana Kellner", "8001", None, 0),
    ]  # fmt: skip
    path = table("s", rows, "id long, name string, `zip code` string, born int, score int")
    step = {
        "method": "records",
        "block_on": [["zip code"]],
        "fields": {
            "name": {"compare": "text", "measure": "levenshtein", "weight": 2},
            "born": {"compare": "numeric", "tolerance": 2},
        },
        "link": "neighbours",
        "keep": {"highest": "score"},
    }
    return recipe(keyed(path), prune=[step])


@pytest.mark.slow
def test_a_run_says_how_similar_fields_are(spark, table, recipe):
    made = people(table, recipe)
    result = lb.run(made, spark)
    assert result.rows == 6 and result.plan.pruned[0]["dropped"] == 2
    said = {row["row"]["id"]: row for row in lb.explain(made, spark, "id < 9")}
    # A row without a name has too little to be compared; without a postcode it is not looked up;
    # the last one is near a row that goes, and near none that stays.
    fates = [said[i]["fate"] for i in range(1, 9)]
    assert fates == ["kept", *["near-duplicate"] * 2, *["kept"] * 5]
    names = 1 - 1 / len("anna keller")
    assert said[2]["of_row"]["id"] == said[3]["of_row"]["id"] == 1
    assert said[2]["fields"] == {"name": pytest.approx(names), "born": 1}
    assert said[2]["similarity"] == pytest.approx((2 * names + 1) / 3)
    assert said[3]["fields"] == {"name": 1, "born": None} and said[3]["similarity"] == 1
    assert said[2]["stayed_by"] == "highest: score" and said[2]["members"] == 3


def test_a_block_that_is_too_large_is_refused_and_copies_do_not_count(spark):
    rows = [(i, "aa" if i < 50 else f"a{i}", i // 50, 7.0) for i in range(54)]
    df = with_keys(spark.createDataFrame(rows, "id long, `a name` string, t int, x double"))
    fields = {"a name": {"compare": "text"}}
    options = {"block_on": [["t", "x"], [{"of": "x", "within": 1}]], "fields": fields}
    found = dropped(df, **options, max_block=5)
    assert sum(kept < 50 for kept, *_ in found.values()) >= 49
    message = (
        r"prune.0.block_on.1: 5 different records are in one block of \[{of: x, within: 1.0}\], "
        r"that of x = '7.0'; at most 4 may be, as all pairs are compared: add a part to the rule "
        r".* or write a larger prune.0.max_block"
    )
    with pytest.raises(RecipeError, match=message):
        dropped(df, **options, max_block=4)


@pytest.mark.parametrize(
    ("field", "rule", "message"),
    [
        ("text", ["n"], 'prune.0: a value of column "text" has 10,001 characters, and 10,000 are'),
        ("n", [{"of": "text", "jaccard": 0.5}], '"text" has 10,001 members or words, and 10,000'),
    ],
)
def test_values_too_long_to_be_compared_pair_by_pair(spark, field, rule, message):
    said = "x" * 10_001 if field == "text" else " ".join(map(str, range(10_001)))
    df = with_keys(spark.createDataFrame([(1, 1, said)], "id int, n int, text string"))
    compare = "text" if field == "text" else "exact"
    options = {"block_on": [rule], "fields": {field: {"compare": compare}}}
    with pytest.raises(RecipeError, match=message):
        records(df, Records(method="records", **options), "prune.0")


@pytest.mark.slow
def test_a_million_copies(spark):
    same = spark.range(10**6).select("id", F.lit("Anna Keller").alias("name"))
    options = {"block_on": [["name"]], "fields": {"name": {"compare": "text"}}}
    found = records(with_keys(same), Records(method="records", **options), "prune.0")
    assert found.agg(F.sum("rows"), F.count_distinct("kept")).collect() == [(999_999, 1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_on": [["nam"]]}, 'prune.0.block_on.0.0: no column "nam"; did you mean "name"'),
        (
            {"block_on": [["n", {"of": "n", "prefix": 3}]]},
            r'block_on.0.1.of: column "n" is of type int; name a column of text for a prefix',
        ),
        (
            {"block_on": [[{"of": "name", "within": 3}]]},
            r'block_on.0.0.of: column "name" is string, which is no number, date or time; name the',
        ),
        (
            {"block_on": [[{"of": "n", "jaccard": 0.3}]]},
            r'block_on.0.0.of: column "n" is of type int; name a column of arrays, or of text',
        ),
        (
            {"block_on": [[{"of": "day", "within": 3}]]},
            r"block_on.0.0.within: the column is of type date; write a length of time such as 3 day"
            r"s instead of 3.0",
        ),
        ({"fields": {"m": {"compare": "exact"}}}, 'prune.0.fields.m: no column "m"'),
        (
            {"fields": {"n": {"compare": "text"}}},
            r'fields.n: column "n" is of type int; write compare: exact, or numeric',
        ),
        (
            {"fields": {"n": {"compare": "set"}}},
            r'fields.n: column "n" is of type int; name a column of arrays, or of text for its wor',
        ),
        (
            {"fields": {"name": {"compare": "numeric", "tolerance": 3}}},
            r'fields.name: column "name" is string, which is no number, date or time; write compar',
        ),
        (
            {"fields": {"n": {"compare": "numeric", "tolerance": "3 days"}}},
            r"fields.n.tolerance: the column is of type int; write a number instead of 3 days",
        ),
        ({"keep": {"first_by": "x"}}, r'prune.0.keep.first_by: no column "x"'),
    ],
)
def test_columns_that_cannot_be_compared(spark, options, message):
    df = with_keys(spark.createDataFrame([], "id long, name string, n int, day date"))
    given = {"block_on": [["name"]], "fields": {"name": {"compare": "text"}}, **options}
    with pytest.raises(RecipeError, match=message):
        check_columns(df, Records(method="records", **given), "prune.0")


def test_in_which_order_fields_are_written_does_not_matter(spark):
    df = spark.createDataFrame([], SCHEMA)
    made = []
    for order in (sorted(FIELDS), sorted(FIELDS, reverse=True)):
        options = Records(**{**OPTIONS, "fields": {name: FIELDS[name] for name in order}})
        columns = Columns(df, options.normalise.form)
        made.append((comparisons(columns, options.fields, "p"), list(columns.made)))
    assert made[0] == made[1]


RECIPE = """\
name: t
sources: [{name: a, table: x/a}]
prune:
  - {method: records, block_on: [[city]], fields: {name: {compare: text}}}
publish: {table: lake/out}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[city]]", "[]", r"r.yaml:4  prune.0.block_on: List should have at least 1 item"),
        ("[[city]]", "[[]]", r"prune.0.block_on.0: List should have at least 1 item"),
        ("[[city]]", "[city]", r"block_on.0: must be a valid list; .*'city'; write \[city\]"),
        ("[[city]]", "[[5]]", r"block_on.0.0: must be a valid string; there was 5"),
        ("[[city]]", "[[{of: c}]]", r"block_on.0.0: write one of prefix, within, jaccard; for eq"),
        ("[[city]]", "[[{of: c, prefx: 2}]]", r'block_on.0.0.prefx: unknown.* mean "prefix"'),
        ("[[city]]", "[[{of: c, prefix: 0}]]", r"block_on.0.0.prefix: must be greater than or eq"),
        ("[[city]]", "[[{of: c, prefix: 2, jaccard: 1}]]", r"block_on.0.0: write one of prefix"),
        ("[[city]]", "[[{of: c, prefix: 2, relative: true}]]", r"0.0: relative is for within"),
        ("[[city]]", "[[{of: c, within: 2, relative: true}]]", r"0.0: .*within is a share, 1e-09"),
        ("[[city]]", "[[{of: c, within: 3 moons}]]", r"0.0.within: must be a number above 0, or a"),
        (
            "[[city]]",
            "[[{of: c, jaccard: 0.5}, {of: d, jaccard: 0.5}]]",
            r"prune.0: a rule of block_on may have one part with jaccard",
        ),
        (
            "[city]",
            "[{of: a, within: 1}, {of: b, within: 1}, {of: c, within: 1}, {of: d, within: 1}]",
            r"prune.0: a rule of block_on may have 3 parts with within",
        ),
        ("name: {compare: text}", "", r"prune.0.fields: Dictionary should have at least 1"),
        ("{compare: text}", "text", r"fields.name: must be a valid dictionary"),
        ("compare: text", "compare: txt", r"fields.name.compare: must be 'text', 'set', 'numeric'"),
        ("compare: text", "weight: 2", r"fields.name.compare: is missing; write it"),
        ("compare: text", "compare: text, weight: 0", r"name.weight: must be greater than 0"),
        ("compare: text", "compare: text, weight: .inf", r"name.weight: must be a finite number"),
        ("compare: text", "compare: text, wieght: 2", r'fields.name.wieght: .* mean "weight"'),
        ("compare: text", "compare: text, measure: jaro", r"name.measure: must be 'jaro_winkler'"),
        ("compare: text", "compare: text, tolerance: 3", r"fields.name: tolerance is for compare"),
        ("compare: text", "compare: numeric", r"fields.name: compare: numeric needs a tolerance"),
        ("compare: text", "compare: numeric, tolerance: 0", r"tolerance: must be a number above 0"),
        ("compare: text", "compare: numeric, tolerance: 0 days", r"a length of time such as 3 day"),
        (
            "compare: text",
            "compare: numeric, tolerance: 3 days, relative: true",
            r"fields.name: relative: true is for numbers; a length of time has no share",
        ),
        ("text}}", "text}}, threshold: 0", r"prune.0.threshold: must be greater than 0"),
        ("text}}", "text}}, min_weight: 2", r"prune.0.min_weight: must be less than or equal to"),
        ("text}}", "text}}, max_block: 1", r"prune.0.max_block: must be greater than or equal to"),
        ("text}}", "text}}, link: near", r"prune.0.link: must be 'connected' or 'neighbours'"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing(old, new, message):
    with pytest.raises(RecipeError, match=message):
        loads(RECIPE.replace(old, new), "r.yaml")
