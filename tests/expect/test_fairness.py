"""Measures of fairness against published numbers, numbers worked by hand, and their definitions."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebalance.core.errors import RecipeError
from lakebalance.expect.fairness import Tally, fairness, tallied
from lakebalance.recipe.fairness import Fairness
from lakebalance.recipe.load import loads

# What the guide of fairlearn works with, in "Common fairness metrics".
TRUE = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
PREDICTED = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
GROUPS = list("bbabbcccaacabccbcc")
ENTRIES = [({"g": g}, bool(y), bool(p), 1) for g, y, p in zip(GROUPS, TRUE, PREDICTED, strict=True)]
ODDS = {"measure": "equalized_odds_difference", "prediction": "p"}


def measured(entries, **parts):
    gate = {"groups": ["g"], "outcome": "y", "min_rows": 1, **parts}
    if gate["outcome"] is None:
        del gate["outcome"]
    reference = gate.pop("population", None)
    size = gate.pop("size", 1)
    return fairness(Fairness.model_validate(gate), tallied(entries), "before", reference, size)


def test_the_numbers_of_the_guide_of_fairlearn():
    of_predictions = [(group, predicted, None, 1) for group, _, predicted, _ in ENTRIES]
    difference = measured(of_predictions, measure="demographic_parity_difference").verdict
    assert (difference.number, difference.limit, difference.success) == (0.25, 0.1, False)
    assert difference.worst == 'g="b" 50.0% of 6 rows, g="a" 75.0% of 4 rows'
    ratio = measured(of_predictions, measure="disparate_impact_ratio").verdict
    assert ratio.number == pytest.approx(2 / 3)
    odds = measured(ENTRIES, **ODDS).verdict
    assert odds.number == 1.0 and not odds.success
    assert odds.worst.startswith("false positive rate of ")


def hired(first, second):
    """Two groups of a hundred, of whom so many are hired."""
    pairs = zip("ab", (first, second), strict=True)
    return [({"g": g}, met, None, n if met else 100 - n) for g, n in pairs for met in (True, False)]


def test_rates_of_30_and_60_in_100_fail_four_fifths():
    found = measured(hired(30, 60), measure="disparate_impact_ratio")
    assert (found.verdict.number, found.verdict.limit, found.verdict.success) == (0.5, 0.8, False)
    assert found.verdict.worst == 'g="a" 30.0% of 100 rows, g="b" 60.0% of 100 rows'
    assert found.diagnostic.rows == [
        ['g="a"', 100, 30, 0.3, 0.5, "yes"],
        ['g="b"', 100, 60, 0.6, 1.0, "yes"],
    ]
    difference = measured(hired(30, 60), measure="demographic_parity_difference").verdict
    assert difference.number == pytest.approx(0.3)


def test_a_threshold_that_is_met_exactly_is_met():
    # 0.8 as a double is a little over four fifths, and 0.3 a little under three tenths.
    assert measured(hired(80, 100), measure="disparate_impact_ratio").verdict.success
    assert not measured(hired(79, 100), measure="disparate_impact_ratio").verdict.success
    parity = {"measure": "demographic_parity_difference", "threshold": 0.3}
    assert measured(hired(10, 40), **parity).verdict.success
    assert not measured(hired(10, 41), **parity).verdict.success


def test_small_intersections_and_unknown_outcomes_are_named_and_left_out():
    entries = [
        ({"g": "a", "h": None}, True, None, 50), ({"g": "a", "h": None}, False, None, 50),
        ({"g": "a", "h": "x"}, True, None, 60), ({"g": "a", "h": "x"}, False, None, 40),
        ({"g": "b", "h": "x"}, False, None, 99), ({"g": "b", "h": "x"}, None, None, 1000),
    ]  # fmt: skip
    gate = {"groups": ["g", "h"], "measure": "demographic_parity_difference", "min_rows": 100}
    found = measured(entries, **gate)
    assert found.verdict.number == pytest.approx(0.1) and found.verdict.success
    assert found.verdict.rows == 1299
    note = 'Fewer than 100 rows have g="b", h="x": they are not judged. 1,000 rows do not count'
    assert note in found.diagnostic.note
    assert [row[-1] for row in found.diagnostic.rows] == ["yes", "yes", "no"]
    assert found.diagnostic.rows[0][0] == 'g="a", h=null'


def test_nothing_to_compare_passes_and_says_so():
    one = measured(hired(30, 60)[:2], measure="disparate_impact_ratio")
    assert one.verdict.success and one.verdict.number is None and one.verdict.worst is None
    assert one.diagnostic.warning[0] == "fairness_not_compared"
    assert measured([], **ODDS).verdict.number is None
    # A rate of nought everywhere is equal everywhere.
    none = measured(hired(0, 0), measure="disparate_impact_ratio").verdict
    assert (none.number, none.success) == (1, True)


def test_representation_is_the_least_ratio_of_shares():
    entries = [({"g": "a"}, None, None, 700), ({"g": "b"}, None, None, 200),
               ({"g": "c"}, None, None, 100), ({"g": None}, None, None, 500)]  # fmt: skip
    representation = {"measure": "representation", "outcome": None}
    population = {"a": 55, "b": 30, "c": 10, "d": 5}
    shares = {name: n / 100 for name, n in population.items()}
    asked = {**representation, "reference": {"shares": shares}, "population": population}
    found = measured(entries, min_rows=60, **asked)
    # Of the 1,000 rows of named groups: b has 20 %, where 30 % are in the population.
    assert found.verdict.number == pytest.approx(2 / 3) and not found.verdict.success
    assert found.verdict.worst == "b 20.0% of rows, 30.0% of the reference"
    assert "The reference lets expect too few rows of d." in found.diagnostic.note
    assert "does not have null (500 rows)" in found.diagnostic.note
    assert [row[0] for row in found.diagnostic.rows] == ["b", "c", "a", "d"]
    every = measured(entries, min_rows=50, **asked).verdict
    assert every.number == 0 and every.worst.startswith("d 0.0%")


def test_weights_are_parts_of_rows():
    whole = measured(hired(30, 60), measure="disparate_impact_ratio", min_rows=100)
    parts = [(g, o, p, n * 1000) for g, o, p, n in hired(30, 60)]
    gate = {"measure": "disparate_impact_ratio", "min_rows": 100, "size": 1000}
    assert measured(parts, **gate) == whole


COUNTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from([True, False, None]),
        st.sampled_from([True, False, None]), st.integers(0, 30),
    ),
    max_size=30,
)  # fmt: skip


@given(COUNTS, st.integers(0, 30), st.sampled_from(["demographic_parity_difference",
       "disparate_impact_ratio", "equalized_odds_difference"]))  # fmt: skip
def test_measures_are_their_definitions_whatever_the_order_of_counts(counts, cut, measure):
    entries = [({"g": g}, y, p, n) for g, y, p, n in counts]
    parts = {"measure": measure, **({"prediction": "p"} if "odds" in measure else {})}
    found = measured(entries, **parts)
    # Counts of parts add up to those of the whole.
    assert measured([*entries[cut:], *entries[:cut]], **parts) == found

    def rates(rows_of, met_of):
        shares = []
        for group in "abcd":
            own = [row for row in counts if row[0] == group and rows_of(row)]
            if n := sum(row[3] for row in own):
                shares.append(Fraction(sum(row[3] for row in own if met_of(row)), n))
        return shares

    if "odds" in measure:
        both = [
            rates(lambda row, y=y: row[1] is y and row[2] is not None, lambda row: row[2])
            for y in (True, False)
        ]
        gaps = [max(abs(a - b) for a, b in itertools.combinations(own, 2))
                for own in both if len(own) > 1]  # fmt: skip
        expected = max(gaps, default=None)
    else:
        own = rates(lambda row: row[1] is not None, lambda row: row[1])
        pairs = [] if len(own) < 2 else list(itertools.combinations(own, 2))
        if "ratio" in measure:
            expected = min((min(p) / max(p) if max(p) else 1 for p in pairs), default=None)
        else:
            expected = max((abs(a - b) for a, b in pairs), default=None)
    number = found.verdict.number
    assert number == (None if expected is None else pytest.approx(float(expected)))


RECIPE = """\
name: t
sources: [{name: a, table: lake/a}]
expect:
  fairness:
    - {groups: [g], outcome: late, measure: disparate_impact_ratio}
