"""Arrow's types as Spark wants them back from a task."""

from __future__ import annotations

import pyarrow as pa


def in_utc(table: pa.Table) -> pa.Table:
    """The table with all timestamps in UTC, nested ones too: the same moments.

    Spark gives them to a task in the session's time zone, and wants them back in UTC.
    """
    wanted = pa.schema([field.with_type(_in_utc(field.type)) for field in table.schema])
    return table if wanted.equals(table.schema) else table.cast(wanted)


def _in_utc(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_utc(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_utc(kind.value_type)))
    if pa.types.is_map(kind):
        item = kind.item_field.with_type(_in_utc(kind.item_type))
        return pa.map_(kind.key_field.with_type(_in_utc(kind.key_type)), item)
    return kind
