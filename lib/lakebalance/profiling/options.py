"""What may be asked of a profile."""

from __future__ import annotations

from dataclasses import dataclass

from lakebalance.core.errors import RecipeError


@dataclass(frozen=True)
class Options:
    """What is looked for besides statistics.

    Parameters
    ----------
    exact_distinct : count the distinct values of every column exactly, not of those with few alone.
    keys : look for keys, of at most ``key_size`` columns.
    dependencies : look for functional dependencies, with at most ``left_size`` columns on the left.
    error : the most rows, as a share from 0 up to 0.5, that an approximate dependency may break.
    correlations : measure correlations of pairs of columns.

    Raises
    ------
    RecipeError : a size or a share is out of range.
    """

    exact_distinct: bool = False
    keys: bool = True
    key_size: int = 3
    dependencies: bool = False
    left_size: int = 2
    error: float = 0.01
    correlations: bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name, most in (("key_size", 5), ("left_size", 3)):
            if not 1 <= (size := getattr(self, name)) <= most:
                option = "--" + name.replace("_", "-")
                raise RecipeError(f"{option} {size}: write a number from 1 to {most}")
        if not 0 <= self.error <= 0.5:
            raise RecipeError(f"--error {self.error:g}: write a share of the rows from 0 to 0.5")