publish: {table: lake/out}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ratio}", "ratio, on_fail: quarantine}",
         r"r.yaml:5  expect.fairness.0.on_fail: fairness says nothing of single rows"),
        ("outcome: late, ", "", r"fairness.0: disparate_impact_ratio needs outcome; write it"),
        ("ratio}", "ratio, prediction: p}", r"has no use for prediction; leave it out"),
        ("outcome: late", "outcome: rand() < 1", r'"rand" is not a function of the row'),
        ("outcome: late", "outcome: {colum: a, value: 1}", r'unknown field; did you mean "column"'),
        ("outcome: late, measure: disparate_impact_ratio", "measure: representation",
         r"representation needs reference"),
        ("outcome: late, measure: disparate_impact_ratio",
         "measure: representation, reference: {shares: {a: 0.5}}", r"shares sum to 0.5; they must"),
        ("outcome: late, measure: disparate_impact_ratio",
         "measure: representation, reference: {shares: {a: 1}, count: n}", r"count goes with"),
        ("[g]", "[g, g]", r"groups: the column 'g' is there twice"),
    ],
)  # fmt: skip
def test_mistakes_in_recipes_are_said_with_their_place(old, new, message):
    with pytest.raises(RecipeError, match=message):
        loads(RECIPE.replace(old, new), "r.yaml")


def test_recipes_round_trip():
    for outcome in ("late", "{column: late, value: true}", "{column: n, value: 1}"):
        recipe = loads(RECIPE.replace("outcome: late", f"outcome: {outcome}"))
        assert loads(recipe.to_yaml()) == recipe


def test_a_reference_table_tells_groups_apart_whose_names_are_alike():
    gate = Fairness(
        groups=["g", "h"], measure="representation", reference={"table": "t"}, min_rows=1
    )
    ours = [Tally({"g": "a/b", "h": "c"}, {(None, None): 600}),
            Tally({"g": "a", "h": "b/c"}, {(None, None): 300})]  # fmt: skip
    people = {(own.name, own.text): 300 for own in ours}
    found = fairness(gate, ours, "before", people)
    assert found.verdict.number == pytest.approx(2 / 3) and not found.verdict.success
    apart = [Tally({"g": g}, {(None, None): 200}) for g in (None, "null", "a")]
    gate = gate.model_copy(update={"groups": ["g"]})
    same = fairness(gate, apart, "before", {(own.name, own.text): 200 for own in apart})
    assert same.verdict.number == 1 and len(same.diagnostic.rows) == 3
    # Of another type, groups are known by their names.
    numbers = [Tally({"g": n}, {(None, None): 5}) for n in (1, 2)]
    texts = [Tally({"g": str(n)}, {}) for n in (1, 2)]
    alike = fairness(gate, numbers, "before", {(own.name, own.text): 1 for own in texts})
    assert alike.verdict.number == 1
