"""Runs Great Expectations on frames: rows set aside and counted, and verdicts.

What an expectation means is Great Expectations' alone: a row is unexpected where its own condition
metric says so. That condition is a Spark Column, so that rows can be set aside in the scan that
reads them, and all row-level expectations of a recipe are counted in one job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial, reduce

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakebalance.core.columns import RESERVED, require
from lakebalance.core.errors import RecipeError, first_line
from lakebalance.core.secrets import hide
from lakebalance.core.sources import SOURCE, unite
from lakebalance.expect.conditions import Bound, RowCheck, refuse_order, row_checks
from lakebalance.expect.engine import Engine, cannot_be_used
from lakebalance.expect.known import COLUMNS, configure
from lakebalance.expect.verdicts import Verdict
from lakebalance.expect.whole import whole_results
from lakebalance.recipe.expect import Expectation

REASONS = "__lb_reasons"


def title(expectation: Expectation) -> str:
    """An expectation as reports show it: ``Name(column=…, min_value=…)``."""
    args = ", ".join(f"{k}={v!r}" for k, v in hide(expectation.args).items())
    return f"{expectation.expectation}({args})"


class Gate:
    """The expectations of a recipe bound to some rows."""

    def __init__(
        self, branches: Sequence[DataFrame], expectations: Mapping[str, Expectation]
    ) -> None:
        """Bind.

        Parameters
        ----------
        branches : frames of one schema, the rows, with the source's name in ``__lb_source``.
        expectations : what to check, in order, by the path in the recipe.

        Raises
        ------
        RecipeError : an expectation is unknown, its arguments are wrong, it cannot be used on
            Spark, or ``quarantine`` is asked of one that says nothing of single rows.
        """
        self.branches = branches
        known = [name for name in branches[0].columns if not name.startswith(RESERVED)]
        self.bound = {
            f"__lb_gate_{i}": Bound(own, configure(own, known, place), place)
            for i, (place, own) in enumerate(expectations.items())
        }
        self.checks: list[RowCheck] = []
        for own in self.bound.values():
            _check_columns(branches[0], own)
        for source, of_source in _by_source(self.bound).items():
            self.checks += row_checks(of_source, partial(self._rows_of, source), self.engine)
        of_rows = {check.flag for check in self.checks}
        self.whole = {flag: own for flag, own in self.bound.items() if flag not in of_rows}
        for flag, own in self.bound.items():
            if own.expectation.on_fail == "quarantine":
                _check_sets_aside(own, of_rows=flag in of_rows)

    @cached_property
    def engine(self) -> Engine:
        """Great Expectations' engine over no row."""
        return Engine.of(self.branches[0].limit(0))

    @cached_property
    def rows(self) -> DataFrame:
        """All rows as one frame."""
        return unite(self.branches)

    def _rows_of(self, source: str | None) -> DataFrame:
        return self.rows if source is None else self.rows.where(F.col(SOURCE) == source)

    @cached_property
    def flagged(self) -> list[DataFrame]:
        """The rows with a flag for each row-level expectation, by branch where it can be."""
        alone = {
            check.flag: F.coalesce(check.of_all, F.lit(False))
            for check in self.checks
            if check.flag not in self._apart
        }
        together = [c for c in self.checks if c.flag in self._apart and c not in self._by_itself]
        frames = [self.rows] if together else list(self.branches)
        if alone:
            frames = [frame.withColumns(alone) for frame in frames]
        for checks in _by_domain(together):
            frames = [_within(frames[0], checks)]
        return frames

    @cached_property
    def _by_itself(self) -> list[RowCheck]:
        """The checks that are counted in jobs of their own, as they look at some rows alone.

        To flag rows for them would double what is read for each of their conditions.
        """
        return [
            check
            for check in self.checks
            if check.flag in self._apart
            and check.within is not None
            and check.expectation.on_fail != "quarantine"
        ]

    @property
    def setting_aside(self) -> list[RowCheck]:
        """The checks whose unexpected rows go to quarantine."""
        return [check for check in self.checks if check.expectation.on_fail == "quarantine"]

    @property
    def left(self) -> Column | None:
        """The condition, over ``flagged``, of rows not set aside; None where none can be."""
        return ~_any([F.col(c.flag) for c in self.setting_aside]) if self.setting_aside else None

    @cached_property
    def _aside(self) -> tuple[list[DataFrame], list[Column]]:
        """Frames of the rows, and the conditions over them of the checks that set aside.

        The branches and Great Expectations' own conditions, which a scan can use, where a row is
        set aside by what it is alone; the flagged rows and their flags where not.
        """
        if self._apart & {check.flag for check in self.setting_aside}:
            return self.flagged, [F.col(check.flag) for check in self.setting_aside]
        return list(self.branches), [check.of_all for check in self.setting_aside]

    @cached_property
    def _apart(self) -> set[str]:
        """The flags of checks whose rows must be picked before anything is worked out of them.

        They depend on other rows besides the row, as uniqueness does, or fail on rows that they do
        not look at.
        """
        picky = {c.flag for c in self.checks if c.within is not None and c.bound.fails_on_others}
        others = [check for check in self.checks if check.flag not in picky]
        if not others or self._filters([check.unexpected for check in others]):
            return picky
        # A filter cannot hold a window expression.
        windows = [check for check in others if not self._filters([check.unexpected])]
        for check in windows:
            _check_usable(self.branches[0], check)
        return picky | {check.flag for check in windows}

    def _filters(self, conditions: Sequence[Column]) -> bool:
        try:
            # Connect analyses only here, and would take a filter's schema for that of its rows.
            self.branches[0].where(_any(conditions)).select(F.lit(1)).schema  # noqa: B018
        except PySparkException:
            return False
        return True

    @property
    def counted(self) -> dict[str, Column]:
        """The conditions, over ``flagged``, whose counts ``verdicts`` needs."""
        flags = [check.flag for check in self.checks if check not in self._by_itself]
        conditions = {flag: F.col(flag) for flag in flags}
        return conditions | {n: own for check in self.checks for n, own in check.counted.items()}

    def verdicts(self, sums: Mapping[str, int], rows: int) -> list[Verdict]:
        """What each expectation found, in order; those about whole tables are asked here.

        Parameters
        ----------
        sums : the counts of ``counted``.
        rows : all rows.
        """
        for checks in _by_domain(self._by_itself):
            sums = {**sums, **_counted_within(self.rows, checks)}
        found = {check.flag: _of_rows(check, self.engine, sums, rows) for check in self.checks}
        for source, of_source in _by_source(self.whole).items():
            results = whole_results(self._rows_of(source), list(of_source.values()))
            for (flag, own), (success, observed) in zip(of_source.items(), results, strict=True):
                found[flag] = _of_whole(own.expectation, success, observed)
        return [found[flag] for flag in self.bound]

    def passed(self) -> list[DataFrame]:
        """The rows that are not set aside, branch by branch where it can be."""
        if not self.setting_aside:
            return list(self.branches)
        frames, conditions = self._aside
        kept = ~F.coalesce(_any(conditions), F.lit(False))
        return [frame.where(kept).drop(*[c.flag for c in self.checks]) for frame in frames]

    def quarantined(self) -> DataFrame:
        """The rows set aside, with ``__lb_reasons``: all expectations that the row failed."""
        frames, conditions = self._aside
        failed = unite([frame.where(_any(conditions)) for frame in frames])
        titles = [
            F.when(condition, F.lit(title(check.expectation)))
            for condition, check in zip(conditions, self.setting_aside, strict=True)
        ]
        reasons = F.array_compact(F.array(*titles)).cast("array<string>")
        return failed.withColumn(REASONS, reasons).drop(*[c.flag for c in self.checks])


