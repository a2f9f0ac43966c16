"""The mixture's section: its numbers, when it is not there, many sources, and hostile names."""

import time

import pytest

from examples import Page, group, result
from hostile import TEXT, hostile
from lakebalance.core.repetition import R_STAR, next_value
from lakebalance.report.html import render
from lakebalance.report.mixture import mixture, phase_mixtures
from lakebalance.report.parts import Part, per_source

WEB, BOOKS = group({"c": "x"}, 9000, 5000, "web"), group({"c": "x"}, 1000, 5000, "books")


def section(html):
    start = html.index('<section aria-labelledby="mixture"')
    return html[start : html.index("</section>", start) + len("</section>")]


def test_each_source_has_its_shares_epochs_and_next_value():
    text = Page(section(render(result([WEB, BOOKS])))).text
    assert "web9,000 90.0%5,000 50.0%0.561 " in text
    assert next_value(1000, 5000) == pytest.approx(0.771, abs=5e-4)
    assert "books1,000 10.0%5,000 50.0%heavy 5.000.771" in text


def test_one_source_is_no_mixture():
    assert 'id="mixture"' not in render(result([WEB, group({"c": "y"}, source="web")]))
    assert 'id="mixture"' not in render(result([]))


def test_a_source_without_rows_and_new_rows_are_not_repeated():
    empty = {**group({"c": "x"}, 0, 0, "none"), "available": 0}
    grown = {**group({"c": "x"}, 100, 300, "grown"), "synthetic": 200}
    found = mixture({}, per_source([empty, grown]))
    assert [line.next_worth for line in found.lines] == [1.0, None]
    assert [line.epochs for line in found.lines] == [1.0, 0.0]
    assert "–" in section(render(result([empty, grown])))


def test_the_recipes_own_r_star_counts():
    own = "allocate: {mix: {method: data_constrained, r_star: 5}}"
    parts = [Part((), 10, 10, 60), Part((), 10, 10, 10)]
    assert mixture({"recipe": own}, parts).lines[0].next_worth == next_value(10, 60, 5)
    for text in ("", "[1", "allocate: {mix: {r_star: .nan}}", "allocate: {mix: {r_star: x}}"):
        assert mixture({"recipe": text}, parts).r_star == R_STAR


@pytest.mark.slow
def test_ten_thousand_sources_are_the_top_ones_and_the_rest():
    groups = [group({"c": "x"}, 10 + i, 50, f"source {i}") for i in range(10_000)]
    groups[7]["target"] = 900
    start = time.process_time()
    html = render(result(groups))
    assert time.process_time() - start < 10  # under 2 s where it was measured
    found = mixture({}, per_source(groups))
    assert found.lines[0].after == 900 and len(found.lines) == 60 and found.others.number == 9940
    lines = [*found.lines, found.others]
    assert sum(line.after for line in lines) == found.after == sum(g["target"] for g in groups)
    assert sum(line.available for line in lines) == found.available
    assert "9,940 other sources together" in html and len(section(html)) < 100_000


def phase(name, *groups, **parts):
    rows = sum(g["target"] for g in groups)
    named = {"name": name, "table": f"lake/{name}", "part": "train", "rows": rows}
    return {**named, "groups": list(groups), **parts}


def test_phases_have_their_mixtures_and_all_together_theirs():
    last = phase("last <b>", {**WEB, "target": 1000}, {**BOOKS, "target": 3000})
    held = phase("test", {**WEB, "target": 7}, part="test")
    own = "allocate: {}\nphases: [{name: 'last <b>', balance: {r_star: 5}}, 3]"
    run = {**result([WEB, BOOKS]), "recipe": own, "outputs": [last, held]}
    found = dict(phase_mixtures(run))
    assert list(found) == ["balanced", "last <b>", "all phases together"]
    assert found["last <b>"].lines[0].next_worth == next_value(1000, 3000, 5)
    books = found["all phases together"].lines[0]
    assert (books.after, books.epochs) == (8000, 8.0)
    assert books.next_worth == next_value(1000, 8000, R_STAR)
    html = section(render(run))
    text = Page(html).text
    assert "<h3>last &lt;b&gt; <small>R* = 5</small></h3>" in html and "test" not in text
    assert "books1,000 10.0%8,000 57.1%heavy 8.000.635" in text
    assert phase_mixtures({**run, "outputs": [held]}) == []


def test_hostile_names_stay_text():
    run = hostile()
    run["groups"][1]["source"] = TEXT + "2"
    page = Page(render(run))
    assert "script" not in page.tags and "img" not in page.tags
    assert "<script>alert(1)</script>" in Page(section(render(run))).text
