"""Which archive of classes a session uses, makes, or leaves alone."""

import os
import time
from pathlib import Path

from lakebalance.core.class_archive import class_archive_options

PARTS = ["java 17", "pyspark 4.2.0"]


def written(option, content=b"\xf0\x0b\xab\xa8", age=10.0):
    """What Java leaves at its end, some seconds ago."""
    path = Path(option.split()[0].partition("=")[2])
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_one_session_makes_it_and_later_ones_use_it(tmp_path):
    assert class_archive_options(tmp_path, PARTS, make=False) == ""
    making = class_archive_options(tmp_path, PARTS, make=True)
    assert making.startswith(f"-XX:ArchiveClassesAtExit={tmp_path}/classes-")
    written(making)
    using = class_archive_options(tmp_path, PARTS, make=False)
    assert using.startswith(f"-XX:SharedArchiveFile={tmp_path}/classes-")
    # Java would write what it leaves out to standard output, which may be a command's JSON.
    assert making.endswith("-Xlog:disable") and using.endswith("-Xlog:disable")
    assert class_archive_options(tmp_path, PARTS, make=True) == using
    assert len(list(tmp_path.iterdir())) == 1


def test_one_that_is_not_finished_is_left_alone(tmp_path):
    making = class_archive_options(tmp_path, PARTS, make=True)
    written(making, b"\0" * 64)
    assert class_archive_options(tmp_path, PARTS, make=True) == ""
    # Whoever wrote it was killed, long ago.
    written(making, b"\0" * 64, age=3600)
    assert class_archive_options(tmp_path, PARTS, make=False) == ""
    assert "ArchiveClassesAtExit" in class_archive_options(tmp_path, PARTS, make=True)
    assert list(tmp_path.iterdir()) == []


def test_those_of_other_versions_go_when_one_is_made(tmp_path):
    old = written(class_archive_options(tmp_path, PARTS, make=True))
    class_archive_options(tmp_path, PARTS, make=False)
    other = [*PARTS[:1], "pyspark 4.3.0"]
    assert class_archive_options(tmp_path, other, make=False) == ""
    assert len(list(tmp_path.iterdir())) == 1 and not old.exists()
    assert "ArchiveClassesAtExit" in class_archive_options(tmp_path, other, make=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_used_does_no_harm(tmp_path):
    assert class_archive_options(tmp_path / "a b", PARTS, make=True) == ""
    assert "ArchiveClassesAtExit" in class_archive_options(tmp_path / "none", PARTS, make=True)
