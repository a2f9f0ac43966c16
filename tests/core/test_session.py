"""Spark starts on machines without Java, and says why where it does not start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakebalance.core.session import local_session

COUNT = (
    "from lakebalance.core.session import local_session;"
    "spark = local_session('local[1]');"
    "spark.range(3).write.format('delta').save(__import__('sys').argv[1]);"
    "print('rows:', spark.read.format('delta').load(__import__('sys').argv[1]).count(),"
    " __import__('os').environ.get('JAVA_HOME'))"
)


def path_without_java(folder):
    """A PATH with all that the real one has, but no Java."""
    for place in os.environ["PATH"].split(os.pathsep):
        for tool in Path(place).glob("*") if Path(place).is_dir() else []:
            link = folder / tool.name
            if not tool.name.startswith("java") and not link.is_symlink():
                link.symlink_to(tool)
    return str(folder)


@pytest.mark.slow
def test_without_java_the_packaged_one_serves(tmp_path):
    (tmp_path / "bin").mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("JAVA_HOME", "SPARK_HOME")}
    env |= {"PATH": path_without_java(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    shown = subprocess.run(
        [sys.executable, "-c", COUNT, str(tmp_path / "table")],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert f"rows: 3 {tmp_path}/cache/lakebalance/java" in shown.stdout, shown.stderr
    assert "WARN" not in shown.stderr


def test_an_artifact_that_is_not_to_be_had_is_named(tmp_path):
    bad = COUNT.replace("local_session('local[1]')", "local_session('local[1]')").replace(
        "from lakebalance",
        "import delta.pip_utils as p; f = p.configure_spark_with_delta_pip;"
        "p.configure_spark_with_delta_pip = lambda b: f(b, ['io.delta:no-such-thing:1.0']);"
        "import delta; delta.configure_spark_with_delta_pip = p.configure_spark_with_delta_pip;"
        "from lakebalance",
        1,
    )
    shown = subprocess.run(
        [sys.executable, "-c", bad, str(tmp_path / "table")],
        timeout=300,
        capture_output=True,
        text=True,
        check=False,
    )
    last = shown.stderr.split("LakebalanceError: ")[-1]
    assert last.startswith("Spark did not start"), shown.stderr
    assert "io.delta#no-such-thing;1.0" in last


def test_an_active_session_is_used_as_it_is(spark):
    assert local_session("local[7]") is spark
