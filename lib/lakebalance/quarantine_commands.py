"""The command ``lakebalance quarantine``: rows that gates set aside, shown and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lakebalance import console
from lakebalance.commands import Json, RecipeArg, is_recipe, print_json, session
from lakebalance.console import first_of, out, table_of

app = typer.Typer(
    no_args_is_help=True,
    help="Rows that gates have set aside. Example: lakebalance quarantine show r.yaml",
)
Override = Annotated[
    list[str], typer.Option("--recipe-set", help="Override a field of the recipe: a.b=c.")
]


@app.command()
def show(
    where: Annotated[str, typer.Argument(help="A recipe, or a folder of ledger and quarantine.")],
    run: Annotated[
        str | None, typer.Option(help="Only of this run: its id or its beginning.")
    ] = None,
    examples: Annotated[int, typer.Option(help="So many rows as examples, 0 to 100.")] = 3,
    sets: Override = [],  # noqa: B006  typer reads the default, nobody changes it
    as_json: Json = False,
) -> None:
    """Count them by run and reason. Example: lakebalance quarantine show lake/_lakebalance"""
    from lakebalance.recipe import Recipe

    recipe = Recipe.load(where, sets) if is_recipe(where) else None
    with console.progress(as_json) as tell, session(tell) as spark:
        from lakebalance.quarantine import quarantined

        tell("counting what was set aside")
        data = quarantined(spark, where if recipe is None else recipe, run, examples)
    if as_json:
        print_json(data)
        return
    for found in data["quarantines"]:
        _show(found)


@app.command()
def release(
    recipe: RecipeArg,
    repair: Annotated[
        list[str], typer.Option("--set", help='What a column becomes: "column = SQL expression".')
    ] = [],  # noqa: B006
    where: Annotated[str | None, typer.Option(help="Which rows, by a condition.")] = None,
    table: Annotated[
        str | None, typer.Option(help="Delta table of repaired rows with lb_key, instead of --set.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Whose rows: a run's id; the newest if left out.")
    ] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Do it; else it is shown.")] = False,
    sets: Override = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Put them back. Example: lakebalance quarantine release r.yaml --set "x = abs(x)" """
    from lakebalance.recipe import Recipe
    from lakebalance.repair import Repair

    loaded = Recipe.load(recipe, sets)
    # What is wrong is said before Spark starts.
    Repair(tuple(repair), where, table)
    with console.progress(as_json) as tell, session(tell, gates=True) as spark:
        from lakebalance.releasing import release as released

        data = released(
            loaded,
            spark,
            sets=repair,
            where=where,
            table=table,
            run=run,
            dry_run=not confirm,
            progress=tell,
        )
    if as_json:
        print_json(data)
    else:
        _show_release(data)


def _show(found: Mapping[str, Any]) -> None:
    lines = [
        (r["expectation"], r["source"], r["run_id"], f"{r['rows']:,}") for r in found["reasons"]
    ]
    first_of(f"expectation ({found['recipe']})", "source", "run", "rows", rows=lines)
    rows = sum(run["rows"] for run in found["runs"])
    out.print(f"{rows:,} rows of {len(found['runs']):,} runs are in {found['table']}",
              soft_wrap=True, highlight=False, markup=False)  # fmt: skip
    for row in found["examples"]:
        shown = ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
        out.print(f"  {shown}", soft_wrap=True, highlight=False, markup=False)


def _show_release(data: Mapping[str, Any]) -> None:
    lines = [(s["source"], s["table"], f"{s['rows']:,}") for s in data["sources"]]
    table_of("source", "table", "rows repaired", rows=lines)
    if data["expectations"]:
        failing = [(e["expectation"], f"{e['rows']:,}") for e in data["expectations"]]
        first_of("would be set aside again for", "rows", rows=failing)
    for source in data["sources"]:
        if source["corrected"]:
            console.warn(
                f"{source['corrected']:,} of them are not in source {source['source']} any more as "
                "they were when they were set aside: the source's own rows count"
            )
    passing = data["rows"] - data["failing"]
    said = f"{data['rows']:,} rows of run {data['run_id']}: {passing:,} pass the gates that set "
    said += f"rows aside, {data['failing']:,} do not. "
    if data["dry_run"]:
        said += "Nothing was done: write --confirm to do it."
    else:
        said += f"Later runs read them as repaired, by request {data['request']}."
    out.print(said, highlight=False, soft_wrap=True, markup=False)
