"""Delta logs written by hand: statistics as Delta's writers cut them, and files of a table."""

import datetime as dt
import json
import math
import struct

from lakebalance.lake.log import replay

EPOCH = dt.datetime(1970, 1, 1)
PREFIX = 32


def schema(kinds, physical=None, partition_by=(), **more):
    """A ``metaData`` action of columns and their types, mapped to physical names if given."""
    fields = [
        {
            "name": name, "type": kind, "nullable": True,
            "metadata": {"delta.columnMapping.physicalName": physical[name]} if physical else {},
        }
        for name, kind in kinds.items()
    ]  # fmt: skip
    mapping = {"delta.columnMapping.mode": "name"} if physical else {}
    text = json.dumps({"type": "struct", "fields": fields})
    return {
        "metaData": {"id": "i", "schemaString": text, "partitionColumns": list(partition_by),
                     "configuration": mapping, **more}
    }  # fmt: skip


def add(path, stats=None, size=10, partition=None, vector=None, **more):
    """An ``add`` action."""
    file = {"path": path, "size": size, "partitionValues": partition or {}, **more}
    if stats is not None:
        file["stats"] = stats if isinstance(stats, str) else json.dumps(stats)
    if vector is not None:
        dv = {"storageType": "u", "pathOrInlineDv": vector[0], "offset": 1}
        file["deletionVector"] = {**dv, "cardinality": vector[1]}
    return {"add": file}


def written(value, kind, greatest, writer="spark"):
    """A least or greatest value as Delta on Spark writes it, or another writer.

    ``raised`` raises the last character of a greatest text that it cuts; ``exact`` cuts nothing.
    """
    if kind == "string":
        if len(value) <= PREFIX or writer == "exact":
            return value
        if greatest and writer == "raised":
            kept = value[:PREFIX].rstrip("\U0010ffff")
            return kept[:-1] + chr(ord(kept[-1]) + 1)
        end = "\x7f" if value[PREFIX] < "\x7f" else "\U0010ffff"
        return value[:PREFIX] + end if greatest else value[:PREFIX]
    if kind == "date":
        return value.isoformat()
    if kind.startswith("timestamp"):
        zone = "Z" if kind == "timestamp" else ""
        return value.isoformat(timespec="milliseconds" if writer == "spark" else "auto") + zone
    if kind == "float":
        return as_float(value)
    return value


def as_float(value):
    """A float's shortest text, as a number of JSON."""
    if math.isnan(value):
        return "NaN"
    for digits in range(1, 18):
        text = float(f"{value:.{digits}g}")
        if struct.pack("f", text) == struct.pack("f", value):
            return text
    raise AssertionError(value)


def statistics(rows, kinds, tight=None, physical=None, writer="spark"):
    """A file's statistics: columns that hold nothing but nulls have no least and greatest value."""
    lows, highs, nulls = {}, {}, {}
    for i, (name, kind) in enumerate(kinds.items()):
        values = [row[i] for row in rows if row[i] is not None]
        key = (physical or {}).get(name, name)
        nulls[key] = len(rows) - len(values)
        if values:
            order = (lambda v: (math.isnan(v), v)) if kind in ("float", "double") else None
            for part, value, greatest in (
                (lows, min(values, key=order), False),
                (highs, max(values, key=order), True),
            ):
                is_nan = kind == "double" and math.isnan(value)
                part[key] = "NaN" if is_nan else written(value, kind, greatest, writer)
    stats = {"numRecords": len(rows), "minValues": lows, "maxValues": highs, "nullCount": nulls}
    if tight is not None:
        stats["tightBounds"] = tight
    return _json(stats)


def _json(stats):
    """JSON in which decimals are numbers, digit for digit."""
    text = json.dumps(stats, default=lambda d: f"<{d}>")
    return text.replace('"<', "").replace('>"', "")


def table(name, kinds, *files, **more):
    """The facts of a table whose files have these rows, with exact statistics."""
    log = [add(f"f{i}", statistics(rows, kinds)) for i, rows in enumerate(files)]
    return replay(name, 0, [schema(kinds, **more), *log])
