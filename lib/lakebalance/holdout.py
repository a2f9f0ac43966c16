"""Asks a holdout again and again without fitting it, and remembers what it was asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.beside import each
from lakebalance.core.conditions import check_of_the_row
from lakebalance.core.errors import GateError, RecipeError, TableError, first_line, nearest
from lakebalance.core.secrets import hide
from lakebalance.core.spark_errors import is_conflict
from lakebalance.core.tables import Table, detail, newest_version, read_delta
from lakebalance.expect.thresholdout import HOLDOUT, TRAINING, Answer, Terms, answer
from lakebalance.ledger import Ledger, Made, tables_of
from lakebalance.publish.state import TRIES, State
from lakebalance.recipe.models import Recipe
from lakebalance.recipe.outputs import BALANCED

ASKED, VALUE = "holdouts", "__lb_value"
SCHEMA = pa.schema(
    [("holdout", pa.string()), ("holdout_id", pa.string()), ("number", pa.int64()),
     ("question", pa.string()), ("holdout_version", pa.int64()), ("training", pa.string()),
     ("training_version", pa.int64()), ("answer", pa.float64()), ("of", pa.string()),
     ("threshold", pa.float64()), ("noise", pa.float64()), ("budget", pa.int64()),
     ("asked", pa.timestamp("us", "UTC"))]
)  # fmt: skip
STEPS = 10**6
"""A value is taken to a millionth, as the sum of doubles depends on their order."""


def ask(
    recipe: Recipe,
    spark: SparkSession,
    question: str,
    *,
    holdout: str,
    training: str | None = None,
    threshold: float | None = None,
    noise: float | None = None,
    budget: int | None = None,
    key: str = "",
) -> dict[str, Any]:
    """Ask for the mean of an expression over a holdout, such that asking often does not fit it.

    The training rows answer where the holdout agrees with them; else the holdout does, with noise,
    as often as its budget allows. The first question to a holdout fixes the terms of all.

    Parameters
    ----------
    recipe : whose state remembers what was asked, and whose newest run made the tables.
    spark : the session.
    question : an expression over the columns of both tables, true or false or 0 to 1, never null.
    holdout : a part that the recipe's split holds out, or a Delta table.
    training : another part, or a Delta table, such as one with predictions; the balanced table if
        left out. The less its rows differ from the holdout's by design, the more it answers.
    threshold : how far both means may differ, 0 to 1; 0.04 if left out.
    noise : the scale of the noise, 0 to 1; 0.01 if left out.
    budget : how often the holdout may answer, 1 or more; 100 if left out.
    key : a secret that the noise follows from, besides the recipe's seed: who knows both can take
        the noise out.

    Returns
    -------
    ``answer``, ``of`` (``training`` or ``holdout``), ``number`` of the question, from 1, ``spent``
    and ``budget``, ``threshold``, ``noise``, ``again`` (whether it was answered before, about the
    same versions, and is told once more), and table and version of ``holdout`` and ``training``.

    Raises
    ------
    RecipeError : the question cannot be read, or other terms were fixed.
    TableError : a table is not there, has no rows, or a row has no answer.
    GateError : the budget is spent.

    Examples
    --------
    >>> ask(recipe, spark, "label = guess", holdout="test")["answer"]  # doctest: +SKIP
    0.91
    """
    check_of_the_row(question, "question")
    ledger = Ledger(recipe, spark)
    asked = _Asked(ledger, question, holdout, training)
    given = {"threshold": threshold, "noise": noise, "budget": budget}
    named = {name: value for name, value in given.items() if value is not None}
    means: tuple[float, float] | None = None
    written = False
    for left in range(TRIES, -1, -1):
        before = asked.before()
        terms = asked.terms(before, named)
        if (same := asked.same(before)) is not None:
            return _told(same, before, again=not written)
        if not left:
            break
        spent = sum(line["of"] == HOLDOUT for line in before)
        if spent >= terms.budget:
            raise GateError(
                f"{asked.holdout.table}: the holdout has answered {spent} times, which is its "
                "budget; what else it says would be fitted: hold other rows out"
            )
        means = means or asked.means()
        salt = f"{recipe.seed}|{asked.holdout.table}|{key}"
        found = answer(*means, terms, number=len(before), spent=spent, salt=salt)
        written = asked.remember(found, terms, len(before) + 1)
    raise TableError(f"{asked.holdout.table}: others asked it all the while; ask again")


def _told(line: Mapping[str, Any], asked: list[dict[str, Any]], *, again: bool) -> dict[str, Any]:
    spent = sum(own["of"] == HOLDOUT for own in asked)
    told = {name: line[name] for name in SCHEMA.names if name not in ("asked", "holdout_id")}
    return {**told, "spent": spent, "again": again}


@dataclass
class _Asked:
    """A question, and the two tables that it is about."""

    ledger: Ledger
    question: str
    asked_of: str
    compared_with: str | None

    @property
    def spark(self) -> SparkSession:
        return self.ledger.spark

    @property
    def state(self) -> State:
        return self.ledger.state

    @cached_property
    def _made(self) -> dict[str, Made]:
        """The tables of the recipe's newest run."""
        return tables_of(self.ledger.newest())

    @cached_property
    def holdout(self) -> Made:
        """The table that is held out."""
        return self._named_so(self.asked_of, HOLDOUT)

    @cached_property
    def holdout_id(self) -> str:
        """The id that Delta gave the holdout: one for all its names and versions."""
        return str(detail(self.spark, Table(self.holdout.table))["id"])

    @cached_property
    def training(self) -> Made:
        """The table that it is compared with."""
        if self.compared_with is None:
            return self._made[BALANCED]
        return self._named_so(self.compared_with, TRAINING)

    def _named_so(self, name: str, place: str) -> Made:
        """A part of the newest run, or a table as it is now."""
        parts = self.ledger.recipe.parts
        if name in parts:
            return self._made[name]
        if "/" not in name and "." not in name:
            raise RecipeError(
                f'{place}: split holds out no part "{name}", and a table is a path with a slash, '
                f"or has a schema before its name; {nearest(name, parts)}"
            )
        version = newest_version(self.spark, Table(name))
        if version is None:
            raise TableError(f"{place}: {name} is not a Delta table that can be read")
        return Made(name, version)

    def before(self) -> list[dict[str, Any]]:
        """What this holdout was asked before, in order."""
        table = self.state.table(ASKED)
        if newest_version(self.spark, table) is None:
            return []
        lines = self.spark.read.format("delta").load(table.name)
        own = lines.where(F.col("holdout_id") == F.lit(self.holdout_id))
        return [line.asDict() for line in own.orderBy("number").collect()]

    def terms(self, before: list[dict[str, Any]], named: Mapping[str, Any]) -> Terms:
        """The terms that the first question fixed, or those that this one does."""
        fixed = asdict(Terms()) if not before else {n: before[0][n] for n in asdict(Terms())}
        for name, value in named.items():
            counts = name == "budget"
            if not (value >= 1 if counts else 0 < value < 1):
                allowed = "1 or more" if counts else "above 0 and below 1"
                raise RecipeError(f"{name} must be {allowed}; there was {value}")
            if before and value != fixed[name]:
                raise RecipeError(
                    f"{name}: the first question to {self.holdout.table} fixed {fixed[name]:g}; "
                    "leave it out"
                )
        return Terms(**{**fixed, **named})

    def same(self, before: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The same question about the same versions, where it was asked before."""
        own = self._named
        return next((line for line in before if {n: line[n] for n in own} == own), None)

    @property
    def _named(self) -> dict[str, Any]:
        named = {
            "holdout_id": self.holdout_id,
            "holdout_version": self.holdout.version,
            "training": self.training.table,
            "training_version": self.training.version,
            "question": self.question,
        }
        hidden: dict[str, Any] = hide(named)
        return hidden

    def means(self) -> tuple[float, float]:
        """The means over the training rows and over the holdout."""
        both = {TRAINING: self.training, HOLDOUT: self.holdout}
        training, holdout = each(self.spark, both.items(), lambda own: self._mean(*own))
        return training, holdout

    def _mean(self, place: str, made: Made) -> float:
        rows = read_delta(self.spark, Table(made.table), made.version, made.replace_where)
        value = F.col(VALUE).cast("double")
        steps = F.round(value * STEPS).cast("decimal(20,0)")
        outside = value.isNull() | ~value.between(0.0, 1.0)
        found = self._values(rows, place).agg(
            F.count(F.lit(1)), F.count_if(outside), F.sum(F.when(~outside, steps))
        )
        n, wrong, total = map(int, found.na.fill(0).collect()[0])
        if not n:
            raise TableError(f"{place}: {made.table} has no rows")
        if wrong:
            raise TableError(
                f"{place}: {wrong:,} of {n:,} rows of {made.table} have a value that is null or "
                "not from 0 to 1; ask for something that each row has, as by coalesce"
            )
        return total / (n * STEPS)

    def _values(self, rows: DataFrame, place: str) -> DataFrame:
        try:
            # Not selected alone, as an aggregate would be of all rows.
            values = rows.withColumn(VALUE, F.expr(self.question)).select(VALUE)
            kind = values.schema[0].dataType
        except PySparkException as error:
            raise RecipeError(f"question, over the {place} rows: {first_line(error)}") from error
        if not isinstance(kind, T.BooleanType | T.NumericType):
            raise RecipeError(
                f"question: it is {kind.simpleString()}; write what is true or false, or a number "
                "from 0 to 1"
            )
        return values

    def remember(self, found: Answer, terms: Terms, number: int) -> bool:
        """Write the answer down, unless another question took its number; whether it may be there.

        Delta passes in silence over a number that was taken before this looked: read it again.
        """
        line = {
            **self._named,
            "holdout": hide(self.holdout.table),
            "number": number,
            "answer": found.value,
            "of": found.of,
            **asdict(terms),
            "asked": dt.datetime.now(dt.timezone.utc),
        }
        writer = (
            self.spark.createDataFrame(pa.Table.from_pylist([line], schema=SCHEMA))
            .write.format("delta")
            .mode("append")
            .option("txnAppId", f"lakebalance-holdout-{self.holdout_id}")
            .option("txnVersion", number)
        )
        try:
            writer.save(self.state.table(ASKED).name)
        except Exception as error:
            if is_conflict(error):
                return False
            raise
        return True
