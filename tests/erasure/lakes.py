"""Small lakes to forget rows of, and what is left of them in files."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

import lakebalance as lb

SCHEMA = "id long, text string, label string, x double, user long"
ROWS = [(i, f"text {i % 150}", "ab"[i % 5 == 0], i / 3, i % 40) for i in range(400)]
SET_ASIDE = {7, 8, 9}


def same_text_as(rows, wanted):
    """The rows that are wanted, and their exact duplicates among those that the gate passes."""
    texts = {row[1] for row in rows if wanted(row) and row[0] not in SET_ASIDE}
    return [row for row in rows if wanted(row) or (row[1] in texts and row[0] not in SET_ASIDE)]


class Lake:
    """A source, a recipe over it with a gate, pruning and a split, and one over its table."""

    def __init__(self, spark, folder, rows):
        self.spark, self.folder = spark, Path(folder)
        spark.createDataFrame(rows, SCHEMA).write.format("delta").save(self.path("s"))
        said = {"expectation": "ExpectColumnValuesToNotBeInSet"}
        said["args"] = {"column": "id", "value_set": sorted(SET_ASIDE)}
        balance = {"by": ["label"], "method": "equal", "max_epochs": 10}
        self.first = self.recipe(
            name="first",
            sources=[{"name": "s", "table": self.path("s"), "key": ["id"]}],
            expect={"expectations": [said]},
            prune=[{"method": "exact", "columns": ["text"]}],
            split={"shares": {"test": 0.2}},
            allocate={"balance": balance, "rows": 100},
            publish={"table": self.path("out")},
        )
        self.second = self.recipe(
            name="second",
            sources=[{"name": "t", "table": self.path("out")}],
            allocate={"balance": balance, "rows": 150},
            publish={"table": self.path("small")},
        )

    @staticmethod
    def recipe(**parts):
        return lb.Recipe.model_validate({"seed": 1, **parts})

    def path(self, name):
        return str(self.folder / name)

    def rows(self, name):
        found = self.spark.read.format("delta").load(self.path(name)).collect()
        return Counter(tuple(row) for row in found)

    def run(self):
        return [lb.run(recipe, self.spark) for recipe in (self.first, self.second)]

    @property
    def outputs(self):
        return {name: self.rows(name) for name in ("out", "out_test", "small")}


def files_with(folder, text):
    """The Parquet files below a folder, of any version, that hold a text in some column."""
    return [
        file
        for file in sorted(Path(folder).rglob("*.parquet"))
        if "_delta_log" not in file.parts and text in str(pq.read_table(file).to_pylist())
    ]
