"""Batches that came earlier: what stayed of them is met again in an index.

An entry is a text that stayed: the key of its row, the hash of its set of shingles, those of its
bands, and the shingles. Entries come before all rows, in whose order ``apart`` takes them, and are
near none of each other; so what stays of batches one after the other is what stays of all at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.components import Scratch, writing
from lakebalance.core.index import Index
from lakebalance.core.sources import KEY
from lakebalance.prune.candidates import BAND, SET
from lakebalance.prune.keep import Keep, reasons
from lakebalance.prune.matches import remove
from lakebalance.prune.rank import RANK, Ranking

ENTRY = [KEY, SET, "bands", "numbers"]


def check_index(index: str | None, keep: Keep | Sequence[Keep] | None) -> None:
    """Raise unless rows may be ranked without those of other batches.

    Raises
    ------
    ValueError : ``keep`` counts groups over all rows, and there is an index.
    """
    if index is not None and any(own.short_of is not None for own, _ in reasons(keep, "")):
        raise ValueError(
            "index: short_of counts groups over all batches at once; write another keep"
        )


def met(rows: DataFrame, known: DataFrame, ranking: Ranking, scratch: Scratch | None) -> DataFrame:
    """The entries that share a band with a row, as rows that come before all others.

    Parameters
    ----------
    rows : frame ``__lb_rank``, ``set``, ``bands`` and ``numbers``.
    known : the entries: ``__lb_key``, ``set``, ``bands``, ``numbers`` and ``run``.
    ranking : the order of rows.
    scratch : writes a frame under a name and returns it as written, or None.
    """
    # Of what is written Spark knows how small it is, and sends it to where the entries are read
    # instead of moving these.
    keep = writing(scratch)
    asked = keep(rows.select(F.explode("bands").alias(BAND)).distinct(), "asked")
    banded = known.select(SET, F.explode("bands").alias(BAND))
    near = keep(banded.join(asked, BAND, "left_semi").select(SET).distinct(), "near")
    found = keep(known.join(near, SET, "left_semi"), "met")
    return found.select(ranking.of_entries(rows), SET, "bands", "numbers")


def shingles_of(rows: DataFrame, asked: DataFrame) -> DataFrame:
    """The shingles of each set that is to be compared: frame ``set`` and ``numbers``.

    Parameters
    ----------
    rows : frame ``set`` and ``numbers``, a set any number of times.
    asked : frame ``set``.
    """
    found = rows.select(SET, "numbers").join(asked.select(SET), SET, "left_semi")
    return found.groupBy(SET).agg(F.any_value("numbers").alias("numbers"))


def remembered(
    rows: DataFrame, gone: DataFrame, index: Index, scratch: Scratch | None
) -> DataFrame:
    """The matches, after what they leave was written to the index.

    Parameters
    ----------
    rows : frame ``__lb_rank``, ``set``, ``bands`` and ``numbers``, of this batch alone.
    gone : the matches.
    index : where entries go, unless nothing may be written.
    scratch : writes the matches first, so that they are not found twice.
    """
    if index.write is None:
        return gone
    found = writing(scratch)(gone, "found")
    keyed = rows.select(F.col(f"{RANK}.{KEY}").alias(KEY), SET, "bands", "numbers")
    index.write(remove(keyed, found, unique_keys=False).select(*ENTRY))
    return found
