"""Prints what the columns of tables say, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebalance import console
from lakebalance.console import out
from lakebalance.report.numbers import share
from lakebalance.report.values import shown

MOST_VALUES = 3
MOST_EXPLAINED = 10


def value_text(value: Any) -> str:
    """A value in short."""
    return shown(value).text


def show(data: Mapping[str, Any]) -> None:
    """All tables, one after the other."""
    for table in data["tables"]:
        _say(
            f"{table['name']}: {table['rows']:,} rows, {len(table['columns']):,} columns, "
            f"version {table['version']}"
        )
        console.first_of(
            "column", "type", "null", "NaN", "distinct", "least", "median", "greatest", "commonest",
            rows=[_line(column, table["rows"]) for column in table["columns"]],
        )  # fmt: skip
        if any(not column["distinct_exact"] for column in table["columns"]):
            error = data["error_of_distinct"]
            _say(
                f"≈: estimated, with a standard error of {error:.0%}; --exact-distinct counts them."
            )
        _show_patterns(table)
        _show_redundant(table["redundant"])
        if "keys" in table:
            _show_keys(table["keys"])
        _show_correlations(table.get("correlations", []))
        if "dependencies" in table:
            _show_dependencies(table["dependencies"])
    _show_inclusions(data["inclusions"])
    for path in data.get("written", []):
        _say(f"wrote {path}")
    if "report" in data:
        _say(f"report: {data['report']}")


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True, highlight=False)


def _line(column: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    distinct = f"{column['distinct']:,}"
    top = [
        f"{value_text(t['value'])} {share(t['rows'], rows)}" for t in column["top"][:MOST_VALUES]
    ]
    ends = [column["min"], column["quantiles"].get("50%"), column["max"]]
    return (
        column["name"],
        column["type"],
        share(column["nulls"], rows) if column["nulls"] else "0",
        share(column["nans"], rows) if column["nans"] else "0",
        distinct if column["distinct_exact"] else f"≈ {distinct}",
        *["" if end is None else value_text(end) for end in ends],
        ", ".join(top),
    )


def _show_patterns(table: Mapping[str, Any]) -> None:
    lines = [
        (
            column["name"],
            ", ".join(
                f"{value_text(p['pattern'])} {share(p['rows'], table['rows'])}"
                for p in column["patterns"][:MOST_VALUES]
            ),
            f"{column['min_length']} to {column['max_length']}",
        )
        for column in table["columns"]
        if column["patterns"]
    ]
    if lines:
        console.first_of(
            "column", "patterns (A capital, a other letter, 9 digit)", "length", rows=lines
        )


def _show_redundant(redundant: Mapping[str, Any]) -> None:
    if redundant["constant"]:
        _say(f"The same in all rows: {', '.join(redundant['constant'])}")
    for title, classes in (
        ("Equal in every row", redundant["equal"]),
        ("Each settles the other", redundant.get("one_to_one", [])),
    ):
        for one in classes:
            _say(f"{title}: {', '.join(one)}")


def _show_correlations(correlations: Sequence[Mapping[str, Any]]) -> None:
    lines = [
        (", ".join(c["columns"]), c["measure"], f"{c['value']:.3f}", f"{c['rows']:,}")
        for c in correlations
    ]
    if lines:
        console.first_of("columns", "measure", "value", "rows", rows=lines)


def _show_inclusions(inclusions: Mapping[str, Any]) -> None:
    lines = [
        (
            f"{one['from']['table']}: {one['from']['column']}",
            f"{one['to']['table']}: {one['to']['column']}",
            f"{one['contained']:,} of {one['values']:,}",
            share(one["contained"], one["values"]),
            "yes" if one["unique"] else "no",
        )
        for one in inclusions["found"]
    ]
    if lines:
        titles = ("values of", "are in", "values", "share", "unique there")
        console.first_of(*titles, rows=lines)
    if not inclusions["complete"]:
        _say("There may be more inclusions: there were too many pairs of columns to try them all.")


def _show_dependencies(dependencies: Mapping[str, Any]) -> None:
    found = dependencies["found"]
    if not found:
        _say("No dependencies that hold in enough rows.")
        return
    lines = [
        (
            f"{', '.join(d['left'])} → {d['right']}",
            f"{d['disagreeing']:,}",
            "0" if d["exact"] else f"{d['error']:.2%}",
            f"{d['broken_groups']:,}",
            f"{d['groups']:,}",
        )
        for d in found
    ]
    console.first_of(
        "dependency", "rows that break it", "share", "broken groups", "groups", rows=lines
    )
    broken = [d for d in found if d["clusters"]]
    for d in broken[:MOST_EXPLAINED]:
        _say(f"What breaks {', '.join(d['left'])} → {d['right']}:")
        for cluster in d["clusters"][:MOST_VALUES]:
            _say(f"  {cluster_text(cluster, d['right'])}")
    if not dependencies["complete"]:
        _say("There may be more dependencies: there were too many to try them all.")


def cluster_text(cluster: Mapping[str, Any], right: str) -> str:
    """The rows of a left side that disagree, and what would mend them."""
    group = ", ".join(f"{name}={value_text(v)}" for name, v in cluster["group"].items())
    counts = ", ".join(f"{value_text(v['value'])} in {v['rows']:,}" for v in cluster["values"])
    more = cluster["different_values"] - len(cluster["values"])
    others = f" and {more:,} more values" if more > 0 else ""
    said = f"{group}: {right} is {counts}{others}"
    if not cluster["majority"]:
        return f"{said}; no value has most rows"
    return (
        f"{said}; {value_text(cluster['repair'])} in all would change "
        f"{cluster['disagreeing']:,} of {cluster['rows']:,} rows"
    )


def _show_keys(keys: Mapping[str, Any]) -> None:
    found = [", ".join(key) for key in keys["found"]]
    if found:
        _say(f"Keys, counted over all rows, of at most {keys['most_columns']} columns:")
        for key in found[: console.MOST_LINES]:
            _say(f"  {key}")
    else:
        _say(f"No {keys['most_columns']} columns or fewer are a key.")
    if keys["columns_with_nulls"]:
        _say(f"In no key, as they have nulls or NaN: {', '.join(keys['columns_with_nulls'])}")
    if not keys["complete"]:
        _say("There may be more keys: there were too many sets of columns to try them all.")
