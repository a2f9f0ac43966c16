"""What samplers that make two groups of rows comparable share: options, checks, the two arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, kinds, require, require_free
from lakebalance.core.coordinates import NUMBERS, TIMES, coordinate
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import MethodOptions
from lakebalance.core.sources import unite
from lakebalance.sample.checks import refused_target

TREATED, CONTROL = 1, 0
UNLABELLED, OTHER = -1, -2
ARM, NAMES = "arm", {TREATED: "treated", CONTROL: "control"}
CATEGORIES = (T.StringType, T.BooleanType)
Value = bool | int | float | str


class ComparisonOptions(MethodOptions):
    """Which rows are compared, in which columns they are to agree, and what that is to mean."""

    treatment: str = Field(description="Column that says which rows are treated.")
    treated: Value = Field(description="Its value in treated rows.")
    control: Value | None = Field(
        None, description="Its value in control rows; every other one if left out."
    )
    covariates: list[str] = Field(
        min_length=1,
        description="Columns in which the two groups are to agree: numbers, dates, timestamps, "
        "and texts and booleans as categories.",
    )
    categorical: list[str] = Field(
        default_factory=list, description="Covariates that are numbers but mean categories."
    )
    nulls: Literal["refuse", "indicator"] = Field(
        "refuse",
        description="What a null or NaN in a covariate means: an error, or a category of its own "
        "(a number then takes the mean).",
    )
    estimand: Literal["att", "ate", "atc"] = Field(
        "att",
        description="Whom the weighted rows stand for: the treated, all rows, or the controls.",
    )
    stabilised: bool = Field(
        False,
        description="Whether the weights of treated, and those of controls, sum to their own "
        "number of rows; else to the number of those they stand for.",
    )
    column: str = Field("weight", min_length=1, description="Name of the new column.")
    rows: int | None = Field(
        None,
        ge=2,
        description="Put out so many rows instead of the new column: each floor or ceil of its "
        "weight's share of them times.",
    )


def is_category(df: DataFrame, name: str, options: ComparisonOptions) -> bool:
    """Whether a covariate is told apart by its values and not measured."""
    return name in options.categorical or isinstance(kinds(df)[name], CATEGORIES)


def check_columns(df: DataFrame, options: ComparisonOptions, by: Sequence[str]) -> None:
    """Raise where the options name columns that are not there or cannot be what they say.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    covariates, kind_of = options.covariates, kinds(df)
    require(df, [options.treatment], "sample.treatment")
    require(df, covariates, "sample.covariates")
    if twice := [name for name in covariates if covariates.count(name) > 1]:
        raise RecipeError(f'sample.covariates: "{twice[0]}" is there twice; leave one out')
    if options.treatment in covariates:
        raise RecipeError(
            f'sample.covariates: "{options.treatment}" is the treatment itself; leave it out'
        )
    for name in options.categorical:
        if name not in covariates:
            raise RecipeError(
                f'sample.categorical: "{name}" is not among sample.covariates; write it there too'
            )
        if isinstance(kind_of[name], TIMES):
            raise RecipeError(
                f'sample.categorical: column "{name}" is {kind_of[name].simpleString()}; leave it '
                "out here, and it counts as a number"
            )
    for name in covariates:
        if not isinstance(kind_of[name], NUMBERS + TIMES + CATEGORIES):
            raise RecipeError(
                f'sample.covariates: column "{name}" is {kind_of[name].simpleString()}, which is '
                "no number, time, text or boolean; leave it out"
            )
    for place in ("treated", "control"):
        if (value := getattr(options, place)) is not None:
            _check_value(kind_of[options.treatment], value, f"sample.{place}", options.treatment)
    if options.treated == options.control:
        raise RecipeError("sample.control: it is the same value as sample.treated; write another")
    if options.rows is None:
        require_free(df, options.column, "sample.column")


def _check_value(kind: T.DataType, value: Value, place: str, name: str) -> None:
    if isinstance(kind, T.BooleanType):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(kind, T.StringType):
        fits, wanted = isinstance(value, str), f'a text, such as "{value}"'
    elif isinstance(kind, NUMBERS):
        fits, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    else:
        raise RecipeError(
            f'sample.treatment: column "{name}" is {kind.simpleString()}; write a column of texts, '
            "numbers or booleans"
        )
    if not fits:
        raise RecipeError(
            f'{place}: column "{name}" is {kind.simpleString()} and cannot be {value!r}; '
            f"write {wanted}"
        )


def check_group(options: ComparisonOptions, name: str, available: int, target: int) -> None:
    """Raise where rules want another number of rows than there are.

    Raises
    ------
    RecipeError : with what to write instead.
    """
    if target != available:
        raise refused_target(
            name,
            available,
            target,
            f"sample.method: {options.method} weighs all rows there are; leave out allocate, or "
            "balance groups in a recipe of its own and weigh its output (for so many rows in all, "
            "write sample.rows)",
        )


def arm_of(df: DataFrame, options: ComparisonOptions) -> Column:
    """1 for treated rows, 0 for controls, -1 where the treatment is null or NaN, -2 for others."""
    value = column(options.treatment)
    unlabelled = value.isNull()
    if isinstance(kinds(df)[options.treatment], T.FloatType | T.DoubleType):
        unlabelled = unlabelled | F.isnan(value)
    control = F.lit(True) if options.control is None else value == F.lit(options.control)
    return (
        F.when(unlabelled, UNLABELLED)
        .when(value == F.lit(options.treated), TREATED)
        .when(control, CONTROL)
        .otherwise(OTHER)
    )


def encoded(df: DataFrame, options: ComparisonOptions) -> list[Column]:
    """The row as tasks see it: its arm, then its covariates as doubles or texts, null where NaN."""
    columns = [arm_of(df, options).cast("int").alias(ARM)]
    for i, name in enumerate(options.covariates):
        if is_category(df, name, options):
            value = column(name)
            if isinstance(kinds(df)[name], T.FloatType | T.DoubleType):
                value = F.when(~F.isnan(value), value + 0.0)  # -0.0 is 0.0
            columns.append(value.cast("string").alias(f"c{i}"))
        else:
            columns.append(coordinate(df, name).alias(f"c{i}"))
    return columns


def encoded_rows(frames: Sequence[DataFrame], options: ComparisonOptions) -> DataFrame:
    """All rows as tasks see them."""
    return unite([frame.select(*encoded(frame, options)) for frame in frames])


def values_of_treatment(frames: Sequence[DataFrame], options: ComparisonOptions) -> str:
    """The first few values of the treatment in the rows, for a message."""
    values = unite([f.select(column(options.treatment).alias("value")) for f in frames])
    found = values.where(F.col("value").isNotNull()).distinct().orderBy("value").limit(13)
    texts = [str(row[0]) for row in found.collect()]
    return ", ".join(texts[:12]) + (", …" if len(texts) > 12 else "")
