"""The same rows on one core, on two, over Connect, on a cluster, and when a worker dies."""

import hashlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from standalone import (
    DELTA,
    JOBS,
    Process,
    connect_variables,
    environment,
    fetch,
    submission,
    until,
)

import lakebalance as lb

BALANCE = JOBS / "balance.py"
EVENTS = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}


@pytest.fixture(scope="module")
def asked(recipe_file, tmp_path_factory):
    """The arguments of a job that publishes to a table of its own, and that table."""

    def arguments(name):
        target = tmp_path_factory.mktemp(name) / "out"
        return ["--recipe", recipe_file, "--set", f"publish.table={target}"], target

    return arguments


@pytest.fixture(scope="module")
def same_rows(spark, recipe_file, rows_in, tmp_path_factory):
    """Asserts that a table has the rows that are made here."""
    target = tmp_path_factory.mktemp("here") / "out"
    lb.run(lb.Recipe.load(recipe_file, [f"publish.table={target}"]), spark)
    expected = rows_in(target)
    assert sum(expected.values()) == 60_000
    assert len(expected) < 60_000  # some rows are repeated

    def check(path, where):
        found = rows_in(path)
        print(f"{where}: {sum(found.values()):,} rows, {digest(found)}")
        assert found == expected

    check(target, "local[2]")
    return check


