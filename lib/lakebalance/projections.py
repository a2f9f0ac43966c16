"""Embeddings as a small table of projections, for ``transport``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.allocate.samples import Embeddings
from lakebalance.core import columns
from lakebalance.core.chance import normal, salt_of
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import canonical, mixed
from lakebalance.sample.exact_sums import Tally, summed

Floats = NDArray[np.float64]
CHUNK = 4_096
MOST_LABELS = 10_000
NAME, EMBEDDING, CHANCE, LABEL, NUMBER, PROJECTED = (
    f"__lb_{what}" for what in ("name", "embedding", "chance", "label", "number", "projected")
)


@dataclass(frozen=True)
class Slicing:
    """How embeddings become quantiles of projections; see ``project``."""

    column: str
    directions: int = 32
    quantiles: int = 100
    most: int = 20_000
    seed: int = 0
    label: str | None = None
    label_weight: float = 1.0

    @classmethod
    def of(cls, spec: Embeddings) -> Slicing:
        """As a rule asks for it."""
        return cls(**{field.name: getattr(spec, field.name) for field in fields(cls)})


def project(
    df: DataFrame,
    source: str,
    column: str,
    directions: int = 32,
    quantiles: int = 100,
    most: int = 20_000,
    seed: int = 0,
    label: str | None = None,
    label_weight: float = 1.0,
) -> DataFrame:
    """The quantiles of a source's embeddings along directions, as ``transport`` reads them.

    With a label, what is projected is an embedding followed by ``label_weight`` times the mean of
    all embeddings of the source that have the row's label. So a row is far from the target by its
    embedding, and by what else its label stands for in its source.

    Parameters
    ----------
    df : the source's rows, or those that a model is wanted for.
    source : the source's name in the recipe, or what the target is called in ``projections``.
    column : an array of numbers, of one size in all rows and all sources.
    directions : how many; the same for all sources of one embedding size and seed.
    quantiles : of the values along each direction, at least 1.
    most : about how many rows are looked at, chosen by a hash of their embeddings.
    seed : another one makes other directions.
    label : a column of labels, null among them; for all sources and the target, or for none.
    label_weight : over 0; how much labels count beside embeddings.

    Returns
    -------
    Frame ``source`` string, ``projection`` int, ``value`` double, of directions · quantiles rows,
    the same however the rows lie. One job here, three with a label, one when it is read; needs
    numpy on the workers.

    Raises
    ------
    RecipeError : a column is not there, or the embeddings are no array of numbers.
    TableError : there are no rows, or embeddings are null, of several sizes, or not finite; there
        are over 10,000 labels.

    References
    ----------
    Bonneel, Rabin, Peyré, Pfister, "Sliced and Radon Wasserstein Barycenters of Measures", 2015.
    Alvarez-Melis, Fusi, "Geometric Dataset Distances via Optimal Transport", NeurIPS 2020: the cost
    of embedding and label together, which projektor uses; of its distances between labels, that of
    their means.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> df = local_session().createDataFrame([([1.0, 2.0],), ([3.0, 4.0],)], "e array<double>")
    >>> project(df, "web", "e", directions=3, quantiles=2).count()
    6
    """
    how = Slicing(column, directions, quantiles, most, seed, label, label_weight)
    check_columns(df, how, "column", "label")
    found = quantiles_of(embedded(df.withColumn(NAME, F.lit(source)), how), how)
    if found is None:
        raise TableError("there are no rows to project")
    return found


def check_columns(df: DataFrame, how: Slicing, place: str, place_of_label: str) -> None:
    """Raise where the embeddings or labels are not there, or are none.

    Raises
    ------
    RecipeError : with the place, the column and its type.
    """
    columns.require(df, [how.column], place)
    columns.require(df, [how.label] if how.label else [], place_of_label)
    kind = columns.kinds(df)[how.column]
    if not isinstance(kind, T.ArrayType) or not isinstance(kind.elementType, T.NumericType):
        raise RecipeError(
            f'{place}: column "{how.column}" is of type {kind.simpleString()}; it must be an array '
            "of numbers"
        )


def embedded(df: DataFrame, how: Slicing) -> DataFrame:
    """What is looked at of rows with ``__lb_name``: embedding, label, and a hash for a sample."""
    value, kind = columns.column(how.column), columns.kinds(df)[how.column]
    label = F.to_json(F.struct(columns.column(how.label))) if how.label else F.lit("")
    return df.select(
        NAME,
        value.cast("array<double>").alias(EMBEDDING),
        mixed("project", [canonical(value, kind)]).alias(CHANCE),
        label.alias(LABEL),
    )


def quantiles_of(rows: DataFrame, how: Slicing) -> DataFrame | None:
    """The quantiles along each direction, by name, of what ``embedded`` made; None of no rows.

    Raises
    ------
    TableError : embeddings or labels are not as they should be.
    """
    counted = _checked(rows, how)
    if not counted:
        return None
    limits = {
        name: math.floor((how.most / found["rows"] - 0.5) * 2**64)
        for name, found in counted.items()
        if found["rows"] > how.most
    }
    if limits:
        pairs = [F.lit(part) for pair in limits.items() for part in pair]
        rows = rows.where(
            F.coalesce(F.col(CHANCE) < F.create_map(*pairs)[F.col(NAME)], F.lit(True))
        )
    size = next(iter(counted.values()))["most"]
    units = _directions(size if how.label is None else 2 * size, how)
    offsets = None
    if how.label is not None:
        bound = max(found["largest"] for found in counted.values())
        rows, means = _means(rows, size, bound)
        offsets = how.label_weight * np.stack(
            [(means * unit[size:]).sum(axis=1) for unit in units], axis=1
        )
    each = rows.mapInArrow(
        _projecting(units[:, :size], offsets), f"{NAME} string, {PROJECTED} array<double>"
    )
    shares = F.array(*[F.lit((j + 0.5) / how.quantiles) for j in range(how.quantiles)])
    found = [
        F.struct(
            F.lit(i).alias("projection"),
            F.percentile(F.col(PROJECTED)[i], shares).alias("values"),
        )
        for i in range(how.directions)
    ]
    slices = each.groupBy(F.col(NAME).alias("source")).agg(F.array(*found).alias("slices"))
    along = slices.select("source", F.explode("slices").alias("s"))
    return along.select("source", "s.projection", F.explode("s.values").alias("value"))


def _directions(size: int, how: Slicing) -> Floats:
    """Unit vectors, one a row, by plain arithmetic, which is the same on every machine."""
    key = np.arange(size, dtype=np.int64)
    along = [
        normal(key, np.full(size, i, dtype=np.int64), salt_of("project", how.seed))
        for i in range(how.directions)
    ]
    return np.stack([a / math.sqrt(float((a * a).sum())) for a in along])


def _checked(rows: DataFrame, how: Slicing) -> dict[str, dict[str, Any]]:
    """How many rows there are by name, and of which size their embeddings are."""
    value = F.col(EMBEDDING)
    bad = F.exists(value, lambda x: x.isNull() | F.isnan(x) | (F.abs(x) == F.lit(math.inf)))
    counted = rows.groupBy(NAME).agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(value.isNull()).alias("null"),
        F.count_if(bad).alias("bad"),
        F.min(F.size(value)).alias("least"),
        F.max(F.size(value)).alias("most"),
        F.max(F.array_max(F.transform(value, F.abs))).alias("largest"),
    )
    found = {row[NAME]: row for row in sorted(counted.toArrow().to_pylist(), key=_name)}
    for name, one in found.items():
        where = f'column "{how.column}" of "{name}" is'
        if one["null"]:
            raise TableError(f"{where} null in {one['null']:,} rows; filter them out")
        if one["least"] != one["most"] or not one["most"]:
            raise TableError(
                f"{where} of {one['least']} to {one['most']} numbers; embeddings must all be of "
                "one size, at least 1"
            )
        if one["bad"]:
            raise TableError(
                f"{where} null, NaN or infinite somewhere in {one['bad']:,} rows; filter them out"
            )
    sizes = {one["most"]: name for name, one in reversed(found.items())}
    if len(sizes) > 1:
        (one, its), (other, others), *_ = sorted(sizes.items())
        raise TableError(
            f'embeddings are of {one} numbers in "{its}" and of {other} in "{others}"; they must '
            "all be of one size"
        )
    return found


def _name(row: dict[str, Any]) -> str:
    return str(row[NAME])


def _means(rows: DataFrame, size: int, bound: float) -> tuple[DataFrame, Floats]:
    """The rows with the number of their label in their source, and its mean embedding by number.

    By sums that do not depend on the order of rows.
    """
    counts = rows.groupBy(NAME, LABEL).agg(F.count(F.lit(1)).alias("rows")).toArrow().to_pylist()
    if len(counts) > MOST_LABELS:
        raise TableError(
            f"there are {len(counts):,} labels, all sources together; at most {MOST_LABELS:,} can "
            "be compared: write a column of fewer, or none"
        )
    counts.sort(key=lambda row: (row[NAME], row[LABEL]))
    numbers = {
        NAME: [row[NAME] for row in counts],
        LABEL: [row[LABEL] for row in counts],
        NUMBER: pa.array(range(len(counts)), pa.int32()),
    }
    known = rows.sparkSession.createDataFrame(pa.table(numbers))
    numbered = rows.join(F.broadcast(known), [NAME, LABEL]).select(NAME, EMBEDDING, NUMBER)
    bounds = np.full(size, bound)

    def add(tally: Tally, batch: pa.RecordBatch) -> None:
        at, own = _matrix(batch.column(0)), batch.column(1).to_numpy()
        for number in np.unique(own).tolist():
            tally.add("embedding", number, at[own == number], bounds)

    sums = summed(numbered.select(EMBEDDING, NUMBER), add)
    means = [
        sums.numbers("embedding", number, bounds) / row["rows"] for number, row in enumerate(counts)
    ]
    return numbered, np.stack(means)


def _matrix(embeddings: pa.Array) -> Floats:
    values: Floats = embeddings.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(embeddings), -1)


def _projecting(
    units: Floats, offsets: Floats | None
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The task that projects embeddings onto directions, and adds what their labels do."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, CHUNK):
                part = batch.slice(start, CHUNK)
                at = _matrix(part.column(EMBEDDING))
                # Not by a matrix product, whose last bits depend on how many rows a batch has.
                made = np.stack([(at * unit).sum(axis=1) for unit in units], axis=1)
                if offsets is not None:
                    made = made + offsets[part.column(NUMBER).to_numpy()]
                ends = pa.array(np.arange(len(at) + 1, dtype=np.int32) * len(units))
                lists = pa.ListArray.from_arrays(ends, pa.array(made.ravel()))
                yield pa.RecordBatch.from_arrays(
                    [part.column(NAME), lists], names=[NAME, PROJECTED]
                )

    return task
