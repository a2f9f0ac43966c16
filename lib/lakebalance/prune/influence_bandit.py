"""``influence_bandit``: keeps valuable and diverse rows, drawn from clusters as from a bandit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import column, require, require_kind
from lakebalance.core.counts import GroupCount, class_id, count_groups
from lakebalance.core.diagnostics import Cell, Diagnostic, Prepared
from lakebalance.core.errors import RecipeError
from lakebalance.core.hashing import rehash
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.small_tables import small_table
from lakebalance.core.sources import KEY
from lakebalance.prune.arms import Batch, Game, bonus, logarithms, play
from lakebalance.prune.matches import LEFT, without_neighbour
from lakebalance.prune.survey import of_all_sources

ARM, BATCHES, BATCH, HASH = "__lb_arm", "__lb_batches", "__lb_batch", "__lb_draw"
SCORE, GIVES, TAKEN = "__lb_score", "__lb_gives", "__lb_taken"
# Scores are added as whole numbers of a step, so that no order matters: none has more bits.
STEP_BITS = 40
# Scores under this power of two are too small to tell apart; a step's inverse is a number too.
LEAST_POWER = -900
MOST_BATCHES = 200_000
LINES = 40


class InfluenceBandit(MethodOptions):
    """Keep rows of high scores from clusters that are good or little tried, as a bandit (Quad)."""

    method: Literal["influence_bandit"]
    by: list[str] = Field(
        min_length=1,
        description="Columns, or names of allocate.bins, that make the arms: clusters of rows.",
    )
    score: str = Field(
        description="Column with the influence or value of a row, the larger the better; null or "
        "NaN where it is not known."
    )
    rows: int = Field(ge=1, description="Rows that stay in all, exactly.")
    threshold: float = Field(
        0.0,
        allow_inf_nan=False,
        description="A drawn row stays if its score is over it, or a batch if its mean is.",
    )
    keep: Literal["rows", "batches"] = Field(
        "rows",
        description="Whether rows stay by their own scores, or whole batches by the mean of the "
        "scores known in them, so that a few rows of each need one.",
    )
    alpha: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="How much arms that were seldom drawn are favoured, in units of scores.",
    )
    batch: int = Field(1_000, ge=1, description="Rows that an arm's draw has, about.")
    at_once: int = Field(1, ge=1, description="Arms drawn before scores are worked out again.")
    seed: int = Field(0, description="Another one draws rows in another order.")


@dataclass(frozen=True)
class Scores:
    """What is known of all scores: how many are finite numbers, how many not, the largest size."""

    known: int
    infinite: int
    largest: float

    @property
    def step(self) -> float:
        """What the grid of the sums is in units of scores: a power of two, so that it is exact."""
        return math.ldexp(1.0, max(math.frexp(self.largest)[1], LEAST_POWER) - STEP_BITS)


def prepare(df: DataFrame, options: InfluenceBandit, place: str) -> Prepared:
    """Play the bandit over the batches of each arm.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : arms, score, budget.
    place : path in the recipe, for messages.

    Returns
    -------
    As state the number of batches of each arm, those drawn, and the key at which the budget is
    met; the log of the arms as a diagnostic. Four jobs; the driver sees a line for each batch.

    Raises
    ------
    RecipeError : no row has a score, or an infinite one; there are too many batches, or fewer rows
        than are to stay.
    """
    groups = count_groups([of_all_sources(df)], options.by, [""]).groups
    if not groups:
        return Prepared({"batches": {}, "drawn": [], "cut": None})
    scores = _scores(df, options, place)
    batches = {group.id: math.ceil(group.rows / options.batch) for group in groups}
    if (count := sum(batches.values())) > MOST_BATCHES:
        rows = sum(group.rows for group in groups)
        raise RecipeError(
            f"{place}.batch: {rows:,} rows of {len(groups):,} groups make {count:,} batches of "
            f"{options.batch:,}, and at most {MOST_BATCHES:,} can be drawn from; write about "
            f"batch: {max(options.batch + 1, 2 * rows // MOST_BATCHES):,}, or fewer groups"
        )
    placed = _placed(df, options, batches)
    numbers, arms = _batches(placed, groups, options, scores.step)
    game = play(arms, options.rows, options.alpha, scores.step, options.at_once)
    if game.kept < options.rows:
        raise RecipeError(
            f"{place}.rows: {options.rows:,} rows are to stay, but {game.kept:,} have "
            f"{'a score' if options.keep == 'rows' else 'a batch with a mean score'} over "
            f"{options.threshold:g}; write at most {game.kept}, or a lower {place}.threshold"
        )
    drawn = [
        (groups[draw.arm].id, numbers[draw.arm][draw.batch], int(draw.kept > 0))
        for draw in game.draws
    ]
    last = game.draws[-1]
    cut = None
    if last.kept < arms[last.arm][last.batch].gives:
        cut = _cut(placed, drawn[-1][0], drawn[-1][1], last.kept)
    state = {"batches": batches, "drawn": drawn, "cut": cut}
    return Prepared(state, [_log(groups, game, scores, options)])


def _score(options: InfluenceBandit) -> Column:
    """The score as a double; NaN, which Spark has over all numbers, is null."""
    value = column(options.score).cast("double")
    return F.when(~F.isnan(value), value)


def _scores(df: DataFrame, options: InfluenceBandit, place: str) -> Scores:
    size = F.abs(_score(options))
    infinite = size == F.lit(math.inf)
    counts = [F.count(size).alias("known"), F.count_if(infinite).alias("infinite")]
    found = Scores(*df.agg(*counts, F.max(size).alias("largest")).collect()[0])
    where = f'{place}.score: column "{options.score}" is'
    if not found.known:
        raise RecipeError(
            f"{where} null or NaN in all rows; compute a score first, such as each row's influence "
            "on a validation loss or its similarity to rows that you want"
        )
    if found.infinite:
        raise RecipeError(f"{where} infinite in {found.infinite:,} rows; filter such rows out")
    return found


def _placed(df: DataFrame, options: InfluenceBandit, batches: Mapping[int, int]) -> DataFrame:
    """Each row's key, arm, batch, hash, score, and whether it stays if its batch does.

    Batches are ranges of the hash, so that no row is shuffled to be numbered.
    """
    table = small_table(df.sparkSession, [ARM, BATCHES], list(batches.items()))
    narrow = df.select(
        KEY,
        class_id(df, options.by).alias(ARM),
        rehash(F.col(KEY), options.seed, "influence_bandit").alias(HASH),
        _score(options).alias(SCORE),
    )
    at = ((F.col(HASH).cast("double") * F.lit(2.0**-64) + 0.5) * F.col(BATCHES)).cast("bigint")
    over = F.coalesce(F.col(SCORE) > F.lit(options.threshold), F.lit(False))
    gives = over if options.keep == "rows" else F.lit(True)
    return narrow.join(F.broadcast(table), ARM).select(
        KEY, ARM, HASH, SCORE, gives.alias(GIVES), F.least(at, F.col(BATCHES) - 1).alias(BATCH)
    )


def _batches(
    placed: DataFrame, groups: Sequence[GroupCount], options: InfluenceBandit, step: float
) -> tuple[list[list[int]], list[list[Batch]]]:
    """Numbers and contents of each arm's batches that have scored rows; others tell nothing."""
    # A double times a power of two is exact, so that rounding to the grid is the same everywhere.
    steps = F.round(F.col(SCORE) * F.lit(1 / step)).cast("decimal(20,0)")
    each = placed.groupBy(ARM, BATCH).agg(
        F.count(SCORE).alias("scored"),
        F.sum(steps).alias("steps"),
        F.count_if(F.col(GIVES)).alias("gives"),
    )
    table = each.where(F.col("scored") > 0).toArrow().to_pylist()
    place = {group.id: i for i, group in enumerate(groups)}
    numbers: list[list[int]] = [[] for _ in groups]
    arms: list[list[Batch]] = [[] for _ in groups]
    for line in sorted(table, key=lambda line: line[BATCH]):
        batch = Batch(line["scored"], int(line["steps"]), line["gives"])
        if options.keep == "batches" and batch.steps / batch.scored * step <= options.threshold:
            batch = batch._replace(gives=0)
        numbers[place[line[ARM]]].append(line[BATCH])
        arms[place[line[ARM]]].append(batch)
    return numbers, arms


