"""What tests of pruning by neighbours share."""

from pyspark.sql import functions as F

from lakebalance.core.hashing import hash128
from lakebalance.core.registry import methods

SCHEMA = "id long, label int, x double, y double, `z.z` double"
FEATURES = ["x", "y", "z.z"]


def keyed(path):
    return {"name": "s", "table": path, "key": ["id"]}


def matches(frames, options):
    """What a method finds in rows, run as it is by a recipe."""
    method = methods("prune")[options["method"]]
    rows = frames.for_training(frames.all_rows)
    return method.function(rows, method.options(**options), "prune.0")


def dropped_ids(found, frames):
    keys = frames.all_rows.select("id", F.col("__lb_key").alias("dropped"))
    return sorted(r["id"] for r in found.join(keys, "dropped").select("id").collect())


def with_keys(df, key=("id",), name="s"):
    """Rows with the hash of their key, as those of a source of this name have it."""
    return df.select("*", hash128(df, list(key), "key", name).alias("__lb_key"))
