"""A full disk, no permission, files that VACUUM took: a clear error, the target as before."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

import lakebalance as lb
from lakebalance.core.errors import TableError
from lakebalance.recipe import Recipe

from .conftest import rows_of, start

ROOT = os.geteuid() == 0
SMALL = 2 * 2**20


@pytest.mark.slow
def test_a_disk_that_fills_up_midway(spark, lake, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    options = {}
    if ROOT:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", out], check=True)
    else:
        # Nobody else may mount; a limit on file sizes stops the same writes.
        options["preexec_fn"] = lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (SMALL // 4, SMALL // 4)
        )
    try:
        process = start(lake, **options)
        _, messages = process.communicate(timeout=300)
        assert process.returncode == 4, messages
        assert "the disk is full; make room and run again" in messages
        assert "Traceback" not in messages
        assert not list((out / "balanced" / "_delta_log").glob("*.json"))
        if ROOT:
            subprocess.run(["mount", "-o", "remount,size=200m", out], check=True)
        assert lb.run(Recipe.load(lake), spark).rows == 16_000
        assert sum(rows_of(spark, out / "balanced").values()) == 16_000
    finally:
        if ROOT:
            subprocess.run(["umount", out], check=True)


@pytest.mark.slow
def test_a_target_that_may_not_be_written(lake, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    caps = "-dac_override,-dac_read_search"
    wrapper = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}"] if ROOT else []
    process = start(lake, wrapper=wrapper)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 4, messages
    assert "no permission" in messages and str(out) in messages
    assert "Traceback" not in messages
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_a_version_whose_files_vacuum_took(spark, lake, tmp_path):
    source = tmp_path / "source"
    spark.sql(f"DELETE FROM delta.`{source}` WHERE id < 100")
    log = source / "_delta_log" / "00000000000000000000.json"
    removed = [p for p in source.glob("*.parquet") if p.name in log.read_text()]
    assert removed
    for path in removed:
        Path(path).unlink()  # what VACUUM does when the retention is over
    with pytest.raises(TableError, match="VACUUM may have removed it: leave out version"):
        lb.run(Recipe.load(lake, ["sources.s.version=0"]), spark)
    assert not (tmp_path / "out" / "balanced").exists()
