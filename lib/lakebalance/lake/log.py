"""Replays a table's Delta log: which files it has, and what the log says of them.

After the protocol (delta-io/delta, PROTOCOL.md): of each logical file, a path with its deletion
vector, the newest action counts; statistics are under physical names; bounds of files with deletion
vectors are wide; values of partition columns stand with the files, not in their statistics.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from lakebalance.lake.facts import ColumnFacts, TableFacts

Action = Mapping[str, Any]
ELSEWHERE = re.compile(r"^(/|[A-Za-z][A-Za-z0-9+.-]*:)")
MAPPED = ("name", "id")
# Files that may be read without the log: opening a table that is larger takes little of its time.
MOST_PLAIN_FILES = 16
MOST_PLAIN_BYTES = 64 * 2**20
# What files hold in another form than the table, or not at all.
NOT_PLAIN = re.compile(r'"(variant|void|null|_metadata)"|delta\.typeChanges|__COLLATIONS')


class BrokenLog(Exception):
    """A log that does not say what the table holds."""


def actions(text: str) -> Iterator[Action]:
    """The actions of a commit, one JSON object a line.

    Raises
    ------
    BrokenLog : a line is not a JSON object.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                action = json.loads(line)
            except ValueError as error:
                raise BrokenLog(f"line {number} of a commit is not JSON: {error}") from error
            if not isinstance(action, dict):
                raise BrokenLog(f"line {number} of a commit is not a JSON object")
            yield action


def replay(table: str, version: int, log: Iterable[Action]) -> TableFacts:
    """What a table holds at a version.

    Parameters
    ----------
    table : its path, for the result.
    version : the newest version in the log.
    log : the actions from a checkpoint or from version 0 on, oldest first.

    Raises
    ------
    BrokenLog : the log names no schema, or an action lacks what the protocol asks for.

    Examples
    --------
    >>> schema = '{"type": "struct", "fields": [{"name": "id", "type": "long", "metadata": {}}]}'
    >>> stats = '{"numRecords": 2, "minValues": {"id": 1}, "maxValues": {"id": 7}}'
    >>> facts = replay("lake/t", 0, [
    ...     {"metaData": {"schemaString": schema, "partitionColumns": []}},
    ...     {"add": {"path": "a", "size": 9, "partitionValues": {}, "stats": stats}}])
    >>> facts.rows, facts.bytes, facts.columns[0].max_high
    (2, 9, 7)
    """
    metadata: Action | None = None
    files: dict[tuple[str, str], Action] = {}
    written: int | None = None
    try:
        for action in log:
            if add := action.get("add"):
                files[_identity(add)] = add
            elif remove := action.get("remove"):
                files.pop(_identity(remove), None)
            elif found := action.get("metaData"):
                metadata = found
            elif action.get("sidecar"):
                raise BrokenLog("its checkpoint is of the kind V2, which is not read")
            elif info := action.get("commitInfo"):
                written = info.get("timestamp", written)
        if metadata is None:
            raise BrokenLog("the log names no schema")
        return _facts(table, version, metadata, list(files.values()), written)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenLog(f"{type(error).__name__} in the log: {error}") from error


def _identity(file: Action) -> tuple[str, str]:
    vector = file.get("deletionVector")
    if not vector:
        return file["path"], ""
    offset = vector.get("offset")
    unique = f"{vector['storageType']}{vector['pathOrInlineDv']}"
    return file["path"], unique if offset is None else f"{unique}@{offset}"


