"""Reads the least and greatest values that Delta's logs hold, typed so that they compare rightly.

What a log says may be off by what its writer cut away: texts are cut to a prefix, times to
milliseconds. So a log's value gives two here: one that the true value is not below, and one that it
is not above.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal, InvalidOperation
from typing import Any

# Ends that writers put behind a greatest text that they cut, so that it stays the greatest.
TIE_BREAKERS = "\x7f\ufffd\U0010ffff"
# Writers cut texts to 32 characters or more; some then raise the last one in place of a
# tie-breaker, or an earlier one, where those behind it cannot be raised.
PREFIX = 16
NEXT_MILLISECOND = dt.timedelta(microseconds=999)
INTEGERS = ("byte", "short", "integer", "long")

Value = int | float | Decimal | str | dt.datetime
Pair = tuple[Value | None, Value | None]


def comparable(kind: Any) -> bool:
    """Whether values of a type, as Delta's schema writes it, are compared.

    Examples
    --------
    >>> comparable("long"), comparable("decimal(10,2)"), comparable({"type": "struct"})
    (True, True, False)
    """
    return isinstance(kind, str) and (
        kind in (*INTEGERS, "float", "double", "string", "date", "timestamp", "timestamp_ntz")
        or kind.startswith("decimal(")
    )


def parsed(text: Any, kind: str) -> Value | None:
    """A value of a log as Python compares it; None where it cannot be read or compared.

    Dates become midnights without zone. A float is rounded as it is stored, since logs write the
    shortest text that names it: 0.1 as a float is not 0.1 as a double.

    Parameters
    ----------
    text : a number (whole, or ``Decimal``) or a text, as the log's JSON has it.
    kind : the column's type, as Delta's schema writes it.

    Examples
    --------
    >>> parsed(Decimal("0.1"), "double"), parsed(Decimal("0.1"), "float")
    (0.1, 0.10000000149011612)
    >>> parsed("2013-01-01T05:00:00.000Z", "timestamp").isoformat()
    '2013-01-01T05:00:00+00:00'
    """
    try:
        if kind in INTEGERS:
            return int(text)
        if kind.startswith("decimal("):
            return Decimal(text)
        if kind in ("float", "double"):
            return _float(text, kind)
        if kind == "string":
            return text if isinstance(text, str) else None
        return _moment(str(text), zoned=kind == "timestamp")
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return None


def _float(text: Any, kind: str) -> float | None:
    value = float(text)
    if math.isnan(value):
        return None
    if kind == "float" and not math.isinf(value):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return value


def _moment(text: str, *, zoned: bool) -> dt.datetime | None:
    value = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    # A time whose zone is not written, or is where none may be, could be any moment.
    return value if (value.tzinfo is not None) == zoned else None


def least(text: Any, kind: str) -> Pair:
    """Between which values the least one of a file lies: not below the first, not above the second.

    A text may have been cut, so the true one is any that starts with it: ``is_below`` knows.
    """
    value = parsed(text, kind)
    if isinstance(value, dt.datetime) and kind != "date":
        return value, _later(value)
    return value, value


def greatest(text: Any, kind: str) -> Pair:
    """Between which values the greatest one of a file lies.

    Examples
    --------
    >>> greatest("a" * 32 + "\\x7f", "string") == ("a" * 31, "a" * 32 + "\\x7f")
    True
    >>> greatest("UA", "string"), greatest("NaN", "double")
    (('UA', 'UA'), (None, inf))
    """
    if kind in ("float", "double") and text == "NaN":
        return None, math.inf
    value = parsed(text, kind)
    if isinstance(value, dt.datetime) and kind != "date":
        return value, _later(value)
    if isinstance(value, str):
        return _uncut(value), value
    return value, value


def _uncut(text: str) -> str:
    """A text that the true greatest one is not below."""
    kept = text.rstrip(TIE_BREAKERS)
    return kept[:-1] if len(kept) >= PREFIX else kept


def _later(value: dt.datetime) -> dt.datetime | None:
    try:
        return value + NEXT_MILLISECOND
    except OverflowError:
        return None


def is_below(a: Value, b: Value) -> bool:
    """Whether the least value, at most ``a``, is below one that is at least ``b``.

    Examples
    --------
    >>> is_below(1, 2), is_below("ab", "abc"), is_below("ab", "ac")
    (True, False, True)
    """
    if isinstance(a, str) and isinstance(b, str):
        return a < b and not b.startswith(a)
    return bool(a < b)  # type: ignore[operator]


def written(value: Value | None) -> str | float | int | None:
    """A value as JSON keeps it, to be read again by ``parsed``."""
    if isinstance(value, Decimal | dt.datetime):
        return str(value) if isinstance(value, Decimal) else value.isoformat()
    return str(value) if isinstance(value, float) and math.isinf(value) else value
