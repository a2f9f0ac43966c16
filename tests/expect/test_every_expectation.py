"""Every expectation of Great Expectations: the same counts and verdicts as it finds itself."""

import warnings
from dataclasses import dataclass

import pytest
from pyspark.sql import functions as F

from every_expectation import CONDITION, NOT_ON_SPARK, OF_ROWS, OF_TABLES, ROWS, SCHEMA
from lakebalance.core.errors import RecipeError
from lakebalance.core.sources import SOURCE
from lakebalance.expect.conditions import IN_ORDER
from lakebalance.expect.gate import REASONS, Gate, title
from lakebalance.expect.known import classes, configure
from lakebalance.recipe.models import Expectation

# What Great Expectations does with a condition of these is an error of its own.
WITHOUT_CONDITION = ("ExpectColumnPairValuesToBeInSet",)


def variants(args, condition):
    """The arguments as they are, with mostly, and with a condition."""
    only = {"row_condition": args["of"], "condition_parser": "spark"} if "of" in args else {}
    base = {**{k: v for k, v in args.items() if k != "of"}, **only}
    yield base
    yield {**base, "mostly": 0.6}
    if condition and not only:
        yield {**base, **CONDITION, "mostly": 0.5}


@dataclass(frozen=True)
class Case:
    """An expectation, its arguments, and whether it is among the few that are tried each time."""

    name: str
    args: dict
    often: bool

    def with_(self, on_fail, source=None):
        return Expectation(expectation=self.name, args=self.args, on_fail=on_fail, source=source)

    @property
    def ordered(self):
        return classes()[self.name].map_metric in IN_ORDER


def cases_of_rows():
    for name, given in OF_ROWS.items():
        for i, args in enumerate(given):
            own = list(variants(args, name not in WITHOUT_CONDITION))
            for j, varied in enumerate(own if i == 0 else own[:1]):
                yield Case(name, varied, i == 0 and j == len(own) - 1)


CASES = list(cases_of_rows())
WHOLE = [Case(n, a, i == 1) for n, given in OF_TABLES.items() for i, a in enumerate(given)]


@dataclass(frozen=True)
class Found:
    """What was found of a case: by Great Expectations, by our gate, and rows set aside."""

    case: Case
    theirs: object
    ours: object
    aside: int | None


@pytest.fixture(scope="module")
def awkward(spark):
    # In one partition, as Great Expectations compares rows in the order in which it reads them.
    return spark.createDataFrame(ROWS, SCHEMA).coalesce(1)


def by_itself(df, cases):
    """What Great Expectations finds, each result in the order of the cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_spark("s", persist=False).add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": df})
        suite = gx.ExpectationSuite("all")
        for i, case in enumerate(cases):
            own = configure(case.with_("warn"), df.columns, case.name)
            fields = {k: v for k, v in own.dict().items() if k != "batch_id"}
            suite.expectations.append(type(own)(**{**fields, "meta": {"case": i}}))
        results = batch.validate(suite, result_format="BASIC").results
    for result in results:
        assert not (result.exception_info or {}).get("raised_exception"), result
    found = {r.expectation_config.meta["case"]: r for r in results}
    return [found[i] for i in range(len(cases))]


def verdicts(gate):
    """A gate's verdicts, with all rows counted in one job."""
    [frame] = gate.flagged if len(gate.flagged) == 1 else [gate.flagged[0].union(gate.flagged[1])]
    sums = [F.count_if(condition).alias(name) for name, condition in gate.counted.items()]
    row = frame.agg(F.count(F.lit(1)).alias("rows"), *sums).collect()[0].asDict()
    return gate.verdicts(row, row["rows"])


def set_aside(df, cases):
    """How many rows are set aside for each case, by its title."""
    asked = {str(i): c.with_("quarantine") for i, c in enumerate(cases) if not c.ordered}
    reasons = Gate([df], asked).quarantined().select(F.explode(REASONS).alias("reason"))
    return {r["reason"]: r["count"] for r in reasons.groupBy("reason").count().collect()}


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.slow)])
def found(request, awkward):
    """What was found of each case, by the names of expectations."""
    every = request.param == "all"
    rows, whole = ([c for c in cases if every or c.often] for cases in (CASES, WHOLE))
    theirs = by_itself(awkward, [*rows, *whole])
    tagged = awkward.withColumn(SOURCE, F.lit("s"))
    gate = Gate([tagged], {str(i): c.with_("warn") for i, c in enumerate([*rows, *whole])})
    assert len(gate.checks) == len(rows) and len(gate.whole) == len(whole)
    ours, aside = verdicts(gate), set_aside(tagged, rows)
    named = {}
    for case, their, our in zip([*rows, *whole], theirs, ours, strict=True):
        n = None if case in whole else aside.get(title(case.with_("quarantine")), 0)
        named.setdefault(case.name, []).append(Found(case, their, our, n))
    return named


