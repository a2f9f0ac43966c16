"""``qqt`` from table to table: quantiles of a score are buckets, more of them for more samples."""

from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.recipe import Recipe

LOSSES = "bucket,samples_seen,loss\n" + "".join(
    # Of 100 rows a bucket: (0.05 n)^-b, but half as steep from the second epoch on.
    f"{bucket},{n},{(0.05 * min(n, 100)) ** -b * (max(n, 100) / 100) ** (-b / 2)}\n"
    for bucket, b in ((3, 0.3), (2, 0.25), (1, 0.1))
    for n in (50, 100, 150, 200)
)
RECIPE = """
name: quality
seed: 5
sources: [{{name: s, table: {table}, key: [id]}}]
allocate:
  bins: {{third: {{of: score, quantiles: 3}}}}
  balance: {{by: [third], method: qqt, unit: 20, d: 0, fit: {{file: losses.csv}}}}
  rows: {rows}
publish: {{table: {out}}}
"""


@pytest.mark.parametrize(
    ("rows", "used"), [(60, [3]), pytest.param(1500, [3, 2], marks=pytest.mark.slow)]
)
def test_the_best_buckets_are_repeated_evenly_and_others_left_out(
    spark, table, tmp_path, rows, used
):
    path = table("scored", [(i, float(i * 7 % 300)) for i in range(300)], "id long, score double")
    (tmp_path / "losses.csv").write_text(LOSSES)
    text = RECIPE.format(table=path, rows=rows, out=tmp_path / "out")
    (tmp_path / "recipe.yaml").write_text(text)
    result = lb.run(Recipe.load(tmp_path / "recipe.yaml"), spark)
    written = spark.read.format("delta").load(result.table).collect()
    assert len(written) == rows
    copies = Counter(row["id"] for row in written)
    assert {int(row["score"] // 100) + 1 for row in written} == set(used)
    most = rows // (100 * len(used))
    assert set(copies.values()) <= {most, most + 1}
    choice, curve, numbers, residuals, *repeats = result.plan.diagnostics
    assert (repeats != []) == (most >= 1 and rows > 100 * len(used))
    assert f"least with {len(used)} bucket" in choice["note"]
    assert [row[2] for row in curve["rows"]][:2] == [1, 2]
    assert len(numbers["rows"]) == 7 and len(residuals["rows"]) == 12
