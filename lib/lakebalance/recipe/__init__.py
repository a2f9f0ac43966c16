"""What a user may write: the recipe's models, and how its text becomes one."""

from lakebalance.recipe.models import Recipe

__all__ = ["Recipe"]
