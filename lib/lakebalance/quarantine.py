"""Shows the rows that runs have set aside."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.readable import readable_rows
from lakebalance.ledger import state_of
from lakebalance.publish.state import RUN, State
from lakebalance.recipe.models import Recipe
from lakebalance.repair import KEY_TEXT
from lakebalance.state_tables import QUARANTINE, names_in

MOST_REASONS, MOST_EXAMPLES = 1000, 100


def quarantined(
    spark: SparkSession, where: Recipe | str, run: str | None = None, examples: int = 3
) -> dict[str, Any]:
    """What is in quarantine, by recipe, run, source and reason.

    Parameters
    ----------
    spark : the session.
    where : a recipe, or the folder of a state, of which all recipes' rows are shown.
    run : only this run's, by its id or the beginning of it; all if left out.
    examples : so many rows of the newest run of each recipe, 0 to 100, in order of their keys.

    Returns
    -------
    ``quarantines``, for each recipe: ``table``, ``recipe``, ``runs`` (``run_id`` and ``rows``),
    ``reasons`` (``run_id``, ``source``, ``expectation``, ``rows``; a row may have several) and
    ``examples``. Two Spark jobs for each recipe, one more for examples.

    Raises
    ------
    TableError : nothing is in quarantine.
    RecipeError : ``examples`` is out of range.

    Examples
    --------
    >>> quarantined(spark, Recipe.load("r.yaml"))["quarantines"][0]["runs"]  # doctest: +SKIP
    [{'run_id': '3f2a…', 'rows': 8255}]
    """
    if not 0 <= examples <= MOST_EXAMPLES:
        raise RecipeError(f"examples must be 0 to {MOST_EXAMPLES}; there was {examples}")
    state = state_of(where) if isinstance(where, Recipe) else State(where)
    found = [
        _shown(spark, state, name, run, examples)
        for name in names_in(spark, state)
        if name.startswith(QUARANTINE)
        and (not isinstance(where, Recipe) or name == QUARANTINE + where.name)
    ]
    found = [own for own in found if own["runs"]]
    if not found:
        of = f" of run {run}" if run else ""
        raise TableError(f"no row{of} is in quarantine in {state.folder}")
    return {"quarantines": found}


def _shown(
    spark: SparkSession, state: State, name: str, run: str | None, examples: int
) -> dict[str, Any]:
    rows = spark.read.format("delta").load(state.table(name).name)
    if run is not None:
        rows = rows.where(F.col(RUN).startswith(run))
    counted = rows.groupBy(RUN).count().orderBy(RUN).limit(MOST_REASONS).collect()
    by_reason = rows.select(RUN, "lb_source", F.explode("lb_reasons").alias("reason"))
    counts = by_reason.groupBy(RUN, "lb_source", "reason").count()
    ordered = counts.orderBy(F.col("count").desc(), RUN, "lb_source", "reason")
    some: list[dict[str, Any]] = []
    if examples and counted:
        order = [n for n in (RUN, KEY_TEXT, "lb_source") if n in rows.columns]
        picked = rows.orderBy(*map(column, order)).limit(examples)
        some = readable_rows(picked)
    return {
        "recipe": name.removeprefix(QUARANTINE),
        "table": state.table(name).name,
        "runs": [{"run_id": row[RUN], "rows": row["count"]} for row in counted],
        "reasons": [
            {"run_id": r[RUN], "source": r["lb_source"], "expectation": r["reason"],
             "rows": r["count"]}
            for r in ordered.limit(MOST_REASONS).collect()
        ],
        "examples": some,
    }  # fmt: skip
