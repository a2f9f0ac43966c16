"""A generated lake whose containments are known: how many are found, how fast, by which step.

Families of a table with copies, projections, filtered rows, unions and near-copies, of which one
value is another; families of the same schema hold other rows. The naive way compares every pair of
which one has the other's columns, a pair a job; it is timed on some pairs and the rest is reckoned.

python tests/bench/lake.py --tables 500
python tests/bench/lake.py --tables 50 --renamed
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from lakebalance.core.session import local_session
from lakebalance.lake.containment import Narrowing, graph
from lakebalance.lake.inventory import load, scan
from lakebalance.lake.planning import plan
from lakebalance.lake.schema_graph import edges

sys.path.append(str(Path(__file__).parents[1] / "lake"))
from written import write

FAMILY = 10
ROWS = 400


def family(number: int, chance: random.Random) -> list[pa.Table]:
    """Ten tables: a base of 400 rows, and nine that hold some of it, or nearly so."""
    names = [f"s{number % 8}_{name}" for name in ("id", "amount", "text", "group")]
    ids = chance.sample(range(100_000), ROWS)
    columns = [
        ids, [chance.random() for _ in ids], [f"{'note ' * chance.randrange(9)}{i}" for i in ids],
        [chance.randrange(12) for _ in ids],
    ]  # fmt: skip
    base = pa.table(dict(zip(names, columns, strict=True)))
    some = base.take(sorted(chance.sample(range(ROWS), ROWS // 2)))
    rest = base.take(sorted(chance.sample(range(ROWS), ROWS // 4)))
    near = base.to_pylist()
    # In the middle of all values, so that no statistics tell.
    near[chance.randrange(ROWS)][names[1]] = 0.5
    return [
        base,
        base.take(chance.sample(range(ROWS), ROWS)),
        base.select(names[:2]),
        base.select([names[3], names[2]]),
        some,
        some.select(names[:3]),
        rest,
        pa.concat_tables([some, rest]),
        pa.Table.from_pylist(near, schema=base.schema),
        base.slice(0, ROWS // 3),
    ]


def renamed(table: pa.Table, chance: random.Random) -> pa.Table:
    """A table whose columns are in another order and called by letters that say nothing."""
    names = chance.sample(table.column_names, table.num_columns)
    letters = chance.sample("abcdefghijklmnopqrstuvwxyz", len(names))
    return table.select(names).rename_columns(letters)


def truth(tables: dict[str, pa.Table]) -> set[tuple[str, str]]:
    """All pairs of a child and a parent that holds its rows, as often as the child has them."""
    rows = {
        name: {c: table[c].to_pylist() for c in table.column_names}
        for name, table in tables.items()
    }
    counted: dict[tuple[str, tuple[str, ...]], Counter] = {}

    def count(name: str, columns: tuple[str, ...]) -> Counter:
        key = name, columns
        if key not in counted:
            counted[key] = Counter(zip(*(rows[name][c] for c in columns), strict=True))
        return counted[key]

    return {
        (child, parent)
        for child in tables
        for parent in tables
        if child != parent and rows[child].keys() <= rows[parent].keys()
        and count(child, tuple(sorted(rows[child]))) <= count(parent, tuple(sorted(rows[child])))
    }  # fmt: skip


def naive(spark: SparkSession, pairs: list[tuple[str, str, list[str]]]) -> float:
    """Seconds that Spark takes to subtract a parent's rows from a child's, pair by pair."""
    started = time.monotonic()
    for child, parent, columns in pairs:
        own, other = (spark.read.format("delta").load(p).select(columns) for p in (child, parent))
        own.exceptAll(other).count()
    return time.monotonic() - started


def main() -> None:
    """Make the lake, scan, narrow, plan; print the funnel and what was found of the truth."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tables", type=int, default=500)
    arguments.add_argument("--naive", type=int, default=20, help="pairs timed one by one")
    arguments.add_argument("--renamed", action="store_true", help="each table names its columns")
    args = arguments.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        tables: dict[str, pa.Table] = {}
        for number in range(-(-args.tables // FAMILY)):
            for i, table in enumerate(family(number, chance)):
                named = renamed(table, chance) if args.renamed else table
                tables[write(f"{folder}/lake/f{number:03}/t{i}", named)] = table
        true = truth(tables)
        spark = local_session("local[2]")
        state, began = f"{folder}/state", time.monotonic()
        inventory = scan(spark, [f"{folder}/lake"], state)
        scanned = time.monotonic() - began
        scan(spark, [f"{folder}/lake"], state)
        again = time.monotonic() - began - scanned
        began = time.monotonic()
        found = graph(spark, state, Narrowing(verify=True, match=args.renamed))
        narrowed = time.monotonic() - began
        held = {(h.edge.child, h.edge.parent) for h in found.edges}
        print(f"{len(inventory.tables)} tables scanned in {scanned:.1f} s, again in {again:.1f} s")
        for step in found.funnel:
            print(f"| {step['step']} | {step['pairs']:,} | {step['seconds']} s |")
        print(f"cut: {dict(found.cut)}; problems: {found.problems[:3]}")
        both = len(held & true)
        print(f"precision {both / len(held):.4f}, recall {both / len(true):.4f}")
        if args.renamed:
            spark.stop()
            return
        known = edges(load(spark, state).tables)
        pairs = [(e.child, e.parent, [name for name, _ in e.columns]) for e in known]
        naive(spark, pairs[:3])
        some = chance.sample(pairs, min(args.naive, len(pairs)))
        each = naive(spark, some) / len(some)
        print(
            f"naive: {each:.2f} s for each of {len(some)} pairs, {each * len(pairs):,.0f} s for "
            f"{len(pairs):,}; narrowed in {narrowed:.1f} s, {narrowed / (each * len(pairs)):.1%}"
        )
        began = time.monotonic()
        decided = plan(spark, state)
        dropped = sum(d.rebuild_from is not None for d in decided.decisions)
        print(f"plan: {dropped} tables could go, {dict(decided.methods)}, bound met: "
              f"{decided.bound >= decided.after}, {time.monotonic() - began:.1f} s")  # fmt: skip
        spark.stop()


if __name__ == "__main__":
    main()
