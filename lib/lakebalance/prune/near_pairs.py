"""Which candidates are near-duplicates, by their shingles, and how similar dropped rows are."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.components import NODE, TO
from lakebalance.core.sources import KEY
from lakebalance.prune.candidates import BAND, SET, A, B
from lakebalance.prune.leaders import FOUND, following
from lakebalance.prune.matches import LEFT
from lakebalance.prune.rank import RANK, SAID, Ranking
from lakebalance.prune.texts import similarity

LEAST, FIRST = "least", "first"


def compare(
    pairs: DataFrame, shingles: DataFrame, one: str, other: str, how: str = "inner"
) -> DataFrame:
    """The pairs with a column of their similarity: nought where a side has no set.

    Parameters
    ----------
    pairs : frame with two columns of sets.
    shingles : frame ``set`` and ``numbers``, of each set that may be compared.
    one, other : the names of the columns.
    how : left, to keep pairs that are no pairs.
    """
    for name in (one, other):
        side = shingles.select(F.col(SET).alias(name), F.col("numbers").alias(f"of_{name}"))
        pairs = pairs.join(side, name, how)
    similar = similarity(F.col(f"of_{one}"), F.col(f"of_{other}"))
    return pairs.withColumn("similarity", similar)


def verified(pairs: DataFrame, shingles: DataFrame, threshold: float) -> DataFrame:
    """The pairs of at least this similarity: frame ``a`` and ``b``."""
    near = F.col("similarity") >= F.lit(threshold)
    return compare(pairs, shingles, A, B).where(near).select(A, B)


def led(
    giant: DataFrame,
    shingles: DataFrame,
    threshold: float,
    place: str,
    order: DataFrame | None = None,
) -> DataFrame:
    """The links of giant buckets' sets to their leaders: frame ``a``, the leader, and ``b``.

    Parameters
    ----------
    giant : frame ``band`` and ``set``.
    shingles : frame ``set`` and ``numbers``.
    threshold : least similarity of near-duplicates.
    place : path in the recipe, for messages.
    order : frame ``set`` and ``__lb_rank``, in whose order sets may lead; by their hashes if None.
    """
    members = giant.join(shingles, SET)
    by = ["set.hi", "set.lo"]
    if order is not None:
        members, by = members.join(order, SET), [RANK]
    in_order = members.repartition(BAND).sortWithinPartitions(BAND, *by)
    flat = in_order.select(BAND, "set.hi", "set.lo", "numbers")
    links = flat.mapInArrow(following(threshold, place), FOUND)
    ends = [
        F.struct(F.col(f"{end}_hi").alias("hi"), F.col(f"{end}_lo").alias("lo")).alias(end)
        for end in (A, B)
    ]
    return links.select(*ends)


def matches(placed: DataFrame, shingles: DataFrame | None, ranking: Ranking) -> DataFrame:
    """What is dropped of each cluster of texts.

    Parameters
    ----------
    placed : as of ``dropped``.
    shingles : frame ``set`` and ``numbers``; None where nothing is compared.
    ranking : what makes rows stay.

    Returns
    -------
    The frame that ``minhash`` returns.
    """
    found, measured = _measured(dropped(placed, ranking), shingles)
    return told(found, "minhash", measured.alias("similarity"))


def connected(rows: DataFrame, found: DataFrame) -> DataFrame:
    """Each row with the least set of its cluster, and the row that stays of that.

    Parameters
    ----------
    rows : frame ``__lb_rank`` and ``set``.
    found : frame ``node`` and ``to``, the least set of the cluster of each set that is linked.
    """
    linked = found.select(F.col(NODE).alias(SET), F.col(TO).alias(LEAST))
    placed = rows.select(RANK, SET).join(linked, SET, "left")
    placed = placed.withColumn(LEAST, F.coalesce(LEAST, SET))
    first = F.min(F.struct(RANK, SET)).over(Window.partitionBy(LEAST))
    return placed.withColumn(FIRST, first)


def dropped(placed: DataFrame, ranking: Ranking) -> DataFrame:
    """The keys that are dropped, with their sets, and the set of the row that stays as ``to``.

    Parameters
    ----------
    placed : frame ``__lb_rank`` and ``set`` of each row, ``least``, which is the same for all rows
        of a cluster, and ``first``, the rank and set of the row that stays of it.
    ranking : what makes rows stay.
    """
    count = F.count(F.lit(1)).over(Window.partitionBy(LEAST))
    seen = placed.withColumn("members", count).where(F.col("members") > 1)
    first = F.col(f"{FIRST}.{RANK}")
    mine, kept, to = F.col(f"{RANK}.{KEY}"), first[KEY], F.col(f"{FIRST}.set")
    # An entry of an index may have a row's key and is still another one.
    stays = ((mine == kept) & ranking.is_new(first)).cast("bigint")
    said = ranking.said(F.col(RANK), first)
    known = [mine.alias("dropped"), kept.alias("kept"), to.alias("to"), stays.alias(LEFT), *said]
    rows = seen.where(ranking.is_new(F.col(RANK)))
    members = rows.groupBy(LEAST, SET, "members", *known).agg(F.count(F.lit(1)).alias("rows"))
    return members.where(F.col("rows") > F.col(LEFT))


def told(found: DataFrame, method: str, *numbers: Column) -> DataFrame:
    """What ``dropped`` found as a frame of matches.

    Parameters
    ----------
    found : frame of ``dropped``, and what the numbers are made of.
    method : the method's name.
    numbers : columns that say how similar rows are.
    """
    return found.select(
        "dropped",
        "kept",
        (F.col("rows") - F.col(LEFT)).alias("rows"),
        LEFT,
        F.lit(method).alias("method"),
        *numbers,
        F.col(f"{LEAST}.hi").alias("cluster"),
        "members",
        *[name for name in found.columns if name in SAID],
    )


def _measured(found: DataFrame, shingles: DataFrame | None) -> tuple[DataFrame, Column]:
    """The similarity of each row to the one that stays; null where it is not known."""
    apart = F.col(SET) != F.col("to")
    measured = F.when(~apart, F.lit(1.0))
    if shingles is None:
        return found, measured
    sides = [F.when(apart, F.col(name)) for name in (SET, "to")]
    found = found.select("*", sides[0].alias("mine"), sides[1].alias("theirs"))
    found = compare(found, shingles, "mine", "theirs", "left")
    return found, measured.otherwise(F.col("similarity"))
