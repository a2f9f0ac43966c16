"""What the spark-submit entry points in ``jobs/`` share: arguments, session, exit code."""

from __future__ import annotations

import atexit
import io
import json
import shutil
import sys
import tempfile
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

import lakebalance
from lakebalance.core.errors import LakebalanceError, first_line
from lakebalance.core.json_values import in_json
from lakebalance.core.secrets import hide
from lakebalance.core.session import cluster_session
from lakebalance.recipe import Recipe

Work = Callable[[Namespace, Recipe, SparkSession], tuple[dict[str, Any], str]]


def arguments(description: str | None) -> ArgumentParser:
    """The arguments that every job takes; a job adds its own."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--recipe", required=True, help="the recipe, YAML or JSON")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="A.B=C",
        help="override a field of the recipe; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--debug", action="store_true", help="show stack traces")
    return parser


def run(args: Namespace, work: Work) -> int:
    """Do a job's work and print what it returns; failures become one message on standard error.

    Parameters
    ----------
    args : parsed by ``arguments``.
    work : gets the arguments, the recipe and a session; returns the data for ``--json`` and the
        text that is printed without it.

    Returns
    -------
    The exit code: 0, or that of the ``LakebalanceError``, or 1.
    """
    return told(args, lambda: (*_done(args, work), 0))


def told(args: Namespace, done: Callable[[], tuple[dict[str, Any], str, int]]) -> int:
    """Do a job that needs no recipe, and print what it returns, as ``run`` does.

    Parameters
    ----------
    args : with ``json`` and ``debug``.
    done : returns the data for ``--json``, the text that is printed without it, and the exit code.

    Returns
    -------
    The exit code: that, or that of the ``LakebalanceError``, or 1.
    """
    if not args.debug:
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            PySparkLogger.getLogger(name).setLevel("CRITICAL")  # logs Java's stack trace as JSON
    try:
        # spark-submit pours Python's standard error into standard output, where with --json
        # nothing but the object may stand.
        with redirect_stderr(io.StringIO()) if args.json else nullcontext():
            data, text, code = done()
    except Exception as error:
        if args.debug:
            log(traceback.format_exc())
        if isinstance(error, LakebalanceError):
            log(f"error: {error}")
            return error.exit_code
        log(f"unexpected {type(error).__name__}: {first_line(error)} (--debug shows more)")
        return 1
    shown = (
        json.dumps(in_json(hide(data)), default=str, allow_nan=False) if args.json else hide(text)
    )
    print(shown, flush=True)
    return code


def _done(args: Namespace, work: Work) -> tuple[dict[str, Any], str]:
    # Before the session: a wrong recipe takes no place on the cluster.
    recipe = Recipe.load(args.recipe, args.sets)
    spark = session(f"lakebalance {recipe.name}")
    kind = "Connect" if ".connect." in type(spark).__module__ else "classic"
    log(f"lakebalance {lakebalance.__version__}, Spark {spark.version}, {kind}")
    return work(args, recipe, spark)


def session(name: str) -> SparkSession:
    """The cluster's session, whose Python workers have this package too.

    Spark copies a wheel of ``--py-files`` to the executors, but puts only .zip and .egg files on
    the path of their Python workers: so a wheel goes there once more, as a .zip.

    Parameters
    ----------
    name : the application's name, where spark-submit was given none.
    """
    spark = cluster_session(name)
    archive = getattr(getattr(lakebalance.__spec__, "loader", None), "archive", None)
    if archive is not None and Path(archive).suffix == ".whl":
        folder = tempfile.mkdtemp(prefix="lakebalance-")
        # The driver hands the file out as executors ask for it, until the end.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        copy = Path(folder) / f"{Path(archive).stem}.zip"
        shutil.copyfile(archive, copy)
        spark.addArtifacts(str(copy), pyfile=True)
    return spark


def log(text: str) -> None:
    """Write a line to standard error."""
    print(hide(text), file=sys.stderr, flush=True)
