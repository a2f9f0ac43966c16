"""Covariates as the columns of a matrix: a number, or whether a category has a value.

The columns are settled by two passes over the rows: one finds the range of each number and the
values of each category, one their means and deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from lakebalance.core.errors import RecipeError
from lakebalance.sample.comparison import (
    ARM,
    CONTROL,
    NAMES,
    OTHER,
    TREATED,
    UNLABELLED,
    ComparisonOptions,
    encoded_rows,
    values_of_treatment,
)
from lakebalance.sample.exact_sums import Floats, Sums, Tally, summed

MOST_LEVELS = 100
ARMS = (TREATED, CONTROL)


@dataclass(frozen=True)
class MatrixColumn:
    """A column of the matrix: a number, whether a category has a value, or whether one is null.

    ``covariate`` is the place among the covariates. The matrix holds (value - center) / scale.
    """

    covariate: int
    kind: Literal["value", "level", "missing"]
    level: str | None = None
    center: float = 0.0
    scale: float = 1.0

    def name(self, covariates: Sequence[str]) -> str:
        """What users call it.

        Examples
        --------
        >>> MatrixColumn(0, "level", "EWR").name(["origin"]), MatrixColumn(0, "missing").name(["x"])
        ('origin="EWR"', 'x is null')
        """
        name = covariates[self.covariate]
        if self.kind == "level" and self.level is not None:
            return f'{name}="{self.level}"'
        return name if self.kind == "value" else f"{name} is null"


@dataclass(frozen=True)
class Design:
    """How a row's covariates become a row of the matrix."""

    names: tuple[str, ...]
    columns: tuple[MatrixColumn, ...]

    @cached_property
    def labels(self) -> list[str]:
        """The names of the matrix's columns."""
        return [column.name(self.names) for column in self.columns]

    def values(self, batch: pa.RecordBatch) -> Floats:
        """The matrix before it is centred: numbers, NaN where one is null, and 0 or 1.

        Raises
        ------
        RecipeError : a category's value, or a null, that was not among the rows it is made from.
        """
        found = np.empty((batch.num_rows, len(self.columns)))
        for i in range(len(self.names)):
            values = batch.column(f"c{i}")
            places = [j for j, column in enumerate(self.columns) if column.covariate == i]
            if any(self.columns[j].kind == "level" for j in places):
                self._levels(i, values, places, found)
            else:
                self._number(i, values, places, found)
        return found

    def _levels(self, i: int, values: pa.Array, places: list[int], found: Floats) -> None:
        levels = pa.array([self.columns[j].level for j in places], pa.string())
        codes = pc.index_in(values, value_set=levels)
        if codes.null_count:
            unseen = values.filter(pc.is_null(codes))[0].as_py()
            self._never_seen(i, "null" if unseen is None else f'"{unseen}"')
        found[:, places] = codes.to_numpy()[:, None] == np.arange(len(places))

    def _number(self, i: int, values: pa.Array, places: list[int], found: Floats) -> None:
        numbers = values.to_numpy(zero_copy_only=False)
        missing = np.isnan(numbers)
        if missing.any() and len(places) == 1:
            self._never_seen(i, "null")
        for j in places:
            found[:, j] = numbers if self.columns[j].kind == "value" else missing

    def _never_seen(self, i: int, what: str) -> None:
        raise RecipeError(
            f'sample.covariates: "{self.names[i]}" is {what} in a row, but was in none of those '
            "that the weights were found from; find them anew with this row among them"
        )

    def scaled(self, values: Floats) -> Floats:
        """The matrix: values less their center, by their scale; a null number as its center."""
        return np.nan_to_num((values - self.centers) / self.scales, nan=0.0)

    def matrix(self, batch: pa.RecordBatch) -> Floats:
        """The matrix of some rows."""
        return self.scaled(self.values(batch))

    @cached_property
    def centers(self) -> Floats:
        """What is 0 in the matrix."""
        return np.array([column.center for column in self.columns])

    @cached_property
    def scales(self) -> Floats:
        """What is 1 in the matrix."""
        return np.array([column.scale for column in self.columns])

    def to_state(self) -> list[dict[str, Any]]:
        """The columns as JSON holds them."""
        return [
            {
                "covariate": self.names[column.covariate],
                "kind": column.kind,
                "level": column.level,
                "center": column.center,
                "scale": column.scale,
            }
            for column in self.columns
        ]

    @classmethod
    def from_state(cls, names: Sequence[str], state: Sequence[Mapping[str, Any]]) -> Design:
        """The design that ``to_state`` wrote."""
        columns = [MatrixColumn(**{**c, "covariate": names.index(c["covariate"])}) for c in state]
        return cls(tuple(names), tuple(columns))


