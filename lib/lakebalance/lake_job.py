"""The spark-submit job ``jobs/lake.py``: the steps of ``lakebalance lake`` on a cluster."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from lakebalance import job, lake
from lakebalance.lake.planning import reads_in
from lakebalance.lake.schema_graph import Names
from lakebalance.lake_options import absolute, aliases, options, places, table_name
from lakebalance.lake_report import write_report

Done = tuple[dict[str, Any], str, int]
NUMBERS: dict[str, dict[str, Callable[[str], float]]] = {
    "graph": {"missing": float, "risk": float, "seed": int, "near": float},
    "plan": dict.fromkeys(
        ("storage", "read", "rebuild", "throughput", "max_latency", "reads"), float
    ),
}


def parser(description: str | None) -> ArgumentParser:
    """The job's arguments: a step, and what ``lakebalance lake STEP --help`` explains."""
    made = ArgumentParser(description=description)
    steps = made.add_subparsers(dest="step", required=True)
    of_step = {}
    for name in STEPS:
        step = of_step[name] = steps.add_parser(name)
        step.add_argument("--state", required=True, help="the folder for what is found")
        step.add_argument("--json", action="store_true", help="print one JSON object instead")
        step.add_argument("--debug", action="store_true", help="show stack traces")
        for option, kind in NUMBERS.get(name, {}).items():
            step.add_argument("--" + option.replace("_", "-"), type=kind, default=None)
    of_step["scan"].add_argument("paths", nargs="*")
    of_step["scan"].add_argument("--schema", action="append", default=[])
    of_step["scan"].add_argument("--parquet", action="store_true")
    of_step["scan"].add_argument("--read-log")
    of_step["scan"].add_argument("--depth", type=int, default=3)
    for name in ("graph", "diff"):
        of_step[name].add_argument("--alias", action="append", default=[])
        of_step[name].add_argument("--ignore-case", action="store_true")
    for flag in ("--match", "--verify"):
        of_step["graph"].add_argument(flag, action="store_true")
    for name in ("table", "other"):
        of_step["diff"].add_argument(name)
    of_step["diff"].add_argument("--examples", type=int, default=5)
    for name in ("graph", "plan"):
        of_step[name].add_argument("--report", type=Path, help="an HTML file with a picture")
    of_step["plan"].add_argument("--access", type=Path)
    of_step["plan"].add_argument("--keep", action="append", default=[])
    of_step["apply"].add_argument("plan")
    of_step["apply"].add_argument("--confirm", metavar="PLAN")
    of_step["apply"].add_argument("--delete", action="store_true")
    which = of_step["restore"].add_mutually_exclusive_group(required=True)
    which.add_argument("tables", nargs="*", default=[])
    which.add_argument("--plan")
    return made


def run(args: Namespace) -> int:
    """Do a step and print what it found; returns the exit code.

    Parameters
    ----------
    args : parsed by ``parser``.
    """
    return job.told(args, lambda: STEPS[args.step](args, job.session(f"lake {args.step}")))


def _scan(args: Namespace, spark: SparkSession) -> Done:
    folders = places(args.paths, args.schema)
    data = lake.scan(
        spark, folders, _state(args), args.depth, _show, schemas=args.schema,
        parquet=args.parquet, read_log=table_name(args.read_log),
    ).to_dict()  # fmt: skip
    return data, _lines(data["tables"], "table", "version", "rows", "bytes"), 0


def _graph(args: Namespace, spark: SparkSession) -> Done:
    values = {**_numbers(args), "aliases": aliases(args.alias), "ignore_case": args.ignore_case}
    wanted = options(lake.Narrowing, {**values, "verify": args.verify, "match": args.match})
    data = lake.graph(spark, _state(args), wanted, _show).to_dict()
    if args.report:
        write_report(spark, _state(args), args.report, graph=data)
    return data, _lines(data["edges"], "child", "parent", "rows_compared", "verified"), 0


def _diff(args: Namespace, spark: SparkSession) -> Done:
    names = Names(aliases(args.alias), args.ignore_case)
    own, other = table_name(args.table), table_name(args.other)
    found = lake.difference(spark, _state(args), own, other, names, args.examples, _show).to_dict()
    return found, _lines([found], "table", "other", "rows", "missing"), 0


def _plan(args: Namespace, spark: SparkSession) -> Done:
    reads = {} if args.access is None else reads_in(args.access)
    prices = options(lake.Prices, _numbers(args))
    keep = [table_name(name) for name in args.keep]
    data = lake.plan(spark, _state(args), prices, reads=reads, keep=keep, progress=_show).to_dict()
    if args.report:
        write_report(spark, _state(args), args.report, plan=data)
    lines = _lines(data["tables"], "action", "table", "rebuild_from", "bytes")
    return data, f"plan\t{data['plan']}\n{lines}", 0


def _apply(args: Namespace, spark: SparkSession) -> Done:
    done = lake.apply(
        spark, _state(args), args.plan, confirm=args.confirm, delete=args.delete, progress=_show
    )
    data = done.to_dict()
    code = 4 if done.skipped and not done.dry_run else 0
    return data, _lines(data["tables"], "action", "table", "rebuild_from", "why"), code


def _restore(args: Namespace, spark: SparkSession) -> Done:
    tables = absolute(args.tables)
    found = lake.restore(spark, _state(args), tables, plan=args.plan, progress=_show)
    data = {"tables": [table.to_dict() for table in found]}
    code = 4 if any(table.how is None for table in found) else 0
    return data, _lines(data["tables"], "table", "how", "rows", "why"), code


def _state(args: Namespace) -> str:
    return absolute([args.state])[0]


def _numbers(args: Namespace) -> dict[str, Any]:
    values = {name: getattr(args, name) for name in NUMBERS[args.step]}
    return {name: value for name, value in values.items() if value is not None}


def _lines(rows: Sequence[Mapping[str, Any]], *names: str) -> str:
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    return "\n".join("\t".join(line) for line in [list(names), *cells])


def _show(stage: str) -> None:
    job.log(f"stage: {stage}")


STEPS: dict[str, Callable[[Namespace, SparkSession], Done]] = {
    "scan": _scan, "graph": _graph, "diff": _diff, "plan": _plan, "apply": _apply,
    "restore": _restore,
}  # fmt: skip
