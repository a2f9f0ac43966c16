"""Sampled rows in the order of a training run: a position for each, files in the order of reading.

A group's rows follow each other by their hashes, and from the first again when all had their turn.
Each phase goes on where the one before stopped, so that over all phases no row of a group is there
more than once more often than another, and copies of a row are a whole round of its group apart.

Rows are shuffled once, each straight to its file: exact cuts in the order of hashes say which file
that is, and its rank within its group follows inside the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.hashing import hash128
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import unite
from lakebalance.sample.cuts import find_cuts
from lakebalance.sample.places import Places, places_of
from lakebalance.sample.thresholds import GROUP, HASH, OURS, Cut, Threshold

PHASE, PASS, TIE, FILE, SCORE, RANK = (
    f"__lb_{name}" for name in ("phase", "pass", "tie", "file", "score", "rank")
)
START, FIRST, STEP, ROWS, PLACE = (
    f"__lb_{name}" for name in ("start", "first", "step", "rows", "place")
)
MOST_CUTS = 2_000_000
Cuts = Mapping[int, Mapping[int, Cut]]


@dataclass(frozen=True)
class Phase:
    """Rows per group of a phase, and the column that orders them where it is not chance."""

    targets: Mapping[int, int]
    score: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class Schedule:
    """The phases of a training run, over groups of so many rows available."""

    available: Mapping[int, int]
    phases: Sequence[Phase]
    rows_per_file: int

    @cached_property
    def upto(self) -> list[dict[int, int]]:
        """Rows per group before each phase and, last, after all of them."""
        sums = [dict.fromkeys(self.available, 0)]
        for phase in self.phases:
            sums.append({g: n + phase.targets.get(g, 0) for g, n in sums[-1].items()})
        return sums

    def files(self, phase: int) -> int:
        """Files of a phase; fewer where a cut of each group for each would be too many."""
        rows = sum(self.phases[phase].targets.values())
        most = MOST_CUTS // (len(self.available) * len(self.phases) or 1)
        return max(min(round(rows / self.rows_per_file), most), 1)

    def pieces(self, phase: int) -> dict[int, tuple[Places, list[int]]]:
        """Per group with rows in a phase: their places, and how many stand before each file."""
        files = self.files(phase)
        return {
            group: (places, [places.before(file, files) for file in range(files + 1)])
            for group, places in places_of(self.phases[phase].targets).items()
        }

    def wanted(self) -> dict[int, tuple[int, list[int]]]:
        """Per group, rows available and the ranks at which phases and files begin."""
        ranks: dict[int, list[int]] = {group: [] for group, n in self.available.items() if n}
        for phase, (before, after) in enumerate(zip(self.upto, self.upto[1:], strict=False)):
            for group, own in ranks.items():
                own.append(after[group] % self.available[group])
            if self.phases[phase].score is None and self.files(phase) > 1:
                for group, (_, starts) in self.pieces(phase).items():
                    ranks[group] += [(before[group] + k) % self.available[group] for k in starts]
        return {group: (self.available[group], own) for group, own in ranks.items()}

    def thresholds(self, cuts: Cuts) -> list[dict[int, Threshold]]:
        """Per phase, what has become of each group's rows when it ends: copies of it and before."""
        found = []
        for after in self.upto[1:]:
            own = {}
            for group, n in self.available.items():
                base, rest = divmod(after[group], n) if n else (0, 0)
                own[group] = Threshold(base, *cuts[group][rest]) if rest else Threshold(base)
            found.append(own)
        return found


