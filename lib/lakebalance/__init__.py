"""Turns large, skewed, redundant Delta tables into balanced training tables, on Spark."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Recipe", "__version__", "plan", "run"]

if TYPE_CHECKING:
    from lakebalance.pipeline import plan, run
    from lakebalance.recipe import Recipe


def __getattr__(name: str) -> Any:
    # Spark and pydantic load when they are used, so that `lakebalance --help` answers at once.
    if name == "Recipe":
        from lakebalance.recipe import Recipe

        return Recipe
    if name in ("plan", "run"):
        from lakebalance import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'lakebalance' has no attribute {name!r}")
