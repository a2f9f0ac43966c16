"""The plan: what a run will make, per source and group, and from which versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any

from lakebalance.core.amounts import in_units
from lakebalance.core.clusters import Clusters
from lakebalance.core.counts import in_order
from lakebalance.core.diagnostics import NewRows
from lakebalance.core.json_values import json_value
from lakebalance.core.secrets import hide
from lakebalance.expect.verdicts import Verdict
from lakebalance.priors import priors_of
from lakebalance.recipe.outputs import BALANCED
from lakebalance.sample.thresholds import Threshold


@dataclass(frozen=True)
class PlannedSource:
    """A source at its pinned version, and the rows in it after its filter.

    ``table_id`` is what Delta calls the table, by which one that is made anew is told from it.
    """

    name: str
    table: str
    version: int | str
    rows: int
    table_id: str = ""


@dataclass(frozen=True)
class PlannedEvaluation:
    """A table that a model is evaluated on, at its pinned version.

    ``contamination`` are the pruning steps that take out rows which overlap it; none where rows may
    overlap it.
    """

    name: str
    table: str
    version: int | str
    contamination: list[str]
    table_id: str = ""


@dataclass(frozen=True)
class GroupUnits:
    """What a group has of the unit that there is a budget of, in whole steps, ``size`` to a unit.

    ``part`` is what the rules give it; ``planned`` is what the rows planned have.
    """

    unit: str
    size: Fraction
    available: int
    part: int
    planned: int

    @property
    def unweighed(self) -> GroupUnits:
        """What the rows have that are put out once each with a weight."""
        return replace(self, planned=self.available if self.part else 0)

    def to_dict(self) -> dict[str, Any]:
        """In units, as ``plan --json`` prints it."""
        named = {name: getattr(self, name) for name in ("available", "part", "planned")}
        epochs = self.planned / self.available if self.available else 0.0
        shown = {name: in_units(steps, self.size) for name, steps in named.items()}
        return {"unit": self.unit, **shown, "epochs": epochs}

    def to_state(self) -> dict[str, Any]:
        """As JSON holds it, exactly."""
        return asdict(self) | {"size": str(self.size)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> GroupUnits:
        """What ``to_state`` wrote."""
        return cls(**{**state, "size": Fraction(state["size"])})


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """One group of one source: what there is and what will be.

    ``rows`` are those after the source's filter, ``available`` those left after gates and pruning.
    ``threshold`` says which rows make the target; it is found when the plan is carried out.
    ``synthetic`` of the target's rows are new ones, made from the others. ``units`` are what it has
    of the unit that there is a budget of, where that is another one than rows.
    """

    id: int
    source: str
    group: dict[str, Any]
    rows: int
    available: int
    target: int
    threshold: Threshold | None = None
    synthetic: int = 0
    units: GroupUnits | None = None

    @property
    def epochs(self) -> float:
        """How often a row is seen on average, not counting what was made from it."""
        return (self.target - self.synthetic) / self.available if self.available else 0.0

    @property
    def weight(self) -> float:
        """What a row weighs where rows have weights: by the unit that there is a budget of."""
        n, wanted = self.shared
        return wanted / n if n else 0.0

    @property
    def shared(self) -> tuple[int, int]:
        """What there is and what is wanted, in the unit that there is a budget of."""
        if self.units is None:
            return self.available, self.target
        return self.units.available, self.units.part

    @property
    def json_group(self) -> dict[str, Any]:
        """The group's values as JSON holds them."""
        return json_group(self.group)

    def to_dict(self) -> dict[str, Any]:
        """The group as ``plan --json`` prints it."""
        return {
            "source": self.source,
            "group": self.json_group,
            "rows": self.rows,
            "available": self.available,
            "target": self.target,
            "synthetic": self.synthetic,
            "epochs": self.epochs,
            "weight": self.weight,
            **({} if self.units is None else {"units": self.units.to_dict()}),
        }


@dataclass(frozen=True)
class PlannedOutput:
    """A table besides the balanced one: rows of a part, by the rules of a phase or held out."""

    name: str
    table: str
    part: str
    groups: list[PlannedGroup]

    @property
    def rows(self) -> int:
        """Rows of the output."""
        return sum(group.target for group in self.groups)

    def summary(self) -> dict[str, Any]:
        """The output as JSON holds it, with no groups."""
        named = {"name": self.name, "table": self.table, "part": self.part}
        return {**named, "rows": self.rows, "groups": []}


