"""What the models of a recipe's parts have in common."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import BeforeValidator

from lakebalance.core.strict import Strict


def _date_as_text(edge: object) -> object:
    """A date that Python code gave, as a recipe's file would write it."""
    return edge.isoformat() if isinstance(edge, dt.date) else edge


Edge = Annotated[int | float | str, BeforeValidator(_date_as_text)]


class Part(Strict):
    """Base of the recipe's parts."""
