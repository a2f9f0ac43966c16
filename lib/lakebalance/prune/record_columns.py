"""The columns that tasks compare records by: texts, doubles, hashes and sets of hashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

# Missing in PySpark's own list of what the module holds.
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.columns import column, kinds
from lakebalance.core.coordinates import coordinate
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import canonical, mixed
from lakebalance.core.shingles import BITS, Sets
from lakebalance.core.text_form import TextForm
from lakebalance.prune.rank import RANK
from lakebalance.prune.texts import Shingling, normalised, valid

FIRST, MADE = "__lb_first", "v"
# Characters of a text, members of a set: of two such texts, Levenshtein takes a millisecond.
LONGEST = 10_000


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

    def check_lengths(self, rows: DataFrame, place: str) -> None:
        """Raise where a text or set is longer than pairs of rows are compared by; in one action.

        Parameters
        ----------
        rows : what ``select`` made, or some of it.
        place : path in the recipe, for messages.

        Raises
        ------
        RecipeError : with the column, how long its longest value is, and what to write instead.
        """
        found = {
            what: F.max((F.char_length if what.startswith("text ") else F.size)(F.col(own)))
            for own, what in zip(self.names, self.made, strict=True)
            if what.startswith(("text ", "set "))
        }
        longest = rows.agg(*found.values()).collect()[0] if found else []
        for what, length in zip(found, longest, strict=True):
            kind, _, name = what.partition(" ")
            if (length or 0) > LONGEST:
                unit = "characters" if kind == "text" else "members or words"
                raise RecipeError(
                    f'{place}: a value of column "{name}" has {length:,} {unit}, and {LONGEST:,} '
                    "are the most that pairs of rows are compared by; leave it out, and compare "
                    "long texts by {method: minhash}"
                )

    @property
    def names(self) -> list[str]:
        """The names of what ``select`` makes."""
        return [f"{MADE}{i}" for i in range(len(self.made))]

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
        unused = F.lit(64 - int(BITS))
        members = F.transform(
            known,
            lambda item: F.call_function(
                "shiftrightunsigned", mixed("member", [canonical(item, element)]), unused
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
