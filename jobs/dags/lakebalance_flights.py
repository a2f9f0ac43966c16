"""Airflow: balance the flights. Plan, then run; each is one spark-submit of ``jobs/balance.py``.

Each setting is a parameter of the DAG run, else an Airflow Variable ``lakebalance_NAME`` (or the
environment variable ``AIRFLOW_VAR_LAKEBALANCE_NAME``), else the default here. Where Spark runs
says the connection ``spark_default``.
"""

from datetime import timedelta
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Param

JOBS = Path(__file__).resolve().parents[1]
DEFAULTS = {
    "recipe": str(JOBS.parent / "conf" / "flights.yaml"),
    "jobs": str(JOBS),
    "delta_package": "io.delta:delta-spark_4.2_2.13:4.4.0",
    "py_files": "",
}
MEANINGS = {
    "recipe": "The recipe's path, as spark-submit sees it.",
    "jobs": "The folder of balance.py, as spark-submit sees it.",
    "delta_package": "Maven coordinates of Delta for the cluster's Spark.",
    "py_files": "The lakebalance wheel, for a cluster whose Python does not have it.",
}


def setting(name: str) -> str:
    """The template of a setting, looked up when the task runs."""
    variable = f"var.value.get('lakebalance_{name}', '{DEFAULTS[name]}')"
    return f"{{{{ params.{name} or {variable} }}}}"


def balance(task_id: str, *more: str) -> SparkSubmitOperator:
    """A task that submits ``jobs/balance.py``."""
    return SparkSubmitOperator(
        task_id=task_id,
        name=f"lakebalance {task_id}",
        application=f"{setting('jobs')}/balance.py",
        application_args=["--recipe", setting("recipe"), *more],
        packages=setting("delta_package"),
        py_files=setting("py_files"),
    )


with DAG(
    "lakebalance_flights",
    description="Flights of three airports as one table with balanced carriers.",
    schedule=None,
    catchup=False,
    # Two runs at once would each replace the other's table.
    max_active_runs=1,
    # A retry is safe: a run is known by its recipe and its inputs, so one that was published
    # before its task failed is found and left as it is.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        name: Param(None, type=["null", "string"], description=text)
        for name, text in MEANINGS.items()
    },
    tags=["lakebalance"],
):
    balance("plan", "--plan-only") >> balance("run")
