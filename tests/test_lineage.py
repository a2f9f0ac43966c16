"""OpenLineage events: what a run read and made, sent to a file and over HTTP."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

import lakebalance as lb
from lakebalance.core.errors import GateError
from lakebalance.lineage.naming import dataset


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """OpenLineage's client writes settings into the environment: no other test may see them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def events(tmp_path, monkeypatch):
    """Let events go to a file; gives those that are there."""
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(file))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    monkeypatch.setenv(
        "OPENLINEAGE_PARENT_ID", f"airflow/dag.task/{'0' * 8}-0000-7000-8000-{'0' * 12}"
    )
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def sources(table):
    rows = [(i, "ab"[i % 10 == 0], float(i), f"t{i}") for i in range(40)]
    return [table(name, rows, "id int, label string, `x.y` double, text string") for name in "st"]


def of_field(event, name, output=0):
    fields = event["outputs"][output]["facets"]["columnLineage"]["fields"][name]["inputFields"]
    return [
        (f["name"].rpartition("/")[2], f["field"], *(t["subtype"] for t in f["transformations"]))
        for f in fields
    ]


def test_a_run_tells_what_it_reads_and_makes(spark, recipe, sources, events, tmp_path):
    made = recipe(
        {"name": "s", "table": sources[0], "key": ["id"], "where": "`x.y`>=0 and text<>'label'"},
        {"name": "t", "table": sources[1], "key": ["id"]},
        expect={"expectations": [
            {"expectation": "ExpectColumnValuesToBeBetween",
             "args": {"column": "id", "min_value": 2}},
            {"expectation": "ExpectTableRowCountToBeBetween", "args": {"min_value": 1},
             "source": "t", "on_fail": "stop"},
        ]},
        prune=[{"method": "exact", "columns": ["text"]}],
        split={"shares": {"test": 0.2}},
        allocate={"balance": {"by": ["label"], "method": "equal"}, "rows": 10},
        publish={"table": str(tmp_path / "out"), "source_column": "came_from"},
    )  # fmt: skip
    result = lb.run(made, spark)
    start, end = events()

    assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["job"]["name"] == "test" and end["job"]["namespace"] == "lakebalance"
    parent = end["run"]["facets"]["parent"]["job"]
    assert (parent["namespace"], parent["name"]) == ("airflow", "dag.task")
    assert "method: equal" in end["job"]["facets"]["sourceCode"]["sourceCode"]

    first, second = end["inputs"]
    assert (first["namespace"], first["name"]) == ("file", sources[0])
    assert first["facets"]["version"]["datasetVersion"] == "0"
    assert first["facets"]["schema"]["fields"][2] == {
        "name": "x.y", "type": "double", "ordinal_position": 3, "fields": []
    }  # fmt: skip
    assert first["inputFacets"]["inputStatistics"]["rowCount"] == 40
    [asserted] = first["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (asserted["column"], asserted["success"], asserted["actual"]) == ("id", False, "4")
    assert len(second["inputFacets"]["dataQualityAssertions"]["assertions"]) == 2

    balanced, test, quarantine = end["outputs"]
    assert balanced["name"] == f"{tmp_path}/out" and test["name"] == f"{tmp_path}/out_test"
    assert balanced["outputFacets"]["outputStatistics"]["rowCount"] == 10
    rows = spark.read.format("delta").load(f"{tmp_path}/out_test").count()
    assert test["outputFacets"]["outputStatistics"]["rowCount"] == rows
    assert balanced["facets"]["version"]["datasetVersion"] == str(result.version)
    assert quarantine["name"].endswith("_lakebalance/quarantine-test")
    assert quarantine["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert of_field(end, "x.y") == [("s", "x.y", "IDENTITY"), ("t", "x.y", "IDENTITY")]
    assert of_field(end, "came_from") == [("s", "label", "GROUP_BY"), ("t", "label", "GROUP_BY")]
    deciding = {
        (f["name"][-1], f["field"], f["transformations"][0]["subtype"])
        for f in balanced["facets"]["columnLineage"]["dataset"]
    }
    both = {(s, *own) for s in "st" for own in
            [("label", "GROUP_BY"), ("id", "FILTER"), ("text", "FILTER")]}  # fmt: skip
    # The text 'label' in the filter is none of its columns.
    assert deciding == both | {("s", "x.y", "FILTER")}


def test_synthetic_rows_are_made_of_the_columns(spark, recipe, sources, events):
    made = recipe(
        {"name": "s", "table": sources[0], "key": ["id"]},
        allocate={"balance": {"by": ["label"], "method": "to_max"}},
        sample={"method": "smote", "features": ["x.y"], "k_neighbors": 2},
    )
    lb.run(made, spark)
    assert of_field(events()[1], "x.y") == [
        ("s", "x.y", "IDENTITY"),
        ("s", "x.y", "TRANSFORMATION"),
    ]


def test_a_run_that_fails_says_so(spark, recipe, sources, events):
    made = recipe(
        sources[0],
        expect={"expectations": [
            {"expectation": "ExpectTableRowCountToBeBetween", "args": {"min_value": 99},
             "on_fail": "stop"}
        ]},
    )  # fmt: skip
    with pytest.raises(GateError):
        lb.run(made, spark)
    start, end = events()
    assert end["eventType"] == "FAIL" and end["run"]["runId"] == start["run"]["runId"]
    assert "ExpectTableRowCountToBeBetween" in end["run"]["facets"]["errorMessage"]["message"]


def test_over_http(spark, recipe, sources, monkeypatch):
    seen = []

    class Backend(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Backend)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "of the backend")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "team")
    lb.run(recipe(sources[0]), spark)
    server.shutdown()
    assert [event["eventType"] for _, _, event in seen] == ["START", "COMPLETE"]
    assert {path for path, _, _ in seen} == {"/api/v1/lineage"}
    assert {key for _, key, _ in seen} == {"Bearer of the backend"}
    assert {event["job"]["namespace"] for _, _, event in seen} == {"team"}


def test_a_backend_that_fails_stops_no_run(spark, recipe, sources, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "no" / "such"))
    assert lb.run(recipe(sources[0]), spark).rows == 40
    assert [r.getMessage()[:21] for r in caplog.records if r.name == "lakebalance"] == [
        "lineage was not sent:", "lineage was not sent:"
    ]  # fmt: skip


def test_nothing_is_told_where_nobody_asked(spark, recipe, sources, monkeypatch):
    monkeypatch.setattr("lakebalance.lineage.sending._Teller.of", None)  # calling it would fail
    assert lb.run(recipe(sources[0]), spark).rows == 40


@pytest.mark.parametrize(
    ("location", "namespace", "name"),
    [
        ("file:/lake/a b", "file", "/lake/a b"),
        ("file:///lake/a", "file", "/lake/a"),
        ("dbfs:/mnt/lake/a", "dbfs", "/mnt/lake/a"),
        ("s3a://bucket/a/b/", "s3://bucket", "a/b"),
        ("gs://bucket/a", "gs://bucket", "a"),
        ("hdfs://node:8020/a/b", "hdfs://node:8020", "/a/b"),
        ("wasb://box@acc.blob.core.windows.net/a", "wasbs://box@acc.blob.core.windows.net", "a"),
    ],
)
def test_names_of_datasets(location, namespace, name):
    found = dataset(location)
    assert (found.namespace, found.name) == (namespace, name)
