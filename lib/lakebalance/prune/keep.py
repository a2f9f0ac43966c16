"""Which row of those that say the same stays, as recipes say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from lakebalance.core.registry import MethodOptions

Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], Field(min_length=1)]

# What the options of methods say of it, as their page shows no fields of fields.
KEEP = (
    "Which row of a cluster stays: one of first_by, last_by: column or list of columns (least or "
    "greatest value), highest: column (of numbers), longest: column, list of columns, or true for "
    "those that are compared (characters of text), sources: list of names (earlier ones first, "
    "those not named last), most_complete: true or list of columns (fewest gaps: null, NaN, empty "
    "or blank text, empty array or map), short_of: list of columns or bins, or balance for those "
    "of allocate (the row of the group with the fewest different contents). Null and NaN come "
    "last. A list is tried in order; rows that are still equal: the smallest key hash."
)


class Keep(MethodOptions):
    """One reason why a row stays rather than another of its cluster."""

    first_by: Name | Names | None = Field(
        None, description="Column whose least value stays, or several; nulls come last."
    )
    last_by: Name | Names | None = Field(
        None, description="Column whose greatest value stays, or several; null and NaN come last."
    )
    highest: Name | None = Field(
        None, description="Column of numbers, such as a score; null and NaN come last."
    )
    longest: Literal[True] | Name | Names | None = Field(
        None, description="Columns of text, by their characters; true for those compared."
    )
    sources: Names | None = Field(
        None, description="Names of sources, the first to stay first; others come after them."
    )
    most_complete: Literal[True] | Names | None = Field(
        None, description="Columns, or true for all: the row with the fewest gaps stays."
    )
    short_of: Literal["balance"] | Names | None = Field(
        None,
        description="Columns or bins that make groups, or balance for those of allocate's rules: "
        "the row of the group stays that has the fewest different contents.",
    )

    @model_validator(mode="after")
    def _one(self) -> Keep:
        if len(self._written) != 1:
            raise ValueError(
                "write one of first_by, last_by, highest, longest, sources, most_complete, "
                "short_of; a list of such mappings is tried in order"
            )
        if self.sources is not None and len(set(self.sources)) < len(self.sources):
            raise ValueError("sources has a name twice")
        return self

    @property
    def _written(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self if value is not None]

    @property
    def reason(self) -> tuple[str, Any]:
        """The name of the field that is written, and its value."""
        return self._written[0]


def _kind(keep: Any) -> str:
    return "list[keep]" if isinstance(keep, list) else "dict[keep]"


# The tags look like the types that pydantic puts into the places of mistakes.
Keeps = Annotated[
    Annotated[Keep, Tag("dict[keep]")]
    | Annotated[list[Keep], Field(min_length=1), Tag("list[keep]")],
    Discriminator(_kind),
]


def reasons(keep: Keep | Sequence[Keep] | None, place: str) -> Iterator[tuple[Keep, str]]:
    """Each reason in order, and its path in the recipe.

    Parameters
    ----------
    keep : as the options have it.
    place : its path in the recipe.

    Examples
    --------
    >>> [(own.reason, path) for own, path in reasons(Keep(highest="score"), "prune.0.keep")]
    [(('highest', 'score'), 'prune.0.keep')]
    """
    if isinstance(keep, Keep):
        yield keep, place
    elif keep is not None:
        for i, own in enumerate(keep):
            yield own, f"{place}.{i}"


def listed(names: str | Sequence[str]) -> list[str]:
    """One name or several as a list."""
    return [names] if isinstance(names, str) else list(names)