def in_order(
    frames: Sequence[DataFrame],
    schedule: Schedule,
    position: str,
    cuts: Cuts | None = None,
    only: int | None = None,
) -> DataFrame:
    """The rows of a schedule with their positions, sorted within files that follow each other.

    Any prefix has of each group as many rows as its share asks for, within ``bounds_of``.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    schedule : phases, rows available, size of files.
    position : name of the new bigint column, 0 to N - 1.
    cuts : what ``find_cuts`` found for ``schedule.wanted()``; looked for where left out.
    only : one phase alone, with positions from 0; all, one after the other, where left out.

    Returns
    -------
    One frame with the column, ``__lb_phase``, from 1, and ``__lb_file``, from 0; without the two
    columns of the input. One shuffle of rows; a phase of several files that is ordered by a score
    takes another, in which each group's rows meet in one task.
    """
    if cuts is None:
        cuts = find_cuts(frames, schedule.wanted())
    phases = range(len(schedule.phases)) if only is None else [only]
    counted = _seen(_with_ties(frames, cuts), schedule, cuts, phases)
    # As 32 bits, its shuffle is known to be by the very column that windows ask for. By any other
    # expression they shuffle again, and rows are not in the order of files any more.
    placed = _in_files(counted, schedule, cuts, phases).withColumn(FILE, F.col(FILE).cast("int"))
    total = sum(schedule.files(phase) for phase in phases)
    groups = Window.partitionBy(PHASE, FILE, GROUP).orderBy(*_keys(schedule, phases))
    ranked = (
        placed.repartitionById(total, FILE)
        .withColumn(RANK, F.row_number().over(groups))
        .join(F.broadcast(_starts(placed, schedule, phases)), [PHASE, FILE, GROUP])
        .withColumn(RANK, F.col(START) + F.col(RANK) - 1)
        .withColumn(PLACE, (F.col(RANK) * F.col(STEP) + F.col(FIRST)) / (F.col(ROWS) * F.col(STEP)))
    )
    files = Window.partitionBy(PHASE, FILE).orderBy(PLACE, GROUP, RANK)
    numbered = ranked.withColumn(position, F.col("__lb_before") + F.row_number().over(files) - 1)
    own = (PASS, TIE, SCORE, RANK, START, FIRST, STEP, ROWS, PLACE, "__lb_before")
    return numbered.drop(*OURS, *own)


def in_files(rows: DataFrame, schedule: Schedule, position: str, only: int | None) -> DataFrame:
    """What ``in_order`` made, written and read again: in its files and their order once more."""
    phases = range(len(schedule.phases)) if only is None else [only]
    total = sum(schedule.files(phase) for phase in phases)
    return rows.repartitionById(total, FILE).sortWithinPartitions(FILE, column(position))


def _with_ties(frames: Sequence[DataFrame], cuts: Cuts) -> list[DataFrame]:
    """The rows, with a number for those that share the hash of a cut which falls among them."""
    torn = sorted({(g, last) for g, own in cuts.items() for last, _, whole in own.values()
                   if not whole})  # fmt: skip
    if not torn:
        return [frame.withColumn(TIE, F.lit(1)) for frame in frames]
    rows = unite(frames)
    at_cut = small_table(rows.sparkSession, [GROUP, HASH, TIE], [(*cut, 1) for cut in torn])
    marked = rows.join(F.broadcast(at_cut), [GROUP, HASH], "left")
    content = hash128(rows, [c for c in rows.columns if c not in (GROUP, HASH)], "tie")
    rank = F.row_number().over(Window.partitionBy(GROUP, HASH).orderBy(content))
    tied = marked.where(F.col(TIE).isNotNull()).withColumn(TIE, rank)
    return [marked.where(F.col(TIE).isNull()).withColumn(TIE, F.lit(1)).unionByName(tied)]


def _upto(base: Column, last: Column, at: Column) -> Column:
    """How often a row is there up to a place in its group's order."""
    below = (F.col(HASH) < last) | ((F.col(HASH) == last) & (F.col(TIE) <= at))
    return base + F.when(below, 1).otherwise(0)


