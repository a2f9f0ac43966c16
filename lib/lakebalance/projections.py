"""Embeddings as a small table of projections, for ``transport``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core import columns
from lakebalance.core.chance import normal, salt_of
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import canonical, mixed

CHUNK = 4_096
EMBEDDING, PROJECTED = "__lb_embedding", "__lb_projected"


def project(
    df: DataFrame,
    source: str,
    column: str,
    directions: int = 32,
    quantiles: int = 100,
    most: int = 100_000,
    seed: int = 0,
) -> DataFrame:
    """The quantiles of a source's embeddings along directions, as ``transport`` reads them.

    Parameters
    ----------
    df : the source's rows, or those that a model is wanted for.
    source : the source's name in the recipe, or what the target is called in ``projections``.
    column : an array of numbers, of one size in all rows and all sources.
    directions : how many; the same for all sources of one embedding size and seed.
    quantiles : of the values along each direction, at least 1.
    most : about how many rows are looked at, chosen by a hash of their embeddings.
    seed : another one makes other directions.

    Returns
    -------
    Frame ``source`` string, ``projection`` int, ``value`` double, of directions · quantiles rows,
    the same however the rows lie. One job here, one when it is read; needs numpy on the workers.

    Raises
    ------
    RecipeError : the column is not there, or no array of numbers.
    TableError : there are no rows, or embeddings are null, of several sizes, or not finite.

    References
    ----------
    Bonneel, Rabin, Peyré, Pfister, "Sliced and Radon Wasserstein Barycenters of Measures", 2015.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> df = local_session().createDataFrame([([1.0, 2.0],), ([3.0, 4.0],)], "e array<double>")
    >>> project(df, "web", "e", directions=3, quantiles=2).count()
    6
    """
    columns.require(df, [column], "column")
    kind = columns.kinds(df)[column]
    if not isinstance(kind, T.ArrayType) or not isinstance(kind.elementType, T.NumericType):
        raise RecipeError(
            f'column "{column}" is of type {kind.simpleString()}; it must be an array of numbers'
        )
    value = columns.column(column)
    rows, size = _checked(df, column)
    kept = df
    if rows > most:
        limit = math.floor((most / rows - 0.5) * 2**64)
        kept = df.where(mixed("project", [canonical(value, kind)]) < F.lit(limit))
    bare = kept.select(value.cast("array<double>").alias(EMBEDDING))
    key = np.arange(size, dtype=np.int64)
    along = [
        normal(key, np.full(size, i, dtype=np.int64), salt_of("project", seed))
        for i in range(directions)
    ]
    units = np.stack([a / math.sqrt(float((a * a).sum())) for a in along])
    each = bare.mapInArrow(_projecting(units), f"{PROJECTED} array<double>")
    shares = F.array(*[F.lit((j + 0.5) / quantiles) for j in range(quantiles)])
    found = [
        F.struct(
            F.lit(i).alias("projection"),
            F.percentile(F.col(PROJECTED)[i], shares).alias("values"),
        )
        for i in range(directions)
    ]
    slices = each.agg(F.array(*found).alias("slices")).select(F.explode("slices").alias("s"))
    name = F.lit(source).alias("source")
    return slices.select(name, "s.projection", F.explode("s.values").alias("value"))


def _checked(df: DataFrame, column: str) -> tuple[int, int]:
    """How many rows there are, and of which size their embeddings are."""
    value = columns.column(column)
    bad = F.exists(
        value.cast("array<double>"),
        lambda x: x.isNull() | F.isnan(x) | (F.abs(x) == F.lit(math.inf)),
    )
    found = df.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(value.isNull()).alias("null"),
        F.count_if(bad).alias("bad"),
        F.min(F.size(value)).alias("least"),
        F.max(F.size(value)).alias("most"),
    ).collect()[0]
    where = f'column "{column}" is'
    if not found["rows"]:
        raise TableError("there are no rows to project")
    if found["null"]:
        raise TableError(f"{where} null in {found['null']:,} rows; filter them out")
    if found["least"] != found["most"] or not found["most"]:
        raise TableError(
            f"{where} of {found['least']} to {found['most']} numbers; embeddings must all be of "
            "one size, at least 1"
        )
    if found["bad"]:
        raise TableError(
            f"{where} null, NaN or infinite somewhere in {found['bad']:,} rows; filter them out"
        )
    return found["rows"], found["most"]


def _projecting(
    units: NDArray[np.float64],
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that projects embeddings onto directions."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, CHUNK):
                part = batch.slice(start, CHUNK).column(0)
                at = part.flatten().to_numpy(zero_copy_only=False).reshape(len(part), -1)
                # Not by a matrix product, whose last bits depend on how many rows a batch has.
                made = np.stack([(at * unit).sum(axis=1) for unit in units], axis=1)
                ends = pa.array(np.arange(len(part) + 1, dtype=np.int32) * len(units))
                lists = pa.ListArray.from_arrays(ends, pa.array(made.ravel()))
                yield pa.RecordBatch.from_arrays([lists], names=[PROJECTED])

    return task