@dataclass(frozen=True)
class Survey:
    """What the rows of each arm hold.

    ``spans`` are the least and greatest value of each column before it is centred, ``present`` the
    rows in which it is not null.
    """

    design: Design
    rows: Mapping[int, int]
    spans: Mapping[int, Floats]
    present: Mapping[int, list[int]]

    @property
    def all_rows(self) -> int:
        """The rows of both arms."""
        return sum(self.rows.values())

    @property
    def bounds(self) -> Floats:
        """The greatest distance from 0 that a column of the matrix has, in either arm."""
        ends = np.concatenate([self.spans[arm] for arm in ARMS])
        return np.asarray(np.abs(self.design.scaled(ends)).max(axis=0))

    def scaled_span(self, arm: int) -> Floats:
        """The least and greatest value of each column of the matrix in an arm."""
        return self.design.scaled(self.spans[arm])


def survey(frames: Sequence[DataFrame], options: ComparisonOptions) -> Survey:
    """Find the rows of each arm, the range of each number and the values of each category.

    Raises
    ------
    RecipeError : rows without a treatment or of a third value, an arm of fewer than two rows;
        nulls where they are refused, infinite numbers, or too many values in a category.
    """
    rows = encoded_rows(frames, options)
    texts = [dict(rows.dtypes)[f"c{i}"] == "string" for i in range(len(options.covariates))]

    def work(tally: Tally, batch: pa.RecordBatch) -> None:
        arms = batch.column(ARM).to_numpy()
        tally.count("count arm", 0, 0, _counts(batch.column(ARM).cast(pa.string())))
        for arm in ARMS:
            here = pa.array(arms == arm)
            for i, is_text in enumerate(texts):
                values = batch.column(f"c{i}").filter(here)
                if is_text:
                    tally.count("count level", arm, i, _few(tally, arm, i, _counts(values)))
                else:
                    tally.count("count null", arm, i, {None: values.null_count})
                    numbers = values.to_numpy(zero_copy_only=False)[:, None]
                    tally.span(f"value {i}", arm, numbers)

    found = summed(rows, work)
    arms = _arms(found, frames, options)
    _check_values(found, texts, options)
    made = [
        column
        for i, is_text in enumerate(texts)
        for column in (_levels(found, i, arms) if is_text else _number(found, i, arms))
    ]
    columns = tuple(column for column, _ in made)
    spans = {arm: np.array([by_arm[arm] for _, by_arm in made]).T for arm in ARMS}
    nulls = {arm: [found.counted("count null", arm, i).get(None, 0) for i in range(len(texts))]
             for arm in ARMS}  # fmt: skip
    present = {
        arm: [arms[arm] - (nulls[arm][c.covariate] if c.kind == "value" else 0) for c in columns]
        for arm in ARMS
    }
    return Survey(Design(tuple(options.covariates), columns), arms, spans, present)


Spanned = tuple[MatrixColumn, dict[int, tuple[float, float]]]


def _number(found: Sums, i: int, arms: Mapping[int, int]) -> list[Spanned]:
    known = {arm: found.span(f"value {i}", arm) for arm in ARMS}
    ends = [end for span in known.values() if span is not None for end in span]
    least, most = (min(ends), max(ends)) if ends else (0.0, 0.0)
    middle = least / 2 + most / 2
    value = MatrixColumn(i, "value", None, middle, (most / 2 - least / 2) or 1.0)
    # An arm without a value takes the center, which is not out of any range.
    columns: list[Spanned] = [(value, {arm: known[arm] or (middle, middle) for arm in ARMS})]
    nulls = {arm: found.counted("count null", arm, i).get(None, 0) for arm in ARMS}
    if any(nulls.values()):
        columns.append((MatrixColumn(i, "missing"), _shares(nulls, arms)))
    return columns


