"""transport as the mix of a recipe: embeddings from the sources and a target table, in Spark."""

import json

import numpy as np
import pytest

import lakebalance as lb
from lakebalance.allocate.rules import Group
from lakebalance.allocate.sliced import areas_of
from lakebalance.allocate.transport import Transport, transport
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.frames import Frames
from lakebalance.recipe import Recipe
from lakebalance.recipe.embedded import embedded_rules
from lakebalance.recipe.load import loads

NAMES = ["code", "web", "wiki"]
ROWS = {"code": 300, "web": 500, "wiki": 200}
SCHEMA = "id long, kind string, e array<float>"
SETTINGS = {"column": "e", "label": "kind", "directions": 6, "quantiles": 20, "seed": 3}
PILOTS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.4, 0.3, 0.3), (0.1, 0.5, 0.4)]


def rows_of(name, n, chance):
    centre = np.eye(4)[NAMES.index(name)] * 4
    kinds = ["a", "b"]
    return [
        (i, kinds[i % 2], (centre + chance.normal(size=4) + (i % 2)).tolist()) for i in range(n)
    ]


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """Three sources, a target that is half wiki and half web, and one without rows."""
    folder, chance = tmp_path_factory.mktemp("embeddings"), np.random.default_rng(1)
    tables = {name: rows_of(name, n, chance) for name, n in ROWS.items()}
    tables["wanted"] = rows_of("wiki", 90, chance) + rows_of("web", 90, chance)
    tables["short"] = [(1, "a", [1.0, 2.0])]
    for name, rows in tables.items():
        df = spark.createDataFrame(rows, SCHEMA)
        df.repartition(2).write.format("delta").save(str(folder / name))
    return folder


def runs(spark, lake):
    """Pilots whose performance falls with the distance, as lb.project says."""
    values = {}
    for name in [*NAMES, "wanted"]:
        df = spark.read.format("delta").load(str(lake / name))
        own = {}
        table = lb.project(df, name, **SETTINGS).toArrow().to_pylist()
        for row in table:
            own.setdefault(row["projection"], []).append(row["value"])
        values[name] = [own[i] for i in sorted(own)]
    areas = areas_of(NAMES, values, values["wanted"])
    measured = [
        {
            "rows": n,
            "performance": 0.5 + n / 1e5 - 0.1 * areas.distance(np.array(shares, dtype=float)),
            "shares": dict(zip(NAMES, shares, strict=True)),
        }
        for n in (100, 400)
        for shares in PILOTS
    ]
    return measured, values


def recipe(lake, mix, **more):
    return Recipe(
        name="mixed",
        sources=[{"name": n, "table": str(lake / n), "key": ["id"]} for n in NAMES],
        allocate={"mix": {"by": "source", "method": "transport", **mix}, "rows": 600},
        publish={"table": str(lake / "out"), "source_column": "from"},
        **more,
    )


@pytest.mark.slow
def test_the_mixture_is_planned_from_the_tables_and_met(spark, lake):
    measured, values = runs(spark, lake)
    embeddings = {**SETTINGS, "target": {"table": str(lake / "wanted")}}
    asked = recipe(lake, {"pilots": {"measured": measured}, "embeddings": embeddings})
    result = lb.run(asked, spark)
    met = {p["source"]: p["found"] for p in result.published}
    assert sum(met.values()) == 600
    # As the target is: half and half, and hardly any code.
    assert met["code"] < 20 and abs(met["wiki"] - 300) < 40
    # What lb.project makes says the same.
    given = {"target": "wanted", "values": values}
    chosen = Transport(method="transport", pilots={"measured": measured}, projections=given)
    groups = [Group({"source": name}, n) for name, n in ROWS.items()]
    assert transport(groups, 600, chosen) == list(met.values())
    [table] = [
        d for d in result.plan.diagnostics if d["title"] == "performance by optimal transport"
    ]
    assert f"distances to {lake / 'wanted'} version 0" in table["note"]
    assert table["rows"][0][1] < table["rows"][1][1]

    # Other rows of the target are another run.
    target = lake / "wanted"
    assert Frames(asked, spark).run_id == result.plan.run_id
    added = spark.createDataFrame(rows_of("code", 90, np.random.default_rng(2)), SCHEMA)
    added.write.format("delta").mode("append").save(str(target))
    moved = lb.plan(asked, spark)
    assert moved.run_id != result.plan.run_id
    assert {g.source: g.target for g in moved.groups}["code"] > 100


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"column": "f"}, RecipeError,
         'allocate.mix.embeddings.column: no column "f"; there are: e, id, kind'),
        ({"column": "id"}, RecipeError, 'column: column "id" is of type bigint; it must be an arr'),
        ({"label": "sort"}, RecipeError, 'allocate.mix.embeddings.label: no column "sort"'),
        ({"target": {"table": "no/such"}}, TableError,
         "allocate.mix.embeddings.target.table: no/such is not a Delta table"),
        ({"target": "short"}, TableError, 'of 2 numbers in ".*short version 0" and of 4 in "code"'),
        ({"target": "none"}, TableError, "allocate.mix.embeddings: target: .* has no rows to comp"),
    ],
)  # fmt: skip
def test_embeddings_that_cannot_be_compared_are_refused(spark, lake, change, error, message):
    target = change.get("target", "wanted")
    if target == "none":
        target = {"table": str(lake / "wanted"), "where": "id < 0"}
    elif isinstance(target, str):
        target = {"table": str(lake / target)}
    asked = recipe(
        lake,
        {
            "pilots": {"measured": [{"rows": 9, "performance": 1, "shares": {"web": 1}}]},
            "embeddings": {**SETTINGS, **change, "target": target},
        },
    )
    with pytest.raises(error, match=message):
        lb.plan(asked, spark)


def test_rules_that_compare_embeddings_are_found_in_phases_and_within_too(tmp_path):
    run = {"rows": 9, "performance": 1, "shares": {"web": 1}}
    compared = {"column": "e", "target": {"table": "a/b"}}
    rule = {"method": "transport", "pilots": {"measured": [run]}, "embeddings": compared}
    own = {**rule, "by": ["kind"]}
    within = {"balance": {"by": ["id"], "method": "equal"}, "within": [own]}
    asked = recipe(tmp_path, {k: v for k, v in rule.items() if k != "method"},
                   phases=[{"name": "last", **within}])  # fmt: skip
    assert list(embedded_rules(asked)) == ["allocate.mix", "phases.0.within.0"]


def test_a_recipe_says_where_its_embeddings_are_wrong(tmp_path):
    runs = json.dumps([{"rows": 9, "performance": 1, "shares": {"web": 1}}])
    text = f"""
name: n
sources: [{{name: web, table: a/web}}]
allocate:
  mix:
    by: source
    method: transport
    pilots: {{measured: {runs}}}
    embeddings:
      column: e
      target: {{table: a/b, versoin: 3}}
publish: {{table: a/out}}
"""
    with pytest.raises(RecipeError, match=r"recipe.yaml:11 .*versoin: unknown field; did you mean"):
        loads(text)
