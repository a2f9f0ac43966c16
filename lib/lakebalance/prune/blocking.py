"""Which rows are compared at all, as recipes say it: rules, of which a pair has to meet one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from lakebalance.core.columns import kinds, require, require_kind
from lakebalance.core.coordinates import check_features
from lakebalance.core.record_pairs import Overlap, Rule, Within
from lakebalance.core.registry import MethodOptions
from lakebalance.prune.lengths import Length, in_units_of
from lakebalance.prune.record_columns import Columns
from lakebalance.prune.record_fields import check_set

BLOCK_ON = (
    "Rules: rows are compared that agree in all parts of one of them. A part is a column, whose "
    "values must be equal; {of: column, prefix: n}, a text's first n characters; {of: column, "
    "within: 5}, numbers at most so far apart, with relative: true by a share of the larger one, "
    "dates and timestamps by a time such as 3 days; {of: column, jaccard: 0.6}, arrays, or words "
    "of texts, of at least this Jaccard similarity. What is missing agrees with nothing."
)
# Each doubles how often a row is written down.
MOST_WITHIN = 3
# The narrowest share that logarithms tell apart with ease.
LEAST_SHARE = 1e-9


class BlockPart(MethodOptions):
    """What two rows agree in, other than equal values."""

    of: str = Field(min_length=1, description="The column.")
    prefix: int | None = Field(None, ge=1, description="So many first characters of a text.")
    within: Length | None = Field(None, description="Numbers or times at most so far apart.")
    relative: bool | None = Field(None, description="within is a share of the larger value.")
    jaccard: float | None = Field(
        None, gt=0, le=1, description="Sets of at least this Jaccard similarity."
    )

    @model_validator(mode="after")
    def _one(self) -> BlockPart:
        given = [self.prefix, self.within, self.jaccard]
        if sum(value is not None for value in given) != 1:
            raise ValueError(
                "write one of prefix, within, jaccard; for equal values the column's name alone"
            )
        if self.relative is not None and self.within is None:
            raise ValueError("relative is for within")
        if self.relative and not (
            isinstance(self.within, float) and LEAST_SHARE <= self.within < 1
        ):
            raise ValueError(f"with relative: true, within is a share, {LEAST_SHARE} to below 1")
        return self


def _kind(part: Any) -> str:
    return "dict[part]" if isinstance(part, dict | BlockPart) else "literal[column]"


# The tags look like the types that pydantic puts into the places of mistakes.
Part = Annotated[
    Annotated[str, Field(min_length=1), Tag("literal[column]")]
    | Annotated[BlockPart, Tag("dict[part]")],
    Discriminator(_kind),
]


def check_rule(rule: Sequence[str | BlockPart]) -> None:
    """Raise ``ValueError`` where a rule has more parts of a kind than can be looked up."""
    parts = [part for part in rule if isinstance(part, BlockPart)]
    if sum(part.jaccard is not None for part in parts) > 1:
        raise ValueError("a rule of block_on may have one part with jaccard")
    if sum(part.within is not None for part in parts) > MOST_WITHIN:
        raise ValueError(f"a rule of block_on may have {MOST_WITHIN} parts with within")


def rules(
    columns: Columns, block_on: Sequence[Sequence[str | BlockPart]], place: str
) -> list[Rule]:
    """How tasks see whether two rows agree, rule by rule.

    Parameters
    ----------
    columns : collects what the rules look at.
    block_on : as the recipe has them.
    place : their path in the recipe, for messages.
    """
    return [_rule(columns, rule, f"{place}.{i}") for i, rule in enumerate(block_on)]


def _rule(columns: Columns, rule: Sequence[str | BlockPart], place: str) -> Rule:
    equal = [part for part in rule if isinstance(part, str)]
    prefixes: list[tuple[str, int]] = []
    within, overlap = [], None
    for i, part in enumerate(rule):
        if isinstance(part, str):
            continue
        if part.prefix is not None:
            prefixes.append((part.of, part.prefix))
        elif part.within is not None:
            width = in_units_of(part.within, columns.kinds[part.of], f"{place}.{i}.within")
            within.append(Within(columns.number(part.of), width, bool(part.relative)))
        elif part.jaccard is not None:
            overlap = Overlap(columns.set(part.of), part.jaccard)
    return Rule(columns.together(equal, prefixes), within, overlap)


def check_block_on(
    df: DataFrame, block_on: Sequence[Sequence[str | BlockPart]], place: str
) -> None:
    """Raise where a column is not there, or is of no type that can be looked up so.

    Raises
    ------
    RecipeError : with the column, its type and what to write instead.
    """
    for i, rule in enumerate(block_on):
        for j, part in enumerate(rule):
            where = f"{place}.{i}.{j}"
            if isinstance(part, str):
                require(df, [part], where)
                continue
            require(df, [part.of], f"{where}.of")
            if part.prefix is not None:
                text = (T.StringType,)
                require_kind(df, part.of, text, f"{where}.of", "name a column of text for a prefix")
            elif part.jaccard is not None:
                check_set(df, part.of, f"{where}.of")
            elif part.within is not None:
                check_features(df, [part.of], f"{where}.of", "name the column alone")
                in_units_of(part.within, kinds(df)[part.of], f"{where}.within")


def said(rule: Sequence[str | BlockPart]) -> str:
    """A rule as recipes have it.

    Examples
    --------
    >>> said(["city", BlockPart(of="name", prefix=4)])
    '[city, {of: name, prefix: 4}]'
    """
    return f"[{', '.join(_part(part) for part in rule)}]"


def _part(part: str | BlockPart) -> str:
    if isinstance(part, str):
        return part
    given: Mapping[str, Any] = part.model_dump(exclude_none=True)
    return "{" + ", ".join(f"{name}: {value}" for name, value in given.items()) + "}"
