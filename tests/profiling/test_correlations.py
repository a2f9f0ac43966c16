"""Correlations: against pandas and SciPy, with missing values, in any layout."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from lakebalance.profiling.options import Options
from lakebalance.table_profiles import columns


@pytest.mark.slow
def test_pearson_and_cramers_v_are_those_of_pandas_and_scipy(spark, table):
    random = np.random.default_rng(5)
    x = random.normal(size=400)
    frame = pd.DataFrame({
        "x y": x, "b": 3 * x + random.normal(size=400), "c": random.normal(size=400) * 1e6,
        "k": random.integers(0, 4, 400),
    })  # fmt: skip
    frame.loc[::7, "b"] = np.nan
    frame["l"] = [f"v{(k + int(x > 0)) % 3}" for k, x in zip(frame["k"], x, strict=True)]
    rows = [
        (a, None if np.isnan(b) and i % 2 else b, c, int(k), text)
        for i, (a, b, c, k, text) in enumerate(frame.itertuples(index=False))
    ]
    schema = "`x y` double, b double, c double, k int, l string"
    asked = Options(keys=False, correlations=True)
    found = [
        columns(table(f"t{parts}", rows, schema, parts), spark, asked).to_dict()["tables"][0]
        for parts in (1, 3)
    ]
    assert found[0]["correlations"] == found[1]["correlations"]
    pairs = {(tuple(c["columns"]), c["measure"]): c for c in found[0]["correlations"]}
    expected = frame[["x y", "b", "c", "k"]].corr()
    for a, b in (("x y", "b"), ("x y", "c"), ("b", "c"), ("b", "k")):
        assert pairs[(a, b), "pearson"]["value"] == pytest.approx(expected.loc[a, b], abs=1e-5)
    assert pairs[("x y", "b"), "pearson"]["rows"] == frame["b"].count()
    crossed = pd.crosstab(frame["k"], frame["l"]).to_numpy()
    value = pairs[("k", "l"), "cramers_v"]["value"]
    assert value == pytest.approx(association(crossed, "cramer"), abs=1e-12)
    b = next(c for c in found[0]["columns"] if c["name"] == "b")
    assert b["mean"] == pytest.approx(frame["b"].mean(), abs=1e-5)
    assert b["standard_deviation"] == pytest.approx(frame["b"].std(), abs=1e-5)
