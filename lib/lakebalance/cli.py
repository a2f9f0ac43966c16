"""The command line: parses, calls the library, prints, and sets the exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lakebalance.core.errors import LakebalanceError, RecipeError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakebalance.recipe import Recipe

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
out, err = Console(), Console(stderr=True)

RecipeArg = Annotated[Path, typer.Argument(help="The recipe, YAML or JSON.")]
Sets = Annotated[list[str], typer.Option("--set", help="Override a field: a.b=c.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


class _Settings:
    debug = False
    verbose = False
    master = "local[*]"


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option(help="Show stack traces.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show Spark's own log.")] = False,
    master: Annotated[str, typer.Option(help="Spark master of a new session.")] = "local[*]",
) -> None:
    """Turn skewed, redundant Delta tables into balanced training tables."""
    _Settings.debug, _Settings.verbose, _Settings.master = debug, verbose, master


@contextmanager
def _session() -> Iterator[SparkSession]:
    from lakebalance.core.session import local_session

    with err.status("starting Spark"):
        spark = local_session(_Settings.master, verbose=_Settings.verbose)
    yield spark
    spark.stop()


@contextmanager
def _progress(quiet: bool = False) -> Iterator[Any]:
    if quiet:
        yield None
        return
    with err.status("starting") as status:
        def show(stage: str) -> None:
            if err.is_terminal:
                status.update(stage)
            else:
                err.print(f"… {stage}")

        yield show


def _load(path: Path, sets: list[str]) -> Recipe:
    from lakebalance.recipe import Recipe

    return Recipe.load(path, sets)


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, default=str, allow_nan=False) + "\n")


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
    with _progress(as_json) as show:
        if show:
            show("starting Spark")
        with _session() as spark:
            if show:
                show("writing flights into a lake of three Delta tables")
            flights.make_lake(spark, lake)
            recipe = folder / "flights.yaml"
            if not recipe.exists():
                shutil.copy(flights.recipe_file(), recipe)
                shutil.copytree(flights.recipe_file().parent / "expectations",
                                folder / "expectations", dirs_exist_ok=True)
            os.environ["LAKE"] = str(lake)
            data = _run(recipe, [], spark, show)
    data["paths"]["recipe"] = str(recipe)
    if as_json:
        _print_json(data)
    else:
        _show_run(data)


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
    out.print(f"wrote {path}; edit it, then: lakebalance validate {path}")


@app.command()
def validate(
    recipe: Annotated[Path | None, typer.Argument(help="The recipe.")] = None,
    sets: Sets = [],  # noqa: B006  typer reads the default, nobody changes it
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema.")] = False,
    as_json: Json = False,
) -> None:
    """Check a recipe without Spark. Example: lakebalance validate conf/flights.yaml"""
    from lakebalance.recipe import Recipe

    if schema:
        _print_json(Recipe.model_json_schema())
        return
    if recipe is None:
        raise RecipeError("name a recipe, or write --schema")
    loaded = _load(recipe, sets)
    if as_json:
        _print_json({"valid": True, "recipe_hash": loaded.hash})
    else:
        out.print(f"{recipe}: valid; hash {loaded.hash}")


@app.command()
def profile(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """Count rows per source and group before anything. Example: lakebalance profile r.yaml"""
    from lakebalance.profile import profile as rows_per_group

    loaded = _load(recipe, sets)
    with _session() as spark:
        data = rows_per_group(loaded, spark)
    if as_json:
        _print_json(data)
        return
    table = Table("source", "group", "rows")
    for group in data["groups"][:200]:
        table.add_row(str(group["source"]), _group_text(group["group"]), f"{group['rows']:,}")
    out.print(table)


@app.command()
def plan(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """Say what would come out; writes nothing. Example: lakebalance plan r.yaml --json"""
    from lakebalance import pipeline

    loaded = _load(recipe, sets)
    with _session() as spark, _progress(as_json) as show:
        data = pipeline.plan(loaded, spark, show).to_dict()
    if as_json:
        _print_json(data)
    else:
        _show_groups(data)


@app.command()
def run(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """Make exactly what the plan says. Example: lakebalance run r.yaml --set seed=8"""
    with _session() as spark, _progress(as_json) as show:
        data = _run(recipe, sets, spark, show)
    if as_json:
        _print_json(data)
    else:
        _show_run(data)


def _run(recipe: Path, sets: list[str], spark: SparkSession, show: Any) -> dict[str, Any]:
    from lakebalance import __version__, pipeline
    from lakebalance.report import html

    loaded = _load(recipe, sets)
    data = pipeline.run(loaded, spark, show).to_dict()
    data["paths"]["report"] = str(recipe.parent.resolve() / "report.html")
    html.write(
        {**data, "name": loaded.name, "recipe": loaded.to_yaml(), "package_version": __version__},
        Path(data["paths"]["report"]),
    )
    return data


@app.command()
def runs(recipe: RecipeArg, sets: Sets = [], as_json: Json = False) -> None:  # noqa: B006
    """List the runs in the recipe's ledger. Example: lakebalance runs r.yaml"""
    from lakebalance.publish.state import State

    loaded = _load(recipe, sets)
    with _session() as spark:
        ledger = State.beside(loaded.publish.table, loaded.publish.state).runs(spark)
        names = ["run_id", "name", "finished", "target", "version", "rows"]
        rows = [] if ledger is None else [
            r.asDict() for r in ledger.select(*names).limit(100).collect()]
    if as_json:
        _print_json({"runs": rows})
        return
    table = Table(*names)
    for row in rows:
        table.add_row(*[str(row[name]) for name in names])
    out.print(table)


