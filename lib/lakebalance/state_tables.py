"""The tables of a state that hold what runs leave beside their outputs, by name."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from lakebalance.lake.log_reading import log_files
from lakebalance.publish.state import RUN, State

QUARANTINE, MATCHES, INDEX, SCRATCH = "quarantine-", "matches-", "index-", "scratch-"
# What quarantine adds to the columns of rows.
SET_ASIDE = ("lb_source", "lb_reasons", "lb_key", RUN)


def names_in(spark: SparkSession, state: State) -> list[str]:
    """The names of all tables in a state's folder, in order; none where there is no such folder."""
    try:
        logs = log_files(spark, [state.folder], depth=1)
    except PySparkException:
        return []
    return sorted(path.rpartition("/")[2] for path, _ in logs)