def _levels(found: Sums, i: int, arms: Mapping[int, int]) -> list[Spanned]:
    counts = {arm: found.counted("count level", arm, i) for arm in ARMS}
    levels = sorted({*counts[TREATED], *counts[CONTROL]}, key=lambda v: (v is None, v))
    return [
        (
            MatrixColumn(i, "level", level),
            _shares({arm: counts[arm].get(level, 0) for arm in ARMS}, arms),
        )
        for level in levels
    ]


def _shares(counts: Mapping[int, int], arms: Mapping[int, int]) -> dict[int, tuple[float, float]]:
    """The range of what is 1 in so many rows of each arm and 0 in the others."""
    return {arm: (float(counts[arm] == arms[arm]), float(counts[arm] > 0)) for arm in ARMS}


def _counts(values: pa.Array) -> dict[str | None, int]:
    counted = pc.value_counts(values)
    return dict(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    )


def _few(tally: Tally, arm: int, i: int, counts: dict[str | None, int]) -> Mapping[str | None, int]:
    """The counts, or none once a category has more values than are accepted."""
    known = tally.counts.get(("count level", arm, i))
    return counts if known is None or len(known) <= MOST_LEVELS else {}


def _arms(found: Sums, frames: Sequence[DataFrame], options: ComparisonOptions) -> dict[int, int]:
    counted = {int(text or 0): n for text, n in found.counted("count arm", 0).items()}
    name = options.treatment
    if unlabelled := counted.get(UNLABELLED, 0):
        raise RecipeError(
            f'sample.treatment: "{name}" is null in {unlabelled:,} rows; leave them out with where '
            f'in sources, such as "{name} IS NOT NULL", or by an expectation'
        )
    if others := counted.get(OTHER, 0):
        raise RecipeError(
            f'sample.control: {others:,} rows have another "{name}" than {options.treated!r} and '
            f"{options.control!r}; leave them out with where in sources, or leave out "
            "sample.control, and all that are not treated are controls"
        )
    arms = {arm: counted.get(arm, 0) for arm in ARMS}
    for arm, rows in arms.items():
        if rows < 2:
            place = (
                "sample.treated"
                if arm == TREATED or options.control is None
                else ("sample.control")
            )
            raise RecipeError(
                f"{place}: there {'is 1 row' if rows else 'is no row'} in the {NAMES[arm]} group, "
                f'and a comparison needs 2; "{name}" is: {values_of_treatment(frames, options)}'
            )
    return arms


def _check_values(found: Sums, texts: Sequence[bool], options: ComparisonOptions) -> None:
    nulls: dict[str, int] = {}
    for i, (name, is_text) in enumerate(zip(options.covariates, texts, strict=True)):
        what = "count level" if is_text else "count null"
        missing = sum(found.counted(what, arm, i).get(None, 0) for arm in ARMS)
        if missing:
            nulls[name] = missing
        levels = {v for arm in ARMS for v in found.counted("count level", arm, i)}
        if len(levels) > MOST_LEVELS:
            raise RecipeError(
                f'sample.covariates: "{name}" has more than {MOST_LEVELS} values; leave it out, or '
                "use a column of coarser ones"
            )
        for span in (found.span(f"value {i}", arm) for arm in ARMS):
            if span is not None and not np.isfinite(span).all():
                raise RecipeError(
                    f'sample.covariates: "{name}" is infinite in some rows; leave them out with '
                    "where in sources, or leave the column out"
                )
    if nulls and options.nulls == "refuse":
        listed = ", ".join(f'"{name}" in {rows:,} rows' for name, rows in nulls.items())
        raise RecipeError(
            f"sample.covariates: null or NaN: {listed}; write sample.nulls: indicator, which makes "
            "being null a covariate, leave the columns out, or leave out the rows with where"
        )
