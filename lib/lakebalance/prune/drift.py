"""Drift of series: the distribution of values in the newest window against what was before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Literal

from pydantic import Field, model_validator
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakebalance.core.diagnostics import Cell, Diagnostic
from lakebalance.core.distances import EMPTY, chi_square_limit, ks, ks_factor, psi
from lakebalance.prune.refresh import (
    AT,
    FAR,
    JUDGED,
    NAME,
    OVER,
    REFRESH,
    SERIES,
    Found,
    Trigger,
    diagnosed,
    gathered,
    named,
)

RANK, HORIZON = "__lb_rank", "horizon"
ALL = "all series"
SIDES = ("new", "old")


class Drift(Trigger):
    """The newest rows of a series against those before them."""

    window: int = Field(100, ge=10, description="Newest rows of a series that are compared.")
    against: Literal["history", "window"] = Field(
        "history",
        description="What with: the rows before them that are kept, but as many as the window at "
        "least, or the window before.",
    )
    psi: float | None = Field(
        0.25,
        gt=0,
        allow_inf_nan=False,
        description="Population stability index over which to refresh; null to leave it out.",
    )
    ks: float | None = Field(
        0.2,
        gt=0,
        le=1,
        description="Kolmogorov-Smirnov distance over which to refresh; null to leave it out.",
    )
    bins: int = Field(10, ge=2, le=20, description="Parts of the earlier rows, for psi.")
    chance: float | None = Field(
        0.001,
        gt=0,
        lt=1,
        description="A limit is raised to what so large a share of series that do not drift "
        "exceed by chance, as short windows do; null to take limits as they are.",
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> Drift:
        if self.psi is None and self.ks is None:
            raise ValueError("psi and ks are both left out; write at least one")
        return self

    def psi_limit(self, filled: int, rows: int, others: int) -> float:
        """The limit of PSI, where so many bins have rows."""
        return max(self.psi or 0.0, self.by_chance[filled - 1] * (1 / rows + 1 / others))

    def ks_limit(self, rows: int, others: int) -> float:
        """The limit of KS between so many values."""
        return max(self.ks or 0.0, self.ks_by_chance * math.sqrt(1 / rows + 1 / others))

    @property
    def by_chance(self) -> list[float]:
        """What chance alone exceeds, by degrees of freedom; 0 where it does not count."""
        degrees = range(self.bins + 1)
        return [0.0 if self.chance is None else chi_square_limit(self.chance, d) for d in degrees]

    @property
    def ks_by_chance(self) -> float:
        """What chance alone exceeds, in units of sqrt(1 / n + 1 / m)."""
        return 0.0 if self.chance is None else ks_factor(self.chance)


# What the option says of it, as the page of methods shows no fields of fields.
MEANING = (
    "When to refresh, by drift of the values: PSI and KS of the newest window: 100 rows of each "
    "series against: history (the rows before that are kept, as many as the window at least) or "
    "window (the one before). A plan warns where psi: 0.25 or ks: 0.2 is exceeded (null leaves one "
    "out), or what chance: 0.001 of series without drift exceed, if that is more (null: never); "
    "PSI over bins: 10. share: 0 of the series may do so without a warning; shown: 20 series, the "
    "worst. `{}` for the defaults. No row goes for it."
)


def drift(
    rows: DataFrame, options: Drift, by: Sequence[str], values: Sequence[str], place: str
) -> Diagnostic:
    """How far the newest rows of series have drifted, and whether to refresh.

    PSI = sum of (p - q) ln(p / q) over bins, p and q being the shares of newest and earlier rows.
    Bins are equal parts of the earlier rows of the series itself, see ``bin_of``, and one for rows
    without a value; ``psi`` says how empty ones count. KS is the exact distance of the two
    distribution functions of the values. Chance exceeds chi-square(1 - chance, bins - 1) · (1 / n +
    1 / m) and sqrt(-ln(chance / 2) / 2) · sqrt(1 / n + 1 / m) so often where rows are independent:
    both are limits of many rows; of windows of 100 rows in 10 bins it was about 0.003 for 0.001 in
    PSI, in simulations. All series together are judged by the sums of their bins, so a small shift
    that all have in common is seen, too.

    One job, in which each series is sorted by each of its values in one task.

    Parameters
    ----------
    rows : ``series``, ``__lb_name``, ``__lb_rank`` (1 is the newest), ``horizon``, and ``v0`` and
        on: the values, null where there is none.
    options : window and limits.
    by, values : the columns of series and values, by name.
    place : path in the recipe, for messages.

    References
    ----------
    Yurdakul, "Statistical properties of population stability index", 2018 (that chance alone makes
    a PSI that falls with the number of rows; the law here was checked by simulation); Smirnov,
    "Table for estimating the goodness of fit of empirical distributions", 1948. 0.25 is the custom
    of credit scoring; a shift of half a standard deviation has PSI 0.25 and KS 0.2.
    """
    lines = _judged(_counted(rows, options, len(values)), options)
    told = ["psi", "psi_limit", "ks", "ks_limit", "others"]
    numbers = range(-1, options.bins)
    sums = {_bin(side, b): F.col(_bin(side, b)) for side in SIDES for b in numbers}
    found = gathered(lines, told, options.shown, sums)
    return _shown(found, options, by, values, place)


def _bin(side: str, number: int) -> str:
    """The column with the rows of a bin; that of number -1 has those without a value."""
    return f"{side}{number + 1}"


def _counted(rows: DataFrame, options: Drift, values: int) -> DataFrame:
    """For each series and column, rows per bin on both sides, and the largest distance."""
    newest = F.col(RANK) <= options.window
    last = F.lit(2 * options.window)
    if options.against == "history":
        last = F.greatest(F.col(HORIZON), last)
    series = Window.partitionBy(SERIES)
    each = rows.where(F.col(RANK) <= last).withColumn("newest", newest)
    entries = []
    for i in range(values):
        value, by_value = F.col(f"v{i}"), series.orderBy(f"v{i}")
        upto = by_value.rangeBetween(Window.unboundedPreceding, Window.currentRow)
        same = by_value.rangeBetween(Window.currentRow, Window.currentRow)
        new, old = (F.when(side, value) for side in (newest, ~newest))
        n, m = (F.nullif(F.count(side).over(series), F.lit(0)) for side in (new, old))
        # Twice the mid-distribution function, in rows: below + below + same.
        twice = 2 * F.count(old).over(upto) - F.count(old).over(same)
        part = F.floor(F.lit(options.bins) * twice / (2 * m)).cast("int")
        # Where no row before has a value, all that have one are in the last bin.
        part = F.least(part, F.lit(options.bins - 1))
        gap = F.abs(F.count(new).over(upto) / n - F.count(old).over(upto) / m)
        each = each.withColumns(
            {
                f"bin{i}": F.when(value.isNull(), F.lit(-1)).otherwise(part),
                f"gap{i}": F.when(value.isNotNull(), gap),
            }
        )
        entry = [F.lit(i).alias(AT), F.col(f"bin{i}").alias("bin"), F.col(f"gap{i}").alias("gap")]
        entries.append(F.struct(*entry))
    each = each.select(SERIES, NAME, "newest", F.inline(F.array(*entries)))
    counts = [
        F.count_if((F.col("bin") == b) & (F.col("newest") == (side == "new"))).alias(_bin(side, b))
        for side in SIDES
        for b in range(-1, options.bins)
    ]
    return each.groupBy(SERIES, AT).agg(F.min(NAME).alias(NAME), F.max("gap").alias("gap"), *counts)


def _judged(lines: DataFrame, options: Drift) -> DataFrame:
    """The lines with PSI, KS, their limits, and whether one is exceeded."""
    numbers = range(-1, options.bins)
    new, old = ([F.col(_bin(side, b)) for b in numbers] for side in SIDES)
    lines = lines.withColumns({"rows": reduce(add, new), "others": reduce(add, old)})
    # Series with fewer rows have no window, or nothing to compare it with.
    judged = (F.col("rows") == options.window) & (F.col("others") >= options.window)
    inverse = _inverse(F.col("rows")) + _inverse(F.col("others"))
    table = F.array(*[F.lit(limit) for limit in options.by_chance])
    filled = reduce(add, [(a + b > 0).cast("int") for a, b in zip(new, old, strict=True)])
    chance = F.element_at(table, filled) * inverse
    said = {
        "psi": (F.when(judged, _psi(new, old)), F.greatest(F.lit(options.psi or 0.0), chance)),
    }
    valued = _inverse(F.col("rows") - new[0]) + _inverse(F.col("others") - old[0])
    chance = F.lit(options.ks_by_chance) * F.sqrt(valued)
    said["ks"] = (F.when(judged, F.col("gap")), F.greatest(F.lit(options.ks or 0.0), chance))
    for name, (value, limit) in said.items():
        asked = getattr(options, name) is not None
        lines = lines.withColumn(name, value if asked else F.lit(None).cast("double"))
        lines = lines.withColumn(f"{name}_limit", limit)
    # Nought where a column has no values to compare.
    far = F.greatest(*[_ratio(name) for name in said], F.lit(0.0))
    return lines.withColumns({JUDGED: judged, FAR: far, OVER: judged & (far > 1)})


def _psi(new: Sequence[Column], old: Sequence[Column]) -> Column:
    """As ``stability.psi``; added in the order of bins, so that no order of rows matters."""
    terms = []
    for a, b in zip(new, old, strict=True):
        p = F.greatest(a.cast("double"), F.lit(EMPTY)) * _inverse(F.col("rows"))
        q = F.greatest(b.cast("double"), F.lit(EMPTY)) * _inverse(F.col("others"))
        terms.append(F.when(a + b > 0, (p - q) * F.ln(p / q)).otherwise(0.0))
    return reduce(add, terms)


def _inverse(count: Column) -> Column:
    """One over a count; null where it is none."""
    return F.lit(1.0) / F.nullif(count, F.lit(0))


def _ratio(name: str) -> Column:
    return F.col(name) / F.nullif(F.col(f"{name}_limit"), F.lit(0.0))


def _shown(
    found: Found, options: Drift, by: Sequence[str], values: Sequence[str], place: str
) -> Diagnostic:
    """The worst series, and all of them together, as plans show them."""
    lines, over = [], False
    if found.judged > 1:
        for at, name in enumerate(values):
            together = _together(found.sums[at], options)
            over |= together[-1] == REFRESH
            lines.append([ALL, *[None] * (len(by) - 1), name, *together])
    for line in found.worst:
        numbers = {n: (line[n], line[f"{n}_limit"]) for n in ("psi", "ks") if line[n] is not None}
        lines.append([*line[NAME], values[line[AT]], *_cells(numbers, line["others"])])
    warns = found.warns(options)
    said = [f"{found.over:,} of {found.series:,} series"] if warns else []
    said += ["all series together"] if over else []
    why = f"{' and '.join(said)} drifted" if said else None
    if why is not None and warns:
        first = found.worst[0]
        why += f', "{named(by, first[NAME])}" the most'
    return diagnosed(
        place,
        f"drift of the newest {options.window:,} rows of series",
        [*by, "column", "by", "number", "limit", "rows before", "refresh"],
        lines,
        _note(found, options, len(values)),
        why,
    )


def _together(sums: Mapping[str, int], options: Drift) -> list[Cell]:
    """All series as one, by the sums of their bins."""
    numbers = range(-1, options.bins)
    new, old = ([sums[_bin(side, b)] for b in numbers] for side in SIDES)
    told: dict[str, tuple[float, float]] = {}
    if options.psi is not None:
        filled = sum(1 for a, b in zip(new, old, strict=True) if a + b)
        told["psi"] = psi(new, old), options.psi_limit(filled, sum(new), sum(old))
    one, other = sum(new[1:]), sum(old[1:])
    if options.ks is not None and one and other:
        told["ks"] = ks(new[1:], old[1:]), options.ks_limit(one, other)
    return _cells(told, sum(old))


def _cells(told: Mapping[str, tuple[float, float]], others: int) -> list[Cell]:
    """Of the numbers the one that is farthest over its limit, or nearest to it."""
    if not told:
        return [None, None, None, others, "no"]
    name, (number, limit) = max(told.items(), key=lambda each: each[1][0] / each[1][1])
    return [name.upper(), number, limit, others, REFRESH if number > limit else "no"]


def _note(found: Found, options: Drift, values: int) -> str:
    before = (
        "the window before"
        if options.against == "window"
        else "the rows before them that are kept, as many at least"
    )
    written = [f"{n}: {v:g}" for n in ("psi", "ks") if (v := getattr(options, n)) is not None]
    limits = " and ".join(written)
    if options.chance is not None:
        limits += f", or what {options.chance:g} of series without drift exceed, if that is more"
    said = [f"Compared with {before}. Limits: {limits}."]
    said.append(f"Refresh {found.over:,} of {found.series:,} series.")
    if young := found.series - found.judged:
        said.append(
            f"{young:,} have fewer than {2 * options.window:,} rows, which are too few to say."
        )
    if (lines := found.judged * values) > len(found.worst):
        said.append(f"Of {lines:,} series and columns, the {len(found.worst):,} worst are shown.")
    return " ".join(said)
