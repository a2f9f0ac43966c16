"""The record of removals: what was taken out of which table, and how its rows are made again.

It is the Delta table ``removed`` in the state's folder, and rows are only ever added: an event for
each step of a removal. What is to be removed is written down first and looked up then: of two that
do so at once, for tables of which one needs the other, at least one sees the other and steps back.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pyarrow as pa
from pyspark.sql import SparkSession

from lakebalance.core.paths import local
from lakebalance.core.row_hash import Fingerprint
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake.definition import Definition
from lakebalance.lake.rebuild import Rebuild

# Of a removal, the event furthest down is what it has come to, in whatever order they were written:
# one that was withdrawn by a second try and then done all the same is done.
STEPS = ("claimed", "withdrawn", "removed", "deleted", "restored")
ENDED = ("withdrawn", "restored")
# What is never written down, as nothing is done: who removes such a table does it by hand.
BY_HAND = "by_hand"
KEPT = pa.schema(
    [("claim", pa.string()), ("event", pa.string()), ("time", pa.timestamp("us", "UTC")),
     ("plan", pa.string()), ("table", pa.string()), ("table_id", pa.string()),
     ("version", pa.int64()), ("parent", pa.string()), ("parent_version", pa.int64()),
     ("rows", pa.int64()), ("bytes", pa.int64()),
     ("kept_bytes", pa.int64()), ("fingerprint", pa.string()),
     ("rebuild", pa.string()), ("definition", pa.string()), ("sql", pa.string()),
     ("note", pa.string())]
)  # fmt: skip


@dataclass(frozen=True)
class Removal:
    """A table whose rows are, or are to be, removed, and all that it takes to have them again.

    ``version`` is the last with its rows, ``event`` what the removal has come to.
    """

    claim: str
    plan: str
    table: str
    table_id: str
    version: int
    bytes: int
    fingerprint: Fingerprint
    rebuild: Rebuild
    definition: Definition
    kept_bytes: int = 0
    event: str = "claimed"

    @property
    def is_active(self) -> bool:
        """Whether the rows are gone, or may be about to go."""
        return self.event not in ENDED

    @property
    def is_removed(self) -> bool:
        """Whether the rows are known to be gone."""
        return self.event in ("removed", "deleted")

    def bars(self, table: str, parent: str) -> str | None:
        """Why a table may not be removed that ``parent`` would be rebuilt for; None if it may."""
        if not self.is_active:
            return None
        if self.table == table:
            return (
                f"plan {self.plan} has removed {table}, or was at it: apply that one again, or "
                "restore the table"
            )
        if self.table == parent:
            return f"{parent} has been removed by plan {self.plan}, or is about to be"
        if self.rebuild.parent == table:
            return f"{self.table}, removed by plan {self.plan}, is rebuilt from it"
        return None


def record(
    spark: SparkSession, state: str, removals: Sequence[Removal], event: str, note: str = ""
) -> list[Removal]:
    """Write down what removals have come to.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the state's folder.
    removals : those that have come to it.
    event : one of ``STEPS``.
    note : what else there is to say, such as why it was withdrawn.

    Returns
    -------
    The removals with the event.
    """
    now = dt.datetime.now(dt.timezone.utc)
    rows = [
        {
            "claim": r.claim, "event": event, "time": now, "plan": r.plan, "table": r.table,
            "table_id": r.table_id, "version": r.version, "parent": r.rebuild.parent,
            "parent_version": r.rebuild.version, "rows": r.fingerprint.rows, "bytes": r.bytes,
            "kept_bytes": r.kept_bytes,
            "fingerprint": json.dumps([str(r.fingerprint.hi), str(r.fingerprint.lo)]),
            "rebuild": r.rebuild.to_json(), "definition": r.definition.to_json(),
            "sql": r.rebuild.sql(), "note": note,
        }
        for r in removals
    ]  # fmt: skip
    if rows:
        df = spark.createDataFrame(pa.Table.from_pylist(rows, schema=KEPT))
        df.coalesce(1).write.format("delta").mode("append").save(_table(state).name)
    return [replace(r, event=event) for r in removals]


def removals_of(spark: SparkSession, state: str) -> list[Removal]:
    """All removals of the record, in order of their tables, each as what it has come to."""
    if newest_version(spark, _table(state)) is None:
        return []
    newest: dict[str, Removal] = {}
    rows = spark.read.format("delta").load(_table(state).name)
    for row in rows.toArrow().to_pylist():
        before = newest.get(row["claim"])
        if before is None or STEPS.index(row["event"]) > STEPS.index(before.event):
            hi, lo = map(Decimal, json.loads(row["fingerprint"]))
            newest[row["claim"]] = Removal(
                row["claim"], row["plan"], row["table"], row["table_id"], row["version"],
                row["bytes"], Fingerprint(row["rows"], hi, lo), Rebuild.from_json(row["rebuild"]),
                Definition.from_json(row["definition"]), row["kept_bytes"], row["event"],
            )  # fmt: skip
    return sorted(newest.values(), key=lambda r: (r.table, r.claim))


def relied_on(spark: SparkSession, state: str) -> set[str]:
    """Tables that others, which were removed, are rebuilt from."""
    return {r.rebuild.parent for r in removals_of(spark, state) if r.is_active}


def barred(
    removals: Sequence[Removal], table: str, parent: str, own: Collection[str] = ()
) -> str | None:
    """Why the record forbids to remove a table; None if it does not.

    Parameters
    ----------
    removals : the record.
    table, parent : the table, and the one that it would be rebuilt from.
    own : claims that are not held against it.
    """
    said = (r.bars(table, parent) for r in removals if r.claim not in own)
    return next(filter(None, said), None)


def _table(state: str) -> Table:
    return Table(local(state).rstrip("/") + "/removed")
