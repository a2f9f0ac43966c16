"""Balance the tables of a recipe on the cluster that spark-submit names.

spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 jobs/balance.py --recipe RECIPE
"""

import sys
from argparse import Namespace
from typing import Any

from pyspark.sql import SparkSession

import lakebalance as lb
from lakebalance import job


def balance(args: Namespace, recipe: lb.Recipe, spark: SparkSession) -> tuple[dict[str, Any], str]:
    """Plan, and unless ``--plan-only`` asks for no more, run."""

    def show(stage: str) -> None:
        job.log(f"stage: {stage}")

    if args.plan_only:
        plan = lb.plan(recipe, spark, show)
        return plan.to_dict(), f"{recipe.name}: {plan.rows:,} rows planned, nothing written"
    data = lb.run(recipe, spark, show).to_dict()
    output = data["output"]
    text = f"{recipe.name}: {output['rows']:,} rows in {output['table']} at version "
    done_before = " (finished before; nothing changed)" if data["repeated"] else ""
    return data, f"{text}{output['version']}{done_before}"


if __name__ == "__main__":
    arguments = job.arguments(__doc__)
    arguments.add_argument("--plan-only", action="store_true", help="say what would come out")
    sys.exit(job.run(arguments.parse_args(), balance))
