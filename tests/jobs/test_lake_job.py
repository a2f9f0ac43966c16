"""The lake's job: a step on a session that spark-submit starts, and what its arguments become."""

import json

import pytest
from standalone import JOBS, Process, environment, submission

from lakebalance import lake_job


def test_the_arguments_are_those_of_the_command():
    parse = lake_job.parser("").parse_args
    assert parse(["restore", "/l/a", "--state", "s"]).tables == ["/l/a"]
    args = parse(["plan", "--state", "s", "--max-latency", "60"])
    assert lake_job._numbers(args) == {"max_latency": 60.0}
    for wrong in (["restore", "--state", "s"], ["restore", "/a", "--plan", "x", "--state", "s"]):
        with pytest.raises(SystemExit):
            parse(wrong)


@pytest.mark.slow
def test_a_lake_is_scanned_and_what_is_wrong_is_one_message(spark, tmp_path):
    spark.range(7).write.format("delta").save(str(tmp_path / "lake/t"))

    def run(*args):
        command = submission(JOBS / "lake.py", *args, "--state", tmp_path / "state")
        env = environment(PYTHONPATH=JOBS.parent / "lib")
        return Process(command, env, tmp_path / "job.log").finish()

    code, out, log = run("scan", tmp_path / "lake", "--json")
    assert code == 0, out + log[-3000:]
    assert [(t["table"], t["rows"]) for t in json.loads(out)["tables"]] == [
        (str(tmp_path / "lake/t"), 7)
    ]
    code, out, log = run("apply", "0123456789abcdef")
    assert (code, out.splitlines()[-1].partition(":")[0]) == (2, "error"), out + log[-3000:]
    assert 'has no plan "0123456789abcdef"' in out.splitlines()[-1]
