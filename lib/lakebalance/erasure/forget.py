"""Forgets rows: takes them out of every table that they reached, and proves that they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pyspark.sql import SparkSession

from lakebalance.core.errors import RecipeError
from lakebalance.core.progress import Progress
from lakebalance.core.spark_errors import said_for_users
from lakebalance.erasure.asked import Asked
from lakebalance.erasure.removal import Removal
from lakebalance.erasure.search import Search
from lakebalance.recipe.models import Recipe


def forget(
    recipe: Recipe,
    spark: SparkSession,
    *,
    where: str | None = None,
    keys: str | None = None,
    suspect: Sequence[str] = (),
    suspect_share: float = 0.0,
    ties: Literal["forget", "promote"] = "forget",
    sources: bool = False,
    vacuum_hours: float | None = None,
    models: str | None = None,
    states: Sequence[str] = (),
    reference: str = "",
    signed_off_by: str = "",
    dry_run: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Take rows of a recipe's sources out of every table that they reached.

    Each run that read one of the rows is made again without them, at the versions of its sources
    that it had, and so is each run that read such a run's tables: their groups are filled up to
    plan by the rows that come next. From then on, no run of any recipe that shares the state takes
    the rows in again. Killed at any point, the same call goes on where it stopped.

    Parameters
    ----------
    recipe : whose sources hold the rows; its newest run in the ledger is where the search starts.
    spark : the session. No run to the tables may be under way.
    where : condition over the sources' columns.
    keys : a table of values of some of these columns, as a Delta table or a file that ends in .csv
        or .parquet; or else ``where``.
    suspect : columns: rows that share their values with a listed one are meant as well.
    suspect_share : the least share, 0 to 1, of the rows with such values that must be listed.
    ties : what becomes of rows that pruning took for the same as a forgotten one: ``forget`` them,
        too, or ``promote`` the best of those that are left to its place.
    sources : delete the rows from the sources' tables as well.
    vacuum_hours : remove files that no newer version needs and that are older than this many hours,
        so that the rows' bytes are gone; files stay where left out.
    models : a Delta table with columns ``model``, ``table`` and ``version``; those that saw one of
        the rows are named.
    states : further folders of ledgers, in which runs may have read these tables.
    reference : what the request is called, such as a ticket.
    signed_off_by : who answers for it.
    dry_run : say what would be done, and do nothing.
    progress : called with the name of each stage.

    Returns
    -------
    ``request`` (its id), ``rows`` (by reason ``asked``, ``suspect``, ``tied``), ``sources`` and
    ``tables`` (of each: rows, how many are to be forgotten, and, once done, the same afterwards),
    ``leftovers`` (tables beside them), ``suspects``, ``models``, ``notes``; once done also
    ``complete``, whether nothing is found any more, and ``proof``, a hash of all of it.

    Raises
    ------
    RecipeError : what is asked for cannot be read.
    TableError : the recipe has no run in the ledger, or a table cannot be read or written.

    Examples
    --------
    >>> forget(Recipe.load("r.yaml"), spark, where="user_id = 7")["rows"]  # doctest: +SKIP
    {'asked': 12, 'tied': 3}
    """
    asked = Asked(where, keys, tuple(suspect), suspect_share, ties)
    if vacuum_hours is not None and vacuum_hours < 0:
        raise RecipeError(f"vacuum_hours must be 0 or more; there was {vacuum_hours}")
    search = Search(recipe, spark, asked, progress or (lambda _: None), list(states))
    with said_for_users("a table that a run read"):
        search.find()
    if dry_run:
        said = search.seen(models)
        search.scratch.clear()
        return said | {"dry_run": True}
    return Removal(search).carry_out(
        sources=sources,
        vacuum_hours=vacuum_hours,
        models=models,
        said={"reference": reference, "signed_off_by": signed_off_by},
    )
