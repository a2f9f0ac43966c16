"""``remedial``: rows in which frequent and rare labels meet become two rows, one with each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds
from lakebalance.core.diagnostics import Diagnostic, Prepared
from lakebalance.core.labels import ARRAY, PRESENT, STATES, array_labels, label_sets, scumble
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.sample.label_columns import check_labels, labels_of
from lakebalance.sample.thresholds import GROUP, HASH, Share, keep

OF, DROPPED = "__lb_half_of", "__lb_dropped"
TOLERANCE = 1e-9

Values = Mapping[str, Any]
State = Mapping[str, Any]
Halves = tuple[list[int], list[int]]


class Remedial(MethodOptions):
    """Keeps or repeats rows; those where frequent and rare labels meet are split into two."""

    method: Literal["remedial"]
    labels: list[str] = Field(
        min_length=1,
        description="One array column of labels, or several of 0 and 1; they stand in `by` too.",
    )


def remedial(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Remedial, state: State
) -> DataFrame:
    """The target number of rows of every group, each put out as one row or as two.

    A row is split where its SCUMBLE is over the mean of all rows, and where some of its labels are
    over the mean imbalance ratio and some are not: one row keeps the latter, one the former. An
    array loses the other elements, of several columns the others become 0; what is unknown stays
    so. Ratios are those of the rows available, before balance. The two rows share their key.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    shares : per group: rows available, target rows, threshold, values.
    options : the columns of labels.
    state : what ``prepare`` found.

    Returns
    -------
    One frame without the two columns.

    References
    ----------
    Charte, Rivera, del Jesus, Herrera, "Resampling multilabel datasets by decoupling highly
    imbalanced labels", 2015 (REMEDIAL). There, a row whose labels are all frequent, or all rare,
    gets a second row without any label; here it stays as it is.
    """
    ids, values = list(shares), [share.values for share in shares.values()]
    split = [
        (group, list(half))
        for group, halves in zip(ids, _halves(values, options, state), strict=True)
        for half in halves or ()
    ]
    thresholds = {group: share.threshold for group, share in shares.items()}
    kept = keep([frame.withColumn(OF, F.col(GROUP)) for frame in frames], thresholds)
    joined = kept.join(F.broadcast(_table(frames[0].sparkSession, split)), OF, "left")
    kind_of = kinds(frames[0])
    decoupled = {
        name: _without(name, place, kind_of[name]) for place, name in enumerate(options.labels)
    }
    names = [name for name in frames[0].columns if name not in (GROUP, HASH)]
    return joined.select(*[decoupled.get(name, column(name)).alias(name) for name in names])


def _table(spark: SparkSession, split: Sequence[tuple[int, list[int]]]) -> DataFrame:
    columns = {
        OF: pa.array([group for group, _ in split], pa.int64()),
        DROPPED: pa.array([places for _, places in split], pa.list_(pa.int32())),
    }
    return spark.createDataFrame(pa.table(columns))


def _without(name: str, place: int, kind: T.DataType) -> Column:
    """A column of labels, without those that its row of the two does not keep."""
    value, dropped = column(name), F.col(DROPPED)
    if isinstance(kind, T.ArrayType):
        rest = F.filter(value, lambda _, i: ~F.array_contains(dropped, i))
    else:
        absent = F.lit(0).cast(kind)
        rest = F.when(F.array_contains(dropped, F.lit(place)), absent).otherwise(value)
    return F.when(dropped.isNull(), value).otherwise(rest)


def prepare(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: Remedial
) -> Prepared:
    """The imbalance of the labels before balance, which decides what is split; reads no row."""
    values = [labels_of(share.values, options.labels) for share in shares.values()]
    sets = label_sets(values, [share.available for share in shares.values()])
    ratios = {
        name: None if np.isnan(ratio) else float(ratio)
        for name, ratio in zip(sets.names, sets.irlbl, strict=True)
    }
    there = bool(np.isfinite(sets.mean_ir))
    state = {
        "irlbl": ratios,
        "mean_ir": sets.mean_ir if there else 1.0,
        "scumble": sets.scumble if there else 0.0,
    }
    return Prepared(state, [_said(shares, options, state)])


def _said(shares: Mapping[int, Share], options: Remedial, state: State) -> Diagnostic:
    targets = [share.target for share in shares.values()]
    before = [labels_of(share.values, options.labels) for share in shares.values()]
    after = put_out_as(before, options, state)
    planned = label_sets(before, targets)
    made = label_sets(
        [row for rows in after for row in rows],
        [target for target, rows in zip(targets, after, strict=True) for _ in rows],
    )
    split = [len(rows) > 1 for rows in after]
    rows_split = sum(t for t, is_split in zip(targets, split, strict=True) if is_split)
    return Diagnostic(
        "decoupling of labels",
        ["measure", "planned", "put out"],
        [
            ["rows", sum(targets), sum(targets) + rows_split],
            ["MeanIR", *[_number(sets.mean_ir) for sets in (planned, made)]],
            ["SCUMBLE", *[_number(sets.scumble) for sets in (planned, made)]],
        ],
        f"{rows_split:,} rows of {sum(split):,} label sets are split into two, which are equal but "
        "for their labels; hold out test rows before that, by split.",
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def put_out_as(
    groups: Sequence[Values], options: Remedial, state: State
) -> list[list[dict[str, Any]]]:
    """The values of each row that a row of a group becomes: those of the group, or two others."""
    return [
        [dict(values)]
        if halves is None
        else [_dropped(values, options, places) for places in halves]
        for values, halves in zip(groups, _halves(groups, options, state), strict=True)
    ]


def _halves(groups: Sequence[Values], options: Remedial, state: State) -> list[Halves | None]:
    """For each group that is split, the places of labels that either row loses."""
    values = [labels_of(group, options.labels) for group in groups]
    sets = label_sets(values, [0] * len(values))
    ratios = np.array([state["irlbl"][name] or np.nan for name in sets.names], dtype=float)
    meeting = scumble(ratios, sets.set_of, sets.label_of, len(values))
    rare = {name for name in sets.names if (state["irlbl"][name] or 0) > state["mean_ir"]}
    found: list[Halves | None] = []
    for value, high in zip(values, meeting > state["scumble"] + TOLERANCE, strict=True):
        names = _places(value, options) if high else []
        first = [i for i, name in enumerate(names) if name is not None and name in rare]
        second = [i for i, name in enumerate(names) if name is not None and name not in rare]
        found.append((first, second) if first and second else None)
    return found


def _places(values: Values, options: Remedial) -> list[str | None]:
    """The label at each place of an array, or of each column; None where there is none."""
    if len(options.labels) == 1:
        return array_labels(values[options.labels[0]]) or []
    return [name if STATES.get(values[name]) == PRESENT else None for name in options.labels]


def _dropped(values: Values, options: Remedial, places: Sequence[int]) -> dict[str, Any]:
    """The values of a group that has lost the labels at some places."""
    if len(options.labels) == 1:
        (name,) = options.labels
        rest = [e for i, e in enumerate(_elements(values[name])) if i not in set(places)]
        return {**values, name: f"{ARRAY}{','.join(rest)}]}}"}
    return {**values, **{options.labels[i]: _absent(values[options.labels[i]]) for i in places}}


def _elements(text: str) -> list[str]:
    """The elements of an array's group, each as the text that Spark wrote."""
    decoder, start, found = json.JSONDecoder(), len(ARRAY), []
    while text[start] != "]":
        _, end = decoder.raw_decode(text, start)
        found.append(text[start:end])
        start = end + (text[end] == ",")
    return found


def _absent(value: Any) -> Any:
    """0 as the column has it."""
    return type(value)(0)


def check_columns(df: DataFrame, options: Remedial, by: Sequence[str]) -> None:
    """Raise where a column is no label, or rows are not counted by it.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    check_labels(df, options.labels, by, "so how many would be split is not known")


METHOD = Method(
    "remedial",
    Remedial,
    remedial,
    example="{method: remedial, labels: [labels]}",
    check_columns=check_columns,
    prepare=prepare,
    put_out_as=put_out_as,
)
