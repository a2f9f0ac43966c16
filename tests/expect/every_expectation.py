"""A small awkward table, and arguments for each of Great Expectations' expectations over it."""

import datetime as dt
from decimal import Decimal

SCHEMA = (
    "i bigint, d double, m decimal(10,2), t string, day date, at timestamp, `A b` int, `d.t` int, "
    "js string, a int, b int, s struct<x:int,y:string>, when string"
)
NAN = float("nan")


def _row(i, d, m, t, day, at, pair, js, when):
    m = None if m is None else Decimal(m)
    day = None if day is None else dt.date(2024, 1, day)
    at = None if at is None else dt.datetime(2024, 1, at, 12, 30)
    a, b = pair
    return (i, d, m, t, day, at, i, a, js, a, b, (i and int(i), t), when)


ROWS = [
    _row(1, 1.0, "0.10", "one", 1, 1, (1, 1), '{"k": 1}', "2024-01-01"),
    _row(2, NAN, "0.20", "two", 2, 2, (2, 1), '{"k": "x"}', "2024-01-02"),
    _row(2, -0.0, "0.20", "Two", 2, None, (2, 2), "{", "02/01/2024"),
    _row(None, None, None, None, None, 4, (None, None), None, None),
    _row(5, 1e9, "99.99", "", 5, 5, (None, 3), "[]", "never"),
    _row(6, 2.5, "-1.00", "null", 6, 6, (3, None), '"text"', "2024-02-30"),
    _row(4, 2.5, "0.10", "a.b", 4, 3, (0, 9), "1", "2024-01-04"),
    _row(4, NAN, None, "two", 4, 3, (7, 7), "", "2024-01-05"),
    _row(9, float("-inf"), "5.00", "one", None, 9, (7, 8), "null", "2024-01-09"),
]
CONDITION = {"row_condition": "i < 6 AND t <> 'Two'", "condition_parser": "spark"}

