"""What a run says of the clusters of duplicates that it found, and what that costs."""

import json

import pytest

import lakebalance as lb
from lakebalance.duplicates import duplicates_of
from lakebalance.frames import Frames
from lakebalance.publish.state import State
from lakebalance.report.html import render
from tests.test_cost import jobs_of

BASE = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
SCHEMA = "id long, text string"


def three_sources(table):
    texts = {
        "curated": [BASE, "short", "alone here"],
        "web": [f"{BASE} more", f"{BASE} more words", "short", "short", "x" * 500],
        "forum": [BASE, "short", "x" * 500, "nobody else says it"],
    }
    return [
        {
            "name": name,
            "table": table(name, list(enumerate(said, 10 * i)), SCHEMA),
            "key": ["id"],
        }
        for i, (name, said) in enumerate(texts.items())
    ]


@pytest.mark.slow
def test_a_run_says_where_duplicates_between_sources_are(spark, table, recipe):
    keep = [{"sources": ["curated", "web"]}, {"longest": "text"}]
    prune = [{"method": "minhash", "columns": ["text"], "threshold": 0.7, "keep": keep}]
    made = recipe(*three_sources(table), prune=prune)
    result = lb.run(made, spark)
    (said,) = result.to_dict()["duplicates"]
    assert (said["step"], said["method"], said["fate"]) == (0, "minhash", "near-duplicate")
    assert said["clusters"] == 3 and said["rows"] == 7 == result.plan.matches
    assert said["sizes"] == [
        {"from": 2, "to": 3, "clusters": 1, "rows": 2},
        {"from": 4, "to": 7, "clusters": 2, "rows": 8},
    ]
    assert said["between"] == [
        {"dropped": "web", "kept": "curated", "rows": 4},
        {"dropped": "forum", "kept": "curated", "rows": 2},
        {"dropped": "forum", "kept": "web", "rows": 1},
    ]
    assert [cluster["rows"] for cluster in said["largest"]] == [4, 4, 2]
    of = {cluster["kept"]["text"]: cluster for cluster in said["largest"]}
    assert set(of) == {BASE, "short", "x" * 200 + "…"}
    # Those that are least like the one that stays.
    assert [d["text"] for d in of[BASE]["dropped"]] == [f"{BASE} more words", f"{BASE} more"]
    assert [round(d["similarity"], 3) for d in of[BASE]["dropped"]] == [0.833, 0.909]
    assert f"{BASE} more words" in render(result.to_dict() | {"name": "t"})

    # Texts are kept nowhere but in what the run returned.
    state = State.beside(made.publish.table, None)
    entry = state.entry(spark, [("name", made.name)])
    assert BASE not in json.dumps(entry["result"])
    again = lb.run(made, spark).to_dict()["duplicates"]
    assert again[0]["largest"][0] == {"key": said["largest"][0]["key"], "rows": 4}
    assert again[0]["between"] == said["between"]

    # One action over the matches, and one over the texts where these are wanted.
    frames = Frames(made, spark)
    matches = [state.read(spark, f"matches-{made.name}-0", result.plan.run_id)]
    quiet = made.model_copy(update={"report": made.report.model_copy(update={"excerpts": False})})
    assert quiet.hash == made.hash
    found, jobs = [], []
    for own in (Frames(quiet, spark), frames):
        own.all_rows  # noqa: B018  opens the sources
        jobs.append(
            jobs_of(spark, lambda own=own: found.append(duplicates_of(own, result.plan, matches)))
        )
    print(f"jobs without excerpts {jobs[0]}, with them {jobs[1]}")
    assert jobs[0] <= 8 and jobs[1] - jobs[0] <= 10  # Delta looks at each source's log, too
    assert found[1] == [said] and found[0] == again
