"""Phases: more tables of the same rows by other rules, planned and met like the balanced one."""

from collections import Counter

import pytest

import lakebalance as lb
from lakebalance.core.errors import RecipeError
from lakebalance.recipe import Recipe
from lakebalance.recipe.load import loads

ROWS = [(i, "ab"[i % 10 == 0], "xyz"[i % 3]) for i in range(300)]
SCHEMA = "id long, label string, region string"


@pytest.fixture(scope="module")
def published(spark, tmp_path_factory):
    """Balanced by label, natural at a third, and by region, with a tenth held out."""
    folder = tmp_path_factory.mktemp("phases")
    spark.createDataFrame(ROWS, SCHEMA).write.format("delta").save(str(folder / "s"))
    asked = Recipe(
        name="phased",
        sources=[{"name": "s", "table": str(folder / "s"), "key": ["id"]}],
        split={"shares": {"test": 0.1}},
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 200},
        phases=[
            {"name": "natural", "rows": 90},
            {
                "name": "regions",
                "table": str(folder / "by_region"),
                "balance": {"by": ["region"], "method": "targets", "counts": {"x": 70, "y": 5}},
            },
        ],
        publish={"table": str(folder / "out")},
    )
    return asked, lb.plan(asked, spark), lb.run(asked, spark)


@pytest.fixture(scope="module")
def rows(spark, published):
    """The rows of each table, by the output's name."""
    table = published[0].publish.table
    tables = {
        "balanced": table,
        "natural": f"{table}_natural",
        "regions": table.replace("/out", "/by_region"),
        "test": f"{table}_test",
    }
    return {n: spark.read.format("delta").load(path).collect() for n, path in tables.items()}


def test_each_table_is_as_planned(published, rows):
    _, plan, result = published
    assert [(o.name, o.rows) for o in plan.outputs] == [
        (name, len(rows[name])) for name in ("natural", "regions", "test")
    ]
    assert result.plan.to_dict()["outputs"] == plan.to_dict()["outputs"]
    for output in plan.outputs:
        wanted = {(g.group["label"], g.group["region"]): g.target for g in output.groups}
        found = Counter((r.label, r.region) for r in rows[output.name])
        assert found == {group: n for group, n in wanted.items() if n}
    assert Counter(r.label for r in rows["balanced"]) == {"a": 100, "b": 100}
    assert Counter(r.region for r in rows["regions"]) == {"x": 70, "y": 5}


def test_a_phase_without_rules_keeps_the_shares_of_the_training_rows(published, rows):
    held = {r.id for r in rows["test"]}
    training = [row for row in ROWS if row[0] not in held]
    natural = Counter(r.label for r in rows["natural"])
    assert abs(natural["b"] - 90 * sum(r[1] == "b" for r in training) / len(training)) < 3
    assert len({r.id for r in rows["natural"]}) == 90
    assert not held & {r.id for name in ("balanced", "natural", "regions") for r in rows[name]}


def test_a_row_has_its_fate_in_every_table(spark, published, rows):
    copies = {name: Counter(r.id for r in rows[name]) for name in rows}
    for fate in lb.explain(published[0], spark, "id < 40", limit=50):
        i = fate["row"]["id"]
        if fate["fate"] == "held out":
            assert copies["test"][i] == 1
            continue
        assert fate["copies"] == copies["balanced"][i]
        told = {name: output["copies"] for name, output in fate["outputs"].items()}
        assert told == {name: copies[name][i] for name in ("natural", "regions")}


def test_running_it_again_changes_nothing(spark, published):
    asked, _, done = published
    again = lb.run(asked, spark)
    assert again.repeated and again.outputs == done.outputs
    assert "natural" in again.paths and "✗" not in again._repr_html_()


@pytest.mark.parametrize(
    ("phase", "match"),
    [
        ({"name": "balanced"}, "two outputs have the name 'balanced'"),
        ({"name": "n", "table": "a/out"}, "two outputs have the table 'a/out'"),
        ({"name": "n", "balence": {}}, 'phases.0.balence: unknown field; did you mean "balance"'),
        ({"name": "n", "balance": {"by": ["c"], "method": "eqal"}}, "phases.0.balance.method: no"),
        ({"rows": 3}, "phases.0.name: is missing"),
        ({"name": "n", "within": [{"by": ["c"], "method": "equal"}]}, "write balance"),
    ],
)
def test_what_a_phase_may_not_be(phase, match):
    recipe = {"name": "r", "sources": [{"name": "s", "table": "a/s"}], "phases": [phase]}
    with pytest.raises(RecipeError, match=match):
        loads(str(recipe | {"publish": {"table": "a/out"}}))


def test_a_phase_that_cannot_be_met_is_named(spark, table, recipe):
    balance = {"by": ["label"], "method": "equal", "max_epochs": 1}
    phases = [{"name": "n"}, {"name": "m", "rows": 10**6, "balance": balance}]
    with pytest.raises(RecipeError, match=r"^phases\.1: "):
        lb.plan(recipe(table("s", ROWS, SCHEMA), phases=phases), spark)


def test_a_phase_may_have_its_targets_in_a_file(tmp_path):
    (tmp_path / "targets.csv").write_text("label,rows\na,3\n")
    (tmp_path / "r.yaml").write_text(
        "name: r\nsources: [{name: s, table: a/s}]\npublish: {table: a/out}\n"
        "phases: [{name: n, balance: {by: [label], method: targets, file: targets.csv}}]\n"
    )
    recipe = Recipe.load(tmp_path / "r.yaml")
    assert recipe.phases[0].balance.counts == {"a": 3}
    (tmp_path / "r2.yaml").write_text(recipe.to_yaml())
    assert Recipe.load(tmp_path / "r2.yaml") == recipe
