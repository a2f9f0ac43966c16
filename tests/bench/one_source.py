"""Recipes over one Parquet source, for benchmarks of whole processes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


def recipe(folder: Path, source: Path, **body: Any) -> Path:
    """A recipe's file: rows of ``source`` by ``id``, into a table that is not there yet."""
    path = folder / f"{source.name}.json"
    written = {
        "name": source.name,
        "sources": [{"name": "s", "table": str(source), "format": "parquet", "key": ["id"]}],
        "publish": {"table": str(folder / "out" / str(time.time_ns()))},
        **body,
    }
    path.write_text(json.dumps(written))
    return path
