"""The models of a budget in units other than rows, and which rules can share one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from lakebalance.core.registry import MethodOptions, method_of, methods
from lakebalance.recipe.parts import Part


class TextUnit(Part):
    """Units of a text's length: its bytes or characters, or an estimate of its tokens."""

    bytes: str | None = Field(None, description="Column whose bytes in UTF-8 are counted.")
    characters: str | None = Field(None, description="Column whose characters are counted.")
    per_unit: float = Field(
        1,
        gt=0,
        allow_inf_nan=False,
        description="Bytes or characters in one unit; 4 characters are about a token of English.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> TextUnit:
        if (self.bytes is None) == (self.characters is None):
            raise ValueError("write either bytes or characters, with the column of the text")
        return self


class Budget(Part):
    """A budget in tokens, bytes, or any column of amounts; met to within one row."""

    amount: int | float = Field(
        ge=0, allow_inf_nan=False, description="How many units the output has, all rows together."
    )
    of: str | TextUnit = Field(
        description="Column of each row's units, such as its tokens: whole numbers, decimals, or "
        "doubles, which are rounded to a millionth; none null or negative. Or the length of a text."
    )

    @property
    def column(self) -> str:
        """The column that units are found in."""
        return self.of if isinstance(self.of, str) else self.of.bytes or self.of.characters or ""

    @property
    def what(self) -> Literal["value", "bytes", "characters"]:
        """What of the column is counted."""
        if isinstance(self.of, str):
            return "value"
        return "bytes" if self.of.bytes is not None else "characters"

    @property
    def per_unit(self) -> float:
        """Bytes or characters in one unit."""
        return 1 if isinstance(self.of, str) else self.of.per_unit

    @property
    def unit(self) -> str:
        """The unit as plans and reports call it."""
        if isinstance(self.of, str):
            return self.of
        return f"{self.what} of {self.column}" + (
            f" / {self.per_unit:g}" if self.per_unit != 1 else ""
        )


def check_unit_rules(rules: Sequence[MethodOptions]) -> None:
    """Raise where a rule counts in rows, so that it cannot share a budget in another unit.

    Raises
    ------
    ValueError : for a model's validator; with what to write instead.
    """
    for rule in rules:
        if not method_of("allocate", rule).any_unit:
            others = [name for name, method in methods("allocate").items() if method.any_unit]
            raise ValueError(
                f'"{rule.method}" counts in rows and cannot share a budget in another unit; write '
                f"one of {', '.join(others)}, or rows instead of budget"
            )
        if getattr(rule, "min_rows", 0):
            raise ValueError("min_rows counts rows, and budget does not; leave one of them out")
        if getattr(rule, "counts", None) is not None:
            raise ValueError("counts are rows, and budget is not; write shares, or leave it out")
