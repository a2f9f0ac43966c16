"""Results as ``run --json`` prints them, and a parser that says what is in their HTML."""

from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "line", "path"}


def group(
    values: dict[str, Any], rows: int = 100, target: int = 50, source: str = "s"
) -> dict[str, Any]:
    """One group of one source."""
    return {
        "source": source,
        "group": values,
        "rows": rows,
        "available": rows,
        "target": target,
        "epochs": target / rows if rows else 0.0,
        "weight": 1.0,
    }


def duplicates(*sources: str, text: str = "a text", method: str = "minhash") -> dict[str, Any]:
    """A step that dropped rows, one of each source for each source; one cluster has texts."""
    of = {"source": sources[0], "text": text}
    shown = {"kept": of, "dropped": [of | {"similarity": 0.8125}, of | {"similarity": None}]}
    pairs = [{"dropped": a, "kept": b, "rows": 1} for a in sources for b in sources]
    return {
        "step": 0,
        "method": method,
        "fate": "near-duplicate",
        "clusters": 1,
        "rows": len(pairs),
        "sizes": [{"from": 4, "to": 7, "clusters": 1, "rows": len(pairs) + 1}],
        "between": pairs,
        "largest": [{"key": "0f", "rows": len(pairs) + 1, **shown}],
    }


def result(groups: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:
    """A finished run with these groups; keywords replace its parts."""
    rows = sum(g["target"] for g in groups)
    read = sum(g["rows"] for g in groups)
    names = sorted({g["source"] for g in groups})
    return {
        "name": "run of a test",
        "run_id": "0123456789abcdef",
        "recipe_hash": "fedcba9876543210",
        "package_version": "0.1.0",
        "recipe": "name: t\nsample: {method: repeat}\n",
        "finished": "2025-03-01T12:30:05+00:00",
        "sources": [
            {
                "name": name,
                "table": f"lake/{name}",
                "version": 3,
                "rows": sum(g["rows"] for g in groups if g["source"] == name),
            }
            for name in names
        ],
        "groups": groups,
        "rows": rows,
        "gates": [
            {
                "source": None,
                "expectation": "ExpectColumnValuesToNotBeNull(column='c')",
                "on_fail": "quarantine",
                "unexpected": 0,
                "rows": read,
                "success": True,
            },
            {
                "source": None,
                "expectation": "drift of x by psi against version 2",
                "on_fail": "warn",
                "unexpected": None,
                "rows": read,
                "success": False,
                "kind": "drift",
                "number": 0.31,
                "limit": 0.25,
                "worst": "x (2 and above: 10.0% to 40.0%)",
            },
        ],
        "quarantined": 0,
        "pruned": [{"method": "exact", "dropped": 0}],
        "matches": 0,
        "duplicates": [duplicates("s", "t")],
        "warnings": [{"code": "max_epochs", "message": "a group is capped"}],
        "output": {"table": "lake/out", "version": 0, "rows": rows},
        "published": [
            {
                "source": g["source"],
                "group": g["group"],
                "planned": g["target"],
                "found": g["target"],
            }
            for g in groups
        ],
        "stages": [{"name": "read", "rows_in": None, "rows_out": read, "seconds": 1.5}],
        "paths": {"output": "lake/out"},
        "repeated": False,
        **parts,
    }


class Page(HTMLParser):
    """What is in some HTML: its tags, its attributes, its text; fails where tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    @property
    def text(self) -> str:
        """All text with runs of white space as one space."""
        return " ".join("".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
