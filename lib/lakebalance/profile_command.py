"""The command ``lakebalance profile``: rows per group of a recipe, or what columns say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakebalance import console
from lakebalance.commands import Json, is_recipe, print_json, session
from lakebalance.core.errors import RecipeError
from lakebalance.core.labels import group_text


def profile(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE | TABLE...",
            help="A recipe (.yaml, .yml, .json), or tables: paths or catalog names of Delta "
            "tables, or folders of Parquet.",
        ),
    ],
    sets: Annotated[
        list[str], typer.Option("--set", help="Override a recipe's field: a.b=c.")
    ] = [],  # noqa: B006
    columns: Annotated[
        list[str],
        typer.Option("--columns", help="Of a table: a column to look at; all if left out."),
    ] = [],  # noqa: B006
    version: Annotated[int | None, typer.Option(min=0, help="Of a table: Delta version.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact-distinct", help="Of a table: estimate no distinct count.")
    ] = False,
    keys: Annotated[bool, typer.Option(help="Of a table: look for keys.")] = True,
    key_size: Annotated[int, typer.Option(help="Most columns of a key.")] = 3,
    dependencies: Annotated[
        bool, typer.Option("--dependencies", help="Of a table: look for functional dependencies.")
    ] = False,
    left_size: Annotated[int, typer.Option(help="Most columns on their left sides.")] = 2,
    error: Annotated[float, typer.Option(help="The share of rows that may break them.")] = 0.01,
    correlations: Annotated[
        bool, typer.Option("--correlations", help="Of a table: measure pairs of columns.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Of a table: an HTML file to write, in one piece.")
    ] = None,
    suggest: Annotated[
        Path | None,
        typer.Option(help="Of a table: folder for a first recipe and its expectations."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --suggest: replace files that are there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count a recipe's rows per group, or say what a table's columns hold.

    Examples: lakebalance profile r.yaml; lakebalance profile lake/flights --json
    """
    if len(what) == 1 and is_recipe(what[0]):
        used = {"--columns": columns, "--version": version is not None, "--exact-distinct": exact,
                "--no-keys": not keys, "--key-size": key_size != 3,
                "--dependencies": dependencies, "--left-size": left_size != 2,
                "--error": error != 0.01,
                "--correlations": correlations, "--report": report is not None,
                "--suggest": suggest is not None}  # fmt: skip
        if wrong := [name for name, given in used.items() if given]:
            raise RecipeError(f"{wrong[0]} goes with tables; {what[0]} is a recipe")
        _groups(Path(what[0]), sets, as_json)
        return
    if sets:
        raise RecipeError(f"--set {sets[0]} goes with a recipe; {what[0]} is a table")
    if mixed := [name for name in what if is_recipe(name)]:
        raise RecipeError(f"{mixed[0]} is a recipe; profile it by itself, or name tables alone")
    from lakebalance.profiling.options import Options

    if overwrite and suggest is None:
        raise RecipeError("--overwrite goes with --suggest FOLDER")
    if suggest is not None:
        from lakebalance.suggested_recipe import check_suggestions

        check_suggestions(len(what), suggest, overwrite=overwrite)
    # A recipe needs to know of keys and of columns that add nothing.
    wanted = suggest is not None
    options = Options(
        exact, keys or wanted, key_size, dependencies or wanted, left_size, error, correlations
    )
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance import table_profiles

        found = table_profiles.columns(
            what, spark, options, names=columns, version=version, progress=show
        )
    data = found.to_dict()
    if suggest is not None:
        from lakebalance.suggested_recipe import write_suggestions

        written = write_suggestions(found, suggest, overwrite=overwrite)
        data["written"] = [str(path) for path in written]
    if report is not None:
        from lakebalance.report import columns as page

        data["report"] = str(page.write(data, report))
    if as_json:
        print_json(data)
    else:
        from lakebalance import profile_console

        profile_console.show(data)


def _groups(path: Path, sets: list[str], as_json: bool) -> None:
    """Rows per source and group of a recipe."""
    from lakebalance.recipe import Recipe

    loaded = Recipe.load(path, sets)
    with console.progress(as_json) as show, session(show) as spark:
        show("counting")
        from lakebalance.profiles import profile as rows_per_group

        data = rows_per_group(loaded, spark)
    if as_json:
        print_json(data)
        return
    console.table_of(
        "source", "group", "rows",
        rows=[
            (str(g["source"]), group_text(g["group"]), f"{g['rows']:,}")
            for g in data["groups"][:200]
        ],
    )  # fmt: skip
    for diagnostic in data["diagnostics"]:
        console.show_diagnostic(diagnostic)
