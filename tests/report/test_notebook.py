"""What a notebook shows of a plan and of a result."""

from examples import Page, duplicates, group, result
from hostile import hostile
from lakebalance.report.notebook import MOST_GROUPS, plan_html, result_html

AFTER_RUN = {
    "duplicates",
    "output",
    "published",
    "stages",
    "paths",
    "repeated",
    "finished",
    "recipe",
}
TAGS = {"div", "style", "table", "thead", "tbody", "tr", "th", "td", "p", "strong", "bdi", "span"}
TAGS |= {"code", "small", "em", "br"}


def plan_of(data):
    """The plan that a result was made from."""
    return {name: part for name, part in data.items() if name not in AFTER_RUN}


def test_no_text_leaves_its_place():
    page = Page(result_html(hostile()))
    assert page.tags <= TAGS
    assert {name for _, name, _ in page.attributes} <= {"class", "style"}
    assert "<script>alert(1)</script>" in page.text


def test_a_plan_is_not_told_as_done():
    data = result([group({"c": None}), group({"c": "null"}, rows=900, source="t")])
    html = plan_html(plan_of(data))
    text = Page(html).text
    assert "1,000 rows of 2 sources would become 100." in text and "exactly" not in text
    assert '<span class="special">null</span>' in html and "&#34;null&#34;" in html
    assert "a group is capped" in text
    assert "became 100 in lake/out, version 0." in Page(result_html(data)).text


def test_a_mismatch_and_a_repeated_run():
    data = result([group({"c": "x"})])
    assert "✓ All 1 count" in Page(result_html(data)).text
    data["published"][0]["found"] = 1
    assert "✗ 1 of 1 count" in Page(result_html(data)).text
    text = Page(result_html(data | {"published": [], "repeated": True})).text
    assert "changed nothing" in text and "✓" not in text and "✗" not in text


def test_many_groups_stay_few_rows():
    html = plan_html(plan_of(result([group({"c": i}, rows=1 + i) for i in range(5_000)])))
    assert html.count("<tr>") <= MOST_GROUPS + 2
    assert f"{5_000 - MOST_GROUPS:,} others together" in Page(html).text


def test_parts_may_be_missing():
    Page(plan_html({}))
    Page(result_html({"groups": None, "warnings": None, "sources": None, "published": None}))


def test_clusters_of_duplicates_are_shown_with_the_largest():
    data = result([group({"c": "x"})], duplicates=[duplicates("curated", "web", text="same <b>")])
    text = Page(result_html(data)).text
    assert (
        "prune.0 (minhash): 4 rows dropped for 1 that stay; 2 for a row of another source" in text
    )
    assert "Rows of a cluster: 4–7 in 1." in text and text.count("same <b>") == 2
    step = data["duplicates"][0]
    without = data | {"duplicates": [{**step, "largest": [{"key": "0f", "rows": 2}]}]}
    assert "least like it" not in Page(result_html(without)).text
