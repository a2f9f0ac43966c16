"""Clusters of duplicates in the report and on the console."""

from examples import Page, duplicates, group, result
from lakebalance import console
from lakebalance.report.clusters import source_matrix
from lakebalance.report.html import render


def page(*steps):
    return Page(render(result([group({"c": "x"})], duplicates=list(steps))))


def test_the_report_has_sizes_sources_and_texts_side_by_side():
    text = page(duplicates("curated", "web", text="the <same> words")).text
    assert "Clusters of prune.0 (minhash)" in text
    assert "1 cluster: 4 rows were dropped (near-duplicate), each for a row that stays" in text
    assert "2 of them for a row of another source (50.0%)" in text
    assert "4–7" in text and "web112" in text.replace(" ", "")
    assert text.count("the <same> words") == 3 and text.count("similarity 0.812") == 1


def test_without_texts_and_with_one_source_neither_is_shown():
    step = duplicates("web")
    step["largest"] = [{"key": "0f", "rows": 2}]
    text = page(step).text
    assert "Clusters of prune.0" in text
    assert "stays dropped dropped" not in text and "another source" not in text
    assert "Clusters of" not in page({**step, "clusters": 0}).text


def test_of_many_sources_those_with_the_most_rows_have_lines():
    pairs = [{"dropped": f"s{i:02}", "kept": "s00", "rows": 100 - i} for i in range(50)]
    names, lines, others = source_matrix(pairs)
    assert names == [f"s{i:02}" for i in range(20)] and len(lines) == 20
    assert lines[3].rows == [97, *[0] * 19] and lines[3].total == 97
    assert others == sum(100 - i for i in range(20, 50))


def test_the_console_says_how_large_clusters_are_and_how_many_are_across():
    assert console.clusters_text(duplicates("a", "b")) == (
        "prune.0 (minhash): 1 clusters, the largest of 5 rows; "
        "2 of 4 rows went for one of another source."
    )
