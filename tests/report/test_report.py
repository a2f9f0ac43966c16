"""Reports and notebook views: every value escaped and told apart, small, whole by themselves."""

import re
from html.parser import HTMLParser

import pytest

from lakebalance.report.html import render
from lakebalance.report.notebook import plan_html, result_html

HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
    "javascript:alert(1)", "{{ 7 * 7 }}", "</style><b>", "&lt;b&gt;", "\u202eesrever", "\ud800",
]  # fmt: skip
ALLOWED = set(
    re.findall(
        r"\w+",
        """html head meta title style body main header footer section nav article aside figure
        figcaption h1 h2 h3 h4 p div span table caption thead tbody tr th td ol ul li dl dt dd pre
        code b i em strong small a svg g line rect path text circle polyline title desc details
        summary time abbr br hr wbr bdi bdo""",
    )
)


class Reader(HTMLParser):
    """All tags, attributes and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def group(value, available=10, target=20, source="s"):
    return {"source": source, "group": {"c": value}, "rows": available + 1,
            "available": available, "target": target, "epochs": target / available,
            "weight": target / available}  # fmt: skip


def result(*groups, **parts):
    rows = sum(g["target"] for g in groups)
    return {
        "name": "t", "run_id": "0123", "recipe_hash": "4567", "package_version": "1",
        "recipe": "name: t\n", "finished": "2026-01-02T03:04:05+00:00",
        "sources": [{"name": "s", "table": "lake/s", "version": 3, "rows": 11}],
        "groups": list(groups), "rows": rows, "quarantined": 1, "matches": 2,
        "gates": [{"source": None, "expectation": "ExpectX(column='a')", "on_fail": "quarantine",
                   "unexpected": 1, "rows": 11, "success": False}],
        "pruned": [{"method": "exact", "dropped": 2}], "warnings": [],
        "output": {"table": "lake/out", "version": 4, "rows": rows},
        "published": [{"source": None, "group": g["group"], "planned": g["target"],
                       "found": g["target"]} for g in groups],
        "stages": [{"name": "read", "rows_in": None, "rows_out": None, "seconds": 0.5},
                   {"name": "publish", "rows_in": rows, "rows_out": rows, "seconds": 1.5}],
        "paths": {"output": "lake/out"}, "repeated": False, **parts,
    }  # fmt: skip


VIEWS = [render, plan_html, result_html]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_values_are_only_text(view, text):
    data = result(
        group(text), name=text, recipe=text, warnings=[{"code": text, "message": text}],
        paths={text: text}, sources=[{"name": text, "table": text, "version": 1, "rows": 1}],
        output={"table": text, "version": 1, "rows": 20},
    )  # fmt: skip
    read = Reader(view(data))
    assert read.tags <= ALLOWED, read.tags - ALLOWED
    for name, value in read.attributes:
        assert not name.startswith("on"), (name, value)
        assert not (value or "").strip().lower().startswith(("javascript:", "http")), (name, value)
    assert "49" not in view(result(group("{{ 7 * 7 }}"), name="x")).split("7 * 7")[0][-20:]


@pytest.mark.parametrize("view", VIEWS)
def test_null_nan_and_texts_like_them_are_told_apart(view):
    values = [None, "null", {"float": "NaN"}, "NaN", "", " ", 1, "1", True, "true"]
    pages = [view(result(group(value))) for value in values]
    assert len(set(pages)) == len(values)


def test_a_hundred_thousand_groups_are_a_small_page():
    groups = [group(f"label {i}", available=1 + i % 1000) for i in range(100_000)]
    page = render(result(*groups))
    assert len(page) < 2 * 2**20
    assert len(plan_html(result(*groups))) < 2**19


@pytest.mark.parametrize(
    "part", ["recipe", "finished", "sources", "gates", "pruned", "warnings", "published", "stages",
             "paths", "output", "quarantined", "matches", "run_id", "recipe_hash",
             "package_version"]
)  # fmt: skip
def test_parts_that_were_not_recorded_are_left_out(part):
    data = result(group("a"), group("b"))
    del data[part]
    assert "<h1" in render(data)
    old = [{k: v for k, v in g.items() if k != "rows"} for g in data["groups"]]
    assert "<h1" in render({**data, "groups": old})


def test_a_group_that_differs_from_the_plan_is_shown():
    good = render(result(group("a")))
    published = [{"source": None, "group": {"c": "a"}, "planned": 20, "found": 19}]
    bad = render(result(group("a"), published=published))
    words = re.sub(r"<[^>]*>", " ", bad)
    assert bad != good and re.search(r"\b19\b", words)


def test_the_page_needs_nothing_else():
    page = render(result(group("a")))
    assert "<script" not in page and not re.search(r"(src|href)\s*=\s*[\"']?http", page)
    assert "@import" not in page and "url(" not in page


def test_a_run_that_changed_nothing_says_so():
    assert "nothing was changed" in result_html(result(group("a"), repeated=True))
