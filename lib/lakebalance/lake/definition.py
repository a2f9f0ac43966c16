"""A table's definition: all but its rows that Delta lets be made again, should its folder go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pyspark.sql import Row
from pyspark.sql import types as T

from lakebalance.core.columns import quoted, sql_text
from lakebalance.core.sql_types import sql_columns
from lakebalance.core.tables import Table

CONSTRAINT = "delta.constraints."
# Delta counts its columns' numbers itself.
DERIVED = ("delta.columnMapping.maxColumnId", "delta.rowTracking.materialized")
# A table that was made anew says for which removal.
CLAIM = "lakebalance.restores"
RETENTION = "delta.deletedFileRetentionDuration"


@dataclass(frozen=True)
class Definition:
    """Columns with types, nullability and comments; partitions, clustering, properties, checks."""

    schema: str
    partition_by: Sequence[str] = ()
    cluster_by: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None

    def to_json(self) -> str:
        """The definition as text, for the record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Definition:
        """The definition as ``to_json`` wrote it."""
        return cls(**json.loads(text))

    def statements(self, table: Table, claim: str) -> list[str]:
        """What makes the table, empty, in SQL.

        Parameters
        ----------
        table : a path.
        claim : the removal that it is made anew for.
        """
        schema = T.StructType.fromJson(json.loads(self.schema))
        plain = {
            name: value
            for name, value in self.properties.items()
            if not name.startswith((CONSTRAINT, *DERIVED))
        }
        said = ", ".join(
            f"{sql_text(k)} = {sql_text(v)}" for k, v in {**plain, CLAIM: claim}.items()
        )
        create = f"CREATE TABLE IF NOT EXISTS {table.sql} ({sql_columns(schema)}) USING delta"
        for clause, names in (
            ("PARTITIONED BY", self.partition_by),
            ("CLUSTER BY", self.cluster_by),
        ):
            if names:
                create += f" {clause} ({', '.join(map(quoted, names))})"
        if self.comment is not None:
            create += f" COMMENT {sql_text(self.comment)}"
        checks = [
            f"ALTER TABLE {table.sql} ADD CONSTRAINT "
            f"{quoted(name.removeprefix(CONSTRAINT))} CHECK ({check})"
            for name, check in self.properties.items()
            if name.startswith(CONSTRAINT)
        ]
        return [f"{create} TBLPROPERTIES ({said})", *checks]


def definition_of(said: Row, schema: T.StructType) -> Definition:
    """A table's definition.

    Parameters
    ----------
    said : what DESCRIBE DETAIL says of it.
    schema : its columns.
    """
    return Definition(
        schema.json(),
        tuple(said["partitionColumns"]),
        tuple(said["clusteringColumns"] or ()),
        dict(said["properties"]),
        said["description"],
    )
