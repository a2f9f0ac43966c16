"""What all commands share: a session, JSON on standard output, and the options before a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebalance.core.json_values import in_json
from lakebalance.core.secrets import hide

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakebalance.core.progress import Progress

RecipeArg = Annotated[Path, typer.Argument(help="The recipe, YAML or JSON.")]
Sets = Annotated[list[str], typer.Option("--set", help="Override a field: a.b=c.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


RECIPES = {".yaml", ".yml", ".json"}


def is_recipe(name: str) -> bool:
    """Whether a name on the command line is that of a recipe's file, and not of a table or folder.

    Examples
    --------
    >>> is_recipe("my/flights.YAML"), is_recipe("lake/flights")
    (True, False)
    """
    return Path(name).suffix.lower() in RECIPES


class Settings:
    """The options that stand before a command."""

    debug = False
    verbose = False
    master = "local[*]"


@contextmanager
def session(
    show: Progress, *, gates: bool = False, archive: bool = False
) -> Iterator[SparkSession]:
    """A session that ends with the command.

    Parameters
    ----------
    show : told that Spark starts.
    gates : whether the command needs Great Expectations.
    archive : let Java keep its classes, with which later commands start sooner.
    """
    show("starting Spark (the first time, it downloads Delta)")
    from lakebalance.core.session import local_session

    if gates:
        # Takes as long to import as a small run to do, and Python only waits while Java starts.
        Thread(target=import_module, args=["great_expectations.expectations"], daemon=True).start()
    spark = local_session(Settings.master, verbose=Settings.verbose, archive=archive)
    try:
        yield spark
    finally:
        spark.stop()


def print_json(data: Any) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(in_json(hide(data)), default=_as_text, allow_nan=False) + "\n")


def _as_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