def test_each_one_that_there_is_has_a_case():
    """A release of Great Expectations with a new one fails here until it is tried."""
    assert classes().keys() == {*OF_ROWS, *OF_TABLES, *NOT_ON_SPARK}
    of_rows = {name for name, kind in classes().items() if getattr(kind, "map_metric", None)}
    of_types = {"ExpectColumnValuesToBeInTypeList", "ExpectColumnValuesToBeOfType"}
    assert of_rows - {*NOT_ON_SPARK} - of_types == {*OF_ROWS}


@pytest.mark.parametrize("name", OF_ROWS)
def test_rows_are_counted_as_great_expectations_does(name, found):
    for own in found[name]:
        result, our = own.theirs.result, own.ours
        asked = result["element_count"] - (result.get("missing_count") or 0)
        theirs = (result["unexpected_count"], asked, own.theirs.success)
        assert (our.unexpected, our.rows, our.success) == theirs, own.case
        if not own.case.ordered:
            assert own.aside == result["unexpected_count"], own.case


@pytest.mark.slow
def test_the_cases_say_something(found):
    """Of each expectation of rows some row is unexpected, and some is not."""
    for name in OF_ROWS:
        results = [own.theirs.result for own in found[name]]
        if len(results) > 1:
            assert any(r["unexpected_count"] for r in results), name
            assert any(r["unexpected_count"] < r["element_count"] for r in results), name


@pytest.mark.parametrize("name", OF_TABLES)
def test_tables_are_judged_as_great_expectations_does(name, found):
    for own in found.get(name, []):
        assert own.ours.success == own.theirs.success and own.ours.unexpected is None, own.case
        if own.theirs.result.get("observed_value") is not None:
            assert own.ours.worst.startswith("observed ")


@pytest.mark.parametrize("name", NOT_ON_SPARK)
def test_what_great_expectations_has_not_on_spark_is_refused(name, awkward):
    rows = awkward.withColumn(SOURCE, F.lit("s"))
    asked = Case(name, NOT_ON_SPARK[name], True)
    for on_fail in ("warn", "quarantine"):
        message = f"expect.expectations.0: {name} cannot be used here|says nothing of single rows"
        with pytest.raises(RecipeError, match=message):
            Gate([rows], {"expect.expectations.0": asked.with_(on_fail)}).verdicts({}, 0)


def test_a_condition_that_great_expectations_passes_over_is_refused(awkward):
    name = WITHOUT_CONDITION[0]
    asked = Case(name, {**OF_ROWS[name][0], **CONDITION}, True).with_("warn")
    with pytest.raises(RecipeError, match="passes over a row_condition of it"):
        Gate([awkward.withColumn(SOURCE, F.lit("s"))], {"p": asked})


def test_rows_are_not_set_aside_by_the_order_in_which_they_are_read(awkward):
    asked = Case("ExpectColumnValuesToBeIncreasing", {"column": "i"}, True).with_("quarantine")
    with pytest.raises(RecipeError, match="a table has no order"):
        Gate([awkward.withColumn(SOURCE, F.lit("s"))], {"p": asked})


def test_rows_of_one_source_alone_are_looked_at(awkward):
    """Uniqueness, a mean and a condition hold within the source, whatever others have."""
    one = awkward.withColumn(SOURCE, F.lit("one"))
    two = awkward.withColumn(SOURCE, F.lit("two"))
    names = ["ExpectColumnValuesToBeUnique", "ExpectColumnValueZScoresToBeLessThan"]
    names += ["ExpectCompoundColumnsToBeUnique", "ExpectColumnPairValuesToBeEqual"]
    cases = [case for case in CASES if case.name in names and case.often]
    alone = Gate([one], {str(i): c.with_("warn") for i, c in enumerate(cases)})
    within = {str(i): c.with_("quarantine", "two") for i, c in enumerate(cases)}
    both = Gate([one, two], within)
    counts = [[(v.unexpected, v.rows, v.success) for v in verdicts(gate)] for gate in (alone, both)]
    assert counts[0] == counts[1]
    assert {r[SOURCE] for r in both.quarantined().select(SOURCE).collect()} == {"two"}
    kept = [row for rows in both.passed() for row in rows.groupBy(SOURCE).count().collect()]
    assert {r[SOURCE]: r["count"] for r in kept}["one"] == len(ROWS)
