"""The proof that rows are forgotten, as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebalance.report.html import environment, save


def render(proof: Mapping[str, Any]) -> str:
    """The proof's HTML; every value is escaped, and no script is in it.

    Parameters
    ----------
    proof : as ``forget --json`` prints it, once done.
    """
    lines = [
        {**line, "what": what_of(line)}
        for line in [*proof["sources"], *proof["tables"], *proof["leftovers"]]
    ]
    text = json.dumps(proof, sort_keys=True, indent=1)
    view = {"proof": proof, "lines": lines, "text": text, "rows": sorted(proof["rows"].items())}
    return environment().get_template("forget.html.j2").render(view)


def what_of(line: Mapping[str, Any]) -> str:
    """What a table of a proof is: a source, an output of a recipe, or one beside them."""
    if "recipe" in line:
        return f"{line['recipe']}: {line['output']}"
    return "source" if "rows" in line else "beside them"


def write(proof: Mapping[str, Any], path: Path) -> Path:
    """Write the proof to a file and return its path."""
    return save(render(proof), path)
