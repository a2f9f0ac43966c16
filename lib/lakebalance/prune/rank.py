"""The order in which rows of a cluster stay, as a column whose least value is the row's that does.

Each reason to stay is a field of a struct, and its null a field before it, so that nulls come last.
What must come first by its greatest value is turned around, for any type that has an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import RESERVED, column, kinds, require, require_kind
from lakebalance.core.coordinates import NUMBERS
from lakebalance.core.counts import class_id
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import INTEGRALS
from lakebalance.core.index import RUN
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.prune.keep import Keep, listed, reasons

RANK = "__lb_rank"
GROUP, SIZE, CONTENT = "__lb_short_group", "__lb_short_size", "__lb_said"
BY_HASH = "key hash"
KEPT_RUN = "kept_run"
# The columns of matches that say why a row stays.
SAID = ("stayed_by", "dropped_source", "kept_source", KEPT_RUN)
# Entries of an index come before rows.
BEFORE, AFTER = 0, 1
HEX = "0123456789ABCDEF"
TURNED = (
    *(T.StringType, T.BinaryType, T.BooleanType, *NUMBERS),
    *(T.DateType, T.TimestampType, T.TimestampNTZType),
)
WITHOUT_ORDER = (T.MapType, T.VariantType, T.CalendarIntervalType)


@dataclass(frozen=True)
class Order:
    """A reason to stay: the row of the least value does; ``counts`` says that it is a group yet."""

    said: str
    value: Column
    counts: bool = False


class Ranking:
    """The order in which rows of a cluster stay.

    Parameters
    ----------
    df : rows with ``__lb_key``, and with ``__lb_source`` where a source may be a reason.
    keep : the reasons, in order; the smallest key hash decides where they do not.
    place : path of ``keep`` in the recipe, for messages.
    compared : the columns that the method compares.
    index : name of the index that rows are compared with; its entries stay first.

    Raises
    ------
    RecipeError : a column is missing or of a type that cannot be ordered so.
    """

    def __init__(
        self,
        df: DataFrame,
        keep: Keep | Sequence[Keep] | None,
        place: str,
        compared: Sequence[str] = (),
        index: str | None = None,
    ) -> None:
        self.orders = [
            order
            for own, path in reasons(keep, place)
            for order in _orders(df, own, path, compared)
        ]
        self.index = index
        if index is not None:
            self.orders.insert(0, Order(f"index: {index}", F.lit(AFTER)))
        self.sources = SOURCE in df.columns

    @property
    def column(self) -> Column:
        """The struct that is least in the row that stays, but for groups, see ``counted``."""
        fields = []
        for i, order in enumerate(self.orders):
            fields += [order.value.isNull().alias(f"n{i}"), order.value.alias(f"o{i}")]
        tags = [F.col(KEY), *([F.col(SOURCE)] if self.sources else [])]
        if self.index is not None:
            tags.append(F.lit(None).cast("string").alias(RUN))
        return F.struct(*fields, *tags).alias(RANK)

    def of_entries(self, rows: DataFrame) -> Column:
        """The ranks of an index's entries: before those of all rows.

        Parameters
        ----------
        rows : frame with ``__lb_rank``, for its type. Entries have ``__lb_key`` and ``run``.
        """
        kind = rows.schema[RANK].dataType
        assert isinstance(kind, T.StructType)
        known = {
            "n0": F.lit(False),
            "o0": F.lit(BEFORE),
            KEY: F.col(KEY),
            SOURCE: F.lit(f"index {self.index}"),
            RUN: F.col(RUN),
        }
        fields = [
            known.get(f.name, F.lit(None).cast(f.dataType)).alias(f.name) for f in kind.fields
        ]
        return F.struct(*fields).alias(RANK)

    def is_new(self, rank: Column) -> Column:
        """Whether a rank is one of a row, and none of an entry of the index."""
        return F.lit(True) if self.index is None else rank["o0"] == AFTER

    def counted(self, rows: DataFrame, content: str) -> DataFrame:
        """The rows with the sizes of groups in their ranks, where a reason counts them.

        A group's size is how many different contents it has: what pruning could leave of it at
        most. All groups are counted once, before any row goes. They stay in Spark, however many.

        Parameters
        ----------
        rows : frame with ``__lb_rank`` and a column of which equal values are the same content.
        content : the name of that column.
        """
        for i, order in enumerate(self.orders):
            if not order.counts:
                continue
            group = F.col(f"{RANK}.o{i}").alias(GROUP)
            once = rows.select(group, F.col(content).alias(CONTENT)).distinct()
            sizes = once.groupBy(GROUP).agg(F.count(F.lit(1)).alias(SIZE))
            ranked = F.col(RANK).withField(f"o{i}", F.col(SIZE))
            joined = rows.withColumn(GROUP, group).join(sizes, GROUP)
            rows = joined.withColumn(RANK, ranked).drop(GROUP, SIZE)
        return rows

    def decided(self, rank: Column, first: Column) -> Column:
        """What tells a row from the one that stays: the first reason by which they differ."""
        said = F.lit(BY_HASH)
        for i, order in reversed(list(enumerate(self.orders))):
            same = rank[f"o{i}"].eqNullSafe(first[f"o{i}"])
            said = F.when(~same, F.lit(order.said)).otherwise(said)
        return said

    def said(self, rank: Column, first: Column) -> list[Column]:
        """Columns of a matches table: ``stayed_by``, and the sources of both rows if they have.

        With an index, ``kept_run``, too: the run of the entry that stays, null for a row.
        """
        said = [self.decided(rank, first).alias("stayed_by")]
        if self.sources:
            ends = (("dropped_source", rank), ("kept_source", first))
            said += [end[SOURCE].alias(name) for name, end in ends]
        if self.index is not None:
            said.append(first[RUN].alias(KEPT_RUN))
        return said


def check_keep(
    df: DataFrame, keep: Keep | Sequence[Keep] | None, place: str, compared: Sequence[str]
) -> None:
    """Raise where a column is missing or cannot be ordered so; a frame may be without sources."""
    for own, path in reasons(keep, place):
        if own.sources is None:
            _orders(df, own, path, compared)


def _orders(df: DataFrame, keep: Keep, place: str, compared: Sequence[str]) -> list[Order]:
    """What a reason orders rows by, least first."""
    name, asked = keep.reason
    path = f"{place}.{name}"
    if name in ("first_by", "last_by"):
        turn = name == "last_by"
        return [_by_value(df, own, turn, path, f"{name}: {own}") for own in listed(asked)]
    if name == "highest":
        require_kind(df, asked, NUMBERS, path, "name a column of numbers")
        return [_by_value(df, asked, True, path, f"highest: {asked}")]
    if name == "longest":
        texts = _texts(df, compared, path) if asked is True else listed(asked)
        return [Order(f"longest: {', '.join(texts)}", _shortness(df, texts, path))]
    if name == "sources":
        return [Order("sources", _place_of_source(df, asked, path))]
    if name == "most_complete":
        return [Order(name, _gaps(df, asked, path))]
    if asked == "balance":
        raise RecipeError(f"{path}: balance means the columns of a recipe's rules; name columns")
    require(df, asked, path)
    return [Order(f"short_of: {', '.join(asked)}", class_id(df, asked), counts=True)]


def _by_value(df: DataFrame, name: str, turn: bool, place: str, said: str) -> Order:
    require(df, [name], place)
    kind, value = kinds(df)[name], column(name)
    if not (isinstance(kind, TURNED) if turn else _has_order(kind)):
        raise RecipeError(
            f'{place}: column "{name}" is of type {kind.simpleString()}, which cannot put rows in '
            "order; name columns of numbers, text, booleans, dates or timestamps"
        )
    return Order(said, turned(value, kind) if turn else value)


def _has_order(kind: T.DataType) -> bool:
    if isinstance(kind, T.ArrayType):
        return _has_order(kind.elementType)
    if isinstance(kind, T.StructType):
        return all(_has_order(field.dataType) for field in kind.fields)
    return not isinstance(kind, WITHOUT_ORDER)


def turned(value: Column, kind: T.DataType) -> Column:
    """A column that is the less the greater another one is; null where that is null or NaN.

    Parameters
    ----------
    value : the column.
    kind : its type: numbers, text, binary, booleans, dates or timestamps.
    """
    if isinstance(kind, T.FloatType | T.DoubleType):
        return F.when(~F.isnan(value), -value)
    if isinstance(kind, T.DecimalType):
        return -value
    if isinstance(kind, T.BooleanType):
        return ~value
    if isinstance(kind, T.StringType | T.BinaryType):
        # Texts are in order of their bytes; what ends sooner must come later.
        return F.concat(F.translate(F.hex(value), HEX, HEX[::-1]), F.lit("G"))
    if isinstance(kind, T.DateType):
        value = F.unix_date(value)
    elif isinstance(kind, T.TimestampType):
        value = F.unix_micros(value)
    elif isinstance(kind, T.TimestampNTZType):
        epoch = F.lit("1970-01-01 00:00:00").cast("timestamp_ntz")
        value = F.timestamp_diff("MICROSECOND", epoch, value)
    else:
        assert isinstance(kind, INTEGRALS)
    # The least whole number has no negative.
    return F.bitwise_not(value)


def _texts(df: DataFrame, compared: Sequence[str], place: str) -> list[str]:
    kind_of = kinds(df)
    texts = [name for name in compared if isinstance(kind_of[name], T.StringType)]
    if not texts:
        raise RecipeError(f"{place}: no text is compared; name columns of text instead of true")
    return texts


def _shortness(df: DataFrame, texts: Sequence[str], place: str) -> Column:
    lengths = []
    for name in texts:
        require_kind(df, name, (T.StringType,), place, "name columns of text")
        lengths.append(F.coalesce(F.char_length(column(name)), F.lit(0)).cast("bigint"))
    return -sum(lengths[1:], lengths[0])


def _place_of_source(df: DataFrame, names: Sequence[str], place: str) -> Column:
    if SOURCE not in df.columns:
        raise RecipeError(f"{place}: the rows have no sources; name a column in first_by instead")
    found = F.lit(len(names))
    for i, name in reversed(list(enumerate(names))):
        found = F.when(F.col(SOURCE) == F.lit(name), F.lit(i)).otherwise(found)
    return found


def _gaps(df: DataFrame, asked: bool | Sequence[str], place: str) -> Column:
    """How many of the columns have nothing to say."""
    own = [name for name in df.columns if not name.startswith(RESERVED)]
    names = own if isinstance(asked, bool) else list(asked)
    require(df, names, place)
    kind_of = kinds(df)
    gaps = [_is_gap(column(name), kind_of[name]).cast("int") for name in names]
    return sum(gaps[1:], gaps[0])


def _is_gap(value: Column, kind: T.DataType) -> Column:
    gap = value.isNull()
    if isinstance(kind, T.FloatType | T.DoubleType):
        gap = gap | F.isnan(value)
    elif isinstance(kind, T.StringType):
        gap = gap | (F.char_length(F.trim(value)) == 0)
    elif isinstance(kind, T.ArrayType | T.MapType):
        gap = gap | (F.size(value) == 0)
    return F.coalesce(gap, F.lit(True))
