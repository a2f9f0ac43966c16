"""The command ``lakebalance lake``: which tables of a lake hold each other's rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebalance import console, lake_console
from lakebalance.commands import Json, print_json, session
from lakebalance.core.errors import RecipeError
from lakebalance.lake_options import absolute, aliases, places, table_name
from lakebalance.lake_options import options as options_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

app = typer.Typer(
    no_args_is_help=True,
    help="Find tables that hold each other's rows. Example: lakebalance lake scan data --state s",
)

State = Annotated[str, typer.Option(help="The folder for what is found, of your own choice.")]
Report = Annotated[
    Path | None, typer.Option(help="Write an HTML file with the tables as a picture.")
]


@app.command()
def scan(
    state: State,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Folders with Delta tables below them.")
    ] = None,
    schema: Annotated[
        list[str], typer.Option(help="A schema of a catalog, with all its tables: main.sales.")
    ] = [],  # noqa: B006
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Look for folders of Parquet below the paths, too.")
    ] = False,
    read_log: Annotated[
        str | None, typer.Option(help="A Delta table of reads, with table and read_at.")
    ] = None,
    depth: Annotated[int, typer.Option(min=0, help="How many folders deep to look.")] = 3,
    as_json: Json = False,
) -> None:
    """Take stock from Delta logs alone. Example: lakebalance lake scan data --state lake_state"""
    folders = places(paths, schema)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.inventory import scan as inventory_of

        data = inventory_of(
            spark,
            folders,
            absolute([state])[0],
            depth,
            show,
            schemas=schema,
            parquet=parquet,
            read_log=table_name(read_log),
        ).to_dict()
    if as_json:
        print_json(data)
    else:
        lake_console.show_inventory(data)


@app.command()
def graph(
    state: State,
    alias: Annotated[
        list[str], typer.Option(help="Take a column for another: dep_dly=dep_delay.")
    ] = [],  # noqa: B006
    match: Annotated[
        bool, typer.Option("--match", help="Look for renamed columns, by their values.")
    ] = False,
    near: Annotated[
        float | None, typer.Option(help="Show tables, too, of which so large a share is held.")
    ] = None,
    ignore_case: Annotated[bool, typer.Option(help="Names without regard to case.")] = False,
    missing: Annotated[float, typer.Option(help="The fraction of rows to be noticed.")] = 0.01,
    risk: Annotated[float, typer.Option(help="The most risk of not noticing it.")] = 0.001,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    verify: Annotated[bool, typer.Option(help="Compare all rows of what is left.")] = False,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Say which tables hold which. Example: lakebalance lake graph --state lake_state --verify"""
    from lakebalance.lake.containment import Narrowing

    options = options_of(
        Narrowing,
        {"aliases": aliases(alias), "ignore_case": ignore_case, "missing": missing,
         "risk": risk, "seed": seed, "verify": verify, "match": match, "near": near},
    )  # fmt: skip
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.containment import graph as graph_of

        folder = absolute([state])[0]
        data = graph_of(spark, folder, options, show).to_dict()
        if report:
            _write_report(spark, folder, report, graph=data)
    if as_json:
        print_json(data)
    else:
        lake_console.show_graph(data)


@app.command()
def diff(
    table: Annotated[str, typer.Argument(help="The table that has rows, by path or name.")],
    other: Annotated[str, typer.Argument(help="The table that may lack them.")],
    state: State,
    alias: Annotated[
        list[str], typer.Option(help="Take a column for another: dep_dly=dep_delay.")
    ] = [],  # noqa: B006
    ignore_case: Annotated[bool, typer.Option(help="Names without regard to case.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="At most so many rows to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Say what a table has that another lacks. Example: lakebalance lake diff ./a ./b --state s"""
    from lakebalance.lake.schema_graph import Names

    names = Names(aliases(alias), ignore_case)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.differing import difference

        own, others = table_name(table), table_name(other)
        folder = absolute([state])[0]
        found = difference(spark, folder, own, others, names, examples, show).to_dict()
    if as_json:
        print_json(found)
    else:
        lake_console.show_difference(found)


@app.command()
def plan(
    state: State,
    storage: Annotated[float, typer.Option(help="Price of a gigabyte stored a month.")] = 0.023,
    read: Annotated[float, typer.Option(help="Price of a gigabyte read to rebuild.")] = 0.005,
    rebuild: Annotated[float, typer.Option(help="Price of each rebuild besides.")] = 0.0,
    throughput: Annotated[float, typer.Option(help="Megabytes a second to rebuild.")] = 100.0,
    max_latency: Annotated[
        float | None, typer.Option(help="The most seconds that a rebuild may take.")
    ] = None,
    reads: Annotated[float, typer.Option(help="Reads a month of tables not in --access.")] = 1.0,
    access: Annotated[Path | None, typer.Option(help="CSV of table,reads a month.")] = None,
    keep: Annotated[list[str], typer.Option(help="A table to keep in any case.")] = [],  # noqa: B006
    verify: Annotated[bool, typer.Option(help="Compare all rows of what would go.")] = True,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Say which tables could go; drops none. Example: lakebalance lake plan --state lake_state"""
    from lakebalance.lake.prices import Prices

    prices = options_of(
        Prices,
        {"storage": storage, "read": read, "rebuild": rebuild, "throughput": throughput,
         "max_latency": max_latency, "reads": reads},
    )  # fmt: skip
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.planning import plan as plan_of
        from lakebalance.lake.planning import reads_in

        folder = absolute([state])[0]
        data = plan_of(
            spark,
            folder,
            prices,
            reads={} if access is None else reads_in(access),
            keep=[table_name(name) for name in keep],
            verify=verify,
            progress=show,
        ).to_dict()
        if report:
            _write_report(spark, folder, report, plan=data)
    if as_json:
        print_json(data)
    else:
        lake_console.show_plan(data, state)


def _write_report(spark: SparkSession, folder: str, path: Path, **found: dict[str, Any]) -> None:
    from lakebalance.lake_report import write_report

    write_report(spark, folder, path, **found)
    console.err.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def apply(
    plan: Annotated[str, typer.Argument(help="The plan's id, as lake plan prints it.")],
    state: State,
    confirm: Annotated[str | None, typer.Option(help="The same id, to do it.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the rows' files too.")] = False,
    as_json: Json = False,
) -> None:
    """Empty what a plan drops. Example: lakebalance lake apply 1f0c… --state s --confirm 1f0c…"""
    folder = absolute([state])[0]
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.applying import apply as applied

        done = applied(spark, folder, plan, confirm=confirm, delete=delete, progress=show)
    if as_json:
        print_json(done.to_dict())
    else:
        lake_console.show_applied(done.to_dict(), state)
    if done.skipped and not done.dry_run:
        raise typer.Exit(4)


@app.command()
def restore(
    state: State,
    tables: Annotated[list[str] | None, typer.Argument(help="Tables that were removed.")] = None,
    plan: Annotated[str | None, typer.Option(help="Restore all that this plan removed.")] = None,
    as_json: Json = False,
) -> None:
    """Give removed tables their rows back. Example: lakebalance lake restore data/copy --state s"""
    if bool(tables) == bool(plan):
        raise RecipeError("name the tables to restore, or all of a plan with --plan ID")
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.lake.restoring import restore as restored

        wanted, folder = absolute(tables or []), absolute([state])[0]
        found = restored(spark, folder, wanted, plan=plan, progress=show)
    if as_json:
        print_json({"tables": [table.to_dict() for table in found]})
    else:
        lake_console.show_restored([table.to_dict() for table in found])
    if any(table.how is None for table in found):
        raise typer.Exit(4)
