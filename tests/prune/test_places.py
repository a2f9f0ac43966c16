"""Arrays of numbers as features, for every method that drops rows for where they lie."""

import math

import numpy as np
import pytest
from pyspark.sql import functions as F

from lakebalance.core.errors import RecipeError
from lakebalance.core.places import Places
from lakebalance.core.registry import methods
from lakebalance.prune.units import units_of
from neighbourly import with_keys

ROWS = 160
METHODS = [
    {"method": "enn"},
    {"method": "tomek"},
    {"method": "near_miss", "rows": 50},
    {"method": "medoids", "rows": 30},
    {"method": "neighbours", "rows": 30, "validation_rows": 40},
]
NAMES = [options["method"] for options in METHODS]


@pytest.fixture(scope="module")
def rows(spark):
    """Two groups that overlap; `e` holds the numbers of x, y and z."""
    chance = np.random.default_rng(4)
    at = chance.normal(size=(ROWS, 3)).round(3) * [1, 10, 0.1]
    group = (chance.random(ROWS) < 0.3).astype(int)
    at[:, 0] += group
    lines = [(i, int(g), *map(float, p)) for i, (g, p) in enumerate(zip(group, at, strict=True))]
    df = spark.createDataFrame(lines, "id long, g int, x double, y double, z double")
    df = df.withColumn("e", F.array("x", "y", "z").cast("array<float>"))
    # Floats as doubles, so that both ways see the same numbers.
    df = df.withColumns({n: F.col(n).cast("float").cast("double") for n in "xyz"})
    return with_keys(df)


def found(df, options, **more):
    method = methods("prune")[options["method"]]
    made = method.options(**{"by": ["g"], "scale": "none", **options, **more})
    method.check_columns(df, made, "prune.0")
    out = method.function(df, made, "prune.0").select("dropped", "neighbour", "rows")
    return sorted(map(repr, out.collect()))


@pytest.mark.parametrize("options", METHODS, ids=NAMES)
def test_an_array_is_as_good_as_its_numbers(rows, options):
    apart = found(rows, options, features=["x", "y", "z"])
    assert found(rows, options, features=["e"]) == apart
    assert found(rows, options, features=["x", "e"]) != apart
    assert len(apart) > 5


def test_an_array_counts_as_one_feature(rows):
    places = Places(["x", "e"], {"e": 3})
    units, _ = units_of(rows, places, "standard")
    at = np.array([[r["x"], *r["e"]] for r in rows.select("x", "e").collect()])
    np.testing.assert_allclose(units.middle, at.mean(axis=0), rtol=1e-6)
    placed = units.place(at)
    # The whole array varies as much as the one number does.
    assert math.isclose(placed[:, 0].var(), 1, rel_tol=1e-6)
    assert math.isclose(placed[:, 1:].var(axis=0).sum(), 1, rel_tol=1e-6)
    tomek = {"method": "tomek", "scale": "standard"}
    # By themselves, an array's numbers are only made smaller.
    assert found(rows, tomek, features=["e"]) == found(rows, tomek, features=["e"], scale="none")
    assert found(rows, tomek, features=["x", "y", "z"]) != found(rows, tomek, features=["e"])


def test_gaps_in_arrays_are_refused_or_the_mean(rows):
    gap = F.when(F.col("id") == 3, None).when(
        F.col("id") == 4, F.transform("e", lambda x: F.when(x > 0, x).otherwise(math.nan))
    )
    holes = rows.withColumn("e", F.when(F.col("id") > 4, F.col("e")).otherwise(gap))
    for options in METHODS:
        with pytest.raises(RecipeError, match='"e" is null or NaN in 5 of 160 rows; write prune'):
            found(holes, options, features=["e"])
    medoids = METHODS[3]
    assert found(holes, medoids, features=["e"], nulls="ignore")
    infinite = rows.withColumn("e", F.when(F.col("id") > 0, F.col("e")).otherwise(
        F.array(*[F.lit(math.inf).cast("float")] * 3)))  # fmt: skip
    with pytest.raises(RecipeError, match='"e" is infinite or over 1e\+150 in 1 of 160 rows'):
        found(infinite, medoids, features=["e"])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("IF(id > 2, e, slice(e, 1, 2))", "of 2 to 3 numbers"),
        ("slice(e, 1, 0)", "of no numbers"),
        ("array('a')", "whose elements are no numbers; leave it out"),
    ],
)
def test_arrays_that_are_no_places_are_refused(rows, made, said):
    with pytest.raises(RecipeError, match=f'prune.0.features: column "e".* {said}'):
        found(rows.withColumn("e", F.expr(made)), METHODS[0], features=["e"])