@pytest.fixture
def synthetic(request, spark, rows_in, tmp_path_factory):
    """A recipe that makes new rows by the sampler asked for, and the rows that it makes here."""
    folder = tmp_path_factory.mktemp(request.param)
    chance = F.xxhash64("id")
    spark.range(0, 6000, numPartitions=3).select(
        "id",
        F.when(chance % 20 == 0, "rare").otherwise("common").alias("label"),
        *[(F.pmod(F.xxhash64("id", F.lit(n)), F.lit(997)) / 10).alias(n) for n in "xy"],
        *[F.pmod(F.xxhash64("id", F.lit(n)), F.lit(7)).cast("int").alias(n) for n in "ab"],
    ).write.format("delta").save(str(folder / "source"))
    columns = {"smote": {"features": ["x", "y"]}, "smoten": {"categorical": ["a", "b"]}}
    recipe = {
        "name": "synthetic",
        "sources": [{"name": "s", "table": str(folder / "source"), "key": ["id"]}],
        "allocate": {"balance": {"by": ["label"], "method": "to_max"}},
        "sample": {"method": request.param, **columns[request.param]},
        "publish": {"table": str(folder / "here")},
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    result = lb.run(lb.Recipe.load(path), spark)
    assert sum(group.synthetic for group in result.plan.groups) > 5000
    return path, rows_in(folder / "here")


def digest(rows):
    """One number for a multiset of rows, for notes and eyes."""
    return hashlib.sha256(repr(sorted(rows.items())).encode()).hexdigest()[:16]


@pytest.fixture
def submit(cluster, wheel):
    """Start a job on the cluster, which gets lakebalance as a wheel and has it not otherwise."""

    def start(*args, conf=None):
        return cluster.submit(*args, options=["--packages", DELTA, "--py-files", wheel], conf=conf)

    return start


def done(command, folder, **variables):
    """What a job with lakebalance on its path printed; it must succeed."""
    env = environment(PYTHONPATH=JOBS.parent / "lib", **variables)
    return finished(Process(command, env, folder / "job.log"))


def finished(job):
    """What a job printed; it must succeed."""
    code, out, err = job.finish()
    assert code == 0, out + err[-3000:]
    return out, err


@pytest.mark.slow
def test_one_core_makes_the_same_rows(asked, same_rows, tmp_path):
    args, target = asked("one-core")
    out, _ = done(submission(BALANCE, *args, "--json", master="local[1]"), tmp_path)
    assert json.loads(out)["output"] == {"table": str(target), "version": 0, "rows": 60_000}
    same_rows(target, "local[1]")


@pytest.mark.slow
def test_the_same_rows_after_optimize_of_the_sources(spark, lake, recipe_file, same_rows, tmp_path):
    for name in ("big", "small"):
        shutil.copytree(lake / name, tmp_path / name)
        spark.sql(f"OPTIMIZE delta.`{tmp_path / name}` ZORDER BY (x)")
    sources = [f"sources.{name}.table={tmp_path / name}" for name in ("big", "small")]
    recipe = lb.Recipe.load(recipe_file, [*sources, f"publish.table={tmp_path / 'out'}"])
    result = lb.run(recipe, spark)
    assert [source.version for source in result.plan.sources] == [1, 1]
    same_rows(tmp_path / "out", "after OPTIMIZE")


@pytest.mark.slow
def test_connect_makes_the_same_rows(asked, same_rows, tmp_path):
    args, target = asked("connect")
    over_connect(args, tmp_path)
    same_rows(target, "Connect")


@pytest.mark.slow
@pytest.mark.parametrize("synthetic", ["smoten"], indirect=True)
def test_connect_makes_the_same_new_rows(synthetic, rows_in, tmp_path):
    recipe, expected = synthetic
    target = tmp_path / "out"
    over_connect(["--recipe", recipe, "--set", f"publish.table={target}"], tmp_path)
    assert rows_in(target) == expected


def over_connect(args, folder):
    """Do a job in a session of Spark Connect, whose server is started for it."""
    _, err = done([sys.executable, BALANCE, *args], folder, **connect_variables())
    assert "Connect" in err


# What a worker's death disturbs is the same job.
@pytest.mark.slow
def test_a_cluster_makes_the_same_rows(submit, asked, same_rows):
    args, target = asked("cluster")
    out, _ = finished(submit(BALANCE, *args))
    assert "60,000 rows" in out.splitlines()[-1]
    same_rows(target, "cluster of two workers")


@pytest.mark.slow
@pytest.mark.parametrize("synthetic", ["smote"], indirect=True)
def test_a_cluster_makes_the_same_new_rows(submit, synthetic, rows_in, tmp_path):
    recipe, expected = synthetic
    target = tmp_path / "out"
    finished(submit(BALANCE, "--recipe", recipe, "--set", f"publish.table={target}"))
    assert rows_in(target) == expected


@pytest.mark.slow
def test_python_workers_import_the_wheel(submit, wheel):
    out, _ = finished(submit(Path(__file__).parent / "where_workers_import.py"))
    assert f"{wheel.stem}.zip/lakebalance/" in out


@pytest.mark.slow
def test_the_rows_are_the_same_when_a_worker_dies_midway(
    cluster, submit, asked, same_rows, tmp_path
):
    args, target = asked("killed")
    job = submit(BALANCE, *args, conf={**EVENTS, "spark.eventLog.dir": tmp_path.as_uri()})
    worker = until(lambda: frozen_at_work(cluster, job), job, 120)
    killed = time.time() * 1000
    worker.signal(signal.SIGKILL)
    assert job.running
    finished(job)
    events = [json.loads(line) for line in next(tmp_path.iterdir()).read_text().splitlines()]
    assert tasks_lost(events), "no task was running on the worker that was killed"
    assert stages_across(events, killed), "no stage was running"
    same_rows(target, "cluster with a worker killed")


def frozen_at_work(cluster, job):
    """A worker stopped while it has a task, once rows are being sampled and written."""
    at_work = busy(cluster, job) if "stage: sample" in job.out.read_text() else []
    if not at_work:
        return None
    # What is frozen can't finish its task, nor the next that it is given: so one will be lost.
    at_work[0].signal(signal.SIGSTOP)
    until(lambda: stays_busy(at_work[0], cluster, job), job)
    return at_work[0]


def stays_busy(worker, cluster, job):
    """Whether the job's pages show a worker at work now, and still when they are newer."""
    if worker not in busy(cluster, job):
        return False
    time.sleep(0.5)
    return worker in busy(cluster, job)


def busy(cluster, job):
    """The workers that the job's own pages show at work."""
    port = job.wait_for(r"service 'SparkUI' on port (\d+)")[1]
    pages = f"http://127.0.0.1:{port}/api/v1/applications"
    applications = fetch(pages) or []
    executors = fetch(f"{pages}/{applications[0]['id']}/executors") if applications else []
    logs = [
        executor["executorLogs"].get("stderr", "")
        for executor in executors or []
        if executor["activeTasks"]
    ]
    return [
        worker
        for address, worker in cluster.workers.items()
        if any(log.startswith(f"{address}/") for log in logs)
    ]


def tasks_lost(events):
    """Tasks that ended because their executor was lost."""
    return [
        event
        for event in events
        if event["Event"] == "SparkListenerTaskEnd"
        and event["Task End Reason"]["Reason"] == "ExecutorLostFailure"
    ]


def stages_across(events, moment):
    """Stages that began before a moment and ended after it."""
    stages = [e["Stage Info"] for e in events if e["Event"] == "SparkListenerStageCompleted"]
    return [s for s in stages if s["Submission Time"] < moment < s["Completion Time"]]
