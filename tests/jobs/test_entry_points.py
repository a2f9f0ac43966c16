"""What the jobs print, and the exit codes that spark-submit passes on."""

import json
import sys

import pytest
from standalone import JOBS, Process, environment, submission

STOP = [
    {
        "expectation": "ExpectColumnValuesToBeBetween",
        "args": {"column": "id", "max_value": 5},
        "on_fail": "stop",
    }
]


@pytest.fixture
def job(tmp_path, recipe_file):
    """Run a job on one local core: (exit code, its own output, Spark's log)."""

    def run(script, *args, **kwargs):
        target = f"publish.table={tmp_path / 'out'}"
        command = submission(
            JOBS / script, "--recipe", recipe_file, "--set", target, *args, **kwargs
        )
        env = environment(PYTHONPATH=JOBS.parent / "lib")
        return Process(command, env, tmp_path / "job.log").finish()

    return run


def test_no_job_hides_a_module_of_python():
    # spark-submit puts the folder first on the path of all that the job imports.
    assert not {path.stem for path in JOBS.glob("*.py")} & sys.stdlib_module_names


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("allocate.balance.methd=equal", 2, 'unknown field; did you mean "method"?'),
        pytest.param(
            "sources.small.table=/not/there",
            4,
            "/not/there is not a Delta table",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            f"expect.expectations={json.dumps(STOP)}",
            3,
            "ExpectColumnValuesToBeBetween",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["wrong recipe", "missing table", "stop gate"],
)
def test_a_failure_is_one_message_and_its_exit_code(job, tmp_path, override, code, message):
    found, out, log = job("balance.py", "--set", override)
    assert (found, out.splitlines()[-1].partition(":")[0]) == (code, "error"), out + log[-3000:]
    assert message in out.splitlines()[-1]
    assert "Traceback" not in out and "\tat " not in out
    assert not (tmp_path / "out").exists()
    if code == 2:
        assert "Running Spark version" not in log


def test_debug_shows_the_stack_trace(job):
    code, out, _ = job("balance.py", "--set", "seed=x", "--debug")
    assert code == 2
    assert "Traceback" in out


@pytest.mark.slow
def test_a_session_without_delta_says_how_to_submit(job):
    code, out, _ = job("balance.py", options=())
    assert code == 1
    assert "submit with --packages io.delta:delta-spark" in out.splitlines()[-1]


@pytest.mark.slow
def test_plan_only_writes_nothing(job, tmp_path):
    code, out, log = job("balance.py", "--plan-only", "--json")
    assert code == 0, out + log[-3000:]
    plan = json.loads(out)
    assert plan["rows"] == sum(group["target"] for group in plan["groups"]) == 60_000
    assert {path.name for path in tmp_path.iterdir()} <= {"job.log", "job.out", "spark-warehouse"}


@pytest.mark.slow
def test_profile_counts_what_plain_spark_counts(job, spark, lake):
    code, out, log = job("profile_sources.py", "--json")
    assert code == 0, out + log[-3000:]
    counted = {(g["source"], g["group"]["label"]): g["rows"] for g in json.loads(out)["groups"]}
    expected = {}
    for source in ("big", "small"):
        rows = spark.read.format("delta").load(str(lake / source)).where("x < 990")
        counts = rows.groupBy("label").count().collect()
        expected |= {(source, row["label"]): row["count"] for row in counts}
    assert counted == expected


@pytest.mark.slow
def test_forget_takes_rows_out_of_what_balance_made(job, spark, tmp_path):
    ids = "id % 97 = 5"
    for args in (("balance.py",), ("forget.py", "--where", ids, "--confirm", "--json")):
        code, out, log = job(*args)
        assert code == 0, out + log[-3000:]
    assert json.loads(out)["complete"]
    rows = spark.read.format("delta").load(str(tmp_path / "out"))
    assert rows.count() == 60_000 and rows.where(ids).isEmpty()
