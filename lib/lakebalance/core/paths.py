"""Paths as they are told from those of other machines and folders; needs no Spark."""

from __future__ import annotations

from pathlib import Path


def from_root(path: str) -> str:
    """A local path from the root, as Spark writes it; a URI as it is.

    Examples
    --------
    >>> from_root("/lake/./flights/"), from_root("s3://bucket/lake")
    ('/lake/flights', 's3://bucket/lake')
    """
    return path if ":/" in path else str(Path(path).resolve())