def _facts(
    table: str, version: int, metadata: Action, files: list[Action], written: int | None
) -> TableFacts:
    fields = json.loads(metadata["schemaString"])["fields"]
    mapped = (metadata.get("configuration") or {}).get("delta.columnMapping.mode") in MAPPED
    partitions = tuple(metadata.get("partitionColumns") or ())
    columns = {
        _physical(field, mapped): ColumnFacts(field["name"], field["type"]) for field in fields
    }
    # What a float was before it became a double, and texts under a collation, compare otherwise.
    unsure = {
        _physical(field, mapped)
        for field in fields
        if {"delta.typeChanges", "__COLLATIONS"} & (field.get("metadata") or {}).keys()
    }
    of_partitions = {p for p, column in columns.items() if column.name in partitions}
    rows: int | None = 0
    without = 0
    for file in files:
        stats = json.loads(file.get("stats") or "{}", parse_float=Decimal)
        left = _rows_left(file, stats)
        rows = None if rows is None or left is None else rows + left
        without += "numRecords" not in stats
        if left == 0:
            continue
        for name, column in columns.items():
            if name in of_partitions:
                value = (file.get("partitionValues") or {}).get(name)
                columns[name] = _with_partition(column, value, left)
            else:
                columns[name] = _with_file(column, name, file, stats, left, name in unsure)
    own = [file for file in files if not ELSEWHERE.match(file["path"])]
    return TableFacts(
        table=table,
        version=version,
        rows=rows,
        bytes=sum(int(file["size"]) for file in own),
        files=len(files),
        columns=tuple(columns.values()),
        partition_by=partitions,
        last_written=written or max((f.get("modificationTime") or 0 for f in files), default=None),
        borrowed=tuple(sorted({_folder(f["path"]) for f in files if ELSEWHERE.match(f["path"])})),
        without_statistics=without,
        id=str(metadata.get("id") or ""),
        plain=() if mapped or unsure or partitions else _plain(table, metadata, files),
    )


def _plain(table: str, metadata: Action, files: list[Action]) -> tuple[str, ...]:
    """The paths of a table's files, if it is small and nothing but these."""
    names = [unquote(file["path"]) for file in files]
    small = is_small(len(files), sum(int(file["size"]) for file in files))
    # Spark passes over names that begin so.
    hidden = any(part.startswith(("_", ".")) for name in names for part in name.split("/"))
    others = any(file.get("deletionVector") or ELSEWHERE.match(file["path"]) for file in files)
    if not small or hidden or others or NOT_PLAIN.search(metadata["schemaString"]):
        return ()
    return tuple(f"{table}/{name}" for name in names)


def is_small(files: int, size: int) -> bool:
    """Whether opening a table takes longer than reading it; ``size`` is in bytes."""
    return files <= MOST_PLAIN_FILES and size <= MOST_PLAIN_BYTES


def _physical(field: Action, mapped: bool) -> str:
    name: str = field["name"]
    metadata = field.get("metadata") or {}
    return str(metadata.get("delta.columnMapping.physicalName", name)) if mapped else name


def _folder(path: str) -> str:
    """The folder of the table that a file elsewhere belongs to: partitions are left out."""
    parts = unquote(path).removeprefix("file://").removeprefix("file:").split("/")[:-1]
    while parts and "=" in parts[-1]:
        parts.pop()
    return "/".join(parts)


def _rows_left(file: Action, stats: Action) -> int | None:
    rows = stats.get("numRecords")
    gone = (file.get("deletionVector") or {}).get("cardinality", 0)
    return None if rows is None else int(rows) - int(gone)


def _with_partition(column: ColumnFacts, value: str | None, rows: int | None) -> ColumnFacts:
    """A column with a file's one value; an empty text stands for null."""
    if value is None or value == "":
        # Without statistics the file may have no rows left: then it has no nulls either.
        return column.and_nulls(rows or 0, rows)
    # A time in a partition's name is in its writer's zone, which nobody wrote down.
    return column.and_values(value, value, tight=rows is not None)


def _with_file(
    column: ColumnFacts, name: str, file: Action, stats: Action, rows: int | None, unsure: bool
) -> ColumnFacts:
    tight = not file.get("deletionVector") and stats.get("tightBounds", True)
    nulls = (stats.get("nullCount") or {}).get(name)
    physical = stats.get("numRecords")
    if not isinstance(nulls, int) or rows is None or physical is None:
        column, nulls = column.and_nulls(0, rows), None
    elif tight:
        column = column.and_nulls(nulls, nulls)
    else:
        column = column.and_nulls(max(nulls - (int(physical) - rows), 0), min(nulls, rows))
    if nulls is not None and nulls == physical:
        return column
    if unsure:
        return column.and_unknown()
    low, high = ((stats.get(part) or {}).get(name) for part in ("minValues", "maxValues"))
    return column.and_values(low, high, tight=bool(tight))
