"""Runs of the command line in processes of their own, which tests kill or starve."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import pytest
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.recipe import Recipe

RUN = "import sys; from lakebalance.cli import main; main()"


# Java's optimising compiler takes more than it gives to a process that ends after one run. Without
# it, Java has room for 48 MB of compiled code: Spark needs more, or all is compiled anew.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"


@pytest.fixture(scope="session")
def made(spark, tmp_path_factory):
    """A skewed table of 20,000 rows with texts that do not compress."""
    folder = tmp_path_factory.mktemp("made")
    rows = spark.range(20_000, numPartitions=4).select(
        "id",
        F.when(F.col("id") % 100 == 0, "rare").otherwise("common").alias("label"),
        F.concat_ws("", *[F.sha2(F.concat("id", F.lit(i)), 256) for i in range(4)]).alias("text"),
    )
    rows.write.format("delta").save(str(folder / "source"))
    return folder


@pytest.fixture(scope="session")
def published(spark, made, tmp_path_factory):
    """The table beside a target that an older run, of another seed, has made of it."""
    folder = tmp_path_factory.mktemp("published")
    lb.run(Recipe.load(copied(made, folder), ["seed=9"]), spark)
    return folder


@pytest.fixture
def lake(made, tmp_path):
    """A copy of the table, which the test may change, and a recipe for it."""
    return copied(made, tmp_path)


def copied(folder, to):
    """A copy of a folder with the table ``source``, and a recipe for that copy."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    recipe = to / "recipe.yaml"
    recipe.write_text(
        f"name: t\nsources: [{{name: s, table: {to}/source, key: [id]}}]\n"
        "expect: {expectations: [{expectation: ExpectColumnValuesToBeBetween, "
        "args: {column: id, min_value: 10}}]}\n"
        "prune: [{method: exact, columns: [text]}]\n"
        "allocate: {balance: {by: [label], method: equal}, rows: 16000}\n"
        f"publish: {{table: {to}/out/balanced}}\n"
    )
    return recipe


def start(recipe, *options, wrapper=(), environment=None, **keywords):
    """Start `lakebalance run` in a session of its own, so that its JVM can be killed with it."""
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", RUN, "--master", "local[2]", "run", str(recipe), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            "JDK_JAVA_OPTIONS": QUICK_JAVA,
            **os.environ,
            "COLUMNS": "200",
            **(environment or {}),
        },
        **keywords,
    )


def kill(process):
    """SIGKILL to the run and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def rows_of(spark, path, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return Counter(r[0] for r in reader.load(str(path)).select("id").collect())
