"""The proof that rows are forgotten, as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebalance.report.html import environment


def render(proof: Mapping[str, Any]) -> str:
    """The proof's HTML; every value is escaped, and no script is in it.

    Parameters
    ----------
    proof : as ``forget --json`` prints it, once done.
    """
    lines = [
        {**line, "what": f"{line['recipe']}: {line['output']}" if "recipe" in line else "source"}
        for line in [*proof["sources"], *proof["tables"]]
    ]
    text = json.dumps(proof, sort_keys=True, indent=1)
    view = {"proof": proof, "lines": lines, "text": text, "rows": sorted(proof["rows"].items())}
    return environment().get_template("forget.html.j2").render(view)


def write(proof: Mapping[str, Any], path: Path) -> Path:
    """Write the proof to a file and return its path."""
    path.write_text(render(proof), encoding="utf-8", errors="backslashreplace")
    return path
