"""The report: what is escaped, what is told apart, what may be missing, how large it gets."""

import re

import pytest

from examples import Page, group, result
from hostile import hostile
from lakebalance.report.html import render, write

VALUES = [None, {"float": "NaN"}, "null", "NaN", "", " ", "a", "a ", 1, "1", True, "true"]
OPTIONAL = [name for name in result([]) if name not in {"name", "groups"}]


def test_no_text_leaves_its_place():
    tame = Page(render(result([group({"c": "x"}, target=900), group({"c": "y"})])))
    page = Page(render(hostile()))
    # The table of mismatches is the only part that the tame page lacks; it has no tags of its own.
    assert page.tags <= tame.tags
    assert {(t, a) for t, a, _ in page.attributes} <= {(t, a) for t, a, _ in tame.attributes}
    assert "{{ 7*7 }}&lt;" in page.text
    assert page.text.count("<script>alert(1)</script>") > 15


def test_it_needs_nothing_from_elsewhere():
    html = render(hostile() | {"paths": {"report": "https://example.org/x"}})
    for tag, name, value in Page(html).attributes:
        assert not name.startswith("on"), (tag, name)
        if name in {"src", "href", "action", "srcset"}:
            assert value == "#main", (tag, name, value)
    assert "url(" not in html and "@import" not in html


def test_different_values_look_different():
    html = render(result([group({"c": value}, rows=50 + i) for i, value in enumerate(VALUES)]))
    table = html[html.index('id="by-group"') :]
    cells = re.findall(r'<tr><th scope="row">(.*?)</th>', table)[: len(VALUES)]
    assert len(set(cells)) == len(VALUES)
    assert '<span class="special">null</span>' in cells
    assert '<span class="special">NaN</span>' in cells
    assert '<bdi class="value">&#34;null&#34;</bdi>' in cells
    assert '<bdi class="value">&#34;&#34;</bdi>' in cells


@pytest.mark.slow
def test_a_hundred_thousand_groups_stay_small():
    groups = [group({"c": f"class {i}", "d": i}, rows=1 + i % 977) for i in range(100_000)]
    html = render(result(groups))
    assert len(html.encode()) < 2_000_000
    assert "100,000 groups" in Page(html).text


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("empty", [False, True])
def test_parts_may_be_missing(name, empty):
    data = result([group({"c": "x"}), group({"c": "y"}, source="t")])
    data.pop(name)
    Page(render(data | ({name: None} if empty else {})))


def test_nearly_all_may_be_missing():
    assert "t" in Page(render({"name": "t"})).text
    assert "all rows" in Page(render({"name": "t", "groups": [group({})]})).text
    stage = {"name": "read"}
    assert "read" in Page(render({"name": "t", "stages": [stage, stage | {"seconds": None}]})).text
    assert "✓ exact" not in Page(render({"name": "t", "groups": [group({"c": 1})]})).text


def test_stages_that_overlap_are_not_added_up():
    def shown(*stages):
        return Page(render({"name": "t", "stages": list(stages)})).text

    first = {"name": "read", "seconds": 3.0, "began": 0.0}
    assert "4.0 s in all" in shown(first, {"name": "beside", "seconds": 3.0, "began": 1.0})
    del first["began"]
    assert "6.0 s in all" in shown(first, {"name": "older", "seconds": 3.0})


def test_a_mismatch_is_shown():
    data = result([group({"c": "right"}), group({"c": "wrong"}, target=70)])
    data["published"][1]["found"] = 68
    text = Page(render(data)).text
    assert "✗ 1 differ" in text and "1 of 2 counts as planned" in text
    assert "wrongs7068-2" in text.replace(" ", "")
    assert "−2 against the plan" in text
    data["published"][1]["found"] = 70
    assert "✓ exact" in Page(render(data)).text


def test_a_repeated_run_claims_no_new_check():
    text = Page(render(result([group({"c": "x"})], repeated=True, published=[]))).text
    assert "repeating it changed nothing" in text
    assert "counts as planned" not in text and "✓ exact" not in text
    assert "50" in text


def test_it_says_whose_place_the_rows_took():
    data = result([group({"c": "x"})])
    assert "in place of" not in Page(render(data)).text
    data["output"]["replace_where"] = "day = 'mon'"
    assert "version 0, in place of the rows where day = 'mon'" in Page(render(data)).text


def test_a_lone_surrogate_can_be_written(tmp_path):
    data = result([group({"c": "\ud800"})], name="\udfff")
    assert "ud800" in write(data, tmp_path / "report.html").read_text(encoding="utf-8")


def test_rows_are_not_called_duplicates_where_they_were_cleaned():
    made = result([group({"c": "x"})])
    made["pruned"] = [
        {"method": "exact", "dropped": 24},  # as earlier releases wrote it
        {"method": "tomek", "dropped": 17, "fate": "cleaned"},
    ]
    text = Page(render(made)).text
    for said in ("24 duplicates, 17 cleaned", "duplicates (exact)", "cleaned (tomek)"):
        assert said in text


def test_a_gate_shows_what_it_measured():
    text = Page(render(result([group({"c": "a"})]))).text
    assert "drift of x by psi against version 2" in text
    assert "x (2 and above: 10.0% to 40.0%): 0.31, limit 0.25" in text
    assert "✗ not met" in text
