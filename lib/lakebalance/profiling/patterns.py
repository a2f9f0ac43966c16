"""What texts look like: letters, digits and other characters, as in ``AA-999``."""

from __future__ import annotations

import re
from itertools import groupby

from pyspark.sql import Column
from pyspark.sql import functions as F

MOST = 40
LONG = f"more than {MOST} characters"
CLASSES = {"A": r"\p{Lu}", "a": r"\p{L}", "9": r"\p{Nd}"}


def pattern_of(text: Column) -> Column:
    """The pattern of a text: capital letters A, other letters a, digits 9, the rest as it is.

    Parameters
    ----------
    text : a column of texts; null stays null.
    """
    found = text
    # Letters of scripts without case are as small ones; A itself is no other letter.
    for letters, sign in ((r"\p{Lu}", "A"), (r"[\p{L}&&[^A]]", "a"), (r"\p{Nd}", "9")):
        found = F.regexp_replace(found, letters, sign)
    return F.when(F.length(text) > MOST, F.lit(LONG)).otherwise(found)


def regex_of(pattern: str) -> str | None:
    r"""A regular expression of Java that all texts of a pattern match; None where it says nothing.

    Examples
    --------
    >>> regex_of("A99-9a")
    '^\\p{Lu}\\p{Nd}{2}\\-\\p{Nd}\\p{L}$'
    >>> regex_of(LONG) is None
    True
    """
    if pattern == LONG or not pattern:
        return None
    parts = []
    for sign, run in groupby(pattern):
        length = len(list(run))
        one = CLASSES.get(sign, re.escape(sign))
        parts.append(one if length == 1 else f"{one}{{{length}}}")
    return f"^{''.join(parts)}$"
