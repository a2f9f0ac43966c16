"""Finds tables of a lake that hold each other's rows, and plans which to drop.

from lakebalance import lake

lake.scan(spark, ["s3://bucket/lake"], "s3://bucket/lake_state")  # from Delta logs alone
lake.graph(spark, "s3://bucket/lake_state")  # which tables hold all rows of which
lake.plan(spark, "s3://bucket/lake_state", lake.Prices(storage=0.02))  # what to drop; drops nothing
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Narrowing", "Prices", "graph", "plan", "scan"]

if TYPE_CHECKING:
    from lakebalance.lake.containment import Narrowing, graph
    from lakebalance.lake.inventory import scan
    from lakebalance.lake.planning import plan
    from lakebalance.lake.prices import Prices

HOMES = {
    "Narrowing": "containment",
    "Prices": "prices",
    "graph": "containment",
    "plan": "planning",
    "scan": "inventory",
}


def __getattr__(name: str) -> Any:
    # What plans on small tables of costs needs no Spark.
    if name in HOMES:
        return getattr(import_module(f"lakebalance.lake.{HOMES[name]}"), name)
    raise AttributeError(f"module 'lakebalance.lake' has no attribute {name!r}")