def _cut(placed: DataFrame, arm: int, batch: int, kept: int) -> list[int]:
    """The place in a batch's order up to which rows stay: hash, key, how many of its rows do."""
    key = F.struct(HASH, f"{KEY}.hi", f"{KEY}.lo")
    given = placed.where((F.col(ARM) == arm) & (F.col(BATCH) == batch) & F.col(GIVES))
    here = given.groupBy(ARM, key.alias("at")).agg(F.count(F.lit(1)).alias("here"))
    order = Window.partitionBy(ARM).orderBy("at")
    upto = F.sum("here").over(order.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    found = here.withColumn("upto", upto).where(
        (F.col("upto") >= kept) & (F.col("upto") - F.col("here") < kept)
    )
    row = found.collect()[0]
    return [arm, batch, *row["at"], kept - row["upto"] + row["here"]]


def _log(
    groups: Sequence[GroupCount], game: Game, scores: Scores, options: InfluenceBandit
) -> Diagnostic:
    draws = len(game.draws)
    log = logarithms(draws)[draws]
    lines: list[list[Cell]] = [
        [
            *group.values.values(),
            group.rows,
            record.draws,
            record.scored,
            record.mean * scores.step if record.draws else None,
            bonus(options.alpha, log, record.draws) if record.draws else None,
            record.kept,
        ]
        for group, record in zip(groups, game.records, strict=True)
    ]
    lines.sort(key=lambda line: -int(line[-1] or 0))
    untried = sum(not record.draws for record in game.records)
    seen = sum(record.scored for record in game.records)
    note = (
        f"{game.kept:,} rows kept in {draws:,} draws, which saw {seen:,} of {scores.known:,} "
        "scores. An arm's score is its mean score + bonus, alpha · sqrt(2 ln ΣT / T), T draws."
    )
    if untried:
        note += (
            f" {untried:,} of {len(groups):,} arms were never drawn: they have no scores, or the "
            "budget was met before; a smaller batch tries more of them."
        )
    if len(lines) > LINES:
        note += f" Of {len(lines):,} arms, the {LINES} that most rows are kept of are shown."
    columns = [*options.by, "rows", "draws", "scores seen", "mean score", "bonus", "kept"]
    return Diagnostic("arms of the bandit", columns, lines[:LINES], note)


def influence_bandit(
    df: DataFrame, options: InfluenceBandit, place: str, state: Mapping[str, Any]
) -> DataFrame:
    """The matches of rows that the bandit does not keep.

    Arms are the groups of ``by``. In each round the arm with the largest cluster score CS = mean of
    the scores seen in it + alpha · sqrt(2 ln ΣT / T) has its next batch drawn, T being its draws,
    until ``rows`` rows stay; of the last batch, those first in the order of hashes. The formula is
    the paper's; in the authors' code 50 arms are drawn at once, batches are kept whole by the mean
    of some of their rows (``keep: batches``), alpha is 0.0001, T + 1 stands for T, and a reward
    counts for near clusters too. Here arms stand for themselves, and each is drawn once first.

    Parameters
    ----------
    df : the rows for training, with ``__lb_key``.
    options : arms, score, budget.
    place : path in the recipe, for messages.
    state : what ``prepare`` found.

    Returns
    -------
    Frame ``dropped`` (key hash), ``neighbour``, which is null, as no other row takes its place,
    ``rows``, ``left``, ``method``, and ``reason``.

    References
    ----------
    Zhang, Zhong, Zhang, Chai, Wang, et al., "Harnessing Diversity for Important Data Selection in
    Pretraining Large Language Models", ICLR 2025 (Quad).
    """
    drawn = small_table(df.sparkSession, [ARM, BATCH, TAKEN], state["drawn"])
    placed = _placed(df, options, state["batches"])
    rows = placed.join(F.broadcast(drawn), [ARM, BATCH], "left")
    out = "its score is" if options.keep == "rows" else "the mean score of its batch is"
    given = F.col(GIVES) if options.keep == "rows" else F.col(TAKEN) == 1
    reason = F.when(F.col(TAKEN).isNull(), F.lit("its batch was not drawn"))
    reason = reason.when(~given, F.lit(f"{out} not over {options.threshold:g}"))
    left = F.lit(0)
    if (cut := state["cut"]) is not None:
        arm, batch, *at, stay = cut
        own = [F.col(HASH), F.col(KEY)["hi"], F.col(KEY)["lo"]]
        here = (F.col(ARM) == F.lit(arm)) & (F.col(BATCH) == F.lit(batch))
        limit = F.struct(
            *[F.lit(value).cast("bigint").alias(f"k{i}") for i, value in enumerate(at)]
        )
        mine = F.struct(*[value.alias(f"k{i}") for i, value in enumerate(own)])
        reason = reason.when(here & (mine >= limit), F.lit("the budget is met without it"))
        left = F.when(here & (mine == limit), F.lit(stay)).otherwise(left)
    found = rows.select(
        F.col(KEY).alias("dropped"), reason.alias("reason"), left.cast("bigint").alias(LEFT)
    )
    # Rows that share a key are equal: they go together, but where the budget falls among them.
    gone = found.where(F.col("reason").isNotNull()).groupBy("dropped", "reason", LEFT)
    counted = gone.agg((F.count(F.lit(1)) - F.col(LEFT)).alias("rows")).where("rows > 0")
    return without_neighbour(counted, options.method)


def check_columns(df: DataFrame, options: InfluenceBandit, place: str) -> None:
    """Raise where a column is not there or is not of a fitting type.

    Parameters
    ----------
    df : the rows, with columns for the bins that arms may be made of.
    options : arms and score.
    place : path in the recipe, for messages.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    require(df, options.by, f"{place}.by")
    require_kind(df, options.score, (T.NumericType,), f"{place}.score", "it must be a number")


METHOD = Method(
    "influence_bandit",
    InfluenceBandit,
    influence_bandit,
    example="{method: influence_bandit, by: [cluster], score: influence, rows: 100000}",
    check_columns=check_columns,
    prepare=prepare,
    fate="not selected",
    training_only=True,
)
