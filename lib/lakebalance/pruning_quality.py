"""How many near-duplicates a recipe's pruning finds: known ones are planted into a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.column_checks import check_columns
from lakebalance.core.columns import column
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.hashing import rehash
from lakebalance.core.progress import Progress, Stopwatch
from lakebalance.core.sources import KEY, unite
from lakebalance.frames import Frames
from lakebalance.ledger import state_of
from lakebalance.prune.minhash import MinHash, minhash
from lakebalance.prune.planting import edited
from lakebalance.prune.texts import joined, numbers, similarity, valid
from lakebalance.pruning import given_to
from lakebalance.recipe.models import Recipe
from lakebalance.scratch import ScratchTables

ROWS = 20_000
# Of three rows, one gets a copy.
SHARE = 1 / 3
BANDS = 20
COPY, EDITED, SIMILAR = "__lb_copy", "__lb_edited_", "__lb_similar"


class Counted(NamedTuple):
    """Pairs of a band of similarity, at the threshold (``near``) or below it, and those found."""

    band: int
    near: bool
    pairs: int
    found: int


def prune_eval(
    recipe: Recipe, spark: SparkSession, rows: int = ROWS, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Measure recall and precision of each ``minhash`` step on a sample with planted copies.

    About ``rows`` rows that pass the expectations are taken by their hashes. A third of them get a
    copy in which tokens are replaced by chance, of Jaccard 0.7 to 0.95; what similarity came about
    is measured exactly. Each step then works on the sample and the copies as in a run, but alone.
    Nothing is published; what is written on the way, beside the ledger, is taken away again.

    Parameters
    ----------
    recipe : whose steps are measured.
    spark : a session, classic or Connect.
    rows : about how many rows are sampled, 1 or more.
    progress : called with the name of each stage as it starts.

    Returns
    -------
    Per step: ``step``, ``rows`` (sampled), ``planted`` (pairs), ``threshold``, ``recall`` (of pairs
    at the threshold or above: of how many at most one row stays; null where there are none),
    ``precision`` (of the rows dropped: how many are at least as similar to the one that stays; null
    where none is), ``bands``: per band of Jaccard similarity ``from`` and ``to``, ``planted``,
    ``found``, ``recall``, ``expected`` (the chance that signatures find a pair in the band's
    middle) and ``dropped`` (rows so similar to the one that stays, whether planted or not).

    Raises
    ------
    RecipeError : no step compares texts, or ``rows`` is below 1.
    TableError : there are no rows, or none has a text long enough to be edited.
    """
    if rows < 1:
        raise RecipeError(f"rows must be 1 or more; there was {rows}")
    steps = [(i, o) for i, o in enumerate(recipe.pruning) if isinstance(o, MinHash)]
    if not steps:
        raise RecipeError("prune: no step is minhash; copies are planted into texts that it reads")
    watch, frames = Stopwatch(progress), Frames(recipe, spark)
    with watch.stage("read"):
        check_columns(frames)
    state = state_of(recipe)
    scratch = ScratchTables(state, spark, recipe.name, f"eval-{frames.run_id}")
    try:
        with watch.stage("sample"):
            sample = scratch(_sample(frames, rows), "eval-sample")
            sampled = sample.count()
        if not sampled:
            raise TableError("no row passes the expectations, or none came into so small a sample")
        said = []
        for i, options in steps:
            with watch.stage(f"prune.{i}"):
                found = _of_step(frames, i, options, sample, scratch)
            said.append({"step": i, "rows": sampled, **found})
        return said
    finally:
        scratch.clear()


def _sample(frames: Frames, rows: int) -> DataFrame:
    """About so many rows, by their hashes."""
    given = unite(frames.gate.passed())
    return _by_chance(given, min(rows / max(given.count(), 1), 1.0), frames.recipe.seed, "eval")


def _by_chance(rows: DataFrame, share: float, seed: int, stage: str) -> DataFrame:
    if share >= 1:
        return rows
    last = round(share * 2**64) - 2**63
    return rows.where(rehash(F.col(KEY), seed, stage) < F.lit(last))


def _of_step(
    frames: Frames, i: int, options: MinHash, sample: DataFrame, scratch: ScratchTables
) -> dict[str, Any]:
    def keep(df: DataFrame, name: str) -> DataFrame:
        return scratch(df, f"eval-{i}-{name}")

    copies = keep(_copies(options, sample, frames.recipe.seed), "copies")
    if copies.isEmpty():
        raise TableError(
            f"prune.{i}: no text of the sample has enough tokens to be edited a little"
        )
    rows = keep(given_to(frames, options, _with_copies(sample, copies, options)), "rows")
    matches = keep(minhash(rows, options, f"prune.{i}", keep), "matches")
    gone = matches.where(F.col("dropped") != F.col("kept"))
    return said_of(options, _found(copies, gone, options), _dropped(rows, gone, options))


