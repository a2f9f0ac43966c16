"""Take rows out of all that they reached, on the cluster that spark-submit names.

spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0 jobs/forget.py --recipe RECIPE
--where CONDITION says what would go; with --confirm, it goes.
"""

import sys
from argparse import Namespace
from typing import Any

from pyspark.sql import SparkSession

import lakebalance as lb
from lakebalance import job
from lakebalance.core.errors import AuditError
from lakebalance.forget_console import reasons_text


def forget(args: Namespace, recipe: lb.Recipe, spark: SparkSession) -> tuple[dict[str, Any], str]:
    """Say what would go, or with ``--confirm`` take it out; exit 5 where rows are left."""

    def show(stage: str) -> None:
        job.log(f"stage: {stage}")

    data = lb.forget(
        recipe,
        spark,
        where=args.where,
        keys=args.keys,
        ties=args.ties,
        sources=args.sources,
        vacuum_hours=args.vacuum,
        models=args.models,
        states=args.state,
        reference=args.reference,
        signed_off_by=args.signed_off_by,
        dry_run=not args.confirm,
        progress=show,
    )
    rows = reasons_text(data["rows"]) or "no"
    if data["dry_run"]:
        return data, f"{recipe.name}: {rows} rows would be forgotten, nothing done"
    if not data["complete"]:
        raise AuditError(f"request {data['request']}: rows are left: {'; '.join(data['notes'])}")
    return data, f"{recipe.name}: {rows} rows are forgotten, request {data['request']}"


if __name__ == "__main__":
    arguments = job.arguments(__doc__)
    arguments.add_argument("--where", help="condition over the sources' columns")
    arguments.add_argument("--keys", help="table of values of some columns")
    arguments.add_argument("--ties", choices=["forget", "promote"], default="forget")
    arguments.add_argument("--sources", action="store_true", help="delete them there, too")
    arguments.add_argument("--vacuum", type=float, help="remove old files of more hours than this")
    arguments.add_argument("--models", help="Delta table of model, table, version")
    arguments.add_argument("--state", action="append", default=[], help="another ledger's folder")
    arguments.add_argument("--reference", default="", help="what the request is called")
    arguments.add_argument("--signed-off-by", default="", help="who answers for it")
    arguments.add_argument("--confirm", action="store_true", help="do it; else it is said")
    sys.exit(job.run(arguments.parse_args(), forget))
