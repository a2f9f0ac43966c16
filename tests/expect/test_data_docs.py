"""Great Expectations' pages of what runs found: complete, without errors, and safe to open."""

import datetime as dt
import logging
import os
import re
from dataclasses import replace

import pytest

import lakebalance as lb
from every_expectation import CONDITION, OF_ROWS, OF_TABLES
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.expect.data_docs import Validation, write_site
from lakebalance.expect.verdicts import Verdict
from lakebalance.recipe.expect import Expectation

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
HOSTILE = "<script>alert(1)</script>\"'&${x}"


def of_rows(name, args, unexpected=3):
    own = Expectation(expectation=name, args=args, on_fail="warn")
    return own, Verdict(None, name, "warn", unexpected, 40, not unexpected)


def of_tables(name, args, *, success, observed="observed {'a': [1, 2]}"):
    own = Expectation(expectation=name, args=args, on_fail="warn")
    return own, Verdict(None, name, "warn", None, 0, success, worst=observed)


def pages(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.html")}


def shown(page):
    """The text of a page, as a browser shows it."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_each_expectation_has_a_page_without_errors(tmp_path, caplog):
    found = [
        of_rows(name, {**args, **more})
        for name, listed in OF_ROWS.items()
        for args in [{k: v for k, v in own.items() if k != "of"} for own in listed]
        for more in [{}, {"mostly": 0.9, **CONDITION}]
    ]
    found += [
        of_tables(name, args, success=i == 0, observed=observed)
        for name, listed in OF_TABLES.items()
        for i, args in enumerate(listed)
        for observed in (
            ["observed {'quantiles': [0.5], 'values': [2.5]}", "observed {'quantiles': [0.5…", None]
            if "Quantile" in name
            else ["observed 3", "observed [1.5, None, 'x']", None]
        )
    ]
    own = Validation("run1", AT, ("flights", "all sources"), "lake/flights version 3", found)
    with caplog.at_level(logging.WARNING, "great_expectations"):
        index = write_site(tmp_path / "docs", [own])
    assert not [r for r in caplog.records if "rendering" in r.getMessage()]
    written = pages(tmp_path / "docs")
    [page] = [text for name, text in written.items() if name.startswith("validations")]
    assert index.read_text() == written["index.html"] and "expectations/flights" in str([*written])
    text = shown(page)
    met = sum(verdict.success for _, verdict in found)
    assert f"Evaluated Expectations {len(found)} " in text
    assert (
        f"Successful Expectations {met} " in text and "Data asset: lake/flights version 3" in text
    )
    assert "3 unexpected values found. 7.5% of 40 total rows." in text


def test_names_and_values_are_shown_and_not_run(tmp_path):
    found = [
        of_rows("ExpectColumnValuesToNotBeNull", {"column": HOSTILE}),
        of_rows("ExpectColumnValuesToBeInSet", {"column": "c", "value_set": [HOSTILE]}),
        of_rows(
            "ExpectColumnValuesToBeBetween",
            {"column": "c", "min_value": 1, "row_condition": f"x <> '{HOSTILE}'",
             "condition_parser": "spark"},
        ),
        of_tables("ExpectColumnMaxToBeBetween", {"column": "c", "max_value": 2},
                  success=False, observed=f"observed {HOSTILE}"),
    ]  # fmt: skip
    own = Validation("a1b2", AT, (HOSTILE, f"{HOSTILE}/../.."), HOSTILE, found)
    other = replace(own, suite=(HOSTILE, HOSTILE.replace("&", "+") + "/../.."))
    write_site(tmp_path / "docs", [own, other])
    written = pages(tmp_path / "docs")
    assert len(written) == 1 + 2 + 2
    for name, page in written.items():
        assert "<script>alert" not in page, name
    assert any("&lt;script&gt;alert" in page for page in written.values())
    assert {p.name for p in tmp_path.iterdir()} == {"docs"}


def test_pages_of_runs_that_are_asked_for_no_more_go(tmp_path):
    found = [of_rows("ExpectColumnValuesToNotBeNull", {"column": "c"})]
    old = Validation("old", AT, ("r", "s"), "t", found)
    new = Validation("new", AT + dt.timedelta(days=1), ("r", "s"), "t", found)
    write_site(tmp_path, [old, new])
    assert sum("validations" in name for name in pages(tmp_path)) == 2
    write_site(tmp_path, [new])
    [name] = [name for name in pages(tmp_path) if "validations" in name]
    assert "/new/" in name


def test_other_peoples_folders_stay_as_they_are(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(TableError, match="has files that are not of Data Docs made here"):
        write_site(tmp_path, [])
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot be written: "):
        write_site(tmp_path / "file" / "docs", [])


EXPECT = {
    "expectations": [
        {
            "expectation": "ExpectColumnValuesToNotBeNull",
            "args": {"column": "a.b"},
            "on_fail": "warn",
        },
        {
            "expectation": "ExpectTableRowCountToBeBetween",
            "args": {"min_value": 1},
            "on_fail": "warn",
            "on": "both",
        },
        {
            "expectation": "ExpectColumnMeanToBeBetween",
            "args": {"column": "x", "max_value": 1},
            "on_fail": "warn",
            "source": "s",
        },
        {
            "expectation": "ExpectColumnValuesToNotBeInSet",
            "args": {"column": "t", "value_set": ["${hidden}"]},
            "on_fail": "quarantine",
        },
    ]
}


@pytest.fixture
def file(table, recipe, tmp_path, monkeypatch):
    """A recipe's file; three values are null, one row is set aside for a secret word."""
    monkeypatch.setitem(os.environ, "WORD", "s3cr3t-word")
    words = ["s3cr3t-word" if i == 9 else "t" for i in range(20)]
    rows = [(i, None if i < 3 else i, float(i), word) for i, word in enumerate(words)]
    path = table("source", rows, "id long, `a.b` long, x double, t string")
    written = recipe({"name": "s", "table": path, "key": ["id"]}, expect=EXPECT).to_yaml()
    file = tmp_path / "r.yaml"
    file.write_text(written.replace("${hidden}", "${secret:WORD}"))
    return file


def test_the_ledgers_verdicts_become_pages(spark, file, tmp_path, call):
    loaded, docs = lb.Recipe.load(file), tmp_path / "docs"
    result = lb.run(loaded, spark)
    code, said, _ = call("data-docs", file, docs)
    assert code == 0
    assert said == f"{docs}/index.html: 3 suites in 1 runs, 2 expectations met, 3 not\n"
    written = pages(docs)
    texts = [shown(page) for name, page in written.items() if "validations" in name]
    together = " ".join(texts)
    assert len(texts) == 3 and "s3cr3t-word" not in "".join(written.values())
    assert "3 unexpected values found. 15% of 20 total rows." in together
    assert "9.5" in together and f"Data asset: {loaded.sources[0].table} version 0" in together
    assert f"Data asset: {loaded.publish.table} " in together
    assert result.plan.run_id in str([*written])


@pytest.mark.slow
def test_newest_runs_and_what_there_are_no_pages_of(spark, file, recipe, tmp_path):
    loaded, docs = lb.Recipe.load(file), tmp_path / "docs"
    with pytest.raises(TableError, match=r"no run to .* is in the ledger"):
        lb.data_docs(loaded, spark, docs)
    first = lb.run(loaded, spark).plan.run_id
    second = lb.run(lb.Recipe.load(file, ["seed=2"]), spark).plan.run_id
    assert lb.data_docs(loaded, spark, docs)["runs"] == [second, first]
    found = lb.data_docs(loaded, spark, docs, runs=1)
    assert found == {
        "index": str(docs / "index.html"), "runs": [second], "suites": 3, "pages": 3,
        "met": 2, "missed": 3,
    }  # fmt: skip
    plain = recipe(
        loaded.sources[0].model_dump(),
        publish={"table": str(tmp_path / "plain"), "state": str(tmp_path / "state")},
    )
    lb.run(plain, spark)
    with pytest.raises(RecipeError, match=r"none of the 1 newest runs .* has expectations"):
        lb.data_docs(plain, spark, docs)
    with pytest.raises(RecipeError, match="runs: 0; write how many"):
        lb.data_docs(loaded, spark, docs, runs=0)
