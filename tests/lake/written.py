"""Writes Delta tables without Spark: Parquet by pyarrow, the log by hand."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KINDS = {"int64": "long", "int32": "integer", "double": "double", "string": "string",
         "date32[day]": "date", "timestamp[us, tz=UTC]": "timestamp"}  # fmt: skip
PREFIX = 32


def write(folder, table, files=1):
    """Write rows as a Delta table of one commit; returns its path."""
    folder = Path(folder)
    (folder / "_delta_log").mkdir(parents=True)
    fields = [
        {"name": f.name, "type": KINDS[str(f.type)], "nullable": True, "metadata": {}}
        for f in table.schema
    ]
    schema = json.dumps({"type": "struct", "fields": fields})
    log = [
        {"commitInfo": {"timestamp": 1_700_000_000_000, "operation": "WRITE"}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": folder.name, "format": {"provider": "parquet", "options": {}},
                      "schemaString": schema, "partitionColumns": [], "configuration": {},
                      "createdTime": 0}},
    ]  # fmt: skip
    size = -(-table.num_rows // files) or 1
    for i, start in enumerate(range(0, table.num_rows, size)):
        part, path = table.slice(start, size), folder / f"part-{i:05}.parquet"
        pq.write_table(part, path)
        log.append(
            {"add": {"path": path.name, "partitionValues": {}, "size": path.stat().st_size,
                     "modificationTime": 0, "dataChange": True,
                     "stats": json.dumps(statistics(part))}}
        )  # fmt: skip
    commit = folder / "_delta_log" / f"{0:020}.json"
    commit.write_text("".join(json.dumps(action) + "\n" for action in log))
    return str(folder)


def statistics(table):
    """Statistics as Delta on Spark writes them, of texts up to their prefix."""
    least, most, nulls = {}, {}, {}
    for name in table.column_names:
        column = table[name]
        nulls[name] = column.null_count
        if column.null_count == len(column):
            continue
        low, high = (v.as_py() for v in pc.min_max(column).values())
        if pa.types.is_string(column.type) and len(high) > PREFIX:
            high = high[:PREFIX] + "\x7f"
        least[name] = low[:PREFIX] if isinstance(low, str) else _plain(low)
        most[name] = _plain(high)
    return {"numRecords": table.num_rows, "minValues": least, "maxValues": most,
            "nullCount": nulls}  # fmt: skip


def _plain(value):
    if hasattr(value, "tzinfo"):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else value
