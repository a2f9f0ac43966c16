"""Java's archive of the classes that Spark and Delta load: the next session starts sooner with it.

A local session loads and checks some 20,000 classes, in each process anew. Java can write those of
one process into a file at its end, and map that file later (class data sharing, JEP 350); it leaves
a file alone that does not fit its own version or the jars.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PREFIX, MADE, BEING_MADE = "classes-", ".jsa", ".new"
MAGIC_BYTES = 4
# A Java that writes one is given this long before another may; and one is at rest after that.
LONGEST, AT_REST = 600.0, 2.0
# Java would else say on standard output, among a command's own, what it leaves out.
SILENT = "-Xlog:disable"


def class_archive_options(folder: Path, parts: Sequence[str], *, make: bool) -> str:
    """Java options that use the archive, or that make it where there is none.

    Parameters
    ----------
    folder : where archives are kept, 200 MB each; those of other parts go when one is made.
    parts : what an archive must fit: the Java, and the versions and places of what it runs.
    make : whether this process may write an archive at its end, which takes Java some seconds.

    Examples
    --------
    >>> class_archive_options(Path("/nowhere"), ["java 21", "pyspark 4.2"], make=False)
    ''
    """
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    archive = folder / f"{PREFIX}{key}{MADE}"
    if any(letter.isspace() for letter in str(archive)):
        return ""  # Java's options are divided at spaces
    with suppress(OSError):
        for new in sorted(folder.glob(f"{archive.name}.*{BEING_MADE}")):
            if _is_whole(new):
                new.replace(archive)
        if _is_whole(archive):
            return f"-XX:SharedArchiveFile={archive} {SILENT}"
        if make and not _being_made(folder, archive):
            _remove_others(folder, archive)
            target = f"{archive}.{os.getpid()}{BEING_MADE}"
            return f"-XX:ArchiveClassesAtExit={target} {SILENT}"
    return ""


def _is_whole(path: Path) -> bool:
    """Whether Java has finished a file: it writes its first bytes last."""
    if not path.exists() or time.time() - path.stat().st_mtime < AT_REST:
        return False
    with path.open("rb") as file:
        return any(file.read(MAGIC_BYTES))


def _being_made(folder: Path, archive: Path) -> bool:
    news = folder.glob(f"{archive.name}.*{BEING_MADE}")
    return any(time.time() - new.stat().st_mtime < LONGEST for new in news)


def _remove_others(folder: Path, archive: Path) -> None:
    """Take away the archives of other versions, and what a Java that was killed has left."""
    for old in folder.glob(f"{PREFIX}*"):
        mine = old.name.startswith(archive.name)
        if not mine or time.time() - old.stat().st_mtime > LONGEST:
            old.unlink(missing_ok=True)
