"""Which columns of the sources each column of an output comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lakebalance.recipe.models import Recipe

LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass(frozen=True)
class Origin:
    """A column that another one comes from, or that decides about it.

    ``kind`` is OpenLineage's subtype: IDENTITY and TRANSFORMATION are of the value itself,
    GROUP_BY, FILTER and SORT of which rows there are.
    """

    source: str
    column: str
    kind: str

    @property
    def is_direct(self) -> bool:
        """Whether the value itself is made of it."""
        return self.kind in ("IDENTITY", "TRANSFORMATION")


def origins(
    recipe: Recipe,
    columns: Mapping[str, Sequence[str]],
    made: Iterable[str],
    *,
    synthetic: bool = False,
) -> tuple[dict[str, list[Origin]], list[Origin]]:
    """Where the columns of an output come from.

    Parameters
    ----------
    recipe : what was run.
    columns : the columns of each source, by its name.
    made : the columns of the output.
    synthetic : whether some of its rows were made out of several of the sources'.

    Returns
    -------
    For each column of the output where its values come from; and the columns that decide which rows
    there are: those that rows are counted by, told apart, filtered, checked, pruned, held out and
    ordered by. A
    column that the run adds, such as a weight, comes of those that rows are counted by.

    Examples
    --------
    >>> recipe = Recipe.model_validate({"name": "t", "sources": [{"name": "s", "table": "in"}],
    ...     "allocate": {"balance": {"by": ["c"], "method": "equal"}}, "publish": {"table": "l/t"}})
    >>> fields, deciding = origins(recipe, {"s": ["c", "x"]}, ["c", "x"])
    >>> fields["x"]
    [Origin(source='s', column='x', kind='IDENTITY')]
    >>> deciding
    [Origin(source='s', column='c', kind='GROUP_BY')]
    """
    grouped = _grouping(recipe)
    by = [
        Origin(source, name, "GROUP_BY")
        for source, names in columns.items()
        for name in names
        if name in grouped
    ]
    kinds = ["IDENTITY", *(["TRANSFORMATION"] if synthetic else [])]
    fields = {}
    for name in made:
        own = [
            Origin(source, name, kind)
            for source, names in columns.items()
            if name in names
            for kind in kinds
        ]
        fields[name] = own or by
    return fields, by + _deciding(recipe, columns)


def _grouping(recipe: Recipe) -> set[str]:
    """The columns that rows are counted by, and those that bins and clusters are made of."""
    names = set(recipe.by)
    for bins in recipe.allocate.bins.values():
        names |= _texts(bins.model_dump())
    for clusters in recipe.allocate.clusters.values():
        names |= {*clusters.of}
    return names


def _deciding(recipe: Recipe, columns: Mapping[str, Sequence[str]]) -> list[Origin]:
    """The columns by which rows are dropped, and put in order."""
    wheres = {source.name: source.where or "" for source in recipe.sources}
    keys = {s.name: s.key if isinstance(s.key, list) else [] for s in recipe.sources}
    steps = {text for s in recipe.pruning for text in _texts(s.model_dump(exclude={"method"}))}
    checks = {
        source: {
            text
            for expectation in recipe.expect.expectations
            if expectation.source in (None, source)
            for text in _texts(expectation.args)
        }
        for source in columns
    }
    split = {*(recipe.split.by or []), recipe.split.time} if recipe.split else set()
    scores = {score.column for score in recipe.order.scores.values()} if recipe.order else set()
    found = []
    for source, names in columns.items():
        for name in names:
            named = steps | split | checks[source] | {*keys[source]}
            if name in named or _is_in(name, wheres[source]):
                found.append(Origin(source, name, "FILTER"))
            if name in scores:
                found.append(Origin(source, name, "SORT"))
    return found


def _is_in(name: str, condition: str) -> bool:
    """Whether a condition has a column of this name; what stands in quotes is no name."""
    text = LITERAL.sub("''", condition)
    return re.search(rf"(?<![\w.`])`?{re.escape(name)}`?(?![\w`])", text, re.IGNORECASE) is not None


def _texts(data: object) -> set[str]:
    """All texts in what JSON holds: options name columns in many places."""
    if isinstance(data, str):
        return {data}
    if isinstance(data, Mapping):
        return {text for item in data.values() for text in _texts(item)}
    if isinstance(data, list | tuple):
        return {text for item in data for text in _texts(item)}
    return set()
