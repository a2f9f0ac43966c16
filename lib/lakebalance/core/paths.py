"""Paths as they are told from those of other machines and folders; needs no Spark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import commonprefix
from pathlib import Path


def from_root(path: str) -> str:
    """A local path from the root, as Spark writes it; a URI as it is.

    Examples
    --------
    >>> from_root("/lake/./flights/"), from_root("s3://bucket/lake")
    ('/lake/flights', 's3://bucket/lake')
    """
    return path if ":/" in path else str(Path(path).resolve())


def local(path: str) -> str:
    """A path without the scheme of local files, which Spark writes in several ways.

    Examples
    --------
    >>> local("file:///lake/t"), local("file:/lake/t"), local("s3a://lake/t")
    ('/lake/t', '/lake/t', 's3a://lake/t')
    """
    return re.sub(r"^file:/+", "/", path)


def one_path(path: str) -> str:
    """One form of a path that is written in several: from the root, with no scheme of local files.

    Examples
    --------
    >>> one_path("/lake/./a/"), one_path("file:/lake/b/../a"), one_path("s3://lake/a/")
    ('/lake/a', '/lake/a', 's3://lake/a')
    """
    return from_root(local(path)).rstrip("/")


def common_folder(tables: Sequence[str]) -> str:
    """The folder that all tables lie below, with a slash at its end; empty where there is none.

    Examples
    --------
    >>> common_folder(["/lake/a/b", "/lake/c"]), common_folder(["/lake/a", "catalog.name"])
    ('/lake/', '')
    """
    if not tables or not all("/" in table for table in tables):
        return ""
    folders = [table.rpartition("/")[0] + "/" for table in tables]
    # By characters, as tables may be URIs; what is left after the last slash is no folder.
    return commonprefix(folders).rpartition("/")[0] + "/"  # noqa: RUF071
