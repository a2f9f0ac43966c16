"""``contamination``: drops rows that hold what a model is evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakebalance.core.columns import kinds, require
from lakebalance.core.components import Scratch
from lakebalance.core.diagnostics import Diagnostic, Prepared
from lakebalance.core.errors import RecipeError, nearest
from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.ngrams import Cut
from lakebalance.core.registry import Method, MethodOptions
from lakebalance.core.shingles import Tokens
from lakebalance.core.sources import KEY, unite
from lakebalance.prune.matches import LEFT
from lakebalance.prune.normalise import DIFFERENCES, Normalise
from lakebalance.prune.overlap import Search, columns_of, overlaps, sought, tests_of

# For words GPT-3's, for characters GPT-4's; of fewer the first is the least that GPT-3 takes.
NGRAM: dict[Tokens, int] = {"words": 13, "characters": 50}
SHORTEST: dict[Tokens, int] = {"words": 8, "characters": 25}
MOST_TOKENS = 60


class Contamination(MethodOptions):
    """Drop rows that share n-grams with a table that a model is evaluated on.

    The tables, and the columns of text that are compared, are named in `evaluation`; where they are
    and no such step is written, one with the defaults is added after the others.
    """

    method: Literal["contamination"]
    tables: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of evaluation tables; all of them, but those that are off, if left out.",
    )
    tokens: Tokens = Field(
        "words",
        description="What n-grams are runs of: words, which are letters, marks and digits of any "
        "script, or characters, for languages without spaces.",
    )
    ngram: int | None = Field(
        None,
        ge=1,
        le=MOST_TOKENS,
        description="Tokens in an n-gram; 13 words or 50 characters if left out.",
    )
    shortest: int | None = Field(
        None,
        ge=1,
        le=MOST_TOKENS,
        description="An evaluation text of fewer tokens than ngram is one n-gram. It is looked for "
        "inside of texts from so many tokens on; a shorter one only drops rows whose text is no "
        "other. 8 words or 25 characters if left out.",
    )
    share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Least share of an evaluation text's n-grams that a row must hold; one n-gram "
        "is enough if left out.",
    )
    near: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Drop rows, too, whose text as a whole has at least this Jaccard similarity to "
        "an evaluation text's.",
    )
    near_ngram: int = Field(
        5, ge=1, le=MOST_TOKENS, description="With near: tokens in the n-grams that it compares."
    )
    boilerplate: int | None = Field(
        None,
        ge=1,
        description="N-grams in more rows than this are common phrases, and do not count; all "
        "count if left out. GPT-3 took 10.",
    )
    normalise: Normalise = Field(
        Normalise(punctuation=True),
        description=f"{DIFFERENCES} Where left out, it counts as white space, too.",
    )

    @property
    def searches(self) -> dict[str, Search]:
        """What is searched for, by what it is called."""
        n = self.ngram or NGRAM[self.tokens]
        shortest = self.shortest or SHORTEST[self.tokens]
        form = self.normalise.form
        if self.tokens == "words":
            # Words end at both anyway.
            form = form._replace(whitespace=False, punctuation=False)
        cut = Cut(form, self.tokens, n, min(shortest, n))
        found = {"n-gram": Search(cut, self.share, boilerplate=self.boilerplate)}
        if self.near is not None:
            whole = Cut(form, self.tokens, self.near_ngram, self.near_ngram)
            found["near"] = Search(whole, self.near, jaccard=True)
        return found


def contamination(
    df: DataFrame,
    options: Contamination,
    place: str,
    state: Mapping[str, Any],
    scratch: Scratch | None = None,
    evaluation: Sequence[EvaluationTable] = (),
) -> DataFrame:
    """The rows whose texts overlap those of evaluation tables.

    Of the evaluation texts that a row overlaps, the match has the one with which it shares most
    n-grams; of those with as many, the one of the greatest share, then of the least hash. Where one
    n-gram is enough, an n-gram that several evaluation texts have stands for one of them. N-grams
    are compared by 128 bits of hash, as keys are: 64 that find them and 64 others that verify.

    A task holds a filter of 16 MiB at most and the batch of texts that it reads, with those of
    their n-grams that pass the filter; later ones hold the hashes of those of one text. Only these
    are shuffled, and rows of the same n-grams are compared once. With ``share`` or
    ``near``, a row is compared with each evaluation text that has one of its rarest n-grams in it:
    many where many evaluation texts are made of common phrases alone.

    Parameters
    ----------
    df : all rows, with ``__lb_key``.
    options : tables, n-grams, and what overlap is enough.
    place : path in the recipe, for messages.
    state : as ``prepare`` found it.
    scratch : writes a frame under a name and returns it as written; None where nothing may be
        written.
    evaluation : the evaluation tables of the recipe.

    Returns
    -------
    Frame ``dropped`` (key hash), ``rows`` bigint, ``left`` (0), ``method``, ``evaluation`` (the
    table's name), ``test`` (the evaluation row's key hash), ``ngram`` (as text), ``shared``
    (n-grams), ``share`` (of the evaluation text's), ``similarity`` (Jaccard; null where n-grams
    were enough).

    Raises
    ------
    RecipeError : there are no evaluation tables, or columns are not there or no text.

    References
    ----------
    Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C: n-grams of 13 words in
    lower case without punctuation; there only 200 characters around a match go, and the document
    where it falls into more than 10 pieces, here always the row; n-grams of more than 10 documents
    are ignored there, here if asked for. PaLM (2022) asks for 70 % of an evaluation text's 8-grams:
    ``share: 0.7, ngram: 8``, but there over all rows, here in one. Runs with gaps, as of Llama 2
    (2023), are not looked for.
    """
    tables = _tables(options, evaluation, place)
    found = []
    for order, (name, search) in enumerate(options.searches.items()):
        known = state[name]

        def keep(frame: DataFrame, what: str, name: str = name) -> DataFrame:
            return frame if scratch is None else scratch(frame, f"{name}-{what}")

        overlapping = overlaps(df, tables, search, known, keep)
        found.append(overlapping.withColumn("order", F.lit(order)))
    # Of what one row overlaps in several columns, or by both, the first.
    told = ["witness", "shared", "share", "similarity", "ngram"]
    first = F.struct("order", -F.col("shared"), "column", *told)
    best = unite(found).groupBy(KEY).agg(F.max("rows").alias("rows"), F.min(first).alias("best"))
    names = F.array(*[F.lit(table.name) for table in tables])
    return best.select(
        F.col(KEY).alias("dropped"),
        "rows",
        F.lit(0).cast("bigint").alias(LEFT),
        F.lit("contamination").alias("method"),
        F.element_at(names, F.col("best.witness.table") + 1).alias("evaluation"),
        F.col("best.witness.key").alias("test"),
        *[f"best.{name}" for name in ("ngram", "shared", "share", "similarity")],
    )


def prepare(
    df: DataFrame,
    options: Contamination,
    place: str,
    evaluation: Sequence[EvaluationTable] = (),
) -> Prepared:
    """What is looked for, and how much of it there is: two jobs over the evaluation tables.

    Parameters
    ----------
    df : the rows; none of them is read.
    options, place, evaluation : as of ``contamination``.

    Raises
    ------
    RecipeError : there are no evaluation tables.
    """
    tables = _tables(options, evaluation, place)
    searches = options.searches
    state = {name: sought(tests_of(tables, search.cut)) for name, search in searches.items()}
    names = columns_of(tables)
    counted = (
        tests_of(tables, searches["n-gram"].cut)
        .groupBy("table", "column")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(F.size("grams") > 0).alias("texts"),
            F.sum(F.size("grams")).alias("n-grams"),
        )
        .toArrow()
        .to_pylist()
    )
    found = {(line["table"], line["column"]): line for line in counted}
    lines = []
    for i, table in enumerate(tables):
        for name in table.columns:
            line = found.get((i, names.index(name)), {})
            numbers = [line.get(what) or 0 for what in ("rows", "texts", "n-grams")]
            lines.append([table.name, str(table.pinned.version), name, *numbers])
    said = Diagnostic(
        f"{place}: evaluation tables that rows are compared with",
        ["table", "version", "column of rows", "rows", "texts", "n-grams"],
        lines,
        "texts: those with a token, which others are compared with by their n-grams.",
    )
    return Prepared(state, [said])


def summarise(
    matches: DataFrame,
    options: Contamination,
    place: str,
    evaluation: Sequence[EvaluationTable] = (),
) -> list[Diagnostic]:
    """How many rows were dropped for each evaluation table, in one job.

    Parameters
    ----------
    matches : as ``contamination`` made them.
    options, place, evaluation : as of ``contamination``.
    """
    counted = matches.groupBy("evaluation").agg(
        F.sum("rows").alias("rows"), F.count_distinct("test").alias("tests")
    )
    found = {line["evaluation"]: line for line in counted.toArrow().to_pylist()}
    lines = [
        [table.name, *(found.get(table.name, {}).get(what, 0) for what in ("rows", "tests"))]
        for table in _tables(options, evaluation, place)
    ]
    return [
        Diagnostic(
            f"{place}: rows dropped for overlapping evaluation tables",
            ["table", "rows dropped", "of its rows overlapped"],
            lines,
            "A row counts for the evaluation row with which it shares most.",
        )
    ]


def _tables(
    options: Contamination, evaluation: Sequence[EvaluationTable], place: str
) -> list[EvaluationTable]:
    if options.tables is None:
        found = [table for table in evaluation if table.prunes]
    else:
        by_name = {table.name: table for table in evaluation}
        for name in options.tables:
            if name not in by_name:
                raise RecipeError(
                    f'{place}.tables: no evaluation table "{name}"; {nearest(name, list(by_name))}'
                )
        found = [by_name[name] for name in options.tables]
    if not found:
        raise RecipeError(
            f"{place}: there is no evaluation table to compare with; write evaluation: [{{name: …, "
            "table: …, columns: {…: […]}}]"
        )
    return found


def check_columns(
    df: DataFrame,
    options: Contamination,
    place: str,
    evaluation: Sequence[EvaluationTable] = (),
) -> None:
    """Raise where a column is not there or holds no texts.

    Parameters
    ----------
    df : the rows.
    options, place, evaluation : as of ``contamination``.

    Raises
    ------
    RecipeError : with the column and what to write instead.
    """
    for table in _tables(options, evaluation, place):
        for name, own in table.columns.items():
            _require_texts(df, [name], f"{table.place}.columns")
            _require_texts(table.pinned.df, own, f"{table.place}.columns.{name}")


def _require_texts(df: DataFrame, names: Sequence[str], place: str) -> None:
    require(df, names, place)
    for name in names:
        kind = kinds(df)[name]
        inner = kind.elementType if isinstance(kind, T.ArrayType) else kind
        if not isinstance(inner, T.StringType):
            raise RecipeError(
                f'{place}: column "{name}" is of type {kind.simpleString()}; name columns of text, '
                "or of lists of texts"
            )


METHOD = Method(
    "contamination",
    Contamination,
    contamination,
    example="{method: contamination, tokens: words, ngram: 13, near: 0.8}",
    check_columns=check_columns,
    prepare=prepare,
    summarise=summarise,
    fate="contaminated",
    training_only=True,
    scratch=True,
    evaluation=True,
)
