"""Near-duplicate records as recipes drop them; all pairs, one by one, say what is to be found."""

import datetime as dt
import math
import random
import unicodedata
from decimal import Decimal

import pytest
from pyspark.sql import functions as F
from rapidfuzz.distance import JaroWinkler, Levenshtein

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.prune import block_pairs
from lakebalance.prune.records import Records, records
from neighbourly import keyed, with_keys

DAY = dt.timedelta(days=1)
SCHEMA = (
    "id long, `Full Name` string, `a.b` string, tags array<string>, codes array<double>, "
    "price double, cost decimal(20,4), seen timestamp, `on` date, wall timestamp_ntz, "
    "place struct<x: double, tags: map<string,int>>, area int"
)
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
    if value is None or value != value:
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
            if mean >= options.threshold and share >= options.min_weight - 1e-12:
                if any(agree(one, other, rule) for rule in options.block_on):
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


def test_what_all_pairs_say_however_rows_lie_and_blocks_are_cut(spark, monkeypatch, tmp_path):
    rows = messy()
    options = Records(**OPTIONS)
    names = ["id", *[part.split(" ")[0] for part in []]]
    names = frame(spark, rows[:1]).columns[:-1]
    by_name = [dict(zip(names, row, strict=True)) for row in rows]
    pairs = near_by_all_pairs(by_name, options)
    root = clusters_of(pairs, len(rows))
    assert 100 < len(pairs) and 30 < len(set(root)) < len(rows) - 60
    found = dropped(frame(spark, rows, 3), keep={"first_by": "id"})
    # Ids are places, and the first of each cluster stays.
    assert {i: kept for i, (kept, *_) in found.items()} == {
        i: kept for i, kept in enumerate(root) if kept != i
    }
    for i, (kept, similar, fields, _) in found.items():
        if fields is None:
            assert similar == 1.0
            continue
        assert similar == pytest.approx(similarity(by_name[i], by_name[kept], options)[0])
        assert set(fields) == set(FIELDS)
    written = []

    def scratch(df, name):
        written.append(name)
        df.repartition(3).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    # Tiles of five records, and batches that cut pieces in two.
    monkeypatch.setattr(block_pairs, "tile_rows", lambda _: 5)
    monkeypatch.setattr(block_pairs, "AT_ONCE", 7)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 3)
    try:
        again = dropped(frame(spark, rows, 1), scratch, keep={"first_by": "id"})
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert again == found and written[0] == "records"