# Of each expectation of rows, arguments: they are tried as they are, with mostly, and with a
# condition.
OF_ROWS = {
    "ExpectColumnPairValuesAToBeGreaterThanB": [
        {"column_A": "a", "column_B": "b", "or_equal": True},
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
        {"column_A": "a", "column_B": "A b", "ignore_row_if": "both_values_are_missing"},
    ],
    "ExpectColumnPairValuesToBeEqual": [
        {"column_A": "a", "column_B": "b"},
        {"column_A": "a", "column_B": "b", "ignore_row_if": "either_value_is_missing"},
        {"column_A": "a", "column_B": "b", "ignore_row_if": "neither"},
    ],
    "ExpectColumnPairValuesToBeInSet": [
        {"column_A": "a", "column_B": "b", "value_pairs_set": [[1, 1], [2, 2], [3, None]]},
        {
            "column_A": "a",
            "column_B": "b",
            "value_pairs_set": [[7, 7]],
            "ignore_row_if": "either_value_is_missing",
        },
    ],
    "ExpectColumnValueLengthsToBeBetween": [{"column": "t", "min_value": 1, "max_value": 3}],
    "ExpectColumnValueLengthsToEqual": [{"column": "t", "value": 3}],
    "ExpectColumnValueZScoresToBeLessThan": [
        {"column": "i", "threshold": 1.0, "double_sided": True},
        {"column": "A b", "threshold": 0.5, "double_sided": False},
    ],
    "ExpectColumnValuesToBeBetween": [
        {"column": "i", "min_value": 2, "max_value": 5},
        {"column": "d", "min_value": 0, "strict_min": True},
        {"column": "m", "max_value": 5},
        {"column": "day", "min_value": "2024-01-02"},
        {"column": "at", "max_value": "2024-01-04 00:00:00"},
        {"column": "A b", "min_value": 2},
        {"column": "d.t", "min_value": 2},
        {"column": "s.x", "min_value": 3},
    ],
    "ExpectColumnValuesToBeDecreasing": [{"column": "i"}],
    "ExpectColumnValuesToBeIncreasing": [{"column": "i"}, {"column": "d", "strictly": True}],
    "ExpectColumnValuesToBeInSet": [
        {"column": "t", "value_set": ["one", "two"]},
        {"column": "A b", "value_set": [1, 2, 4]},
        {"column": "d", "value_set": [1.0, 2.5]},
        {"column": "d.t", "value_set": [1, 2]},
    ],
    "ExpectColumnValuesToBeJsonParseable": [{"column": "js"}],
    "ExpectColumnValuesToBeNull": [{"column": "a"}, {"column": "d"}, {"column": "d.t"}],
    "ExpectColumnValuesToBeUnique": [
        {"column": "t"},
        {"column": "d"},
        {"column": "at"},
        {"column": "A b"},
        {"column": "d.t"},
    ],
    "ExpectColumnValuesToMatchJsonSchema": [
        {"column": "js", "json_schema": {"type": "object"}, "of": "js IN ('{\"k\": 1}', '[]')"},
    ],
    "ExpectColumnValuesToMatchRegex": [{"column": "t", "regex": "^t"}],
    "ExpectColumnValuesToMatchRegexList": [
        {"column": "t", "regex_list": ["^t", "e$"], "match_on": "any"},
        {"column": "t", "regex_list": ["^t", "o$"], "match_on": "all"},
    ],
    "ExpectColumnValuesToMatchStrftimeFormat": [{"column": "when", "strftime_format": "%Y-%m-%d"}],
    "ExpectColumnValuesToNotBeInSet": [{"column": "i", "value_set": [2, 9]}],
    "ExpectColumnValuesToNotBeNull": [
        {"column": "a"},
        {"column": "d"},
        {"column": "A b"},
        {"column": "d.t"},
        {"column": "s"},
    ],
    "ExpectColumnValuesToNotBeOutliers": [{"column": "i"}, {"column": "A b", "multiplier": 0.5}],
    "ExpectColumnValuesToNotMatchRegex": [{"column": "t", "regex": "^t"}],
    "ExpectColumnValuesToNotMatchRegexList": [{"column": "t", "regex_list": ["^T", "l$"]}],
    "ExpectCompoundColumnsToBeUnique": [
        {"column_list": ["i", "t"]},
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
        {"column_list": ["A b", "day"], "ignore_row_if": "all_values_are_missing"},
        {"column_list": ["a", "b"], "ignore_row_if": "never"},
    ],
    "ExpectMulticolumnSumToEqual": [
        {"column_list": ["a", "b"], "sum_total": 4},
        {"column_list": ["a", "A b"], "sum_total": 2, "ignore_row_if": "any_value_is_missing"},
    ],
    "ExpectMulticolumnValuesToBeEqual": [
        {"column_list": ["a", "b", "A b"]},
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
    ],
    "ExpectSelectColumnValuesToBeUniqueWithinRecord": [
        {"column_list": ["a", "b", "A b"]},
        {"column_list": ["a", "b"], "ignore_row_if": "any_value_is_missing"},
    ],
}

