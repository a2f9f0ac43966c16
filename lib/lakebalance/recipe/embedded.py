"""Which rules of a recipe compare embeddings with a target's, and where they stand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakebalance.allocate.samples import Embeddings
from lakebalance.core.registry import MethodOptions

if TYPE_CHECKING:
    from lakebalance.recipe.models import Recipe
    from lakebalance.recipe.rules import Rules


def rules_in(rules: Rules, place: str) -> dict[str, MethodOptions]:
    """The rules of one output by their paths in the recipe."""
    found = {f"{place}.mix": rules.mix, f"{place}.balance": rules.balance}
    found |= {f"{place}.within.{i}": rule for i, rule in enumerate(rules.within)}
    return {at: rule for at, rule in found.items() if rule is not None}


def embeddings_of(rule: MethodOptions) -> Embeddings | None:
    """The embeddings that a rule compares, where it does."""
    found = getattr(rule, "embeddings", None)
    return found if isinstance(found, Embeddings) else None


def embedded_rules(recipe: Recipe) -> dict[str, Embeddings]:
    """The embeddings that rules of a recipe compare, by the rules' paths."""
    return {
        at: found
        for place, rules in recipe.rules.items()
        for at, rule in rules_in(rules, place).items()
        if (found := embeddings_of(rule)) is not None
    }
