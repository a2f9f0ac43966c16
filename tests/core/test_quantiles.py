"""Quantiles of several columns, with numpy as the judge."""

import math

import numpy as np
import pytest

from lakebalance.core.quantiles import quantiles, quantiles_of_each

chance = np.random.default_rng(5)
VALUES = {
    "normal": chance.normal(size=3001),
    "lognormal": chance.lognormal(0, 6, 3000),
    "few": chance.integers(0, 4, 1000).astype(float),
    "one": np.full(7, 3.0),
    "huge": np.array([-math.inf, -1.7e308, -1, 0, 5e-324, 1, 1.7e308, math.inf]),
    "close": 1e15 + np.arange(500) / 8,
}


@pytest.mark.parametrize("parts", [2, 4, 37])
@pytest.mark.parametrize("name", VALUES)
def test_quantiles_are_values_at_their_ranks(spark, name, parts):
    values = VALUES[name]
    rows = spark.createDataFrame([(float(v),) for v in values], "at double")
    found = quantiles([rows, rows.limit(0)], parts)
    ordered = np.sort(np.clip(values, -1.7976931348623157e308, 1.7976931348623157e308))
    wanted = {ordered[len(ordered) * i // parts] for i in range(1, parts)} - {ordered[0]}
    assert found == sorted(wanted)


def test_no_values_have_no_quantiles(spark):
    assert quantiles([spark.createDataFrame([(None,)], "at double")], 4) == []


def columns_of(spark, values):
    """A frame with a column for each list of values, which may be of different lengths."""
    most = max(map(len, values.values()))
    padded = [[*map(float, own), *[None] * (most - len(own))] for own in values.values()]
    schema = ", ".join(f"{name} double" for name in values)
    return spark.createDataFrame(list(zip(*padded, strict=True)), schema)


@pytest.mark.slow
def test_columns_together_have_the_quantiles_of_each_alone(spark):
    rows = columns_of(spark, VALUES)
    found = quantiles_of_each([rows.repartition(3)], list(VALUES), 9)
    for name in VALUES:
        assert found[name] == quantiles([rows.select(rows[name].alias("at"))], 9), name
    assert quantiles_of_each([rows], [], 9) == {}


def test_slivers_beside_quantiles_are_no_parts(spark):
    # 81 values: pairs that lie close together, of which only the lower one begins a part.
    values = [0.0 if i < 600 else 1 + (i - 600) // 10 + (i % 2) * 1e-9 for i in range(1000)]
    rows = columns_of(spark, {"v": values})
    assert quantiles_of_each([rows], ["v"], 10, apart=True)["v"] == [1.0, 11.0, 21.0, 31.0]


def test_few_values_are_parts_of_their_own(spark):
    # Close together or far apart, and however rare: the quantiles of "rare" know of two.
    values = {
        "rare": [*[1] * 500, 2, *[3] * 499],
        "near": [0, 1e-9, 1e9, 1e9 + 1, 1e300],
        "most": range(5),
        "many": range(6),
    }
    rows = columns_of(spark, values)
    found = quantiles_of_each([rows], list(values), 5, apart=True)
    assert found["rare"] == [2, 3]
    assert found["near"] == [1e-9, 1e9, 1e9 + 1, 1e300]
    assert found["most"] == [1, 2, 3, 4]
    assert found["many"] == [1, 2, 3, 4]  # six values in five parts: 6 * part // 5
    assert quantiles_of_each([rows], ["rare"], 5)["rare"] == [3]
