"""Counts what a recipe's gates of fairness judge: rows that passed the gates, and rows published.

Where the columns of a gate are among those that groups are balanced by, the counts of the plan say
all; else rows are counted, those to be published in the output as it is sampled, before any is
written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.cautions import failed
from lakebalance.core.columns import column, kinds, require, require_kind
from lakebalance.core.coordinates import NUMBERS, TIMES
from lakebalance.core.counts import Census, count_groups
from lakebalance.core.errors import RecipeError, first_line
from lakebalance.core.hashing import INTEGRALS
from lakebalance.core.progress import Stopwatch
from lakebalance.core.registry import method_of
from lakebalance.core.sources import SOURCE, pin_one, unite
from lakebalance.core.split import PART, TRAIN
from lakebalance.expect.fairness import Entry, Reference, Tally, fairness, tallied
from lakebalance.expect.verdicts import Measured
from lakebalance.recipe.fairness import ColumnIs, Fairness, Population
from lakebalance.recipe.outputs import BALANCED

if TYPE_CHECKING:
    from lakebalance.frames import Frames
    from lakebalance.plans import Plan

OUTCOME, PREDICTED, ROWS = "__lb_outcome", "__lb_predicted", "rows"
# Weights are summed in whole millionths, so that no order of rows matters.
OF_A_WEIGHT = 1_000_000
# What group counts hold as Python does, so that it can be compared without Spark.
PLAIN = (T.StringType, T.BooleanType, T.FloatType, T.DoubleType, *INTEGRALS)


def check_fairness(frames: Frames) -> None:
    """Raise where a gate names columns that are not there, before rows are counted.

    Raises
    ------
    RecipeError : a column or condition is wrong.
    """
    gates = frames.recipe.expect.fairness
    if not gates:
        return
    rows = frames.for_training(frames.branches[0])
    for i, gate in enumerate(gates):
        place = f"expect.fairness.{i}"
        require(rows, gate.groups, f"{place}.groups")
        for option in ("outcome", "prediction"):
            _check_condition(rows, getattr(gate, option), f"{place}.{option}")


def measured_before(frames: Frames, census: Census) -> list[Measured]:
    """What gates find in the rows for training that passed the expectations.

    Parameters
    ----------
    frames : the recipe and its sources.
    census : the groups as counted.

    Raises
    ------
    RecipeError, TableError : a reference is not as it should be.
    """
    found = []
    for place, gate in _asked(frames, "before"):
        entries: Iterable[Entry]
        if _known(frames, gate, frames.by):
            own = [g for g in census.groups if g.values.get(PART, TRAIN) == TRAIN]
            entries = _of_groups(gate, ((group.values, group.left) for group in own))
        else:
            rows = [frames.for_training(frame) for frame in frames.gate.passed()]
            entries = _counted(gate, unite([_needed(gate, frame) for frame in rows]))
        found.append(fairness(gate, tallied(entries), "before", _reference(frames, gate, place)))
    return found


def counts_output(frames: Frames) -> bool:
    """Whether a gate can be judged only by rows as they are sampled."""
    return any(not _planned(frames, gate) for _, gate in _asked(frames, "after"))


def with_fairness(frames: Frames, watch: Stopwatch, plan: Plan, left: list[DataFrame]) -> Plan:
    """The plan with what gates find in the rows of the balanced table, before they are written.

    Parameters
    ----------
    frames : the recipe and its sources.
    watch : notes what it takes.
    plan : with thresholds, where ``counts_output`` says that rows must be sampled.
    left : the rows to sample.

    Returns
    -------
    The plan with verdicts, warnings and diagnostics.

    Raises
    ------
    RecipeError, TableError : a reference is not as it should be.
    """
    asked = list(_asked(frames, "after"))
    if not asked:
        return plan
    with watch.stage("fairness", plan.rows):
        measured = [_after(frames, plan, left, gate, place) for place, gate in asked]
    return replace(
        plan,
        gates=[*plan.gates, *[found.verdict for found in measured]],
        warnings=[*plan.warnings, *_warnings(measured)],
        diagnostics=[*plan.diagnostics, *[found.diagnostic.to_dict() for found in measured]],
    )


def _warnings(measured: Sequence[Measured]) -> Iterator[dict[str, str]]:
    for found in measured:
        warning = found.diagnostic.warning
        for code, message in [*([warning] if warning else []), *failed([found.verdict])]:
            yield {"code": code, "message": message}


def _asked(frames: Frames, when: str) -> Iterator[tuple[str, Fairness]]:
    for i, gate in enumerate(frames.recipe.expect.fairness):
        if when in gate.times:
            yield f"expect.fairness.{i}", gate


def _check_condition(df: DataFrame, rows: ColumnIs | str | None, place: str) -> None:
    if isinstance(rows, str):
        try:
            kind = df.select(F.expr(rows)).schema.fields[0].dataType
        except PySparkException as error:
            raise RecipeError(f"{place}: {first_line(error)}") from error
        if not isinstance(kind, T.BooleanType):
            raise RecipeError(
                f"{place}: {rows} is {kind.simpleString()}; write a condition that is true or false"
            )
    elif rows is not None:
        fitting: dict[type, tuple[type[T.DataType], ...]] = {
            bool: (T.BooleanType,),
            str: (T.StringType, *TIMES),
        }
        kinds_of = fitting.get(type(rows.value), NUMBERS)
        instead = f"its values cannot be {rows.value!r}; write one that they can be, or a condition"
        require_kind(df, rows.column, kinds_of, f"{place}.column", instead)


def _conditions(gate: Fairness) -> dict[str, ColumnIs | str]:
    both = {OUTCOME: gate.outcome, PREDICTED: gate.prediction}
    return {name: rows for name, rows in both.items() if rows is not None}


def _known(frames: Frames, gate: Fairness, by: Collection[str]) -> bool:
    """Whether all that the gate asks of a row follows from its group."""
    kind_of = kinds(frames.for_training(frames.branches[0]))
    for rows in _conditions(gate).values():
        if isinstance(rows, str) or rows.column not in by:
            return False
        if not isinstance(kind_of[rows.column], PLAIN):
            return False
    return set(gate.groups) <= set(by)


def _planned(frames: Frames, gate: Fairness) -> bool:
    """Whether the targets of groups say all about the rows that are published."""
    method, budget = method_of("sample", frames.recipe.sample), frames.recipe.allocate.budget
    if method.put_out_as is not None or (method.weighs and (not method.any_unit or budget)):
        return False
    return _known(frames, gate, frames.recipe.by)


def _of_groups(gate: Fairness, groups: Iterable[tuple[Mapping[str, Any], int]]) -> Iterator[Entry]:
    """The entries of groups whose values say all."""
    for values, rows in groups:
        met: dict[str, bool | None] = {OUTCOME: None, PREDICTED: None}
        for name, asked in _conditions(gate).items():
            assert not isinstance(asked, str)
            value = values[asked.column]
            met[name] = None if value is None else value == asked.value
        if rows:
            own = {name: values[name] for name in gate.groups}
            yield own, met[OUTCOME], met[PREDICTED], rows


def _needed(gate: Fairness, df: DataFrame, weight: str | None = None) -> DataFrame:
    """The columns of groups, whether rows have the outcome and prediction, and their weights."""
    flags = [_met(rows).alias(name) for name, rows in _conditions(gate).items()]
    weights = [] if weight is None else [column(weight).alias(ROWS)]
    return df.select(*map(column, gate.groups), *flags, *weights)


def _met(rows: ColumnIs | str) -> Column:
    return F.expr(rows) if isinstance(rows, str) else column(rows.column) == F.lit(rows.value)


def _counted(gate: Fairness, needed: DataFrame, weighed: bool = False) -> list[Entry]:
    """The entries of rows, in one Spark job; with weights, of millionths of a row."""
    flags = list(_conditions(gate))
    steps = F.round(F.col(ROWS) * F.lit(OF_A_WEIGHT)).cast("bigint")
    census = count_groups(
        [needed.withColumn(SOURCE, F.lit(""))],
        [*gate.groups, *flags],
        [""],
        amounts={ROWS: steps} if weighed else {},
    )
    return [
        (
            {name: group.values[name] for name in gate.groups},
            group.values.get(OUTCOME),
            group.values.get(PREDICTED),
            group.amounts[ROWS].total if weighed else group.rows,
        )
        for group in census.groups
    ]


def _after(
    frames: Frames, plan: Plan, left: list[DataFrame], gate: Fairness, place: str
) -> Measured:
    reference, size = _reference(frames, gate, place), 1
    if _planned(frames, gate):
        # Phases that are inside the balanced table are rows of it, too.
        inside = [BALANCED, *[output.name for output in frames.outputs if output.inside]]
        groups = [group for name in inside for group in plan.groups_of(name)]
        tallies = tallied(_of_groups(gate, ((group.group, group.target) for group in groups)))
    else:
        tallies, size = _sampled(frames, plan, left, gate)
    return fairness(gate, tallies, "after", reference, size)


def _sampled(
    frames: Frames, plan: Plan, left: list[DataFrame], gate: Fairness
) -> tuple[list[Tally], int]:
    """The rows of the output by group, and how many of what is counted are a row."""
    output = frames.outputs[0]
    rows = frames.sampled(left, plan, output)
    if frames.recipe.publish.source_column is None:
        rows = rows.withColumn(SOURCE, F.lit(""))
    weight: str | None = None
    if method_of("sample", output.sample).weighs:
        weight = getattr(output.sample, "column", None)
    entries = _counted(gate, _needed(gate, frames.binned(rows), weight), weight is not None)
    return tallied(entries), 1 if weight is None else OF_A_WEIGHT


def _reference(frames: Frames, gate: Fairness, place: str) -> Reference | None:
    """How many of the population are in each group, by its name, of a table by its text as well."""
    population = gate.reference
    if population is None:
        return None
    if population.shares is not None:
        return {name: Fraction(str(share)) for name, share in population.shares.items()}
    return _of_table(frames, gate, population, f"{place}.reference")


def _of_table(frames: Frames, gate: Fairness, population: Population, place: str) -> Reference:
    df = frames.forgotten.left_out(pin_one(frames.spark, population.one_table, place)).df
    require(df, gate.groups, f"{place}.table")
    needed = df.select(*map(column, gate.groups), F.lit(1).alias(ROWS))
    if population.count is not None:
        instead = "name one of whole numbers"
        require_kind(df, population.count, INTEGRALS, f"{place}.count", instead)
        needed = df.select(*map(column, gate.groups), column(population.count).alias(ROWS))
    census = count_groups(
        [needed.withColumn(SOURCE, F.lit(""))], gate.groups, [""], amounts={ROWS: F.col(ROWS)}
    )
    people = [(Tally(group.values, {}), group.amounts[ROWS].total) for group in census.groups]
    if not any(n for _, n in people):
        raise RecipeError(f"{place}: {population.table} has nobody; write another where or count")
    return {(tally.name, tally.text): n for tally, n in people}
