"""How numbers are written in reports: counts, shares, ratios, epochs, times."""

from __future__ import annotations

import datetime as dt

MISSING = "–"


def count(n: int | None) -> str:
    """A number of rows.

    Examples
    --------
    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return MISSING if n is None else f"{n:,}"


def cell(value: str | int | float | None) -> str:
    """A value in a table of diagnostics: whole numbers in full, others to four digits.

    Examples
    --------
    >>> cell(1234567), cell(0.123456), cell(109416.27), cell(None), cell("x")
    ('1,234,567', '0.1235', '109,416', '–', 'x')
    >>> cell(0.00012345), cell(-2.9e-12), cell(2.5e20), cell(float("nan"))
    ('0.0001234', '-2.9e-12', '2.5e+20', 'nan')
    """
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return value if isinstance(value, str) else count(value)


def share(part: float | None, whole: float | None) -> str:
    """A part of a whole in percent; a small part is never shown as nothing.

    Examples
    --------
    >>> share(1, 3), share(1, 10**6), share(999_999, 10**6), share(0, 5), share(1, 0)
    ('33.3%', '<0.1%', '>99.9%', '0%', '–')
    """
    if part is None or not whole:
        return MISSING
    percent = 100 * part / whole
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if 0 < percent < 0.1:
        return "<0.1%"
    return ">99.9%" if 99.9 < percent < 100 else f"{percent:.1f}%"


def ratio(largest: int | None, smallest: int | None) -> str:
    """Largest to smallest.

    Examples
    --------
    >>> ratio(58665, 32), ratio(9123, 2659), ratio(None, None)
    ('1,833 : 1', '3.4 : 1', '–')
    """
    if not largest or not smallest:
        return MISSING
    value = largest / smallest
    return f"{value:,.0f} : 1" if value >= 100 or value == round(value) else f"{value:.1f} : 1"


def epochs(value: float) -> str:
    """How often a row is seen on average.

    Examples
    --------
    >>> epochs(0.0001), epochs(4.42), epochs(12.345), epochs(0)
    ('<0.01', '4.42', '12.3', '0')
    """
    if value == 0:
        return "0"
    if value < 0.01:
        return "<0.01"
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def worth(value: float | None) -> str:
    """What a row is worth, in new ones.

    Examples
    --------
    >>> worth(1.0), worth(0.3772), worth(0.0001), worth(None)
    ('1', '0.377', '<0.001', '–')
    """
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3g}"


def seconds(value: float | None) -> str:
    """How long something took.

    Examples
    --------
    >>> seconds(0.04), seconds(12.34), seconds(200), seconds(7300)
    ('0.04 s', '12.3 s', '3 min 20 s', '2 h 1 min')
    """
    if value is None:
        return MISSING
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short(n: int) -> str:
    """A round number for an axis.

    Examples
    --------
    >>> [short(n) for n in (1, 500, 1000, 2_500_000, 10**10)]
    ['1', '500', '1k', '2.5M', '10G']
    """
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:g}{letter}"
    return str(n)


def moment(iso: str) -> str:
    """A time in UTC, as people write it; what is not a time stays as it is.

    Examples
    --------
    >>> moment("2025-03-01T12:30:05.123+00:00"), moment("2025-03-01T12:30:05Z"), moment("?")
    ('2025-03-01 12:30 UTC', '2025-03-01 12:30 UTC', '?')
    """
    try:
        time = dt.datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    if time.tzinfo is not None:
        time = time.astimezone(dt.timezone.utc)
    return f"{time:%Y-%m-%d %H:%M} UTC"
