"""Turns large, skewed, redundant Delta tables into balanced training tables, on Spark.

import lakebalance as lb

recipe = lb.Recipe.load("recipe.yaml")
plan = lb.plan(recipe, spark)  # what would come out; writes nothing
result = lb.run(recipe, spark)  # exactly that, in one Delta transaction
lb.explain(recipe, spark, "id = 7")  # why a row is in or out
lb.diff(recipe, spark)  # what changed since the run before
lb.rollback(recipe, spark, "3f2a")  # the tables as an earlier run published them
lb.forget(recipe, spark, where="user = 7")  # rows out of all that they reached; done if asked
lb.clean(recipe, spark)  # what old runs left beside their tables; takes it out if asked
lb.quarantined(spark, recipe)  # rows that gates have set aside, by run and reason
lb.data_docs(recipe, spark, "docs")  # Great Expectations' Data Docs of what gates found in runs
lb.release(recipe, spark, sets=["x = abs(x)"])  # puts them back, repaired, if asked
lb.ask(recipe, spark, "label = guess", holdout="test")  # a holdout that asking does not wear out
lb.prune_eval(recipe, spark)  # how many of the near-duplicates planted into a sample it finds
lb.columns("lake/flights", spark)  # what a table's columns hold: statistics, keys, dependencies
lb.project(df, "web", "embedding")  # a source's embeddings as transport compares them
lb.files_in_order(spark, table)  # an ordered output's files, as a trainer reads them
lb.recalibrate(p, result.to_dict()["priors"])  # a model's probabilities for the data as they were
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Recipe",
    "__version__",
    "ask",
    "clean",
    "columns",
    "data_docs",
    "diff",
    "explain",
    "files_in_order",
    "forget",
    "plan",
    "profile",
    "project",
    "prune_eval",
    "quarantined",
    "recalibrate",
    "release",
    "rollback",
    "run",
]

if TYPE_CHECKING:
    from lakebalance.cleaning import clean
    from lakebalance.erasure.forget import forget
    from lakebalance.fates import explain
    from lakebalance.holdout import ask
    from lakebalance.pipeline import plan, run
    from lakebalance.priors import recalibrate
    from lakebalance.profiles import profile
    from lakebalance.projections import project
    from lakebalance.pruning_quality import prune_eval
    from lakebalance.quarantine import quarantined
    from lakebalance.reading import files_in_order
    from lakebalance.recipe import Recipe
    from lakebalance.releasing import release
    from lakebalance.rolled_back import rollback
    from lakebalance.run_diff import diff
    from lakebalance.table_profiles import columns
    from lakebalance.validations import data_docs

HOMES = {
    "Recipe": "lakebalance.recipe",
    "ask": "lakebalance.holdout",
    "clean": "lakebalance.cleaning",
    "columns": "lakebalance.table_profiles",
    "data_docs": "lakebalance.validations",
    "diff": "lakebalance.run_diff",
    "explain": "lakebalance.fates",
    "files_in_order": "lakebalance.reading",
    "forget": "lakebalance.erasure.forget",
    "plan": "lakebalance.pipeline",
    "profile": "lakebalance.profiles",
    "project": "lakebalance.projections",
    "prune_eval": "lakebalance.pruning_quality",
    "quarantined": "lakebalance.quarantine",
    "recalibrate": "lakebalance.priors",
    "release": "lakebalance.releasing",
    "rollback": "lakebalance.rolled_back",
    "run": "lakebalance.pipeline",
}


def __getattr__(name: str) -> Any:
    # Spark and pydantic load when they are used, so that `lakebalance --help` answers at once.
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'lakebalance' has no attribute {name!r}")
