"""Bytes and money for people."""

from __future__ import annotations


def size(n: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size(0), size(1234), size(5_600_000), size(7 * 10**12)
    ('0 B', '1.2 kB', '5.6 MB', '7.0 TB')
    """
    value, units = float(n), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{n} B" if units[0] == "B" else f"{value:,.1f} {units[0]}"


def money(value: float) -> str:
    """An amount in the user's currency.

    Examples
    --------
    >>> money(1234.5), money(0.000123456), money(0)
    ('1,234.50', '0.000123', '0')
    """
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
