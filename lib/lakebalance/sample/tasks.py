"""What Python workers do to make synthetic rows: each sees all points of a group or of a source.

A task has each point's key, coordinates and categories, and the whole rows of those whose children
it makes, or which it weighs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakebalance.core.arrow_types import in_utc
from lakebalance.core.chance import words
from lakebalance.core.errors import RecipeError
from lakebalance.core.neighbours import Floats, Ints
from lakebalance.core.places import Places, matrix
from lakebalance.sample.children import Children, Parents
from lakebalance.sample.options import SyntheticOptions
from lakebalance.sample.thresholds import COPIES, GROUP, HASH

CHUNK, CHUNKS, TARGET = "__lb_chunk", "__lb_chunks", "__lb_target"
AT, CATEGORY, TEXT = "at", "category", "text"
KEYS = ("hi", "lo")
PARENTS = "parents"
DIGITS = 32
HEX = np.array([f"{byte:02x}".encode() for byte in range(256)])
OUT_ROWS = 10_000
Maker = Callable[[Parents, Any], Children]
Weigher = Callable[[Parents, Ints, Any], Ints]
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Asked:
    """What tasks must know: ``make`` makes children of points, ``weigh`` gives points weights.

    ``places`` are the columns that make a point's place. ``by_text`` says whether points have their
    categorical values as texts too, ``exact`` that ``make`` measures all distances, of however many
    points.
    """

    options: SyntheticOptions
    places: Places
    make: Maker
    weigh: Weigher | None = None
    by_text: bool = False
    exact: bool = False

    @property
    def axes(self) -> list[str]:
        """The names among a child's columns of those that make its place."""
        return [f"{AT}{i}" for i in range(len(self.places.names))]

    @property
    def categories(self) -> list[str]:
        """The names among a point's columns of those about which neighbours vote."""
        return [f"{CATEGORY}{i}" for i in range(len(self.options.voted))]

    @property
    def texts(self) -> list[str]:
        """The names of their texts among a point's columns, where it has them."""
        return [f"{TEXT}{i}" for i in range(len(self.options.categories) * self.by_text)]


def making(asked: Asked) -> Task:
    """The task that makes the children of some points of a group."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = _in_order(batches)
        copies, own = table[COPIES].to_numpy(), table["row"].is_valid().to_numpy()
        if asked.weigh is not None:
            copies = shared_by_weight(copies, table[TARGET][0].as_py() - len(table))
        parents = _parents(table, np.where(own, copies, 0), asked)
        found = asked.make(parents, asked.options)
        for start in range(0, len(found.parents), OUT_ROWS):
            yield _batch(table, found.part(start, start + OUT_ROWS), asked.places)

    return make


def weighing(asked: Asked, weigh: Weigher, names: Sequence[str]) -> Task:
    """The task that weighs some points of a source by their neighbours of all groups.

    Parameters
    ----------
    names : the columns of a point; its weight takes the place of its copies.
    """

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = _in_order(batches)
        own = table["row"].is_valid().to_numpy()
        if not own.any():
            return
        parents = _parents(table, own.astype(np.int64), asked)
        weights = weigh(parents, table[GROUP].to_numpy(), asked.options)
        kept = table.filter(pa.array(own))
        kept = kept.set_column(kept.schema.get_field_index(COPIES), COPIES, pa.array(weights))
        yield from in_utc(kept.select(names)).combine_chunks().to_batches(OUT_ROWS)

    return make


def _in_order(batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """All rows of a task: whatever order they come in, their keys give them one."""
    table = pa.Table.from_batches(list(batches))
    order, names = _key_order(table), table.schema.names
    # Column by column, so that no more than one of them is there twice.
    columns = []
    for name in names:
        columns.append(pc.take(table[name].combine_chunks(), pa.array(order)))
        table = table.drop_columns([name])
    return pa.table(columns, names=names)


def _key_order(table: pa.Table) -> Ints:
    order: Ints = np.lexsort([table[name].to_numpy() for name in (COPIES, "lo", "hi")])
    return order


def _seeds(table: pa.Table) -> Ints:
    """A number for each row's chance; equal rows, which share a key, have their own each."""
    hi, lo = table["hi"].to_numpy(), table["lo"].to_numpy()
    new = np.flatnonzero(np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])))
    place = np.arange(len(hi))
    twin = place - np.repeat(place[new], np.diff(np.append(new, len(hi))))
    return words(table[HASH].to_numpy(), twin, 0).view(np.int64)


