"""The command ``lakebalance ask``: a holdout that may be asked again and again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lakebalance import console
from lakebalance.commands import Json, RecipeArg, Sets, print_json, session
from lakebalance.console import out


def ask(
    recipe: RecipeArg,
    question: Annotated[str, typer.Argument(help="Expression: true or false, or 0 to 1.")],
    holdout: Annotated[str, typer.Option(help="A part that is held out, or a Delta table.")],
    training: Annotated[
        str | None, typer.Option(help="A part, or a Delta table; the balanced one if left out.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="How far both means may differ; 0.04 if left out.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help="The scale of the noise; 0.01 if left out.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="How often the holdout may answer; 100 if left out.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            envvar="LAKEBALANCE_HOLDOUT_KEY",
            help="A secret that the noise follows from, besides the recipe's seed.",
        ),
    ] = "",
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Ask a holdout without fitting it. Example: lakebalance ask r.yaml "y = p" --holdout test"""
    from lakebalance.recipe import Recipe

    loaded = Recipe.load(recipe, sets)
    with console.progress(as_json) as show, session(show) as spark:
        import lakebalance as lb

        show("asking the holdout")
        data = lb.ask(
            loaded,
            spark,
            question,
            holdout=holdout,
            training=training,
            threshold=threshold,
            noise=noise,
            budget=budget,
            key=key,
        )
    if as_json:
        print_json(data)
    else:
        _show(data)


def _show(data: dict[str, Any]) -> None:
    whose = (
        "of the training rows, with which the holdout agrees"
        if data["of"] == "training"
        else "of the holdout, with noise: the training rows differ from it"
    )
    again = ", asked before" if data["again"] else ""
    out.print(
        f"{data['answer']:.4f} {whose}\n"
        f"question {data['number']:,}{again}; {data['spent']:,} of {data['budget']:,} answers of "
        f"{data['holdout']} are spent",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
