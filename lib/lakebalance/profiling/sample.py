"""A few rows as hashes of their values, the same in any layout: what candidates are found on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import mixed
from lakebalance.profiling.kinds import hash_of

MOST_ROWS, MOST_CELLS = 10_000, 2_000_000
# So much more than is wanted lies below the threshold, so that there is enough of it.
SURPLUS = 1.2
COMMON = 0.005
"""From this share of a sample on, a value is common."""

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Values of some rows: ``hashes`` by row and column, ``codes`` their numbers from 0 on."""

    names: list[str]
    hashes: Codes
    codes: Codes

    def common(self, name: str) -> list[int]:
        """The hashes of a column's values that are common, at most 1 / ``COMMON`` of them."""
        values, counts = np.unique(self.hashes[:, self.names.index(name)], return_counts=True)
        least = max(COMMON * len(self.hashes), 2)
        return [int(v) for v, n in zip(values, counts, strict=True) if n >= least]


def threshold(share: float) -> int:
    """Below which hash a share of all hashes lies.

    Examples
    --------
    >>> threshold(0.5), threshold(1.0) == 2**63 - 1
    (0, True)
    """
    return min(int(share * 2**64) - 2**63, 2**63 - 1)


def draw(df: DataFrame, names: Sequence[str], rows: int) -> Sample:
    """Draw rows by a hash of all their values; one Spark job.

    Equal rows are drawn together. At most 10,000 rows, fewer of wide tables, come to the driver,
    as hashes.

    Parameters
    ----------
    df : the table.
    names : its columns.
    rows : how many rows it has.
    """
    wanted = min(MOST_ROWS, max(1_000, MOST_CELLS // len(names)))
    kind = kinds(df)
    hashes = [hash_of(column(name), kind[name]) for name in names]
    hashed = df.select(F.array(*hashes).alias("h"))
    keyed = hashed.select("h", mixed("sample", [F.col("h")]).alias("k"))
    share = SURPLUS * wanted / rows if rows else 1.0
    if share < 1:
        keyed = keyed.where(F.col("k") < threshold(share))
    found = keyed.orderBy("k").limit(wanted).select("h").toArrow()
    flat = found.column("h").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix = flat.astype(np.int64).reshape(-1, len(names))
    codes = np.empty_like(matrix)
    for i in range(len(names)):
        codes[:, i] = np.unique(matrix[:, i], return_inverse=True)[1]
    return Sample(list(names), matrix, codes)
