"""What the tests of the jobs share: a lake, a wheel, a Python without lakebalance, a cluster."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from standalone import Cluster, environment

ROOT = Path(__file__).parents[2]
ROWS = 200_000
AIRFLOW = [
    "apache-airflow==3.3.2",
    "apache-airflow-providers-apache-spark",
    "apache-airflow-providers-standard",
]


@pytest.fixture(scope="session")
def airflow_python(tmp_path_factory):
    """A Python with Airflow, kept in the folder that LAKEBALANCE_AIRFLOW names, if it names one."""
    kept = os.environ.get("LAKEBALANCE_AIRFLOW")
    folder = Path(kept or tmp_path_factory.mktemp("airflow"))
    python = folder / "bin" / "python"
    if not (folder / "bin" / "airflow").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *AIRFLOW], check=True)
    return python


@pytest.fixture(scope="session")
def lake(spark, tmp_path_factory):
    """Two skewed sources with duplicates, nulls and bad values; the same in each session."""
    folder = tmp_path_factory.mktemp("lake")
    for name, rows, start in (("big", ROWS, 0), ("small", ROWS // 20, ROWS)):
        made = F.xxhash64("id")
        spark.range(start, start + rows, numPartitions=4).select(
            "id",
            # About as many rows again in each label as in all later ones.
            F.when(made % 1009 == 0, None)
            .otherwise(
                F.concat(
                    F.lit("label"),
                    F.least(
                        F.lit(9), F.floor(F.log2(F.lit(2**20) / (F.pmod(made, F.lit(2**20)) + 1)))
                    ),
                )
            )
            .alias("label"),
            (F.pmod(F.xxhash64("id", F.lit(1)), F.lit(100_000)) / 100).alias("x"),
            F.sha2(F.floor(F.col("id") / 3).cast("string"), 256).alias("text"),
        ).write.format("delta").save(str(folder / name))
    return folder


@pytest.fixture(scope="session")
def recipe_file(lake, tmp_path_factory):
    """A recipe that uses every stage; a job says with ``--set`` where its output goes."""
    recipe = {
        "name": "jobs",
        "seed": 3,
        "sources": [
            {"name": name, "table": str(lake / name), "key": ["id"], "where": "x < 990"}
            for name in ("big", "small")
        ],
        "expect": {
            "expectations": [
                {
                    "expectation": "ExpectColumnValuesToBeBetween",
                    "args": {"column": "x", "min_value": 10},
                }
            ]
        },
        "prune": [{"method": "exact", "columns": ["label", "text"], "keep": {"first_by": "id"}}],
        "allocate": {
            "mix": {"method": "temperature", "temperature": 2.0, "max_epochs": 4},
            "balance": {"by": ["label"], "method": "equal", "max_epochs": 20},
            "rows": 60_000,
        },
        "publish": {"table": "somewhere/out"},
    }
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


@pytest.fixture(scope="session")
def rows_in(spark):
    """The multiset of rows of a Delta table, each by a digest of all its values."""

    def count(path):
        df = spark.read.format("delta").load(str(path))
        row = F.to_json(F.struct(*sorted(df.columns)), {"ignoreNullFields": "false"})
        return Counter(r[0] for r in df.select(F.md5(row)).collect())

    return count


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The package as ``pip wheel . --no-deps`` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(folder)], check=True)
    return next(folder.glob("lakebalance-*.whl"))


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    """A Python that has all that is installed here but lakebalance, as a cluster may have."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    shown = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    packages = Path(shown.stdout.strip())
    for name in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(name)).iterdir():
            # An editable install is a .pth file, which has the name in it too.
            if "lakebalance" not in entry.name and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    return python


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, bare_python):
    """A standalone cluster whose Python has the dependencies but not lakebalance."""
    started = Cluster(tmp_path_factory.mktemp("cluster"), environment(bare_python))
    yield started
    started.stop()
