"""Checks that the columns which a recipe names are there, before rows are counted."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.clusters import check_clusters
from lakebalance.core.columns import filtered, kinds, require, require_free
from lakebalance.core.errors import RecipeError
from lakebalance.core.registry import method_of
from lakebalance.core.sources import KEY, SOURCE
from lakebalance.drift_gates import check_drifts
from lakebalance.fairness_gates import check_fairness
from lakebalance.frames import Frames
from lakebalance.output_gates import check_output_expectations
from lakebalance.projections import Slicing
from lakebalance.projections import check_columns as check_embeddings
from lakebalance.pruning import check_steps
from lakebalance.recipe.embedded import embedded_rules
from lakebalance.recipe.models import Recipe
from lakebalance.state_tables import SET_ASIDE


def check_columns(frames: Frames) -> None:
    """Raise where the recipe names a column that is not there, or that cannot be what it says.

    Raises
    ------
    RecipeError : with the place in the recipe, and the nearest names.
    """
    recipe, publish, rows = frames.recipe, frames.recipe.publish, frames.branches[0]
    require(frames.grouped(rows), frames.known_of(recipe.by), "allocate.balance.by")
    _check_clusters(frames)
    _check_embeddings(frames)
    frames.measures  # noqa: B018  raises where a column has no amounts
    if publish.source_column:
        require_free(rows, publish.source_column, "publish.source_column")
        rows = rows.withColumn(publish.source_column, F.lit(""))
    _check_order(recipe, rows)
    require(rows, publish.partition_by, "publish.partition_by")
    _check_partitions(rows, publish.partition_by)
    require(rows, publish.cluster_by, "publish.cluster_by")
    if publish.replace_where is not None:
        output = frames.named(frames.branches[0])
        filtered(output, publish.replace_where, "publish.replace_where")
    _check_quarantine(frames)
    check_drifts(frames)
    check_fairness(frames)
    check_output_expectations(frames)
    check_steps(frames)
    check = method_of("sample", recipe.sample).check_columns
    if check is not None:
        divided = [name for spec in recipe.allocate.clusters.values() for name in spec.of]
        cut = [name for bins in frames.bins for name in bins.columns]
        deciding = [*recipe.by, *cut, *divided]
        check(frames.branches[0].drop(SOURCE, KEY), recipe.sample, deciding)


def _check_quarantine(frames: Frames) -> None:
    """Raise where rows that are set aside have columns that quarantine adds to them."""
    if not frames.gate.setting_aside:
        return
    for name in frames.branches[0].columns:
        if name.lower() in SET_ASIDE:
            raise RecipeError(
                f'sources: quarantine adds a column "{name.lower()}" to the rows that it sets '
                f'aside, and the sources have a "{name}"; give it another name, or write on_fail: '
                "warn or stop for all expectations"
            )


def _check_partitions(rows: DataFrame, names: Sequence[str]) -> None:
    kind_of = kinds(rows)
    for name in names:
        if isinstance(kind_of[name], T.BinaryType):
            raise RecipeError(
                f'publish.partition_by: "{name}" is binary, and Delta keeps values that it '
                "partitions by as texts, which not all bytes are; leave it out, or use cluster_by"
            )


def _check_order(recipe: Recipe, rows: DataFrame) -> None:
    order = recipe.order
    if order is None:
        return
    require_free(rows, order.position, "order.position")
    if order.into == "one":
        require_free(rows, order.phase, "order.phase")
    kind_of = kinds(rows)
    for name, score in order.scores.items():
        require(rows, [score.column], f"order.scores.{name}.column")
        if not isinstance(kind_of[score.column], T.NumericType):
            raise RecipeError(
                f'order.scores.{name}.column: "{score.column}" is '
                f"{kind_of[score.column].simpleString()}; a score is a column of numbers"
            )


def _check_embeddings(frames: Frames) -> None:
    for place, spec in embedded_rules(frames.recipe).items():
        own = frames.branches[0].drop(SOURCE, KEY)
        for rows, of in ((own, ""), (frames.targets[place].df, " of target")):
            at = [f"{place}.embeddings.{option}{of}" for option in ("column", "label")]
            check_embeddings(rows, Slicing.of(spec), *at)


def _check_clusters(frames: Frames) -> None:
    recipe, specs = frames.recipe, frames.recipe.allocate.clusters
    for name, spec in specs.items():
        place = f"allocate.clusters.{name}"
        check_clusters(frames.binned(frames.branches[0]), name, spec, recipe.within(name), place)
    if specs and method_of("sample", recipe.sample).changes_groups:
        raise RecipeError(
            f"allocate.clusters: sample.method {recipe.sample.method} changes the classes that "
            "they divide; write another method, or leave clusters out"
        )
