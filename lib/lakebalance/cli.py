"""The command line: parses, calls the library, prints, and sets the exit code."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebalance import console
from lakebalance.ask_command import ask
from lakebalance.commands import Json, RecipeArg, Sets, Settings, print_json, session
from lakebalance.console import err, out
from lakebalance.core.errors import LakebalanceError, RecipeError
from lakebalance.data_docs_command import data_docs
from lakebalance.forget_command import forget
from lakebalance.lake_commands import app as lake_app
from lakebalance.profile_command import profile
from lakebalance.quarantine_commands import app as quarantine_app

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakebalance.core.progress import Progress
    from lakebalance.recipe import Recipe

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(lake_app, name="lake")
app.add_typer(quarantine_app, name="quarantine")
app.command()(ask)
app.command()(data_docs)
app.command()(forget)
app.command()(profile)


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option(help="Show stack traces.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show Spark's own log.")] = False,
    master: Annotated[str, typer.Option(help="Spark master of a new session.")] = "local[*]",
) -> None:
    """Turn skewed, redundant Delta tables into balanced training tables."""
    Settings.debug, Settings.verbose, Settings.master = debug, verbose, master


def _load(path: Path, sets: list[str], environ: dict[str, str] | None = None) -> Recipe:
    from lakebalance.recipe import Recipe

    return Recipe.load(path, sets, environ)


def _gated(recipe: Recipe) -> bool:
    return bool(recipe.expect.expectations)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its lake.")] = Path(
        "lakebalance_demo"
    ),
    as_json: Json = False,
) -> None:
    """Balance 336,776 real flights. Example: lakebalance demo"""
    from lakebalance import demo as flights

    lake = folder.resolve() / "lake"
    recipe = folder / "flights.yaml"
    with console.progress(as_json) as show, session(show, gates=True, archive=True) as spark:
        show("writing 336,776 flights into a lake of three Delta tables")
        flights.make_lake(spark, lake)
        if not recipe.exists():
            shutil.copy(flights.recipe_file(), recipe)
            shutil.copytree(
                flights.recipe_file().parent / "expectations",
                folder / "expectations",
                dirs_exist_ok=True,
            )
        loaded = _load(recipe, [], {**os.environ, "LAKE": str(lake)})
        data = _run(loaded, spark, show, folder.resolve() / "report.html")
    data["paths"]["recipe"] = str(recipe)
    if as_json:
        print_json(data)
    else:
        console.show_run(data)
        out.print(
            f"Next: LAKE={lake} lakebalance explain {recipe} --where \"carrier = 'OO'\"",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The recipe to write.")] = Path("recipe.yaml"),
) -> None:
    """Write a first recipe to edit. Example: lakebalance init my.yaml"""
    if path.exists():
        raise RecipeError(f"{path} exists already; name another file")
    path.write_text(
        "name: my_table\nseed: 7\nsources:\n  - {name: main, table: path/to/delta_table}\n"
        "allocate:\n  balance: {by: [label], method: equal, max_epochs: 4}\n"
        "publish: {table: path/to/my_table_balanced}\n"
    )
    out.print(f"wrote {path}; edit it, then: lakebalance validate {path}", soft_wrap=True)


@app.command()
def validate(
    recipe: Annotated[Path | None, typer.Argument(help="The recipe.")] = None,
    sets: Sets = [],  # noqa: B006  typer reads the default, nobody changes it
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema.")] = False,
    markdown: Annotated[bool, typer.Option(help="Print the page of all fields.")] = False,
    as_json: Json = False,
) -> None:
    """Check a recipe without Spark. Example: lakebalance validate conf/flights.yaml"""
    from lakebalance.recipe import Recipe

    if schema:
        print_json(Recipe.model_json_schema())
        return
    if markdown:
        from lakebalance.recipe.reference import recipe_page

        sys.stdout.write(recipe_page())
        return
    if recipe is None:
        raise RecipeError("name a recipe, or write --schema")
    loaded = _load(recipe, sets)
    if as_json:
        print_json({"valid": True, "recipe_hash": loaded.hash})
    else:
        out.print(f"{recipe}: valid; hash {loaded.hash}", soft_wrap=True)


@app.command()
def plan(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """Say what would come out; writes nothing. Example: lakebalance plan r.yaml --json"""
    loaded = _load(recipe, sets)
    with console.progress(as_json) as show, session(show, gates=_gated(loaded)) as spark:
        from lakebalance import pipeline

        data = pipeline.plan(loaded, spark, show).to_dict()
    if as_json:
        print_json(data)
    else:
        console.show_gates(data)
        console.show_groups(data)
        out.print(f"{data['rows']:,} rows planned; nothing was written.")


@app.command()
def run(
    recipe: RecipeArg,
    sets: Sets = [],  # noqa: B006
    report: Annotated[
        Path | None, typer.Option(help="Where the report goes; beside the recipe if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make exactly what the plan says. Example: lakebalance run r.yaml --set seed=8"""
    loaded = _load(recipe, sets)
    with (
        console.progress(as_json) as show,
        session(show, gates=_gated(loaded), archive=True) as spark,
    ):
        data = _run(loaded, spark, show, report or recipe.resolve().parent / "report.html")
    if as_json:
        print_json(data)
    else:
        console.show_run(data)


def _run(recipe: Recipe, spark: SparkSession, show: Progress, report: Path) -> dict[str, Any]:
    from lakebalance import pipeline
    from lakebalance.report import html

    data = pipeline.run(recipe, spark, show).to_dict()
    data["paths"]["report"] = str(report)
    show("report")
    html.write(data, report)
    return data


