"""Tables of losses, CSV files beside a recipe: bucket, samples seen, loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lakebalance.core.errors import RecipeError

LOSS_COLUMNS = ("bucket", "samples_seen", "loss")


def losses(header: Sequence[str], lines: Sequence[list[str]], where: str) -> list[dict[str, Any]]:
    """The losses in a table, in order of buckets, samples and losses; an empty bucket is null.

    Parameters
    ----------
    header : ``LOSS_COLUMNS`` in any order.
    lines : the lines below it.
    where : the recipe's line and the file, for messages.

    Raises
    ------
    RecipeError : with the line that is not as it should be.

    Examples
    --------
    >>> losses(["bucket", "samples_seen", "loss"], [["top", "1000", "0.5"]], "recipe.yaml:3")
    [{'bucket': 'top', 'samples_seen': 1000, 'loss': 0.5}]
    """
    found = []
    for number, line in enumerate(lines, 2):
        try:
            if len(line) != len(header):
                raise ValueError(f"{len(line)} values")
            values = dict(zip(header, line, strict=True))
            samples, loss = int(values["samples_seen"]), float(values["loss"])
            if samples < 1 or not 0 < loss < math.inf:
                raise ValueError(f"{samples} samples_seen and a loss of {loss:g}")
        except ValueError as error:
            raise RecipeError(
                f"{where}, line {number}: {error}; there must be {len(header)} values, "
                "samples_seen a whole number of at least 1 and loss a number above 0"
            ) from error
        found.append({"bucket": values["bucket"] or "null", "samples_seen": samples, "loss": loss})
    return sorted(found, key=lambda each: (each["bucket"], each["samples_seen"], each["loss"]))
