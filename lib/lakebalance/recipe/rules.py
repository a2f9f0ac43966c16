"""The models of what a recipe may say about how many rows there are to be of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from lakebalance.core.registry import MethodOptions, methods
from lakebalance.recipe.budgets import Budget, check_unit_rules
from lakebalance.recipe.made_groups import Bin, Cluster
from lakebalance.recipe.parts import Part

if TYPE_CHECKING:
    MixOptions = MethodOptions
    BalanceOptions = MethodOptions
else:

    def _rule_union(suffix: str, by: Any) -> Any:
        models = [
            create_model(
                f"{method.options.__name__}{suffix}",
                __base__=method.options,
                __doc__=method.options.__doc__,
                by=by,
            )
            for method in methods("allocate").values()
        ]
        union = models[0]
        for model in models[1:]:
            union = union | model
        return Annotated[union, Field(discriminator="method")]

    MixOptions = _rule_union("Mix", (Literal["source"], "source"))
    BalanceOptions = _rule_union("Balance", (list[str], Field(min_length=1)))


class Rules(Part):
    """How many rows of what: a mixture over sources, a balance within them, a budget."""

    mix: MixOptions | None = Field(None, description="Rule over the sources.")
    balance: BalanceOptions | None = Field(
        None, description="Rule over the groups of the `by` columns."
    )
    within: list[BalanceOptions] = Field(
        default_factory=list,
        description="Rules that divide each group of balance further, outer first, each over its "
        "own `by` columns.",
    )
    rows: int | None = Field(
        None, ge=0, description="The budget; as many rows as there are if left out."
    )
    budget: Budget | None = Field(
        None, description="A budget in another unit instead, such as tokens."
    )

    @property
    def by(self) -> list[str]:
        """The columns whose values make the groups, those of the rules within as well."""
        rules = [*([] if self.balance is None else [self.balance]), *self.within]
        return [name for rule in rules for name in getattr(rule, "by", [])]

    @model_validator(mode="after")
    def _one_budget(self) -> Rules:
        if self.budget is not None:
            if self.rows is not None:
                raise ValueError("write rows or budget, not both")
            check_unit_rules([r for r in (self.mix, self.balance, *self.within) if r is not None])
        return self

    @model_validator(mode="after")
    def _rules_nest(self) -> Rules:
        if self.within and self.balance is None:
            raise ValueError("within divides the groups of a balance; write balance")
        if twice := {name for name in self.by if self.by.count(name) > 1}:
            raise ValueError(f"two rules have the column {min(twice)!r} in by; leave one out")
        return self


class Allocate(Rules):
    """The rules for the balanced table, and groups of columns that have none of their own."""

    bins: dict[str, Bin] = Field(
        default_factory=dict,
        description="Names that `by` may use besides columns: groups of a column's values.",
    )
    clusters: dict[str, Cluster] = Field(
        default_factory=dict,
        description="More such names: parts of the classes that are larger than the smallest one, "
        'called "1", "2" and so on, or "all" where a class is not divided.',
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Allocate:
        if both := self.clusters.keys() & self.bins.keys():
            raise ValueError(f"bins and clusters have the name {min(both)!r}; write another")
        return self


class Phase(Rules):
    """One more table of the same rows by other rules, such as the natural distribution."""

    name: str = Field(min_length=1, description="What the plan calls this table.")
    table: str | None = Field(
        None,
        min_length=1,
        description="Path or catalog name; that of the balanced table, _ and the phase's name if "
        "left out.",
    )
