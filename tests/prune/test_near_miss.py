"""NearMiss 1, 2 and 3, with imbalanced-learn as the judge."""

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.column_checks import check_columns
from lakebalance.console import pruned_text
from lakebalance.core.errors import RecipeError
from lakebalance.core.places import Places
from lakebalance.frames import Frames
from lakebalance.prune.near_miss import NearMiss
from lakebalance.prune.units import units_of
from lakebalance.pruning import pruned
from neighbourly import FEATURES, SCHEMA, dropped_ids, keyed, matches

PLACES = {"method": "near_miss", "by": ["label"], "features": FEATURES}
SEED, COUNTS = 6, (200, 70, 25)


def judged(judge, rows):
    at = np.array([r[2:5] for r in rows])
    judge.fit_resample((at - at.mean(axis=0)) / at.std(axis=0), np.array([r[1] for r in rows]))
    return sorted({r[0] for r in rows} - {rows[i][0] for i in judge.sample_indices_})


@pytest.mark.filterwarnings("ignore:The number of the samples to be selected")
@pytest.mark.parametrize(
    ("version", "k", "k3", "strategy", "kept"),
    [
        (1, 5, 3, [0], 40),
        (2, 3, 3, "majority", None),
        (3, 3, 3, "auto", None),
        (3, 1, 6, [0, 1], 31),
        # Fewer are near to the smallest group than may stay.
        (3, 3, 2, [0], 60),
    ],
)
def test_the_rows_that_imbalanced_learn_drops(
    spark, path, recipe, rows, version, k, k3, strategy, kept, monkeypatch
):
    monkeypatch.setattr("lakebalance.prune.near_miss.ASKED_IN_A_TASK", 60)
    under = pytest.importorskip("imblearn.under_sampling")
    asked = strategy if kept is None else dict.fromkeys(strategy, kept)
    judge = under.NearMiss(
        sampling_strategy=asked, version=version, n_neighbors=k, n_neighbors_ver3=k3
    )
    frames = Frames(recipe(keyed(path)), spark)
    options = {"version": version, "n_neighbors": k, "n_neighbors_ver3": k3, "rows": kept}
    found = matches(frames, PLACES | options | {"sampling_strategy": strategy})
    assert dropped_ids(found, frames) == judged(judge, rows) != []


@pytest.mark.parametrize("version", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_same_rows_however_the_source_lies_and_in_many_tasks(
    spark, table, recipe, version, monkeypatch
):
    # Whole numbers, so that most distances are ties.
    chance = np.random.default_rng(8)
    rows = [(i, int(i > 140), float(x), float(y), 0.0) for i, (x, y) in
            enumerate(chance.integers(0, 6, (160, 2)))]  # fmt: skip
    found = []
    for partitions, in_a_task in ((1, 50_000), (3, 20)):
        monkeypatch.setattr("lakebalance.prune.near_miss.ASKED_IN_A_TASK", in_a_task)
        order = sorted(rows, key=lambda r: (r[0] * 7919) % (150 + partitions))
        frames = Frames(recipe(keyed(table(f"s{partitions}", order, SCHEMA, partitions))), spark)
        options = {"version": version, "scale": "none"}
        found.append(sorted(map(str, matches(frames, PLACES | options).collect())))
    assert found[0] == found[1]
    assert len(found[0]) == 141 - 19 or version == 3


@pytest.mark.slow
def test_a_run_keeps_exactly_as_many_as_asked_of_equal_rows_too(spark, table, recipe, tmp_path):
    # No key: five equal rows at 1, of which two stay, beside all at 0.5.
    rows = [(0, 1, 0.0), (0, 1, 0.1), *[(7, 0, 0.5)] * 2, *[(8, 0, 1.0)] * 5, (9, 0, 30.0)]
    path = table("s", rows, "id long, label int, x double")
    prune = [{**PLACES, "features": ["x"], "n_neighbors": 2, "rows": 4}]
    made = recipe(path, prune=prune)
    result = lb.run(made, spark)
    output = spark.read.format("delta").load(str(tmp_path / "out"))
    assert sorted(r["id"] for r in output.collect()) == [0, 0, 7, 7, 8, 8]
    assert pruned_text(result.to_dict()) == "0 duplicates dropped, 4 rows undersampled"
    fates = {f["row"]["id"]: f for f in lb.explain(made, spark, "label = 0")}
    assert [fates[i]["fate"] for i in (7, 8, 9)] == ["kept", "kept", "undersampled"]
    assert fates[9]["of_row"]["x"] == 0.1 and fates[9]["by"] == "prune.0 (near_miss)"


def test_groups_that_are_small_enough_lose_nothing(spark, path, recipe):
    frames = Frames(recipe(keyed(path)), spark)
    assert matches(frames, PLACES | {"rows": 200}).collect() == []
    found = matches(frames, PLACES | {"rows": 199, "sampling_strategy": "all"})
    assert found.count() == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_neighbors": 26}, "label=2, has 25 rows, .* over 26; write prune.0.n_neighbors: 25"),
        ({"rows": 20, "sampling_strategy": "all"}, "would keep 20, but distances to it decide"),
        ({"max_rows": 24}, "25 rows of the smallest group, label=2, are .*prune.0.max_rows: 25"),
        ({"features": ["xx"]}, 'prune.0.features: no column "xx"; did you mean "x"?'),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(spark, path, recipe, wrong, message):
    prune = [{**PLACES, "sampling_strategy": [0], **wrong}]
    frames = Frames(recipe(keyed(path), prune=prune), spark)
    with pytest.raises(RecipeError, match=message):
        check_columns(frames)
        pruned(frames, frames.branches, lambda _, found: found.collect())


def test_features_that_are_constant_are_refused(spark, table, recipe):
    path = table("s", [(i, i % 3 // 2, 1.0, 2.0, 3.0) for i in range(12)], SCHEMA)
    with pytest.raises(RecipeError, match="all 12 rows have the same values in these columns"):
        lb.plan(recipe(keyed(path), prune=[PLACES]), spark)


@pytest.mark.parametrize("wrong", [{"version": 4}, {"rows": 0}, {"n_neighbors": 0}], ids=str)
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        NearMiss(**PLACES | wrong)


def test_units_are_exact_whatever_the_numbers(spark):
    chance = np.random.default_rng(0)
    data = np.column_stack([
        chance.normal(size=500) + 1e6, np.full(500, 7.5), chance.normal(size=500) * 1e300,
    ])  # fmt: skip
    rows = [(*map(float, r),) for r in data]
    rows[3] = (None, *rows[3][1:])
    df = spark.createDataFrame(rows, "a double, b double, c double")
    places = Places(["a", "b", "c"])
    units, differ = units_of(df, places, "standard")
    again, _ = units_of(df.repartition(7), places, "standard")
    assert differ and units.middle.tolist() == again.middle.tolist()
    assert units.unit.tolist() == again.unit.tolist()
    data[3, 0] = np.nan
    np.testing.assert_allclose(units.middle[:2], np.nanmean(data, axis=0)[:2], rtol=1e-12)
    np.testing.assert_allclose(units.unit[0], np.nanstd(data[:, 0]), rtol=1e-7)
    assert units.unit[1] == 1.0
    np.testing.assert_allclose(units.unit[2] / 1e300, (data[:, 2] / 1e300).std(), rtol=1e-7)
    assert units.place(data)[3, 0] == 0
    assert not units_of(df, Places(["b"]), "standard")[1]
