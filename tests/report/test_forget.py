"""The proof that rows are forgotten, as HTML: whole, and safe whatever names say."""

from lakebalance.report.forget import render

HOSTILE = "<script>alert('x')</script>&\"'"
AFTER = {"version": 4, "rows": 90, "marked": 0}
PROOF = {
    "request": "1e15b85adb7e8ad6",
    "asked": "ee" * 32,
    "reference": HOSTILE,
    "signed_off_by": HOSTILE,
    "rows": {"asked": 1234, "tied": 5},
    "complete": True,
    "dry_run": False,
    "vacuum_hours": 0,
    "sources": [{"table": f"/lake/{HOSTILE}", "version": 3, "rows": 100, "marked": 10}],
    "tables": [
        {"table": "/lake/out", "recipe": HOSTILE, "output": "balanced", "run_id": "a",
         "version": 3, "rows": 90, "marked": 7}
    ],
    "leftovers": [{"table": "/lake/quarantine-q", "marked": 2, "after": {"marked": 0}}],
    "old_files": [{"table": "/lake/out", "files": 0}],
    "models": [
        {"model": HOSTILE, "table": "/lake/out", "version": 3, "rows": 7},
        {"model": "old", "table": "/lake/out", "version": 1, "rows": None},
    ],
    "notes": [HOSTILE],
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:01:00+00:00",
    "package_version": "0.1.0",
    "proof": "0b" * 32,
}  # fmt: skip
for line in [*PROOF["sources"], *PROOF["tables"]]:
    line["after"] = AFTER


def test_the_proof_shows_all_that_was_found_and_escapes_every_value():
    html = render(PROOF)
    assert HOSTILE not in html and "<script" not in html
    assert html.count("&lt;script&gt;") >= 8
    assert "Rows are forgotten" in html and "1,234 asked, 5 tied" in html
    assert "its files are gone" in html and "quarantine-q" in html
    assert PROOF["proof"] in html


def test_rows_that_are_left_are_said_in_the_headline():
    assert "<h1>Rows are left</h1>" in render({**PROOF, "complete": False})
