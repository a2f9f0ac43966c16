"""Small tables, and plans as ``lake plan`` keeps them, of tables that a test names."""

from collections import Counter

import pyarrow as pa

from lakebalance.core.tables import Table, detail
from lakebalance.lake.planning import Decision, LakePlan
from lakebalance.lake.prices import Prices
from lakebalance.lake.stored_plans import keep_plan

ROWS = 40


def rows(start=0, stop=ROWS):
    return pa.table({"id": pa.array(range(start, stop), pa.int64()),
                     "text": [f"row {i // 2}" for i in range(start, stop)]})  # fmt: skip


def multiset(spark, path):
    return Counter(map(tuple, spark.read.format("delta").load(str(path)).collect()))


def planned(spark, state, pairs, names=None):
    """Keep a plan that drops the first table of each pair for the second; returns its id.

    ``names`` leads from the children's names of columns to the parents', where they differ.
    """
    decisions = []
    for child, parent in pairs:
        said = detail(spark, Table(str(child)))
        columns = spark.read.format("delta").load(str(child)).columns
        own = {name: (names or {}).get(name, name) for name in columns}
        numbers = (str(child), 0, None, 1, 1.0)
        decisions.append(Decision(*numbers, str(parent), columns=own, id=said["id"]))
    plan = LakePlan(decisions, 1.0, 0.0, 0.0, {}, [], [], 0, Prices())
    return keep_plan(spark, str(state), plan.to_dict())