def _any(conditions: Sequence[Column]) -> Column:
    """True where a condition is, else false or null."""
    return reduce(Column.__or__, conditions, F.lit(False))


def _by_source(bound: Mapping[str, Bound]) -> dict[str | None, dict[str, Bound]]:
    """Expectations together that are asked of the same source, or of all rows."""
    found: dict[str | None, dict[str, Bound]] = {}
    for flag, own in bound.items():
        found.setdefault(own.expectation.source, {})[flag] = own
    return found


def _by_domain(checks: Iterable[RowCheck]) -> list[list[RowCheck]]:
    """Checks together that look at the same rows."""
    found: dict[str, list[RowCheck]] = {}
    for check in checks:
        found.setdefault("" if check.within is None else check.domain, []).append(check)
    return list(found.values())


def _within(frame: DataFrame, checks: Sequence[RowCheck]) -> DataFrame:
    """The rows with the flags of checks that look at other rows too, but at those alone."""
    flags = {check.flag: F.coalesce(check.unexpected, F.lit(False)) for check in checks}
    if (within := checks[0].within) is None:
        return frame.withColumns(flags)
    others = frame.where(~F.coalesce(within, F.lit(False)))
    inside = frame.where(within).withColumns(flags)
    return inside.union(others.withColumns(dict.fromkeys(flags, F.lit(False))))


def _counted_within(frame: DataFrame, checks: Sequence[RowCheck]) -> dict[str, int]:
    """How many rows are unexpected for each of some checks that look at the same rows."""
    within = checks[0].within
    assert within is not None
    # A window cannot be worked out inside of an aggregate.
    flags = frame.where(within).select(*[check.unexpected.alias(check.flag) for check in checks])
    counts = flags.agg(*[F.count_if(F.col(check.flag)).alias(check.flag) for check in checks])
    return dict(counts.collect()[0].asDict())


def _of_rows(check: RowCheck, engine: Engine, sums: Mapping[str, int], rows: int) -> Verdict:
    asked, success = check.judged(engine, sums, rows)
    own, unexpected = check.expectation, sums[check.flag]
    return Verdict(own.source, title(own), own.on_fail, unexpected, asked, success)


def _of_whole(expectation: Expectation, success: bool, observed: str) -> Verdict:
    return Verdict(
        expectation.source,
        title(expectation),
        expectation.on_fail,
        None,
        0,
        success,
        worst=observed or None,
    )


def _check_sets_aside(bound: Bound, *, of_rows: bool) -> None:
    """Raise where no row can be quarantined for an expectation."""
    if not of_rows:
        raise RecipeError(
            f"{bound.place}.on_fail: {bound.expectation.expectation} says nothing of single rows, "
            "so none can be quarantined; write warn or stop"
        )
    refuse_order(bound)


def _check_usable(df: DataFrame, check: RowCheck) -> None:
    """Raise where a condition cannot be worked out of the rows' columns, as by their types."""
    try:
        df.select(check.unexpected).schema  # noqa: B018  Connect analyses only here
    except PySparkException as error:
        raise cannot_be_used(check.bound.place, check.bound.name, first_line(error)) from error


def _check_columns(df: DataFrame, bound: Bound) -> None:
    """Great Expectations' own error for a missing column comes late and does not say where."""
    if bound.name.startswith("ExpectTable") or bound.name == "ExpectColumnToExist":
        return
    for argument, named in bound.expectation.args.items():
        if argument in (*COLUMNS, "column_list"):
            names = named if isinstance(named, list) else [named]
            # A field of a struct, or a name in backticks, is Great Expectations' to find.
            plain = [str(n) for n in names if str(n) in df.columns or not {".", "`"} & set(str(n))]
            require(df, plain, f"{bound.place}.args.{argument}")
