"""Periods of a time, from hours to years, in UTC, as texts that sort as they do."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

Period = Literal["hour", "day", "week", "month", "quarter", "year"]
MICROSECONDS = 1_000_000
HOUR = 3600 * MICROSECONDS


def period(at: Column, kind: T.DataType, every: Period) -> Column:
    """The period that a time lies in, such as 2013-04-01 05:00, 2013-04-01, 2013-W14 or 2013-Q2.

    Made of what is counted since 1970, so that it does not follow the session's time zone. Weeks
    are those of ISO 8601, which begin on Monday; the first and last days of a year may be in a week
    of the year before or after.

    Parameters
    ----------
    at : days since 1970 of dates, microseconds of timestamps; null stays null.
    kind : the type of the column.
    every : the length of the period; a date lies in the first hour of its day.
    """
    whole = F.floor(at)
    moment = whole * 24 * HOUR if isinstance(kind, T.DateType) else whole
    hours = F.floor(moment / HOUR)
    days = F.floor(moment / (24 * HOUR))
    day = F.date_from_unix_date(days.cast("int"))
    text = day.cast("string")
    year = F.regexp_extract(text, r"^(.*)-\d\d-\d\d$", 1)
    week = F.lpad(F.weekofyear(day).cast("string"), 2, "0")
    hour = F.lpad((hours - days * 24).cast("string"), 2, "0")
    return {
        "hour": F.concat(text, F.lit(" "), hour, F.lit(":00")),
        "day": text,
        "week": F.concat(F.extract(F.lit("YEAROFWEEK"), day).cast("string"), F.lit("-W"), week),
        "month": F.regexp_extract(text, r"^(.*)-\d\d$", 1),
        "quarter": F.concat(year, F.lit("-Q"), F.quarter(day).cast("string")),
        "year": year,
    }[every]
