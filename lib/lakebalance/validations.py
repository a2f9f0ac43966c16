"""Great Expectations' Data Docs of what a recipe's expectations found in its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import SparkSession

from lakebalance.core.errors import RecipeError
from lakebalance.expect.data_docs import Validation, write_site
from lakebalance.expect.verdicts import Verdict
from lakebalance.ledger import Ledger
from lakebalance.recipe.expect import Expectation
from lakebalance.recipe.models import Recipe

AFTER, ALL = "after balance", "all sources"


def data_docs(
    recipe: Recipe,
    spark: SparkSession,
    folder: str | Path,
    *,
    runs: int = 10,
) -> dict[str, Any]:
    """Great Expectations' Data Docs of the newest runs to a target, written as a site of pages.

    A suite for each source that expectations name, one for all sources and one for the rows after
    balance; a page for each in each run, with what the ledger has of it: no row is read. Runs that
    a gate stopped published nothing and are not in the ledger. Gates of drift, fairness and learned
    limits are no expectations: the run's report has them.

    Parameters
    ----------
    recipe : names the target, and where its ledger is; the runs' own recipes are in the ledger.
    spark : the session, which reads the ledger.
    folder : where to; pages that it has from before are replaced.
    runs : how many, from 1 on.

    Returns
    -------
    ``index`` (the first page), ``runs`` (their ids, newest first), ``suites``, ``pages`` (of
    validations), ``met`` and ``missed`` (verdicts in them).

    Raises
    ------
    TableError : there are no runs, or the folder has other files or cannot be written.
    RecipeError : the runs have no expectations, or one that is not known here.

    Examples
    --------
    >>> data_docs(Recipe.load("r.yaml"), spark, "data_docs")["index"]  # doctest: +SKIP
    'data_docs/index.html'
    """
    if runs < 1:
        raise RecipeError(f"runs: {runs}; write how many of the newest, 1 or more")
    ledger = Ledger(recipe, spark)
    entries = ledger.lines(ledger.known()[:runs])
    validations = [own for entry in entries for own in validations_of(entry)]
    if not validations:
        raise RecipeError(
            f"expect: none of the {len(entries):,} newest runs to {recipe.publish.table} has "
            "expectations; write some, and run the recipe"
        )
    index = write_site(Path(folder), validations)
    verdicts = [verdict for own in validations for _, verdict in own.found]
    met = sum(verdict.success for verdict in verdicts)
    return {
        "index": str(index),
        "runs": [entry["run_id"] for entry in entries],
        "suites": len({own.suite for own in validations}),
        "pages": len(validations),
        "met": met,
        "missed": len(verdicts) - met,
    }


def validations_of(entry: Mapping[str, Any]) -> list[Validation]:
    """What a run's expectations found, together what is of the same rows.

    Parameters
    ----------
    entry : a run as the ledger has it.
    """
    # As it was written down, so that secrets stay hidden.
    recipe, plan = yaml.safe_load(entry["recipe"]), entry["plan"]
    written = recipe.get("expect", {}).get("expectations", [])
    expectations = [Expectation.model_validate(own) for own in written]
    asked = [
        (AFTER if when == "after" else own.source or ALL, own)
        for when in ("before", "after")
        for own in expectations
        if when in own.times
    ]
    verdicts = [Verdict(**gate) for gate in plan["gates"]]
    found = [verdict for verdict in verdicts if verdict.kind == "expectation"]
    together: dict[str, list[tuple[Expectation, Verdict]]] = {}
    for (rows, own), verdict in zip(asked, found, strict=True):
        together.setdefault(rows, []).append((own, verdict))
    return [
        Validation(
            entry["run_id"],
            entry["finished"],
            (recipe["name"], rows),
            recipe["publish"]["table"] if rows == AFTER else _tables(plan["sources"], rows),
            own,
        )
        for rows, own in together.items()
    ]


def _tables(sources: Sequence[Mapping[str, Any]], rows: str) -> str:
    """The tables that rows are from, each at its version."""
    named = [s for s in sources if rows in (ALL, s["name"])]
    return ", ".join(f"{s['table']} version {s['version']}" for s in named)