# Of those of all rows, arguments that are met, and such that are not.
OF_TABLES = {
    "ExpectColumnDistinctValuesToBeInSet": [
        {"column": "a", "value_set": [0, 1, 2, 3, 7]},
        {"column": "a", "value_set": [1]},
    ],
    "ExpectColumnDistinctValuesToContainSet": [
        {"column": "t", "value_set": ["one"]},
        {"column": "t", "value_set": ["none"]},
    ],
    "ExpectColumnDistinctValuesToEqualSet": [
        {"column": "b", "value_set": [1, 2, 3, 7, 8, 9]},
        {"column": "b", "value_set": [1]},
    ],
    "ExpectColumnKLDivergenceToBeLessThan": [
        {
            "column": "t",
            "partition_object": {"values": ["one", "two"], "weights": [0.5, 0.5]},
            "threshold": 100,
            "tail_weight_holdout": 0.1,
        },
        {
            "column": "t",
            "partition_object": {"values": ["one", "two"], "weights": [0.5, 0.5]},
            "threshold": 0.0001,
            "tail_weight_holdout": 0.1,
        },
    ],
    "ExpectColumnMaxToBeBetween": [
        {"column": "i", "max_value": 9},
        {"column": "m", "max_value": 9},
        {"column": "day", "max_value": "2024-01-05"},
        {"column": "A b", "max_value": 5, **CONDITION},
    ],
    "ExpectColumnMeanToBeBetween": [
        {"column": "i", "min_value": 4, "max_value": 5},
        {"column": "A b", "min_value": 9},
    ],
    "ExpectColumnMedianToBeBetween": [
        {"column": "i", "min_value": 2, "max_value": 5},
        {"column": "i", "min_value": 9},
    ],
    "ExpectColumnMinToBeBetween": [
        {"column": "i", "min_value": 1},
        {"column": "i", "min_value": 2},
    ],
    "ExpectColumnMostCommonValueToBeInSet": [
        {"column": "a", "value_set": [2, 7], "ties_okay": True},
        {"column": "a", "value_set": [1]},
    ],
    "ExpectColumnProportionOfNonNullValuesToBeBetween": [
        {"column": "a", "min_value": 0.7},
        {"column": "a", "min_value": 0.9},
    ],
    "ExpectColumnProportionOfUniqueValuesToBeBetween": [
        {"column": "t", "min_value": 0.5},
        {"column": "t", "min_value": 0.99},
    ],
    "ExpectColumnQuantileValuesToBeBetween": [
        {
            "column": "i",
            "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 6]]},
        },
        {
            "column": "i",
            "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[8, 9]]},
        },
    ],
    "ExpectColumnStdevToBeBetween": [
        {"column": "i", "min_value": 1, "max_value": 5},
        {"column": "i", "min_value": 50},
    ],
    "ExpectColumnSumToBeBetween": [
        {"column": "i", "min_value": 33, "max_value": 33},
        {"column": "m", "min_value": 1000},
    ],
    "ExpectColumnToExist": [{"column": "A b"}, {"column": "nowhere"}],
    "ExpectColumnTypeToBe": [
        {"column": "i", "type_": "LongType"},
        {"column": "i", "type_": "StringType"},
    ],
    "ExpectColumnUniqueValueCountToBeBetween": [
        {"column": "t", "min_value": 5},
        {"column": "t", "max_value": 2},
    ],
    # Of rows by name, but on Spark Great Expectations looks at the column's type.
    "ExpectColumnValuesToBeInTypeList": [
        {"column": "i", "type_list": ["LongType", "IntegerType"]},
        {"column": "i", "type_list": ["StringType"]},
    ],
    "ExpectColumnValuesToBeOfType": [
        {"column": "t", "type_": "StringType"},
        {"column": "t", "type_": "LongType"},
    ],
    "ExpectTableColumnCountToBeBetween": [{"max_value": 20}, {"max_value": 2}],
    "ExpectTableColumnCountToEqual": [{"value": 13}, {"value": 2}],
    "ExpectTableColumnsToMatchOrderedList": [{"column_list": ["i"]}],
    "ExpectTableColumnsToMatchSet": [
        {"column_set": ["i", "t"], "exact_match": False},
        {"column_set": ["i"], "exact_match": True},
    ],
    "ExpectTableRowCountToBeBetween": [{"min_value": 9}, {"min_value": 10}],
    "ExpectTableRowCountToEqual": [{"value": 9}, {"value": 8}],
    "UnexpectedRowsExpectation": [
        {"unexpected_rows_query": "SELECT * FROM {batch} WHERE i > 100"},
        {"unexpected_rows_query": "SELECT * FROM {batch} WHERE i > 5"},
    ],
}

# Those that Great Expectations cannot do on a Spark frame.
NOT_ON_SPARK = {
    "ExpectColumnValuesToBeDateutilParseable": {"column": "when"},
    "ExpectColumnValuesToMatchLikePattern": {"column": "t", "like_pattern": "t%"},
    "ExpectColumnValuesToMatchLikePatternList": {"column": "t", "like_pattern_list": ["t%"]},
    "ExpectColumnValuesToNotMatchLikePattern": {"column": "t", "like_pattern": "t%"},
    "ExpectColumnValuesToNotMatchLikePatternList": {"column": "t", "like_pattern_list": ["t%"]},
    "ExpectMulticolumnValuesToBeUnique": {"column": "a", "column_list": ["a", "b"]},
    "ExpectQueryResultsToMatchComparison": {
        "base_query": "SELECT 1",
        "comparison_data_source_name": "other",
        "comparison_query": "SELECT 1",
    },
    "ExpectTableRowCountToEqualOtherTable": {"other_table_name": "other"},
}
