"""The DAG in a real Airflow, which has an environment of its own as its dependencies demand."""

import json
import os
import subprocess

import pytest
from standalone import JOBS, SMALL, SPARK_HOME, environment

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
LOOK_AT_THE_DAG = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
dag = bag.dags.get("lakebalance_flights")
print(json.dumps({
    "errors": bag.import_errors,
    "tasks": {t.task_id: [t.retries, sorted(t.downstream_task_ids)] for t in dag.tasks},
}))
"""


@pytest.fixture(scope="module")
def airflow(airflow_python, tmp_path_factory):
    """Run a command in Airflow's environment and return what it printed; it must succeed."""
    home = tmp_path_factory.mktemp("airflow-home")
    settings = "".join(f"{name} {value}\n" for name, value in SMALL.items())
    (home / "spark-defaults.conf").write_text(settings)
    env = environment(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__DAGS_FOLDER=JOBS / "dags",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW_CONN_SPARK_DEFAULT='{"conn_type": "spark", "host": "local[2]"}',
        PATH=f"{airflow_python.parent}:{SPARK_HOME / 'bin'}:{os.environ['PATH']}",
        SPARK_CONF_DIR=home,
        PYTHONPATH=JOBS.parent / "lib",
    )

    def run(*command, **variables):
        env.update(variables)
        done = subprocess.run(
            command, env=env, cwd=home, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
        return done.stdout

    run("airflow", "db", "migrate")
    return run


@pytest.fixture
def recipe(recipe_file, tmp_path):
    """A recipe over the small source with a table of its own to publish to, and that table."""
    data = json.loads(recipe_file.read_text())
    data["sources"] = [source for source in data["sources"] if source["name"] == "small"]
    data["allocate"] = {"balance": data["allocate"]["balance"], "rows": 2_000}
    data["publish"]["table"] = str(tmp_path / "out")
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(data))
    return path, tmp_path / "out"


def test_the_dag_is_plan_then_run_each_with_retries(airflow):
    found = json.loads(airflow("python", "-c", LOOK_AT_THE_DAG).splitlines()[-1])
    assert found == {"errors": {}, "tasks": {"plan": [2, ["run"]], "run": [2, []]}}


def test_the_dag_publishes_and_a_retried_task_changes_nothing(airflow, recipe, spark):
    path, target = recipe
    asked = {"AIRFLOW_VAR_LAKEBALANCE_RECIPE": str(path)}
    airflow("airflow", "dags", "test", "lakebalance_flights", **asked)
    written = spark.read.format("delta").load(str(target)).count()
    assert written == 2_000
    commits = spark.sql(f"DESCRIBE HISTORY delta.`{target}`").collect()
    log = airflow("airflow", "tasks", "test", "lakebalance_flights", "run", **asked)
    assert "finished before; nothing changed" in log
    assert spark.sql(f"DESCRIBE HISTORY delta.`{target}`").collect() == commits