@dataclass(frozen=True)
class Plan:
    """All that is needed to make the output again; see ``to_dict`` for its JSON form.

    ``groups`` are those of the balanced table, ``outputs`` the other tables. ``prepared`` is what
    the sampler found out before it sampled, where it does so; ``clusters`` are the parts that
    classes were divided into, and how to tell a row's. ``forgotten`` are the requests whose rows
    are left out, ``released`` those whose repaired rows are read, in order.
    """

    name: str
    run_id: str
    recipe_hash: str
    sources: list[PlannedSource]
    groups: list[PlannedGroup]
    gates: list[Verdict] = field(default_factory=list)
    quarantined: int = 0
    pruned: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    diagnostics: list[dict[str, Any]] = field(default_factory=list)
    prepared: Mapping[str, Any] | None = None
    outputs: list[PlannedOutput] = field(default_factory=list)
    clusters: list[Clusters] = field(default_factory=list)
    evaluation: list[PlannedEvaluation] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of the output, or the sum of its weights."""
        return sum(group.target for group in self.groups)

    def groups_of(self, output: str) -> list[PlannedGroup]:
        """The groups of an output by its name."""
        named = {other.name: other.groups for other in self.outputs}
        return named.get(output, self.groups)

    @property
    def matches(self) -> int:
        """Rows that pruning drops."""
        return sum(step["dropped"] for step in self.pruned)

    @property
    def priors(self) -> list[dict[str, Any]]:
        """Each group's share of the rows before and after, as JSON; see ``recalibrate``."""
        return [prior.to_dict() for prior in priors_of(self.groups)]

    def to_dict(self) -> dict[str, Any]:
        """The plan as ``plan --json`` prints it."""
        said, groups = self.summary(), [group.to_dict() for group in self.groups]
        outputs = [
            own | {"groups": [group.to_dict() for group in output.groups]}
            for own, output in zip(said["outputs"], self.outputs, strict=True)
        ]
        return said | {"groups": groups, "priors": self.priors, "outputs": outputs}

    def summary(self) -> dict[str, Any]:
        """The plan as ``plan --json`` prints it, with no groups."""
        said = {
            "name": self.name,
            "run_id": self.run_id,
            "recipe_hash": self.recipe_hash,
            "sources": [asdict(source) for source in self.sources],
            "groups": [],
            "rows": self.rows,
            "gates": [asdict(verdict) for verdict in self.gates],
            "quarantined": self.quarantined,
            "pruned": self.pruned,
            "matches": self.matches,
            "warnings": self.warnings,
            "diagnostics": self.diagnostics,
            "prepared": self.prepared,
            "outputs": [output.summary() for output in self.outputs],
            "clusters": [clusters.to_dict() for clusters in self.clusters],
            "evaluation": [asdict(table) for table in self.evaluation],
            "forgotten": self.forgotten,
            "released": self.released,
        }
        return hide(said)

    @classmethod
    def from_summary(
        cls, data: Mapping[str, Any], groups_of: Mapping[str, list[PlannedGroup]]
    ) -> Plan:
        """The plan that a summary and the groups of its outputs, by name, were written from."""
        return cls(
            data["name"],
            data["run_id"],
            data["recipe_hash"],
            [PlannedSource(**source) for source in data["sources"]],
            groups_of.get(BALANCED, []),
            [Verdict(**verdict) for verdict in data["gates"]],
            data["quarantined"],
            data["pruned"],
            data["warnings"],
            data.get("diagnostics", []),
            data.get("prepared"),
            [
                PlannedOutput(o["name"], o["table"], o["part"], groups_of.get(o["name"], []))
                for o in data.get("outputs", [])
            ],
            [Clusters.from_dict(clusters) for clusters in data.get("clusters", [])],
            [PlannedEvaluation(**table) for table in data.get("evaluation", [])],
            data.get("forgotten", []),
            data.get("released", []),
        )

    def _repr_html_(self) -> str:
        from lakebalance.report.notebook import plan_html

        return plan_html(self.to_dict())


def json_group(values: Mapping[str, Any]) -> dict[str, Any]:
    """A group's values by column, as JSON holds them."""
    return {name: json_value(value) for name, value in values.items()}


def with_new_rows(groups: Sequence[PlannedGroup], made: Sequence[NewRows]) -> list[PlannedGroup]:
    """The groups with rows on top that a sampler makes, and those that only such rows are of.

    Parameters
    ----------
    groups : in order, a source's together.
    made : what the sampler found out that it makes.

    Returns
    -------
    The groups in order; of those that are new, no row is available.
    """
    by_id = {group.id: group for group in groups}
    place = {source: i for i, source in enumerate(dict.fromkeys(g.source for g in groups))}
    found = {(group.source, repr(group.group)): group for group in groups}
    for rows in made:
        parents = by_id[rows.of]
        values = {**parents.group, **rows.values}
        key = (parents.source, repr(values))
        if key not in found:
            threshold = None if parents.threshold is None else Threshold(0)
            id_ = int.from_bytes(
                hashlib.sha256(repr(key).encode()).digest()[:8], "big", signed=True
            )
            found[key] = PlannedGroup(id_, parents.source, values, 0, 0, 0, threshold)
        had = found[key]
        found[key] = replace(
            had, target=had.target + rows.rows, synthetic=had.synthetic + rows.rows
        )
    return sorted(found.values(), key=lambda g: (place[g.source], in_order(g.group)))


def run_id(recipe_hash: str, versions: Mapping[str, int | str], package_version: str) -> str:
    """The id of the run: a hash of all that decides its output."""
    text = json.dumps([recipe_hash, dict(versions), package_version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
