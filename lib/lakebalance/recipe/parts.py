"""What the models of a recipe's parts have in common."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _date_as_text(edge: object) -> object:
    """A date that Python code gave, as a recipe's file would write it."""
    return edge.isoformat() if isinstance(edge, dt.date) else edge


Edge = Annotated[float | str, BeforeValidator(_date_as_text)]


class Part(BaseModel):
    """Base of the recipe's parts: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