@app.command()
def explain(
    recipe: RecipeArg,
    key: Annotated[str | None, typer.Argument(help="A row's key: a/b/c.")] = None,
    where: Annotated[str | None, typer.Option(help="Condition instead of a key.")] = None,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Say why rows are in or out. Example: lakebalance explain r.yaml --where "id = 7" """
    from lakebalance.explain import explain as fates_of
    from lakebalance.explain import key_condition

    loaded = _load(recipe, sets)
    if (key is None) == (where is None):
        raise RecipeError("write either a key or --where")
    condition = where if where is not None else key_condition(loaded, key or "")
    with _session() as spark:
        fates = fates_of(loaded, spark, condition)
    if as_json:
        _print_json({"rows": fates})
        return
    for fate in fates:
        out.print(f"{fate.pop('fate')}", style="bold")
        out.print_json(json.dumps(fate, default=str))


@app.command()
def methods(as_json: Json = False) -> None:
    """List all methods and their options. Example: lakebalance methods"""
    from lakebalance.core.registry import Stage
    from lakebalance.core.registry import methods as known

    stages: tuple[Stage, ...] = ("prune", "allocate", "sample")
    data = {
        stage: {name: {"summary": m.summary, "options": m.options.model_json_schema()}
                for name, m in known(stage).items()}
        for stage in stages
    }
    if as_json:
        _print_json(data)
        return
    table = Table("stage", "method", "options", "what it does")
    for stage, found in data.items():
        for name, method in found.items():
            options = [o for o in method["options"]["properties"] if o != "method"]
            table.add_row(stage, name, ", ".join(options), method["summary"])
    out.print(table)


def _group_text(group: dict[str, Any]) -> str:
    return ", ".join(f"{k}={json.dumps(v)}" for k, v in group.items()) or "all rows"


def _show_groups(data: dict[str, Any]) -> None:
    for title, name in (("source", "source"), ("group", "group")):
        before: dict[str, int] = defaultdict(int)
        after: dict[str, int] = defaultdict(int)
        for g in data["groups"]:
            label = str(g["source"]) if name == "source" else _group_text(g["group"])
            before[label] += g["available"]
            after[label] += g["target"]
        table = Table(title, "before", "after", "epochs")
        for label in sorted(before, key=lambda k: -before[k])[:60]:
            table.add_row(label, f"{before[label]:,}", f"{after[label]:,}",
                          f"{after[label] / max(1, before[label]):.2f}")
        out.print(table)
        if len(before) > 60:
            out.print(f"and {len(before) - 60:,} more")
    for warning in data["warnings"]:
        out.print(f"warning: {warning['message']}", style="yellow", markup=False)


def _show_run(data: dict[str, Any]) -> None:
    _show_groups(data)
    out.print(
        f"{data['rows']:,} rows planned, {data['output']['rows']:,} published and counted; "
        f"{data['quarantined']:,} quarantined, {data['matches']:,} duplicates dropped"
        + ("; this run was finished before: nothing changed" if data["repeated"] else "")
    )
    for name, path in data["paths"].items():
        out.print(f"  {name}: {path}", soft_wrap=True, markup=False)


def main() -> None:
    """Run the command line; known failures become one message and an exit code."""
    try:
        app()
    except LakebalanceError as error:
        if _Settings.debug:
            raise
        err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if _Settings.debug:
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        err.print(f"unexpected {type(error).__name__}: {first} (--debug shows more)", markup=False)
        raise SystemExit(1) from None