def _parents(table: pa.Table, copies: Ints, asked: Asked) -> Parents:
    return Parents(
        asked.places,
        matrix(table[AT].combine_chunks(), asked.places.width),
        _seeds(table),
        copies,
        [table[name].combine_chunks() for name in asked.categories],
        [table[name].combine_chunks() for name in asked.texts],
    )


def shared_by_weight(weights: Ints, children: int) -> Ints:
    """Divide children among rows by whole weights, exactly.

    Raises
    ------
    RecipeError : no row has a weight.

    Examples
    --------
    >>> shared_by_weight(np.array([1, 0, 2, 1]), 6).tolist()
    [1, 0, 3, 2]
    """
    total = int(weights.sum())
    if not total:
        raise RecipeError(
            "sample: a group that is to grow has no row near to other groups, so none can have "
            "children by this method; write method: smote"
        )
    upto = [children * int(weight) // total for weight in np.cumsum(weights)]
    shares: Ints = np.array([0, *upto], dtype=np.int64)
    return shares[1:] - shares[:-1]


def _batch(table: pa.Table, found: Children, places: Places) -> pa.RecordBatch:
    """Children as Spark writes them but for their types: any more work there would be row by row.

    Each part of a place is a column, and the parents' keys are texts.
    """
    axes = _axes(found.at, places)
    columns = {
        "row": table["row"].combine_chunks().take(pa.array(found.parents[:, 0])),
        **{f"{AT}{i}": values for i, values in enumerate(axes)},
        **{f"{CATEGORY}{i}": values for i, values in enumerate(found.categories)},
        PARENTS: _keys_of(table, found.parents),
    }
    return in_utc(pa.table(columns)).combine_chunks().to_batches()[0]


def _axes(at: Floats, places: Places) -> list[pa.Array]:
    """The columns that places are made of, as doubles: null for NaN, and for arrays of these."""
    axes = []
    for name, numbers_of in zip(places.names, places.by_column(at), strict=True):
        own = np.ascontiguousarray(numbers_of)
        missing = np.isnan(own)
        numbers = pa.array(own.ravel(), mask=missing.ravel())
        if name in places.lengths:
            ends = pa.array(np.arange(len(at) + 1, dtype=np.int32) * own.shape[1])
            none = pa.array(missing.all(axis=1))
            numbers = pa.ListArray.from_arrays(ends, numbers, mask=none)
        axes.append(numbers)
    return axes


def _keys_of(table: pa.Table, parents: Ints) -> pa.Array:
    """The keys of each child's parents as texts, each once, in their order."""
    hi, lo = (table[name].to_numpy()[parents] for name in KEYS)
    new = np.ones(parents.shape, dtype=bool)
    for i in range(1, parents.shape[1]):
        same = (hi[:, :i] == hi[:, [i]]) & (lo[:, :i] == lo[:, [i]])
        new[:, i] = ~same.any(axis=1)
    ends = np.append(0, np.cumsum(new.sum(axis=1))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), key_texts(hi[new], lo[new]))


def key_texts(hi: Ints, lo: Ints) -> pa.Array:
    """Keys as 32 hexadecimal digits each.

    Examples
    --------
    >>> key_texts(np.array([255, -1]), np.array([1, 0])).to_pylist()
    ['00000000000000ff0000000000000001', 'ffffffffffffffff0000000000000000']
    """
    digits = np.frombuffer(np.column_stack([hi, lo]).astype(">i8").tobytes(), dtype=np.uint8)
    ends = np.arange(len(hi) + 1, dtype=np.int32) * DIGITS
    texts = pa.py_buffer(HEX[digits].tobytes())
    return pa.StringArray.from_buffers(len(hi), pa.py_buffer(ends), texts)
