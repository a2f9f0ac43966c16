"""``records``: of rows that are nearly the same by several fields, keeps one."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import arrow_udf  # type: ignore[attr-defined]

from lakebalance.core.columns import column
from lakebalance.core.components import NODE, TO, Scratch, components, writing
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import hash128
from lakebalance.core.record_pairs import Rule
from lakebalance.core.record_similarity import SLACK, Likeness
from lakebalance.core.record_values import Values
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.sources import KEY
from lakebalance.prune.apart import linked_apart
from lakebalance.prune.block_keys import BLOCK, RULE, blocks
from lakebalance.prune.block_pairs import Work, measure, near_pairs, sizes
from lakebalance.prune.blocking import BLOCK_ON, Part, check_block_on, check_rule, rules, said
from lakebalance.prune.candidates import SET, A, B
from lakebalance.prune.keep import KEEP, Keeps
from lakebalance.prune.near_pairs import connected, dropped, told
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.rank import RANK, Ranking, check_keep
from lakebalance.prune.record_columns import Columns
from lakebalance.prune.record_fields import FIELDS, RecordField, check_fields, comparisons

Parts = Annotated[list[Part], Field(min_length=1)]


class Records(MethodOptions):
    """Drop rows that are nearly the same as one that is kept, by several fields: record linkage.

    Rows that agree by a rule of ``block_on`` are compared, each field by a measure of its own;
    near-duplicates of near-duplicates are one cluster, of which one row stays, unless ``link`` says
    otherwise.
    """

    method: Literal["records"]
    block_on: list[Parts] = Field(min_length=1, max_length=16, description=BLOCK_ON)
    fields: dict[str, RecordField] = Field(min_length=1, description=FIELDS)
    threshold: float = Field(
        0.85,
        gt=0,
        le=1,
        description="Least similarity of near-duplicates: the mean over the fields that both rows "
        "have, by weight.",
    )
    min_weight: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Least share of all fields' weight that the fields which both rows have must "
        "make up.",
    )
    normalise: Normalise = Field(Normalise(), description=DIFFERENCES)
    max_block: int = Field(
        10_000,
        ge=2,
        description="Most different records in a block, of which all pairs are compared; a larger "
        "one is refused.",
    )
    link: Literal["connected", "neighbours"] = Field(
        "connected",
        description="connected: near-duplicates of near-duplicates are one cluster. neighbours: a "
        "row goes only if it is itself a near-duplicate of one that stays; rows are taken in the "
        "order of keep.",
    )
    keep: Keeps | None = Field(None, description=KEEP)

    @model_validator(mode="after")
    def _rules(self) -> Records:
        for rule in self.block_on:
            check_rule(rule)
        return self

    @property
    def columns(self) -> list[str]:
        """What is compared."""
        return list(self.fields)


def records(
    df: DataFrame, options: Records, place: str, scratch: Scratch | None = None
) -> DataFrame:
    """The matches among rows that are nearly the same by several fields.

    Rows that agree in all that is compared or looked up are one record, put together first, so that
    copies cost little, however many. Records that agree by a rule are compared, all pairs of them:
    none is missed. Of fields that both have, by weight w, the similarity is sum(w · s) / sum(w),
    rounded to 12 decimals: symmetric, and the same whatever order rows come in. Rows that have too
    few fields, or agree with nothing as what rules look at is missing, match nothing, not even
    their copies.

    A block of n records costs n · (n - 1) / 2 comparisons, and ``max_block`` says how large one may
    be; all together they are at most half of ``max_block`` for each record in each of its blocks.
    Tasks hold two tiles of a block, of 512 records each, or of 1/64 of ``max_block`` if that is
    more; texts have up to 10,000 characters, and sets as many members. Where a rule looks at sets,
    their members are counted first, in two shuffles more.

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : rules, fields, and which row to keep.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written, so that nothing is done twice;
        None where nothing may be written.

    Returns
    -------
    Frame ``dropped`` and ``kept`` (key hashes), ``rows`` bigint (how many rows of the dropped key
    go), ``method``, ``similarity`` of the two rows (under the threshold where others link them;
    null where no field is in both), ``fields`` (map of each field to its similarity, null where a
    side is missing; a null of its own for copies), ``cluster`` bigint (the same number for all rows
    of a cluster), and as of ``exact`` ``members``, ``stayed_by`` and both rows' sources. Where rows
    are equal even in their key, ``dropped`` equals ``kept``: one row of that key stays.

    Raises
    ------
    RecipeError : a column is not there or cannot be compared so, a text or set is too long to be,
        or a block has too many records.

    References
    ----------
    Winkler, "String Comparator Metrics and Enhanced Decision Rules in the Fellegi-Sunter Model of
    Record Linkage", 1990 (Jaro-Winkler, as RapidFuzz has it); Chaudhuri, Ganti, Kaushik, "A
    Primitive Operator for Similarity Joins in Data Cleaning", 2006 (blocks of sets by their rarest
    members). The mean and how fast numbers fall are simple ones of our own; weights that are
    learned from the data are what Splink is for.
    """
    check_columns(df, options, place)
    keep = writing(scratch)
    columns = Columns(df, options.normalise.form)
    fields = comparisons(columns, options.fields, f"{place}.fields")
    agree = rules(columns, options.block_on, f"{place}.block_on")
    likeness = Likeness(fields, options.threshold, options.min_weight)
    ranking = Ranking(df, options.keep, f"{place}.keep", options.columns)
    rows = keep(_rows(columns, ranking, agree, likeness), "records")
    columns.check_lengths(rows, place)
    known = _once(rows, columns.names)
    rows = ranking.counted(rows, SET)
    blocked = keep(blocks(known, agree), "blocks")
    size = sizes(blocked)
    work = measure(size)
    if work.largest > options.max_block:
        raise RecipeError(_too_large(df, rows, blocked, work, options, place))
    near = near_pairs(blocked, size, work.tasks, options.max_block, agree, likeness)
    if options.link == "neighbours":
        placed = linked_apart(rows, near, place, scratch)
    else:
        ends = near.select(F.col(A).alias(NODE), F.col(B).alias(TO))
        placed = connected(rows, components(ends, place, scratch))
    return _matches(dropped(placed, ranking), known, likeness, sorted(options.fields))


def _rows(columns: Columns, ranking: Ranking, agree: list[Rule], likeness: Likeness) -> DataFrame:
    """Each row that can match another: its rank, the hash of its record, and the record."""
    rows = columns.select(ranking.column)
    known = rows.where(_comparable(likeness) & _in_a_block(agree))
    record = hash128(rows, columns.names, "record").alias(SET)
    return known.select(RANK, record, *columns.names)


def _comparable(likeness: Likeness) -> Column:
    """Whether a row has enough fields."""
    there = F.lit(0.0)
    for field in likeness.fields:
        there = there + F.when(F.col(field.column).isNotNull(), field.weight).otherwise(0.0)
    whole = sum(field.weight for field in likeness.fields)
    return there / F.lit(whole) >= F.lit(likeness.min_weight - SLACK)


def _in_a_block(agree: list[Rule]) -> Column:
    found = F.lit(False)
    for rule in agree:
        parts = [rule.same, *[part.column for part in rule.within]]
        parts += [rule.overlap.column] if rule.overlap is not None else []
        known = F.lit(True)
        for name in parts:
            known = known & F.col(name).isNotNull()
        found = found | known
    return found


def _once(rows: DataFrame, names: list[str]) -> DataFrame:
    """Each record once: ``set`` and what tasks compare."""
    return rows.groupBy(SET).agg(*[F.any_value(name).alias(name) for name in names])


def _matches(found: DataFrame, known: DataFrame, likeness: Likeness, names: list[str]) -> DataFrame:
    """What is dropped, with the similarities of the two rows, on the whole and by field."""
    apart = F.col(SET) != F.col("to")
    compared = list(dict.fromkeys(field.column for field in likeness.fields))
    ends = [F.when(apart, F.col(name)).alias(end) for name, end in ((SET, A), ("to", B))]
    pairs = found.select("*", *ends)
    for end in (A, B):
        record = F.struct(*compared).alias(f"of_{end}")
        pairs = pairs.join(known.select(F.col(SET).alias(end), record), end, "left")
    both = F.when(apart, similarities(likeness, F.col("of_a"), F.col("of_b")))
    pairs = pairs.withColumn("similar", both)
    by_field = F.map_from_arrays(
        F.array(*[F.lit(name) for name in names]), F.slice("similar", 2, len(names))
    )
    similarity = F.when(apart, F.col("similar")[0]).otherwise(F.lit(1.0))
    return told(pairs, "records", similarity.alias("similarity"), by_field.alias("fields"))


def similarities(likeness: Likeness, one: Column, other: Column) -> Column:
    """The similarity of two records, and those of their fields: array of doubles."""

    def compare(a: pa.Array, b: pa.Array) -> pa.Array:
        sides = [pa.Table.from_struct_array(side) for side in (a, b)]
        at = np.arange(len(a))
        whole, fields = likeness.of(Values(pa.concat_tables(sides)), at, at + len(a))
        flat = np.column_stack([whole, *fields])
        ends = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
        return pa.ListArray.from_arrays(ends, pa.array(flat.ravel(), from_pandas=True))

    made: Column = arrow_udf(compare, "array<double>")(one, other)
    return made


def _too_large(
    df: DataFrame, rows: DataFrame, blocked: DataFrame, work: Work, options: Records, place: str
) -> str:
    """Which block is too large, how many records it has, and what to write instead."""
    assert work.rule is not None
    inside = blocked.where((F.col(RULE) == work.rule) & (F.col(BLOCK) == work.block))
    key = rows.join(inside.select(SET), SET, "left_semi").agg(F.min(f"{RANK}.{KEY}")).collect()
    rule = options.block_on[work.rule]
    names = list(dict.fromkeys(part if isinstance(part, str) else part.of for part in rule))
    of_key = df.where(F.col(KEY) == F.struct(*[F.lit(half) for half in key[0][0]]))
    row = of_key.select(*[column(name) for name in names]).first()
    assert row is not None
    values = ", ".join(f"{name} = {str(row[i])[:40]!r}" for i, name in enumerate(names))
    return (
        f"{place}.block_on.{work.rule}: {work.largest:,} different records are in one block of "
        f"{said(rule)}, that of {values}; at most {options.max_block:,} may be, as all pairs are "
        "compared: add a part to the rule that tells them apart, such as another column or "
        f"{{of: column, prefix: 4}}, or write a larger {place}.max_block"
    )


def check_columns(df: DataFrame, options: Records, place: str) -> None:
    """Raise where a column is not there or cannot be compared so.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_fields(df, options.fields, f"{place}.fields")
    check_block_on(df, options.block_on, f"{place}.block_on")
    check_keep(df, options.keep, f"{place}.keep", options.columns)


METHOD = Method(
    "records",
    Records,
    records,
    example="{method: records, block_on: [[postcode], [{of: name, prefix: 4}, birth_year]], "
    "fields: {name: {compare: text, weight: 2}, street: {compare: text}, "
    "born: {compare: numeric, tolerance: 3 days}}, threshold: 0.85}",
    check_columns=check_columns,
    fate="near-duplicate",
    scratch=True,
)
