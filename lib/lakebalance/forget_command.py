"""The command ``lakebalance forget``: rows taken out again, with all that came from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from lakebalance import console, forget_console
from lakebalance.commands import Json, RecipeArg, Sets, print_json, session


def forget(
    recipe: RecipeArg,
    where: Annotated[str | None, typer.Option(help="Condition over the sources' columns.")] = None,
    keys: Annotated[
        str | None, typer.Option(help="Table of values of some columns: Delta, .csv or .parquet.")
    ] = None,
    suspect: Annotated[
        list[str], typer.Option(help="Also rows that share this column with a listed one.")
    ] = [],  # noqa: B006
    suspect_share: Annotated[
        float, typer.Option(help="Where at least this share of such rows is listed, 0 to 1.")
    ] = 0.0,
    ties: Annotated[
        str, typer.Option(help="Duplicates of the rows: forget them, or promote the best one.")
    ] = "forget",
    sources: Annotated[
        bool, typer.Option("--sources", help="Delete the rows from the sources, too.")
    ] = False,
    vacuum: Annotated[
        float | None, typer.Option(help="Remove old files of more hours than this; 0 for all.")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Delta table of model, table, version: which saw the rows?")
    ] = None,
    state: Annotated[
        list[str], typer.Option(help="Another folder of a ledger that may know such tables.")
    ] = [],  # noqa: B006
    reference: Annotated[str, typer.Option(help="What the request is called: a ticket.")] = "",
    signed_off_by: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    report: Annotated[
        Path | None, typer.Option(help="Where the proof goes; beside the recipe if left out.")
    ] = None,
    known: Annotated[
        bool, typer.Option("--requests", help="List earlier requests, and do nothing.")
    ] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Do it; else it is shown.")] = False,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Take rows out again, everywhere. Example: lakebalance forget r.yaml --where "user = 7" """
    from lakebalance.recipe import Recipe

    loaded = Recipe.load(recipe, sets)
    if known:
        _list(loaded, as_json)
        return
    from lakebalance.erasure.asked import Asked

    # What is wrong is said before Spark starts.
    asked = Asked(where, keys, tuple(suspect), suspect_share, cast(Any, ties))
    gates = bool(loaded.expect.expectations) and confirm
    with console.progress(as_json) as show, session(show, gates=gates) as spark:
        import lakebalance as lb

        data = lb.forget(
            loaded,
            spark,
            where=where,
            keys=keys,
            suspect=suspect,
            suspect_share=suspect_share,
            ties=asked.ties,
            sources=sources,
            vacuum_hours=vacuum,
            models=models,
            states=state,
            reference=reference,
            signed_off_by=signed_off_by,
            dry_run=not confirm,
            progress=show,
        )
    _told(data, report or recipe.resolve().parent / "forget_report.html", as_json)


def _list(recipe: Any, as_json: bool) -> None:
    with console.progress(as_json) as show, session(show) as spark:
        from lakebalance.erasure.requests import requests

        show("reading the requests")
        data = requests(recipe, spark)
    if as_json:
        print_json({"requests": data})
    else:
        forget_console.show_requests(data)


def _told(data: dict[str, Any], report: Path, as_json: bool) -> None:
    if not data["dry_run"]:
        from lakebalance.report.forget import write

        write(data, report)
        data = {**data, "report": str(report)}
    if as_json:
        print_json(data)
    else:
        forget_console.show_forget(data)
    if not data.get("complete", True):
        raise typer.Exit(5)
