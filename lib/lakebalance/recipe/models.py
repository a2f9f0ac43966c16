"""The recipe's models: the only definition of what a user may write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from lakebalance.core.conditions import of_the_row
from lakebalance.core.index import index_of
from lakebalance.core.registry import MethodOptions, method_of, methods, options_union
from lakebalance.core.secrets import hide, reveal
from lakebalance.core.split import TRAIN
from lakebalance.recipe.evaluation import Evaluation, with_contamination
from lakebalance.recipe.expect import Expect, Expectation
from lakebalance.recipe.keeps import check_keeps, with_columns_of_rules
from lakebalance.recipe.order import Order, check_order
from lakebalance.recipe.outputs import one_name, outputs_of
from lakebalance.recipe.parts import Edge, Part
from lakebalance.recipe.rules import Allocate, Phase, Rules
from lakebalance.recipe.sources import Source
from lakebalance.sample.repeat import Repeat

if TYPE_CHECKING:
    PruneOptions = MethodOptions
    SampleOptions = MethodOptions
else:
    PruneOptions = options_union("prune")
    SampleOptions = options_union("sample")


class Split(Part):
    """Rows held out before anything is balanced: by chance, whole values at a time, or by time."""

    done: bool = Field(False, description="Whether the sources hold rows for training only.")
    shares: dict[str, float] | None = Field(
        None,
        min_length=1,
        description="Parts that are held out, and the share of the keys that each gets by chance; "
        "what is left is for training. A row's part stays when other rows come.",
    )
    by: list[str] | None = Field(
        None,
        min_length=1,
        description="With shares: rows of one value here are on one side; the key if left out.",
    )
    time: str | None = Field(None, description="Column of numbers, dates or timestamps.")
    starts: dict[str, Edge] | None = Field(
        None,
        min_length=1,
        description="With time: parts that are held out, and where each begins, rising; what is "
        "before them is for training.",
    )
    seed: int = Field(0, description="With shares: another seed holds other rows out.")
    tables: dict[str, str] = Field(
        default_factory=dict,
        description="Where parts go; beside the balanced table, by their names, if left out.",
    )

    @property
    def parts(self) -> list[str]:
        """The parts that are held out; none where the split is done."""
        return list(self.shares or self.starts or {})

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if [self.done, self.shares is not None, self.starts is not None].count(True) != 1:
            raise ValueError("write shares, or time and starts, or done: true")
        if (self.time is None) != (self.starts is None) or (self.by and not self.shares):
            raise ValueError("by goes with shares, time with starts")
        if TRAIN in self.parts:
            raise ValueError(f"{TRAIN!r} is what is left for training; it has no entry")
        if unknown := self.tables.keys() - set(self.parts):
            raise ValueError(f"tables names {min(unknown)!r}, which is no part that is held out")
        return self

    @field_validator("shares")
    @classmethod
    def _leave_some(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        # NaN is neither.
        if shares and not (sum(shares.values()) < 1 and all(s > 0 for s in shares.values())):
            raise ValueError("each share must be above 0, and their sum below 1")
        return shares


class Publish(Part):
    """Where the output goes and how it is laid out."""

    table: str = Field(min_length=1, description="Path or catalog name of the Delta table.")
    partition_by: list[str] = Field(
        default_factory=list, description="Columns that partition the table."
    )
    cluster_by: list[str] = Field(
        default_factory=list, description="Columns of Delta's liquid clustering."
    )
    merge_schema: bool = Field(False, description="Let the output change the target's schema.")
    replace_where: str | None = Field(
        None,
        min_length=1,
        description="Condition on the target's columns: its rows alone are replaced, all others "
        "stay. A batch's own value adds the batch, once; every row of the output must fulfil it.",
    )
    allow_empty: bool = Field(
        False,
        description="Publish no rows where there are none to balance, as on a day without any, "
        "instead of an error. Samplers that compare groups need rows of both all the same.",
    )
    staged: bool = Field(
        False,
        description="Write the rows beside the target first and count them there: no reader ever "
        "sees rows that differ from the plan, at the cost of one more write. Otherwise they are "
        "counted right after they are published, and taken back if they differ.",
    )
    source_column: str | None = Field(None, description="New column with the source's name.")
    state: str | None = Field(
        None,
        description="Folder of ledger, quarantine and matches; _lakebalance beside the target's "
        "path if left out.",
    )

    _of_the_row = field_validator("replace_where")(of_the_row)

    @model_validator(mode="after")
    def _one_layout(self) -> Publish:
        if self.partition_by and self.cluster_by:
            raise ValueError("write partition_by or cluster_by, not both")
        for names in (self.partition_by, self.cluster_by):
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"partition_by or cluster_by names {min(twice)!r} twice")
        if "/" not in self.table and self.state is None:
            raise ValueError("a catalog table needs publish.state, the folder of its ledger")
        return self


class Report(Part):
    """What the report shows of rows."""

    excerpts: bool = Field(
        True,
        description="Whether the report and `run --json` have the beginnings of texts, up to 200 "
        "characters of three rows of each of the ten largest clusters of duplicates. They are kept "
        "nowhere else.",
    )


class Recipe(Part):
    """One balanced table: sources, gates, pruning, allocation, sampling, publication."""

    name: str = Field(min_length=1, description="Names the run in ledger and reports.")
    seed: int = Field(0, description="Another seed picks other rows of the same numbers.")
    sources: list[Source] = Field(min_length=1, description="The tables that are read.")
    evaluation: list[Evaluation] = Field(
        default_factory=list,
        description="Tables that a model is evaluated on: rows for training that overlap them are "
        "dropped, and they are only read.",
    )
    expect: Expect = Field(Expect(), description="The quality gate.")
    prune: list[PruneOptions] = Field(
        default_factory=list, description="How redundant rows are found, in order."
    )
    split: Split | None = Field(None, description="Rows that are held out and not balanced.")
    allocate: Allocate = Field(Allocate(), description="How many rows of what.")
    phases: list[Phase] = Field(
        default_factory=list,
        description="More tables of the same rows for training, by rules of their own.",
    )
    order: Order | None = Field(
        None,
        description="The order of training, in which every prefix has the shares of the whole.",
    )
    sample: SampleOptions = Field(default_factory=Repeat, description="How targets become rows.")
    publish: Publish = Field(description="Where the output goes.")
    report: Report = Field(Report(), description="What the report shows of rows.")

    _with_contamination = model_validator(mode="before")(with_contamination)

    @field_validator("name")
    @classmethod
    def _is_no_path(cls, name: str) -> str:
        if "/" in name or "\\" in name:
            raise ValueError("tables of the state have it in their names, so it may have no slash")
        return name

    @model_validator(mode="after")
    def _names_agree(self) -> Recipe:
        names = [source.name for source in self.sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two sources have the name {min(twice)!r}")
        every = [*names, *[table.name for table in self.evaluation]]
        if twice := {name for name in every if every.count(name) > 1}:
            raise ValueError(f"evaluation: another table has the name {min(twice)!r}, too")
        named = [expectation.source for expectation in self.expect.expectations]
        named += [s for gate in self.expect.drift for s in (gate.source, gate.against.source)]
        named += [gate.source for gate in self.expect.learned]
        for source in named:
            if source is not None and source not in names:
                raise ValueError(f"expect names a source {source!r}; there are: {names}")
        if not self.by and any(gate.metric == "groups" for gate in self.expect.learned):
            raise ValueError(
                "expect.learned: metric: groups compares shares of groups; there are none; name "
                "their columns in allocate.balance.by"
            )
        for gate in self.expect.drift:
            if [gate.against.source] == names:
                raise ValueError(
                    f"expect.drift: {names[0]!r} is the only source, so no rows are left to "
                    "compare with it; write version, timestamp, run or table"
                )
        return self

    @property
    def parts(self) -> list[str]:
        """The parts of the rows that are held out."""
        return [] if self.split is None else self.split.parts

    def expectations(self, when: str) -> dict[str, Expectation]:
        """The expectations that are asked ``before`` or ``after``, by their paths."""
        every = enumerate(self.expect.expectations)
        return {f"expect.expectations.{i}": own for i, own in every if when in own.times}

    @property
    def by(self) -> list[str]:
        """The columns whose values make the groups, those of all phases as well."""
        names = [*self.allocate.by, *[name for phase in self.phases for name in phase.by]]
        return list(dict.fromkeys(names))

    @model_validator(mode="after")
    def _sampler_keeps_units(self) -> Recipe:
        if self.allocate.budget is not None and not method_of("sample", self.sample).any_unit:
            others = [name for name, method in methods("sample").items() if method.any_unit]
            raise ValueError(
                f'sample.method: "{self.sample.method}" makes or weighs rows by their number, '
                f"so the {self.allocate.budget.unit} of the output would not be those of "
                f"allocate.budget; write one of {', '.join(others)}, or allocate.rows"
            )
        return self

    @model_validator(mode="after")
    def _bins_are_used(self) -> Recipe:
        if unused := self.allocate.bins.keys() - set(self.by):
            raise ValueError(
                f"allocate.bins: no rule has the bins {min(unused)!r} in by; leave them out"
            )
        return self

    @property
    def pruning(self) -> list[PruneOptions]:
        """What prunes, with the columns that ``short_of: balance`` means."""
        return with_columns_of_rules(self)

    @model_validator(mode="after")
    def _keeps_mean_something(self) -> Recipe:
        check_keeps(self)
        return self

    @model_validator(mode="after")
    def _indexes_are_of_one_step(self) -> Recipe:
        steps: dict[str, int] = {}
        for i, options in enumerate(self.prune):
            name = index_of(options)
            if name is not None and steps.setdefault(name, i) != i:
                raise ValueError(
                    f'prune.{i}.index: prune.{steps[name]} has the index "{name}"; write another '
                    "name"
                )
        return self

    @property
    def rules(self) -> dict[str, Rules]:
        """The rules of the balanced table and of each phase, by their paths in the recipe."""
        found: dict[str, Rules] = {"allocate": self.allocate}
        return found | {f"phases.{i}": phase for i, phase in enumerate(self.phases)}

    @property
    def one_table(self) -> bool:
        """Whether all phases are rows of the balanced table."""
        return self.order is not None and self.order.into == "one"

    def within(self, name: str) -> list[str]:
        """The columns that make the classes which are divided into the parts of this name."""
        clusters = self.allocate.clusters
        given = clusters[name].within
        if given is not None:
            return given
        rules = next(rules for rules in [self.allocate, *self.phases] if name in rules.by)
        return [column for column in rules.by if column not in clusters]

    @model_validator(mode="after")
    def _clusters_divide_classes(self) -> Recipe:
        clusters = self.allocate.clusters
        for name in clusters:
            place = f"allocate.clusters.{name}"
            using = [rules.by for rules in [self.allocate, *self.phases] if name in rules.by]
            if not using:
                raise ValueError(f"{place}: no rule has {name!r} in by; leave it out")
            within = self.within(name)
            if not within:
                raise ValueError(
                    f"{place}: by has no other column, so there is one class, and no smaller one "
                    "to divide it by; add the column of classes to by"
                )
            for by in using:
                if missing := [n for n in within if n not in by or n in clusters]:
                    raise ValueError(
                        f"{place}.within: {missing[0]!r} is no column or bins in the `by` that has "
                        f"{name!r}, {by}; add it there, or leave it out here"
                    )
        return self

    @model_validator(mode="after")
    def _outputs_differ(self) -> Recipe:
        check_order(self)
        outputs = outputs_of(self)
        for what, values in (
            ("name", [output.name for output in outputs]),
            ("table", [output.table for output in outputs if not output.inside]),
        ):
            if twice := {value for value in values if values.count(value) > 1}:
                raise ValueError(f"two outputs have the {what} {min(twice)!r}; write another")
        return self

    @model_validator(mode="after")
    def _nothing_read_is_written(self) -> Recipe:
        read = {one_name(t.table): t.name for t in [*self.sources, *self.evaluation]}
        written: dict[str, str] = {}
        for output in outputs_of(self):
            name = one_name(output.table)
            if name in read:
                raise ValueError(
                    f"{output.table} is the table of {read[name]!r}, which is read; publish to "
                    "another table"
                )
            if not output.inside and name in written:
                raise ValueError(
                    f"outputs {written[name]!r} and {output.name!r} are one table, {output.table}; "
                    "write another"
                )
            written.setdefault(name, output.name)
        return self

    @classmethod
    def load(
        cls,
        path: str | Path,
        sets: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Recipe:
        """Read a recipe from a YAML or JSON file.

        Parameters
        ----------
        path : the file. A `suite` in it is looked up beside it.
        sets : overrides, each ``a.b=c``.
        environ : values for ``${NAME}``; the process's environment if left out.

        Raises
        ------
        RecipeError : with file, line, field and what to write instead.
        """
        from lakebalance.recipe.load import load

        return load(Path(path), sets, environ)

    def to_yaml(self) -> str:
        """The recipe as YAML, secrets as ``${secret:NAME}``; loading it gives an equal recipe."""
        import yaml

        data = self.model_dump(mode="json", exclude_defaults=True)
        data["sample"] = self.sample.model_dump(mode="json", exclude_none=True)
        return yaml.safe_dump(hide(data), sort_keys=False, allow_unicode=True)

    @classmethod
    def of_yaml(cls, text: str) -> Recipe:
        """The recipe that ``to_yaml`` wrote, with the environment's secrets in it.

        Raises
        ------
        RecipeError : the environment does not have one.
        """
        import yaml

        return cls.model_validate(reveal(yaml.safe_load(text)))

    @property
    def hash(self) -> str:
        """A hash of what decides the output, whatever the recipe's text looks like."""
        text = json.dumps(self.model_dump(mode="json", exclude={"report"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
