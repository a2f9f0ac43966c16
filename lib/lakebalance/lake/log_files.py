"""Says which files of a Delta log have to be read to know a table's newest version."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lakebalance.lake.log import BrokenLog

COMMIT = re.compile(r"(\d{20})\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
SECOND_KIND = re.compile(r"\d{20}\.checkpoint\.[0-9a-f-]{36}\.(json|parquet)")


@dataclass(frozen=True)
class LogFiles:
    """The newest version, and the files that tell what is in it: a checkpoint, later commits."""

    version: int
    checkpoint: tuple[str, ...]
    commits: tuple[str, ...]


def needed(names: Iterable[str]) -> LogFiles:
    """Which files of a log to read.

    Parameters
    ----------
    names : of all files in the log's folder; what is neither commit nor checkpoint is passed over.

    Raises
    ------
    BrokenLog : commits are missing that no checkpoint holds.

    Examples
    --------
    >>> log = [f"{v:020}.json" for v in range(8, 13)] + [f"{10:020}.checkpoint.parquet"]
    >>> found = needed(log)
    >>> found.version, [int(name[:20]) for name in found.commits]
    (12, [11, 12])
    """
    commits: dict[int, str] = {}
    parts: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    others = False
    for name in names:
        if found := COMMIT.fullmatch(name):
            commits[int(found[1])] = name
        elif found := CHECKPOINT.fullmatch(name):
            parts[int(found[1])][int(found[3] or 1)].add(name)
        else:
            others = others or bool(SECOND_KIND.fullmatch(name))
    whole = {
        version: sorted(files)
        for version, by_count in parts.items()
        for count, files in by_count.items()
        if len(files) == count
    }
    if not commits and not whole:
        raise BrokenLog("the log has neither commits nor a whole checkpoint")
    newest = max([*commits, *whole])
    start = max(whole, default=-1)
    missing = [v for v in range(start + 1, newest + 1) if v not in commits]
    if missing:
        why = "; its checkpoints are of the kind V2, which is not read" if others else ""
        raise BrokenLog(
            f"the log lacks {len(missing)} of its commits, the first of version {missing[0]}{why}"
        )
    later = tuple(commits[v] for v in range(start + 1, newest + 1))
    return LogFiles(newest, tuple(whole.get(start, ())), later)
