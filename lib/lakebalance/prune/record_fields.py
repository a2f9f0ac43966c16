"""What records are compared by, as recipes say it, and the columns that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.columns import column, kinds, require, require_kind
from lakebalance.core.coordinates import check_features, coordinate
from lakebalance.core.hashing import canonical, mixed
from lakebalance.core.record_similarity import Comparison, Measure
from lakebalance.core.registry import MethodOptions
from lakebalance.core.shingles import Sets
from lakebalance.core.text_form import TextForm
from lakebalance.prune.lengths import Length, in_units_of
from lakebalance.prune.rank import RANK
from lakebalance.prune.texts import Shingling, normalised, valid

FIELDS = (
    "What rows are compared by, each column {compare, weight}. compare: text, by measure "
    "jaro_winkler (as it is, for names) or levenshtein (1 - edits / length of the longer one); "
    "set, the Jaccard similarity of arrays, or of a text's words; numeric, 1 where equal and in a "
    "straight line to 0 at tolerance: a number, with relative: true a share of the larger one, for "
    "dates and timestamps a time such as 3 days; exact, 1 or 0, for any type. weight: 1 as it is. "
    "A null, NaN, empty text or empty array is missing."
)
OF_KIND = {"measure": "text", "tolerance": "numeric", "relative": "numeric"}
FIRST, MADE = "__lb_first", "v"
# Hashes of members, of as many bits as sets in tasks have.
MEMBER_BITS = 52


class RecordField(MethodOptions):
    """How a column of two rows is compared, and what it weighs."""

    compare: Literal["text", "set", "numeric", "exact"] = Field(
        description="How similar two values are."
    )
    weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Share in the mean of all fields."
    )
    measure: Measure | None = Field(
        None, description="For text: jaro_winkler, as it is, or levenshtein."
    )
    tolerance: Length | None = Field(
        None, description="For numeric: how far apart values are that have nothing in common."
    )
    relative: bool | None = Field(
        None, description="For numeric: tolerance is a share of the larger value."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> RecordField:
        for name, kind in OF_KIND.items():
            if getattr(self, name) is not None and self.compare != kind:
                raise ValueError(f"{name} is for compare: {kind}, not for {self.compare}")
        if self.compare == "numeric" and self.tolerance is None:
            raise ValueError("compare: numeric needs a tolerance, such as 5, or 3 days")
        if self.relative and isinstance(self.tolerance, str):
            raise ValueError("relative: true is for numbers; a length of time has no share")
        return self


class Columns:
    """The columns that tasks get, each once, however many fields and rules look at it.

    Parameters
    ----------
    df : the rows.
    form : which differences of texts do not count.
    """

    def __init__(self, df: DataFrame, form: TextForm) -> None:
        self.df, self.form, self.kinds = df, form, kinds(df)
        # What is made of the rows, and then of that: Spark computes a text's form once for all.
        self.first: dict[str, Column] = {}
        self.made: dict[str, Column] = {}

    def text(self, name: str) -> str:
        """A text in the form in which it is compared, as written down for tasks."""
        return self._made(f"text {name}", lambda: self._text(name))

    def number(self, name: str) -> str:
        """Numbers, dates and timestamps as doubles."""
        # Else -0.0 and 0.0 would be two contents.
        return self._made(f"number {name}", lambda: coordinate(self.df, name) + F.lit(0.0))

    def hash(self, name: str) -> str:
        """A hash of which equal values have the same."""
        return self._made(f"hash {name}", lambda: hash_of([self.plain(name)]))

    def together(self, names: Sequence[str], prefixes: Sequence[tuple[str, int]]) -> str:
        """A hash of several values, of texts the first characters; null where one is missing."""
        parts = [self.plain(name) for name in names]
        parts += [F.substring(self.plain(name), 1, n) for name, n in prefixes]
        what = f"together {list(names)} {list(prefixes)}"
        return self._made(what, lambda: hash_of(parts) if parts else F.lit(0).cast("bigint"))

    def set(self, name: str) -> str:
        """The members of an array, or the words of a text, as rising hashes."""
        return self._made(f"set {name}", lambda: self._members(name))

    def plain(self, name: str) -> Column:
        """A value of which equal ones are the same; null where it is missing."""
        kind = self.kinds[name]
        if isinstance(kind, T.StringType):
            return self._text(name)
        value = canonical(column(name), kind)
        if isinstance(kind, T.FloatType | T.DoubleType):
            value = F.when(~F.isnan(value), value)
        elif isinstance(kind, T.ArrayType | T.MapType):
            value = F.when(F.size(column(name)) > 0, value)
        return F.when(column(name).isNotNull(), value)

    def _made(self, what: str, make: Callable[[], Column]) -> str:
        if what not in self.made:
            self.made[what] = make()
        return f"{MADE}{list(self.made).index(what)}"

    def _text(self, name: str) -> Column:
        text = normalised(column(name), self.form, filtered=True)
        return F.nullif(self._first(f"text {name}", text), F.lit(""))

    def _first(self, what: str, value: Column) -> Column:
        self.first.setdefault(what, value)
        return F.col(f"{FIRST}{list(self.first).index(what)}")

    def select(self, rank: Column) -> DataFrame:
        """The rows: their rank, and what was asked for."""
        # Python is asked first, and once; what is made of its answers is made by Spark.
        first = [value.alias(f"{FIRST}{i}") for i, value in enumerate(self.first.values())]
        made = [value.alias(f"{MADE}{i}") for i, value in enumerate(self.made.values())]
        return self.df.select("*", rank, *first).select(RANK, *made)

    def _members(self, name: str) -> Column:
        kind = self.kinds[name]
        if isinstance(kind, T.StringType):
            return self._first(f"words {name}", words(column(name), self.form))
        assert isinstance(kind, T.ArrayType)
        value, element = column(name), kind.elementType
        if isinstance(element, T.StringType):
            value = self._first(f"texts {name}", normalised_members(value, self.form))
        known = F.filter(value, lambda item: item.isNotNull())
        bits = F.lit(64 - MEMBER_BITS)
        members = F.transform(
            known,
            lambda item: F.call_function(
                "shiftrightunsigned", mixed("member", [canonical(item, element)]), bits
            ),
        )
        rising = F.array_sort(F.array_distinct(members))
        return F.when(F.size(rising) > 0, rising)


def hash_of(parts: list[Column]) -> Column:
    """A hash of values; null where one of them is."""
    known = parts[0].isNotNull()
    for part in parts[1:]:
        known = known & part.isNotNull()
    return F.when(known, mixed("record", parts))


def words(texts: Column, form: TextForm) -> Column:
    """The words of each text as rising hashes; null where it has none."""
    shingling = Shingling(form, "words", 1)

    def divide(batch: pa.Array) -> pa.Array:
        found = [_listed(sets) for sets in shingling.sets(batch)]
        return pa.concat_arrays(found or [pa.array([], pa.list_(pa.int64()))])

    made: Column = arrow_udf(divide, "array<bigint>").asNondeterministic()(valid(texts))
    return made


def _listed(sets: Sets) -> pa.Array:
    values = pa.array(sets.values.view("int64"))
    starts = pa.array(sets.starts.astype("int32"))
    empty = pc.equal(pa.array(sets.sizes), 0)
    lists = pa.ListArray.from_arrays(starts, values)
    return pc.if_else(empty, pa.scalar(None, lists.type), lists)


def normalised_members(texts: Column, form: TextForm) -> Column:
    """Arrays of texts in the form in which they are compared; without empty ones."""

    def normalise(batch: pa.Array) -> pa.Array:
        batch = batch.cast(pa.list_(pa.string()))
        flat = form.apply(batch.flatten()).cast(pa.string())
        said = pc.if_else(pc.equal(flat, ""), pa.scalar(None, pa.string()), flat)
        sizes = pc.fill_null(pc.list_value_length(batch), 0)
        ends = pc.cumulative_sum(sizes)
        starts = pa.concat_arrays([pa.array([0], pa.int32()), ends.cast(pa.int32())])
        return pa.ListArray.from_arrays(starts, said)

    made: Column = arrow_udf(normalise, "array<string>").asNondeterministic()(
        F.transform(texts, valid)
    )
    return made


def comparisons(
    columns: Columns, fields: Mapping[str, RecordField], place: str
) -> list[Comparison]:
    """How tasks compare the fields, in the order in which they are written.

    Parameters
    ----------
    columns : collects what the fields look at.
    fields : as the recipe has them.
    place : their path in the recipe, for messages.
    """
    made = {
        "text": columns.text,
        "set": columns.set,
        "numeric": columns.number,
        "exact": columns.hash,
    }
    found = []
    for name, field in fields.items():
        tolerance = 0.0
        if field.tolerance is not None:
            where = f"{place}.{name}.tolerance"
            tolerance = in_units_of(field.tolerance, columns.kinds[name], where)
        own = Comparison(
            made[field.compare](name),
            field.compare,
            field.weight,
            field.measure or "jaro_winkler",
            tolerance,
            bool(field.relative),
        )
        found.append(own)
    return found


def check_fields(df: DataFrame, fields: Mapping[str, RecordField], place: str) -> None:
    """Raise where a column is not there, or is of no type that can be compared so.

    Raises
    ------
    RecipeError : with the column, its type and what to write instead.
    """
    for name, field in fields.items():
        where = f"{place}.{name}"
        require(df, [name], where)
        if field.compare == "text":
            require_kind(df, name, (T.StringType,), where, "write compare: exact, or numeric")
        elif field.compare == "set":
            check_set(df, name, where)
        elif field.compare == "numeric":
            check_features(df, [name], where, "write compare: exact")
            assert field.tolerance is not None
            in_units_of(field.tolerance, kinds(df)[name], f"{where}.tolerance")


def check_set(df: DataFrame, name: str, place: str) -> None:
    """Raise where a column is no array and no text."""
    sets = (T.ArrayType, T.StringType)
    require_kind(df, name, sets, place, "name a column of arrays, or of text for its words")