@app.command()
def runs(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """List the runs in the recipe's ledger. Example: lakebalance runs r.yaml"""
    loaded = _load(recipe, sets)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.ledger import state_of

        show("reading the ledger")
        ledger = state_of(loaded).runs(spark)
        names = ["run_id", "name", "finished", "target", "version", "rows", "replace_where"]
        rows = [] if ledger is None else ledger.select(*names).limit(100).toArrow().to_pylist()
    if as_json:
        print_json({"runs": rows})
    else:
        if all(row["replace_where"] is None for row in rows):
            names.remove("replace_where")
        for row in rows:
            row["finished"] = f"{row['finished']:%Y-%m-%d %H:%M:%S}"
        console.table_of(*names, rows=[tuple(str(row[name]) for name in names) for row in rows])


@app.command()
def diff(
    recipe: RecipeArg,
    run: Annotated[
        str | None, typer.Argument(help="A run's id or its beginning; the last but one if left out")
    ] = None,
    other: Annotated[str | None, typer.Argument(help="A later run; the newest if left out")] = None,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Say what changed between two runs. Example: lakebalance diff r.yaml 3f2a 9c01"""
    loaded = _load(recipe, sets)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.run_diff import diff as changed

        show("comparing the runs")
        data = changed(loaded, spark, run, other)
    if as_json:
        print_json(data)
    else:
        console.show_diff(data)


@app.command()
def rollback(
    recipe: RecipeArg,
    run: Annotated[str, typer.Argument(help="The run's id or its beginning.")],
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Take the tables back to an earlier run. Example: lakebalance rollback r.yaml 3f2a"""
    loaded = _load(recipe, sets)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.rolled_back import rollback as returned

        show("taking the tables back")
        data = returned(loaded, spark, run)
    if as_json:
        print_json(data)
    else:
        console.show_rollback(data)


@app.command()
def clean(
    recipe: RecipeArg,
    keep: Annotated[int, typer.Option(help="Newest runs to a target that keep all.")] = 10,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also scratch, and what killed runs left.")
    ] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Do it; else it is shown.")] = False,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Take out what old runs left beside their tables. Example: lakebalance clean r.yaml"""
    loaded = _load(recipe, sets)
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.cleaning import clean as cleaned

        show("counting what runs left")
        data = cleaned(loaded, spark, keep, unfinished=unfinished, dry_run=not confirm)
    if as_json:
        print_json(data)
    else:
        console.show_clean(data)


@app.command()
def explain(
    recipe: RecipeArg,
    key: Annotated[str | None, typer.Argument(help="A row's key: a/b/c.")] = None,
    where: Annotated[str | None, typer.Option(help="Condition instead of a key.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows, to 1,000.")] = 20,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Say why rows are in or out. Example: lakebalance explain r.yaml --where "id = 7" """
    loaded = _load(recipe, sets)
    if (key is None) == (where is None):
        raise RecipeError("write either a key or --where")
    with console.progress(as_json) as show, session(show, gates=_gated(loaded)) as spark:
        from lakebalance.fates import explain as fates_of
        from lakebalance.fates import key_condition

        show("looking the rows up")
        condition = where if where is not None else key_condition(loaded, key or "")
        fates = fates_of(loaded, spark, condition, limit)
    if as_json:
        print_json({"rows": fates})
    else:
        console.show_fates(fates)


@app.command("prune-eval")
def prune_eval(
    recipe: RecipeArg,
    rows: Annotated[int, typer.Option(help="About how many rows are sampled.")] = 20_000,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Plant near-duplicates, say how many are found. Example: lakebalance prune-eval r.yaml"""
    loaded = _load(recipe, sets)
    with (
        console.progress(as_json) as show,
        session(show, gates=_gated(loaded), archive=True) as spark,
    ):
        from lakebalance.pruning_quality import prune_eval as measured

        steps = measured(loaded, spark, rows, show)
    if as_json:
        print_json({"steps": steps})
    else:
        for step in steps:
            console.show_quality(step)


@app.command()
def methods(
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option(help="Print the page of all methods.")] = False,
) -> None:
    """List all methods and their options. Example: lakebalance methods"""
    if markdown:
        from lakebalance.recipe.reference import methods_page

        sys.stdout.write(methods_page())
        return
    from lakebalance.core.registry import Stage
    from lakebalance.core.registry import methods as known

    stages: tuple[Stage, ...] = ("prune", "allocate", "sample")
    data: dict[str, dict[str, dict[str, Any]]] = {
        stage: {
            name: {"summary": m.summary, "options": m.options.model_json_schema()}
            for name, m in known(stage).items()
        }
        for stage in stages
    }
    if as_json:
        print_json(data)
        return
    rows = [
        (
            stage,
            name,
            ", ".join(o for o in method["options"]["properties"] if o != "method"),
            str(method["summary"]),
        )
        for stage, found in data.items()
        for name, method in found.items()
    ]
    console.table_of("stage", "method", "options", "what it does", rows=rows)


def _traced() -> None:
    if Settings.debug:
        err.print(traceback.format_exc(), markup=False, soft_wrap=True, highlight=False)


def main() -> None:
    """Run the command line; known failures become one message and an exit code."""
    try:
        app()
    except LakebalanceError as error:
        _traced()
        err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        from lakebalance.core.errors import first_line

        _traced()
        what = f"unexpected {type(error).__name__}: {first_line(error)} (--debug shows more)"
        err.print(what, markup=False, soft_wrap=True)
        raise SystemExit(1) from None
