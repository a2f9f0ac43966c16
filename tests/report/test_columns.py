"""The report on columns: escaped whatever values say, complete, and without scripts."""

import json
from html.parser import HTMLParser

from hostile import TEXT
from lakebalance.report.columns import fragment, render


def profile():
    column = {
        "name": TEXT, "type": TEXT, "kind": "text", "nulls": 1, "nans": 0, "distinct": 2,
        "distinct_exact": False, "min": TEXT, "max": None, "quantiles": {"50%": 7},
        "histogram": [{"from": 0, "to": 1, "rows": 3}, {"from": 1, "to": 2, "rows": 0}],
        "top": [{"value": TEXT, "rows": 2, "share": 0.5}],
        "patterns": [{"pattern": TEXT, "rows": 2, "share": 0.5}],
    }  # fmt: skip
    cluster = {
        "group": {TEXT: TEXT}, "rows": 20, "disagreeing": 2, "different_values": 9,
        "values": [{"value": TEXT, "rows": 18}, {"value": None, "rows": 2}],
        "repair": TEXT, "majority": True,
    }  # fmt: skip
    found = {
        "left": [TEXT], "right": TEXT, "exact": False, "error": 0.01, "disagreeing": 2,
        "groups": 5, "broken_groups": 1, "clusters": [cluster, {**cluster, "majority": False}],
    }  # fmt: skip
    table = {
        "name": TEXT, "table": TEXT, "version": 3, "rows": 4, "columns": [column],
        "redundant": {"constant": [TEXT], "equal": [[TEXT, TEXT]], "one_to_one": [[TEXT]]},
        "keys": {"found": [[TEXT]], "most_columns": 3, "complete": False},
        "dependencies": {"found": [found], "complete": True},
    }  # fmt: skip
    place = {"table": TEXT, "column": TEXT}
    included = {"from": place, "to": place, "values": 5, "contained": 5, "unique": True}
    return {"tables": [table], "inclusions": {"found": [included]}, "error_of_distinct": 0.05}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.marked, self._in = set(), [], False

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self._in = tag == "mark"

    def handle_data(self, data):
        if self._in:
            self.marked.append(data)
            self._in = False


def test_every_text_stays_in_its_place_and_what_disagrees_is_marked():
    for html in (render(profile()), fragment(profile())):
        tags = Tags()
        tags.feed(html)
        assert not tags.seen & {"script", "img", "link"}
        assert "&lt;script&gt;" in html and "<script>" not in html and "{{" in html
        assert "no majority" in html and "and 7 more values" in html and "49" not in tags.marked
        # The minority's null twice, and both values where there is no majority.
        assert html.count("<mark>") == 3
        assert 'height="20.0"' in html and "There may be more" in html


def test_what_was_not_looked_for_is_left_out():
    data = profile()
    for part in ("keys", "dependencies"):
        del data["tables"][0][part]
    del data["tables"][0]["redundant"]["one_to_one"]
    data["inclusions"]["found"] = []
    html = render(json.loads(json.dumps(data)))
    assert "Keys:" not in html and "Dependencies" not in html and "Between tables" not in html
