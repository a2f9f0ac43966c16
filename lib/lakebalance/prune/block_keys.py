"""The blocks that records are in: those that agree by a rule share one of the rule's.

Numbers that may be ``width`` apart are cut into bands of twice the width. A record is in the block
of its own band and in that of the next one, so that of two within reach the one in the lower band
is also in the block of the other's. Bands only find pairs: whether they agree is then measured, so
that nothing depends on how divisions and logarithms are rounded. Sets that must overlap share one
of their first members, rarest first, see ``prefix_length``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.hashing import mixed
from lakebalance.core.record_pairs import Overlap, Rule, Within
from lakebalance.prune.candidates import SET

RULE, BLOCK, STEPPED = "rule", "block", "stepped"
MEMBER, KNOWN, MEMBERS = "member", "known", "__lb_members"
KEYS = f"array<struct<{RULE}: int, {BLOCK}: bigint, {STEPPED}: int>>"
# Beyond, one band holds all: neighbours differ by less than doubles can tell.
FARTHEST = 2.0**50


def blocks(records: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Each record in each of its blocks.

    Parameters
    ----------
    records : frame ``set``, each once, and the columns that the rules look at.
    rules : the rules.

    Returns
    -------
    The frame with ``rule`` int, ``block`` bigint and ``stepped`` int: for which of the rule's
    numbers, by bits, it is the block of the next band. A record with a value missing is in no block
    of that rule.
    """
    rows = records
    for i, rule in enumerate(rules):
        if rule.overlap is not None:
            members = _shared_members(records, rule.overlap, f"{MEMBERS}{i}")
            rows = rows.join(members, SET, "left")
    keys = F.concat(*[_keys(i, rule) for i, rule in enumerate(rules)])
    return rows.select(*records.columns, F.inline(keys))


def _keys(i: int, rule: Rule) -> Column:
    """The blocks of a rule that a record is in, as an array."""
    known = F.col(rule.same).isNotNull()
    for part in rule.within:
        known = known & F.col(part.column).isNotNull()
    bands = [band(F.col(part.column), part) for part in rule.within]

    def steps(member: Column) -> Column:
        found = []
        for offsets in itertools.product((0, 1), repeat=len(bands)):
            moved = [
                F.struct(side, at + offset)
                for (side, at), offset in zip(bands, offsets, strict=True)
            ]
            block = mixed(f"block|{i}", [F.col(rule.same), member, *moved])
            stepped = sum(offset << n for n, offset in enumerate(offsets))
            line = [(RULE, F.lit(i)), (BLOCK, block), (STEPPED, F.lit(stepped))]
            found.append(F.struct(*[value.alias(name) for name, value in line]))
        return F.array(*found)

    if rule.overlap is None:
        keys = steps(F.lit(0))
    else:
        members = F.col(f"{MEMBERS}{i}")
        known = known & members.isNotNull()
        keys = F.flatten(F.transform(members, steps))
    return F.when(known, keys).otherwise(F.array().cast(KEYS))


def band(value: Column, part: Within) -> tuple[Column, Column]:
    """The side of nought that a number is on, and its band there.

    Two numbers that agree are on one side and at most one band apart.

    Parameters
    ----------
    value : column of doubles.
    part : how far apart numbers may be that agree.
    """
    if part.relative:
        # Of two numbers by a share w apart, the smaller is 1 - w of the larger at least.
        side = F.signum(value)
        scaled = F.ln(F.abs(value)) / F.lit(-2 * math.log1p(-part.width))
        scaled = F.when(side == 0, F.lit(0.0)).otherwise(scaled)
    else:
        side, scaled = F.lit(0.0), value / F.lit(2 * part.width)
    within = F.greatest(F.least(scaled, F.lit(FARTHEST)), F.lit(-FARTHEST))
    return side, F.floor(within).cast("bigint")


def _shared_members(records: DataFrame, overlap: Overlap, name: str) -> DataFrame:
    """The members by which each set is looked up: of its first ones those that others have, too."""
    members = records.select(SET, F.explode(overlap.column).alias(MEMBER))
    often = members.groupBy(MEMBER).agg(F.count(F.lit(1)).alias("n"))
    in_order = F.sort_array(F.collect_list(F.struct("n", MEMBER))).alias(KNOWN)
    sets = members.join(often, MEMBER).groupBy(SET).agg(in_order)
    size = F.size(KNOWN)
    # As ``prefix_length`` says, of which this is the same in Spark.
    shared = F.ceil(F.lit(overlap.least) * size - F.lit(1e-9)).cast("int")
    first = F.slice(KNOWN, F.lit(1), size - shared + 1)
    others = F.filter(first, lambda member: member["n"] > 1)
    return sets.select(SET, F.transform(others, lambda own: own[MEMBER]).alias(name))
