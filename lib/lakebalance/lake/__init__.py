"""Finds tables of a lake that hold each other's rows, plans which to drop, and does it safely.

from lakebalance import lake

lake.scan(spark, ["s3://bucket/lake"], "s3://bucket/lake_state")  # from Delta logs alone
lake.scan(spark, [], "s3://bucket/lake_state", schemas=["main.sales"])  # of a catalog, too
lake.graph(spark, "s3://bucket/lake_state")  # which tables hold all rows of which
plan = lake.plan(spark, "s3://bucket/lake_state", lake.Prices(storage=0.02))  # what to drop
lake.apply(spark, "s3://bucket/lake_state", plan.id)  # says what it would do; with confirm, does it
lake.restore(spark, "s3://bucket/lake_state", ["s3://bucket/lake/copy"])  # the rows again, proven
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Narrowing", "Prices", "apply", "difference", "graph", "plan", "restore", "scan"]

if TYPE_CHECKING:
    from lakebalance.lake.applying import apply
    from lakebalance.lake.containment import Narrowing, graph
    from lakebalance.lake.differing import difference
    from lakebalance.lake.inventory import scan
    from lakebalance.lake.planning import plan
    from lakebalance.lake.prices import Prices
    from lakebalance.lake.restoring import restore

HOMES = {
    "Narrowing": "containment",
    "Prices": "prices",
    "apply": "applying",
    "difference": "differing",
    "graph": "containment",
    "plan": "planning",
    "restore": "restoring",
    "scan": "inventory",
}


def __getattr__(name: str) -> Any:
    # What plans on small tables of costs needs no Spark.
    if name in HOMES:
        return getattr(import_module(f"lakebalance.lake.{HOMES[name]}"), name)
    raise AttributeError(f"module 'lakebalance.lake' has no attribute {name!r}")