def _seen(
    frames: Sequence[DataFrame], schedule: Schedule, cuts: Cuts, phases: Sequence[int]
) -> DataFrame:
    """The rows, one for each time that one is seen, with the phase and the pass that it is in."""
    bounds = [phases[0], *[phase + 1 for phase in phases]]
    lines = []
    for group, n in schedule.available.items():
        if n and schedule.upto[bounds[-1]][group] > schedule.upto[bounds[0]][group]:
            numbers = [group]
            for i in bounds:
                base, rest = divmod(schedule.upto[i][group], n)
                numbers += [base, *cuts[group][rest][:2]]
            lines.append(tuple(numbers))
    names = [f"__lb_{what}_{i}" for i in bounds for what in ("base", "last", "at")]
    table = small_table(frames[0].sparkSession, [GROUP, *names], lines)
    seen = [_upto(*[F.col(f"__lb_{w}_{i}") for w in ("base", "last", "at")]) for i in bounds]
    passes = F.explode(F.sequence(F.col("__lb_from"), F.col("__lb_to") - 1)).alias(PASS)
    later = [F.when(F.col(PASS) >= F.col(f"__lb_end_{i}"), 1).otherwise(0) for i in bounds[1:-1]]
    number: Column = reduce(lambda a, b: a + b, later, F.lit(phases[0] + 1))
    ends = {f"__lb_end_{i}": c for i, c in zip(bounds[1:-1], seen[1:-1], strict=True)}
    made = []
    for frame in frames:
        joined = frame.join(F.broadcast(table), GROUP)
        with_ends = joined.withColumns({"__lb_from": seen[0], "__lb_to": seen[-1], **ends})
        kept = with_ends.where(F.col("__lb_from") < F.col("__lb_to")).select("*", passes)
        numbered = kept.withColumn(PHASE, number.cast("int"))
        made.append(numbered.drop(*names, "__lb_from", "__lb_to", *ends))
    scored = _score(made[0], schedule, phases)
    return unite(
        [frame.withColumn(SCORE, scored) for frame in made] if scored is not None else made
    )


def _score(rows: DataFrame, schedule: Schedule, phases: Sequence[int]) -> Column | None:
    """What orders the rows of the phases that have a score; null last, and in other phases."""
    scored = {p: own for p in phases if (own := schedule.phases[p]).score is not None}
    kind_of = kinds(rows)
    types = {_kind_of_score(kind_of[str(own.score)]) for own in scored.values()}
    # Columns of one type are compared to the last digit, others as doubles.
    kind = types.pop() if len(types) == 1 else T.DoubleType()
    scores = []
    for phase, own in scored.items():
        value = column(str(own.score)).cast(kind)
        if isinstance(kind, T.DoubleType):
            value = F.when(~F.isnan(value), -value if own.descending else value)
        elif own.descending:
            # The least bigint has no counterpart, all bits turned have.
            value = F.bitwise_not(value) if isinstance(kind, T.LongType) else -value
        scores.append(F.when(F.col(PHASE) == phase + 1, value))
    return F.coalesce(*scores) if scores else None


def _kind_of_score(kind: T.DataType) -> T.DataType:
    if isinstance(kind, T.DecimalType):
        return kind
    return T.LongType() if isinstance(kind, T.IntegralType) else T.DoubleType()


def _keys(schedule: Schedule, phases: Sequence[int]) -> list[Column]:
    """The order of a group's rows in a phase."""
    scored = any(schedule.phases[phase].score is not None for phase in phases)
    own = [F.col(SCORE).asc_nulls_last()] if scored else []
    return [*own, *[F.col(name).asc() for name in (PASS, HASH, TIE)]]


def _in_files(rows: DataFrame, schedule: Schedule, cuts: Cuts, phases: Sequence[int]) -> DataFrame:
    """The rows with the number of their file, from 0."""
    offsets = _offsets(schedule, phases)
    several = [phase for phase in phases if schedule.files(phase) > 1]
    if not several:
        first = {phase + 1: offset for phase, (offset, _) in offsets.items()}
        number = F.coalesce(*[F.when(F.col(PHASE) == p, n) for p, n in first.items()])
        return rows.withColumn(FILE, number)
    by_score = {p for p in several if schedule.phases[p].score is not None}
    parts = []
    for phases_of, make in (
        ([p for p in phases if p not in by_score], _by_hash),
        (sorted(by_score), _by_rank),
    ):
        if phases_of:
            some = rows.where(F.col(PHASE).isin([p + 1 for p in phases_of]))
            parts.append(make(some if by_score else rows, schedule, cuts, phases_of, offsets))
    return unite(parts)


