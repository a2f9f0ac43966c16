"""Which part of the data a row belongs to: decided by the row alone, before anything is balanced.

By chance, a part is a range of hashes: a row stays in its part when others come, and when another
seed samples. By time, a part is an interval, so that nothing late is learned from.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import kinds, require
from lakebalance.core.coordinates import check_features
from lakebalance.core.edges import below, comparable, edge_of
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import hash128, rehash
from lakebalance.core.sources import KEY

PART = "__lb_part"
TRAIN = "train"


class SplitSpec(Protocol):
    """How rows are split; ``recipe.models.Split`` is one."""

    @property
    def shares(self) -> Mapping[str, float] | None: ...
    @property
    def by(self) -> Sequence[str] | None: ...
    @property
    def time(self) -> str | None: ...
    @property
    def starts(self) -> Mapping[str, int | float | str] | None: ...
    @property
    def seed(self) -> int: ...


def part_of(df: DataFrame, spec: SplitSpec) -> Column:
    """The part that each row belongs to, ``train`` where it is not held out.

    Parameters
    ----------
    df : the rows, with ``__lb_key``.
    spec : shares of the keys or of the values of some columns, or where parts begin in time.

    Returns
    -------
    A column of texts; null where a row has no time.

    Raises
    ------
    RecipeError : a column is not there or is no time, or the parts' beginnings do not rise.
    """
    if spec.starts is not None and spec.time is not None:
        return _by_time(df, spec.time, spec.starts)
    key = F.col(KEY)
    if spec.by is not None:
        require(df, spec.by, "split.by")
        # Without the source's name: who is in two sources is on one side all the same.
        key = hash128(df, spec.by, "split")
    chance = rehash(key, spec.seed, "split")
    part, upto = F.when(F.lit(False), F.lit(TRAIN)), 0.0
    for name, share in (spec.shares or {}).items():
        upto += share
        part = part.when(chance < F.lit(-(2**63) + int(upto * 2**64)), F.lit(name))
    return part.otherwise(F.lit(TRAIN))


def _by_time(df: DataFrame, time: str, starts: Mapping[str, int | float | str]) -> Column:
    check_features(df, [time], "split.time", "name a column that says when")
    kind = kinds(df)[time]
    edges = [edge_of(start, kind, "split.starts") for start in starts.values()]
    if any(b <= a for a, b in itertools.pairwise(edges)):
        raise RecipeError(f"split.starts: {dict(starts)} do not rise from each to next")
    at = comparable(df, time)
    part = F.when(at.isNull(), F.lit(None).cast("string"))
    for edge, name in zip(edges, [TRAIN, *starts], strict=False):
        part = part.when(below(at, kind, edge), F.lit(name))
    return part.otherwise(F.lit(list(starts)[-1]))
