"""Near-duplicates without transitivity: a row goes only where it is one of a row that stays.

Sets are taken in the order in which their first rows would stay. One stays unless it is a
near-duplicate of one that stays already.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.components import NODE, TO, Scratch, writing
from lakebalance.core.independent import dependent
from lakebalance.prune.candidates import SET, A, B
from lakebalance.prune.near_pairs import FIRST, LEAST, led, verified
from lakebalance.prune.rank import RANK

# So often are giant buckets' sets that stay compared with each other again.
MOST_TURNS = 10


def apart(
    rows: DataFrame,
    pairs: DataFrame,
    giant: DataFrame,
    shingles: DataFrame,
    threshold: float,
    place: str,
    scratch: Scratch | None,
) -> DataFrame:
    """Each row with the one for which it goes, or that stays of its set.

    In a giant bucket, sets are compared with its leaders, those taken first. Where a leader goes
    for a set of another bucket, those that followed it are compared anew, until among the sets that
    stay none is a near-duplicate of another one in its bucket; ten times at most. Each turn costs a
    few actions, and where nothing may be written, all that comes before them once more.

    Parameters
    ----------
    rows : frame ``__lb_rank`` and ``set``.
    pairs : frame ``a`` and ``b``, candidates of small buckets.
    giant : frame ``band`` and ``set``, the members of giant ones.
    shingles : frame ``set`` and ``numbers``.
    threshold : least Jaccard similarity of near-duplicates.
    place : path in the recipe, for messages.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written.

    Returns
    -------
    Frame ``__lb_rank``, ``set``, ``least`` (the set that stays) and ``first`` (rank and set of the
    row that stays).
    """
    keep = writing(scratch)
    heads = keep(rows.groupBy(SET).agg(F.min(RANK).alias(RANK)), "heads")
    edges = keep(_in_order(verified(pairs, shingles, threshold), heads), "links")
    left, gone = giant, None
    for turn in range(0 if giant.isEmpty() else MOST_TURNS):
        more = led(left, shingles, threshold, place, heads)
        more = keep(more.select(F.col(A).alias(NODE), F.col(B).alias(TO)), f"led-{turn}")
        if turn and more.isEmpty():
            break
        edges = edges.union(more)
        gone = dependent(edges, place, _named(scratch, f"turn-{turn}"))
        left = giant.join(_as_set(gone), SET, "left_anti")
    if gone is None:
        gone = dependent(edges, place, scratch)
    return _placed(rows, heads, edges, gone)


def linked_apart(
    rows: DataFrame, near: DataFrame, place: str, scratch: Scratch | None
) -> DataFrame:
    """``apart`` where all pairs of near-duplicates are known.

    Parameters
    ----------
    rows, place, scratch : as of ``apart``.
    near : frame ``a`` and ``b``: pairs of sets that are near-duplicates, any of them several times.
    """
    keep = writing(scratch)
    heads = keep(rows.groupBy(SET).agg(F.min(RANK).alias(RANK)), "heads")
    edges = keep(_in_order(near.distinct(), heads), "links")
    return _placed(rows, heads, edges, dependent(edges, place, scratch))


def _named(scratch: Scratch | None, prefix: str) -> Scratch | None:
    return None if scratch is None else lambda df, name: scratch(df, f"{prefix}-{name}")


def _as_set(gone: DataFrame) -> DataFrame:
    return gone.select(F.col(NODE).alias(SET))


def _in_order(pairs: DataFrame, heads: DataFrame) -> DataFrame:
    """The pairs as edges from the set that is taken first to the other one."""
    for end in (A, B):
        side = heads.select(F.col(SET).alias(end), F.col(RANK).alias(f"rank_{end}"))
        pairs = pairs.join(side, end)
    sooner = F.col("rank_a") < F.col("rank_b")
    first = F.when(sooner, F.col(A)).otherwise(F.col(B))
    second = F.when(sooner, F.col(B)).otherwise(F.col(A))
    return pairs.select(first.alias(NODE), second.alias(TO))


def _placed(rows: DataFrame, heads: DataFrame, edges: DataFrame, gone: DataFrame) -> DataFrame:
    """Each row with the first set that stays and is near its own, or with its own set's first."""
    into = edges.join(gone.select(F.col(NODE).alias(TO)), TO, "left_semi")
    from_staying = into.join(gone, NODE, "left_anti")
    ranked = from_staying.join(heads.withColumnRenamed(SET, NODE), NODE)
    first = F.min(F.struct(F.col(RANK), F.col(NODE).alias(SET)))
    others = ranked.groupBy(F.col(TO).alias(SET)).agg(first.alias("other"))
    own = heads.select(SET, F.struct(RANK, SET).alias("own")).join(others, SET, "left")
    known = own.select(SET, F.coalesce("other", "own").alias(FIRST))
    placed = rows.select(RANK, SET).join(known, SET)
    return placed.select(RANK, SET, F.col(f"{FIRST}.set").alias(LEAST), FIRST)
