"""Finds rows that are asked for in quarantine, where they may lie though no source has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import require
from lakebalance.core.components import Scratch
from lakebalance.core.errors import RecipeError
from lakebalance.core.tables import newest_version, read_delta
from lakebalance.erasure.asked import WHY, Asked, Picker
from lakebalance.erasure.marks import Marks, of_place
from lakebalance.erasure.trace import Published
from lakebalance.forgotten import HASH, REASON
from lakebalance.state_tables import QUARANTINE, SET_ASIDE

OF = "of"


def set_aside(
    spark: SparkSession,
    asked: Asked,
    marks: Sequence[Marks],
    runs: Sequence[Published],
    scratch: Scratch,
) -> tuple[list[Marks], dict[str, str]]:
    """Marks on what is asked for of the rows that gates set aside, in any run.

    Parameters
    ----------
    spark : the session.
    asked : what is asked for; a list is not widened by what lies in quarantine.
    marks : on rows of the sources, for how these are told apart.
    runs : the newest to each target, and those by other names; quarantine holds rows of earlier
        ones, too.
    scratch : where what is found is written.

    Returns
    -------
    The marks, and why tables of quarantine could not be searched, by their names.
    """
    picker = Picker(spark, replace(asked, suspect=(), suspect_share=0.0))
    unsearched: dict[str, str] = {}
    looked_for: list[Marks] = []
    found: list[DataFrame] = []
    for run in runs:
        table = run.state.table(QUARANTINE + run.recipe.name)
        version = newest_version(spark, table)
        if version is None:
            continue
        rows = read_delta(spark, table, version)
        for name, place in run.sources.items():
            own = rows.where(F.col("lb_source") == name).drop(*SET_ASIDE)
            for of in of_place(marks, place):
                try:
                    require(own, of.identity.names, table.name)
                    marked = of.identity.hash(own, table.name).alias(HASH)
                    picked = picker.pick(own.select("*", marked))
                except RecipeError as error:
                    unsearched[table.name] = str(error)
                    continue
                found.append(picked.select(F.lit(len(looked_for)).alias(OF), HASH, WHY))
                looked_for.append(of)
    if not found:
        return [], unsearched
    united = reduce(DataFrame.union, found).withColumnRenamed(WHY, REASON)
    listed = scratch(united.distinct(), "set-aside")
    kept = [
        Marks(of.place, of.identity, listed.where(F.col(OF) == i).select(HASH, REASON))
        for i, of in enumerate(looked_for)
    ]
    return kept, unsearched
