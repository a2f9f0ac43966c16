"""The command ``lakebalance data-docs``: Great Expectations' pages of what runs found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakebalance import console
from lakebalance.commands import Json, RecipeArg, Sets, print_json, session
from lakebalance.console import out


def data_docs(
    recipe: RecipeArg,
    folder: Annotated[Path, typer.Argument(help="Where the pages go; old ones are replaced.")],
    runs: Annotated[int, typer.Option(help="How many of the newest runs.")] = 10,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Write Great Expectations' Data Docs of runs. Example: lakebalance data-docs r.yaml docs"""
    from lakebalance.recipe import Recipe

    loaded = Recipe.load(recipe, sets)
    with console.progress(as_json) as show, session(show, gates=True) as spark:
        import lakebalance as lb

        show("writing Data Docs")
        data = lb.data_docs(loaded, spark, folder, runs=runs)
    if as_json:
        print_json(data)
        return
    out.print(
        f"{data['index']}: {data['suites']:,} suites in {len(data['runs']):,} runs, "
        f"{data['met']:,} expectations met, {data['missed']:,} not",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