def _copies(options: MinHash, sample: DataFrame, seed: int) -> DataFrame:
    """The rows that get a copy, with its key, its columns, and how similar it is."""
    chosen = _by_chance(sample.dropDuplicates([KEY]), SHARE, seed, "eval plant")
    texts = {name: valid(column(name)) for name in options.columns}
    hi, edits = F.col(f"{KEY}.hi"), [f"{EDITED}{j}" for j in range(len(texts))]
    made = {
        edit: edited(text, hi, options.tokens, options.ngram, seed + j)
        for j, (edit, text) in enumerate(zip(edits, texts.values(), strict=True))
    }
    copied = chosen.withColumns(made).where(F.coalesce(*edits).isNotNull())
    after = [F.coalesce(edit, text) for edit, text in zip(edits, texts.values(), strict=True)]
    sets = [numbers(joined(own), options.shingling) for own in (list(texts.values()), after)]
    halves = [
        F.xxhash64(F.lit(half), f"{KEY}.hi", f"{KEY}.lo").alias(half) for half in ("hi", "lo")
    ]
    return copied.select("*", F.struct(*halves).alias(COPY), similarity(*sets).alias(SIMILAR))


def _with_copies(sample: DataFrame, copies: DataFrame, options: MinHash) -> DataFrame:
    changed = {
        name: F.coalesce(f"{EDITED}{j}", column(name)) for j, name in enumerate(options.columns)
    }
    made = copies.withColumns(changed | {KEY: F.col(COPY)})
    return sample.union(made.select(*map(column, sample.columns)))


def _found(copies: DataFrame, gone: DataFrame, options: MinHash) -> list[Counted]:
    """The pairs planted, and of how many at most one row stays."""
    dropped = gone.select("dropped").distinct()
    pairs = copies.select(KEY, COPY, SIMILAR)
    for end in (KEY, COPY):
        side = dropped.select(F.col("dropped").alias(end), F.lit(True).alias(f"gone{end}"))
        pairs = pairs.join(side, end, "left")
    lost = F.coalesce(f"gone{KEY}", f"gone{COPY}", F.lit(False))
    return _counted(pairs, lost, options.threshold)


def _dropped(rows: DataFrame, gone: DataFrame, options: MinHash) -> list[Counted]:
    """The rows dropped, by how similar they are to the one that stays."""
    found = gone.select("dropped", "kept", F.col("similarity").alias(SIMILAR))
    if not options.verify:
        text = joined([valid(column(name)) for name in options.columns])
        texts = rows.select(KEY, text.alias("text")).dropDuplicates([KEY])
        for end in ("dropped", "kept"):
            side = texts.select(F.col(KEY).alias(end), F.col("text").alias(f"text_{end}"))
            found = found.join(side, end)
        sets = [numbers(F.col(f"text_{end}"), options.shingling) for end in ("dropped", "kept")]
        found = found.select(similarity(*sets).alias(SIMILAR))
    return _counted(found, F.lit(True), options.threshold)


def _counted(pairs: DataFrame, found: Column, threshold: float) -> list[Counted]:
    near = (F.col(SIMILAR) >= F.lit(threshold)).alias("near")
    band = F.least(F.floor(F.col(SIMILAR) * BANDS), F.lit(BANDS - 1)).alias("band")
    counted = pairs.groupBy(band, near).agg(
        F.count(F.lit(1)).alias("pairs"), F.sum(found.cast("int")).alias("found")
    )
    return [Counted(r["band"], r["near"], r["pairs"], r["found"]) for r in counted.collect()]


def said_of(
    options: MinHash, planted: Sequence[Counted], dropped: Sequence[Counted]
) -> dict[str, Any]:
    """What there is to say of a step, from what was counted.

    Parameters
    ----------
    options : the step's.
    planted : pairs planted, and of how many at most one row stays.
    dropped : rows dropped, by their similarity to the one that stays.

    Examples
    --------
    >>> planted, dropped = [Counted(16, True, 50, 48)], [Counted(16, True, 48, 48)]
    >>> found = said_of(MinHash(method="minhash", columns=["text"]), planted, dropped)
    >>> found["recall"], found["precision"]
    (0.96, 1.0)
    """
    near, matched = [c for c in planted if c.near], [c for c in dropped if c.near]
    everything = sum(c.pairs for c in dropped)
    bands = sorted({c.band for c in [*planted, *dropped]})
    return {
        "planted": sum(c.pairs for c in planted),
        "threshold": options.threshold,
        "recall": _share(sum(c.found for c in near), sum(c.pairs for c in near)),
        "precision": _share(sum(c.pairs for c in matched), everything),
        "bands": [_of_band(options, band, planted, dropped) for band in bands],
    }


def _of_band(
    options: MinHash, band: int, planted: Sequence[Counted], dropped: Sequence[Counted]
) -> dict[str, Any]:
    own = [c for c in planted if c.band == band]
    pairs, found = sum(c.pairs for c in own), sum(c.found for c in own)
    return {
        "from": band / BANDS,
        "to": (band + 1) / BANDS,
        "planted": pairs,
        "found": found,
        "recall": _share(found, pairs),
        "expected": options.cut.found((band + 0.5) / BANDS),
        "dropped": sum(c.pairs for c in dropped if c.band == band),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