Offsets = Mapping[int, tuple[int, int]]


def _offsets(schedule: Schedule, phases: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Per phase, how many files and how many rows are before it."""
    found, files, rows = {}, 0, 0
    for phase in phases:
        found[phase] = files, rows
        files += schedule.files(phase)
        rows += sum(schedule.phases[phase].targets.values())
    return found


def _joined(
    rows: DataFrame, names: list[str], lines: list[tuple[int, ...]], inside: Column
) -> DataFrame:
    table = small_table(rows.sparkSession, [GROUP, PHASE, FILE, *names], lines)
    # One 64-bit key makes the faster join; the phase is compared after it.
    table = table.withColumnRenamed(PHASE, "__lb_of")
    joined = rows.join(F.broadcast(table), GROUP)
    return joined.where((F.col(PHASE) == F.col("__lb_of")) & inside).drop("__lb_of", *names)


def _by_hash(
    rows: DataFrame, schedule: Schedule, cuts: Cuts, phases: Sequence[int], offsets: Offsets
) -> DataFrame:
    """Files by the exact cuts in the order of hashes."""
    names = [f"__lb_{side}_{what}" for side in ("low", "high") for what in ("pass", "last", "at")]
    lines: list[tuple[int, ...]] = []
    for phase in phases:
        for group, (_, starts) in schedule.pieces(phase).items():
            n, before = schedule.available[group], schedule.upto[phase][group]
            for file, (start, end) in enumerate(itertools.pairwise(starts)):
                if start < end:
                    ends: list[int] = []
                    for k in (before + start, before + end):
                        base, rest = divmod(k, n)
                        # A phase of one file takes all its rows: no cut is needed, or known.
                        ends += [base, *cuts[group][rest][:2]]
                    lines.append((group, phase + 1, offsets[phase][0] + file, *ends))
    sides = [
        F.col(PASS) < _upto(*[F.col(f"__lb_{side}_{w}") for w in ("pass", "last", "at")])
        for side in ("low", "high")
    ]
    return _joined(rows, names, lines, ~sides[0] & sides[1])


def _by_rank(
    rows: DataFrame, schedule: Schedule, cuts: Cuts, phases: Sequence[int], offsets: Offsets
) -> DataFrame:
    """Files by the ranks of scores."""
    lines: list[tuple[int, ...]] = [
        (group, phase + 1, offsets[phase][0] + file, start, end)
        for phase in phases
        for group, (_, starts) in schedule.pieces(phase).items()
        for file, (start, end) in enumerate(itertools.pairwise(starts))
    ]
    groups = Window.partitionBy(PHASE, GROUP).orderBy(*_keys(schedule, phases))
    ranked = rows.withColumn(RANK, F.row_number().over(groups))
    inside = (F.col(RANK) > F.col("__lb_low")) & (F.col(RANK) <= F.col("__lb_high"))
    return _joined(ranked, ["__lb_low", "__lb_high"], lines, inside).drop(RANK)


def _starts(rows: DataFrame, schedule: Schedule, phases: Sequence[int]) -> DataFrame:
    """Per phase, file and group: the rank of the first row, and what places are made of."""
    lines = []
    for phase, (files, earlier) in _offsets(schedule, phases).items():
        pieces = schedule.pieces(phase)
        before = [sum(k) for k in zip(*[starts for _, starts in pieces.values()], strict=True)]
        for group, (places, starts) in pieces.items():
            for file, (start, end) in enumerate(itertools.pairwise(starts)):
                if start < end:
                    lines.append(
                        (phase + 1, files + file, group, start, places.first, places.step,
                         places.rows, earlier + before[file])
                    )  # fmt: skip
    names = [PHASE, FILE, GROUP, START, FIRST, STEP, ROWS, "__lb_before"]
    table = small_table(rows.sparkSession, names, lines)
    return table.withColumn(FILE, F.col(FILE).cast("int"))
