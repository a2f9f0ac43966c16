"""Giant buckets without transitivity: what becomes of sets whose leader goes."""

import numpy as np
import pytest

from lakebalance.core.sources import KEY
from lakebalance.prune.apart import apart
from lakebalance.prune.rank import RANK

SETS = {
    0: range(0, 10),
    1: range(2, 12),  # near 0
    2: range(4, 14),  # near 1, not 0
    3: [*range(4, 13), 20],  # near 1 and 2, not 0
}


@pytest.mark.slow
def test_sets_whose_leader_goes_are_compared_with_each_other(spark):
    packed = [(0, i, np.array(sorted(own), np.uint64).tobytes()) for i, own in SETS.items()]
    df = spark.createDataFrame(packed, "hi long, lo long, numbers binary")
    shingles = df.selectExpr("named_struct('hi', hi, 'lo', lo) `set`", "numbers")
    ranked = f"named_struct('{KEY}', named_struct('hi', hi, 'lo', lo)) {RANK}"
    rows = df.selectExpr(ranked, "named_struct('hi', hi, 'lo', lo) `set`")
    giant = shingles.where("`set`.lo > 0").selectExpr("7L band", "`set`")
    pairs = shingles.where("`set`.lo = 0").selectExpr("`set` a")
    pairs = pairs.crossJoin(shingles.where("`set`.lo = 1").selectExpr("`set` b"))
    placed = apart(rows, pairs, giant, shingles, 0.6, "prune.0", None).collect()
    # In its bucket, 1 leads both 2 and 3, but it goes for 0; then 2 stays, and 3 goes for that.
    stays = {r["set"]["lo"]: r["least"]["lo"] for r in placed}
    assert stays == {0: 0, 1: 0, 2: 2, 3: 2}
    assert all(r["first"]["set"] == r["least"] for r in placed)
