"""Count rows per source and group of a recipe on the cluster that spark-submit names.

spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 jobs/profile_sources.py --recipe RECIPE
"""

import json
import sys
from argparse import Namespace
from typing import Any

from pyspark.sql import SparkSession

from lakebalance import job
from lakebalance.profiles import profile
from lakebalance.recipe import Recipe


def count(_: Namespace, recipe: Recipe, spark: SparkSession) -> tuple[dict[str, Any], str]:
    """The counts as data, and as lines of source, group and rows."""
    data = profile(recipe, spark)
    lines = [
        f"{group['source']}\t{json.dumps(group['group'])}\t{group['rows']}"
        for group in data["groups"]
    ]
    return data, "\n".join(["source\tgroup\trows", *lines])


if __name__ == "__main__":
    sys.exit(job.run(job.arguments(__doc__).parse_args(), count))
