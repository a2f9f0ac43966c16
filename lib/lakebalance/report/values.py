"""Shows values so that no two different ones look alike: null, NaN, "null", "", " ", long texts."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lakebalance.core.labels import readable

MOST_CHARACTERS = 80
KEPT_HEAD, KEPT_TAIL = 52, 20
NOT_TEXT = re.compile(
    r"null|none|nan|true|false|all rows|[-+−]?(inf(inity)?|∞)|[-+]?\.?\d[\d_.,]*([eE][-+]?\d+)?",
    re.IGNORECASE,
)
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True)
class Shown:
    """A value as people read it.

    ``kind`` is "special" for what is not a text and would look like one (null, NaN, true),
    ``note`` says what was left out of a long text.
    """

    text: str
    kind: Literal["text", "number", "special"] = "text"
    note: str = ""


ALL_ROWS = Shown("all rows", "special")


def shown(value: Any) -> Shown:
    """One value of a group.

    Parameters
    ----------
    value : as JSON holds it; ``{"float": "NaN"}`` for numbers that JSON lacks.

    Examples
    --------
    >>> shown(None), shown("null").text, shown({"float": "NaN"}).text, shown("").text
    (Shown(text='null', kind='special', note=''), '"null"', 'NaN', '""')
    """
    if isinstance(value, Mapping) and set(value) == {"float"}:
        return _special_number(str(value["float"]))
    if value is None or isinstance(value, bool):
        return Shown(json.dumps(value), "special")
    if isinstance(value, float) and not math.isfinite(value):
        return _special_number(str(value))
    if isinstance(value, (int, float)):
        return Shown(str(value), "number")
    if (array := readable(value)) is not None:
        return replace(_text(array), kind="special")
    if isinstance(value, str):
        return _text(value)
    return _text(json.dumps(value, default=str, ensure_ascii=False))


def group_label(values: Mapping[str, Any]) -> tuple[Shown, ...]:
    """A group's values in the order of its columns; "all rows" where no column makes groups."""
    return tuple(shown(value) for value in values.values()) or (ALL_ROWS,)


def clip(text: Any, most: int = 400) -> str:
    """A text for a table's cell: what is over ``most`` characters is counted, not shown."""
    text = str(text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def _special_number(name: str) -> Shown:
    names = {"nan": "NaN", "inf": "∞", "infinity": "∞", "-inf": "−∞", "-infinity": "−∞"}
    return Shown(names.get(name.lower(), name), "special")


def _text(text: str) -> Shown:
    if len(text) <= MOST_CHARACTERS:
        return Shown(_quoted(text))
    cut = f"{text[:KEPT_HEAD]}…{text[-KEPT_TAIL:]}"
    return Shown(_quoted(cut), note=f"{len(text):,} characters")


def _quoted(text: str) -> str:
    """The text itself, or as a JSON string where it could be taken for something else."""
    unseen = any(unicodedata.category(c) in UNSEEN or (c.isspace() and c != " ") for c in text)
    plain = (
        text and text == " ".join(text.split()) and text[0] != '"' and not NOT_TEXT.fullmatch(text)
    )
    if plain and not unseen:
        return text
    return "".join(_visible(c) for c in json.dumps(text, ensure_ascii=False))


def _visible(character: str) -> str:
    if character == " " or not (unicodedata.category(character) in UNSEEN or character.isspace()):
        return character
    return json.dumps(character)[1:-1]
