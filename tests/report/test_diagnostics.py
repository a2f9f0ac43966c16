"""Diagnostics: whoever looks at a plan or a run sees what its methods had to say."""

from examples import Page, group, result
from lakebalance import console
from lakebalance.core.diagnostics import Diagnostic
from lakebalance.report.html import render
from lakebalance.report.notebook import plan_html

SAID = Diagnostic(
    "Labels <before> & after",
    ["label", "rows"],
    [["a<b", 1234], ["c", 0.123456], ["d", None]],
    "weigh <them>",
).to_dict()


def test_the_report_and_the_notebook_show_them_escaped():
    run = result([group({"c": "a"})], diagnostics=[SAID])
    for html in (render(run), plan_html(run)):
        text = Page(html).text
        assert "Labels <before> & after" in text and "a<b" in text
        assert "weigh <them>" in text and "1,234" in text and "0.1235" in text and "–" in text


def test_the_console_shows_them(capsys):
    console.show_groups(result([group({"c": "a"})], diagnostics=[SAID]))
    shown = capsys.readouterr().out
    assert "Labels <before> & after" in shown and "1,234" in shown and "0.1235" in shown
