"""``smoten``: ``smote`` for rows that have categorical columns alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator
from pyspark.sql import DataFrame

from lakebalance.core.diagnostics import Cell, Diagnostic, Prepared
from lakebalance.core.errors import RecipeError
from lakebalance.sample.children import Children, Parents, births, commonest
from lakebalance.sample.combinations import nearest_rows
from lakebalance.sample.options import CategoricalOptions
from lakebalance.sample.synthesis import State, prepared, synthesized, synthetic_method
from lakebalance.sample.thresholds import Share
from lakebalance.sample.value_tables import ValueTable, from_state, to_state, value_tables


class SmoteN(CategoricalOptions):
    """Like smote, for categorical columns alone: a row and its neighbours vote for new ones."""

    method: Literal["smoten"]
    k_neighbors: int = Field(
        5, ge=1, le=100, description="Neighbours that vote together with the parent."
    )
    max_cells: int = Field(
        1_000_000,
        gt=0,
        description="Most numbers by which values are compared: the distinct values of each column "
        "times the groups, and times themselves.",
    )

    @property
    def neighbours_needed(self) -> int:
        """How many neighbours a parent must have."""
        return self.k_neighbors

    @model_validator(mode="before")
    @classmethod
    def _no_features(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "features" in given:
            raise ValueError(
                "smoten takes no features, as it has categorical columns alone; write method: "
                "smote_nc, which takes numbers beside them, or list them under categorical"
            )
        return given


def smoten(
    frames: Sequence[DataFrame], shares: Mapping[int, Share], options: SmoteN, state: State
) -> DataFrame:
    """Exactly the target number of rows of every group, new ones where it has too few.

    Two values of a column are as far apart as the shares of the groups among their rows, over all
    rows available: the sum over the groups of what these differ by, squared. That of two rows is
    the sum over the columns. In a new row each column has the commonest value among a parent and
    its ``k_neighbors`` nearest in the group; ties go to the least value, null counts as one and
    comes last. Neighbours at one distance are taken in the order of their keys. So a parent's
    children are equal; each row has ``(target - available) // available`` of them, those of
    smallest hash one more.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group``, ``__lb_hash`` and ``__lb_key``.
    shares : per group: rows available, target rows, threshold.
    options : categorical columns, neighbours, other columns.
    state : what ``prepare`` found.

    Returns
    -------
    One frame without the first two columns, with the column of the keys of all who voted.

    References
    ----------
    Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", 2002, section 6.2.
    """
    make = partial(voted, tables=from_state(state))
    return synthesized(frames, shares, options, state, make, by_text=True)


def prepare(frames: Sequence[DataFrame], shares: Mapping[int, Share], options: SmoteN) -> Prepared:
    """Count the rows of each group by value, in one pass over the categorical columns.

    Raises
    ------
    RecipeError : there is one group only, or the columns have too many values.
    """
    groups = sorted(group for group, share in shares.items() if share.available)
    found = prepared(frames, shares, options)
    if not found.diagnostics:  # nothing grows
        return Prepared({**found.state, **to_state([], [])})
    if len(groups) < 2:
        raise RecipeError(
            "sample: smoten tells values apart by how often they are in one group and another, and "
            "there is one group only; write allocate.balance.by with the column that has the "
            "classes, or method: repeat"
        )
    tables = value_tables(frames, options.categorical, groups, options.max_cells)
    state = {**found.state, **to_state(tables, groups)}
    return Prepared(state, [*found.diagnostics, _said(tables)])


def _said(tables: Sequence[ValueTable]) -> Diagnostic:
    lines: list[list[Cell]] = [
        [t.column, len(t.texts), round(float(t.distances(np.arange(len(t.texts))).max()), 4)]
        for t in tables
    ]
    return Diagnostic(
        "Values of categorical columns",
        ["column", "distinct values", "greatest distance"],
        lines,
        "Distances are from 0, of values that are shared by the groups alike, to 4, of values that "
        "no group has both of; a column in which all are near 0 tells no neighbours apart.",
    )


def voted(parents: Parents, options: SmoteN, tables: Sequence[ValueTable]) -> Children:
    """Children with the values that are commonest among a parent and its neighbours.

    Parameters
    ----------
    parents : all rows of the group.
    options : neighbours.
    tables : the values of each categorical column.
    """
    asked, of, _ = births(parents)
    k = min(options.k_neighbors, len(parents.hash) - 1)
    voters = asked[:, None]
    if k and len(asked):
        codes, apart = [], []
        for table, texts in zip(tables, parents.texts, strict=True):
            used, code = np.unique(table.codes(texts), return_inverse=True)
            codes.append(code)
            apart.append(table.distances(used))
        voters = np.hstack([voters, nearest_rows(np.column_stack(codes), apart, asked, k)[0]])
    chosen = [commonest(values, voters).take(pa.array(of)) for values in parents.categories]
    return Children(voters[of], parents.at[asked[of]], chosen)


METHOD = synthetic_method(
    "smoten",
    SmoteN,
    smoten,
    "{method: smoten, categorical: [colour, size]}",
    prepare,
)
