"""Errors meant for the user: each says what was wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LakebalanceError(Exception):
    """A failure that the user can mend; ``exit_code`` is the command line's exit status."""

    exit_code = 1


class RecipeError(LakebalanceError):
    """The recipe, or how it was called, is wrong."""

    exit_code = 2


class GateError(LakebalanceError):
    """An expectation with ``on_fail: stop`` failed."""

    exit_code = 3


class TableError(LakebalanceError):
    """A source or the target is not as needed: missing, changed under way, no permission."""

    exit_code = 4


class AuditError(LakebalanceError):
    """What would be, or was, published differs from the plan; the target is as before."""

    exit_code = 5


def first_line(error: BaseException) -> str:
    """The line of an exception's text in which Spark says what was wrong."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if not lines[0].startswith("An error occurred while calling"):
        return lines[0]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else lines[min(1, len(lines) - 1)]).removeprefix(": ")


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Say which known names are close to a wrong one.

    Parameters
    ----------
    name : the name that was written.
    candidates : the names that exist.

    Returns
    -------
    A clause for the end of an error message; it lists the names when none is close.

    Examples
    --------
    >>> nearest("carier", ["carrier", "flight"])
    'did you mean "carrier"?'
    >>> nearest("zzz", ["carrier", "flight"])
    'there are: carrier, flight'
    """
    known = sorted(set(candidates))
    folded = {k.casefold(): k for k in known}
    close = get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f'"{folded[c]}"' for c in close) + "?"
    listed = ", ".join(known[:12]) + (f", … ({len(known)} in all)" if len(known) > 12 else "")
    return f"there are: {listed}" if known else "there are none"
