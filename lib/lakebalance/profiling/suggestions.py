"""What a table's profile suggests for a recipe: all rules, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lakebalance.profiling.facts import ColumnFacts
from lakebalance.profiling.patterns import LONG, regex_of

# A column to balance by has so many values at most, numbers fewer, each of so many rows on average.
MOST_GROUPS, MOST_NUMBERED, ROWS_OF_GROUP = 50, 20, 5
# A text is long where so many of the column's values are longer than a pattern.
LONG_TEXTS = 0.5
# A time that is no more than a few moments splits nothing.
MOMENTS = 20
# An entity has on average two rows or more, and there are so many of them.
ENTITIES = 20
MOST_EXPECTED = 100
MOST_IN_SET = 20
MOST_NAMED = 20
ID_ENDINGS = ("id", "key", "num", "number", "code", "uuid", "user", "customer", "session")
HELD_OUT = "test"


@dataclass(frozen=True)
class Expected:
    """An expectation that holds, and why it is said."""

    expectation: str
    args: dict[str, Any]
    on_fail: str
    reason: str


@dataclass
class Suggestion:
    """Choices for a recipe; ``reasons`` say why, by the part of the recipe."""

    key: list[str] | None = None
    nan_as_null: bool = False
    by: str | None = None
    near_duplicates: str | None = None
    split: dict[str, Any] | None = None
    expected: list[Expected] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def say(self, part: str, reason: str) -> None:
        """Add a reason to a part."""
        self.reasons.setdefault(part, []).append(reason)


def suggest(
    facts: Sequence[ColumnFacts],
    keys: Sequence[Sequence[str]],
    dependencies: Sequence[Mapping[str, Any]],
    redundant: Mapping[str, Sequence[Any]],
) -> Suggestion:
    """Choose key, groups, split, near-duplicates and expectations, each with its reason.

    Parameters
    ----------
    facts : the table's columns.
    keys : its keys.
    dependencies, redundant : as ``profile --json`` prints them.
    """
    made = Suggestion(nan_as_null=any(f.nans for f in facts))
    if made.nan_as_null:
        names = ", ".join(f.name for f in facts if f.nans)
        made.say("nan_as_null", f"NaN stands for a missing number in {names}")
    said_twice = _say_redundant(made, dependencies, redundant)
    _choose_key(made, facts, keys)
    _choose_by(made, [f for f in facts if f.name not in said_twice])
    _choose_near_duplicates(made, facts)
    _choose_split(made, facts, dependencies)
    _expect(made, facts, keys)
    return made


def _say_redundant(
    made: Suggestion, dependencies: Sequence[Mapping[str, Any]], redundant: Mapping[str, Any]
) -> set[str]:
    """Say which columns add nothing, and give those that another one stands for."""
    if redundant["constant"]:
        made.say("columns", f"the same in all rows: {', '.join(redundant['constant'])}")
    twice: set[str] = set(redundant["constant"])
    for title, classes in (
        ("equal in every row", redundant["equal"]),
        ("each settles the other", redundant.get("one_to_one", [])),
    ):
        for one in classes:
            made.say("columns", f"{title}: {', '.join(one)}")
            twice.update(one[1:])
    named = [d for d in dependencies if d["exact"] or len(d["left"]) == 1]
    for d in named[:MOST_NAMED]:
        nearly = "" if d["exact"] else f" nearly, but for {d['disagreeing']:,} rows"
        made.say("columns", f"settled by others{nearly}: {', '.join(d['left'])} → {d['right']}")
    if more := len(dependencies) - len(named[:MOST_NAMED]):
        made.say(
            "columns", f"and {more:,} more such, which lakebalance profile --dependencies says"
        )
    return twice


def _choose_key(
    made: Suggestion, facts: Sequence[ColumnFacts], keys: Sequence[Sequence[str]]
) -> None:
    kind = {f.name: f.type for f in facts}
    texts = {f.name for f in facts if f.kind == "text" and _long(f) >= LONG_TEXTS}
    place = {f.name: i for i, f in enumerate(facts)}

    def worth(key: Iterable[str]) -> tuple[Any, ...]:
        key = list(key)
        # A text that two rows may soon share, and a measured number, make poor keys.
        measured = sum(kind[name] in {"float", "double"} for name in key)
        called = sum(name.lower().endswith(ID_ENDINGS) for name in key)
        return (len(texts & set(key)), len(key), measured, -called, [place[name] for name in key])

    if not keys:
        made.say("key", "no key was found: without one, equal rows are interchangeable")
        return
    made.key = list(min(keys, key=worth))
    others = [", ".join(key) for key in sorted(keys, key=worth)[1:4]]
    made.say("key", f"{', '.join(made.key)}: no two rows agree in all of it, counted over all rows")
    if others:
        made.say("key", f"other keys: {'; '.join(others)}")


def _choose_by(made: Suggestion, facts: Sequence[ColumnFacts]) -> None:
    """Choose the most skewed of the columns with few values; texts before numbers."""
    few = [f for f in facts if _makes_groups(f)]
    names = [f for f in few if f.kind != "number"] or few
    if not names:
        made.say("by", "no column has few values in many rows each: nothing to balance by")
        return
    best = max(names, key=_skew)
    made.by = best.name
    made.say(
        "by", f"{best.name}: {best.distinct} values, largest to smallest {_skew(best):,.1f} : 1"
    )
    others = sorted((f for f in few if f is not best), key=lambda f: -_skew(f))[:5]
    if others:
        listed = ", ".join(f"{f.name} ({f.distinct} values, {_skew(f):,.1f} : 1)" for f in others)
        made.say("by", f"others with few values: {listed}")


def _makes_groups(f: ColumnFacts) -> bool:
    whole = f.kind == "number" and f.type not in {"float", "double"} and "(" not in f.type
    if not f.exact or not (f.kind in {"text", "boolean"} or whole):
        return False
    most = MOST_NUMBERED if whole else MOST_GROUPS
    return 2 <= f.distinct <= most and f.filled >= ROWS_OF_GROUP * f.distinct


def _skew(f: ColumnFacts) -> float:
    return float(f.top[0]["rows"]) / (f.rarest or 1) if f.top else 0.0


def _choose_near_duplicates(made: Suggestion, facts: Sequence[ColumnFacts]) -> None:
    texts = [f for f in facts if f.kind == "text" and f.distinct > 1 and _long(f) >= LONG_TEXTS]
    if texts:
        best = max(texts, key=lambda f: f.longest or 0)
        made.near_duplicates = best.name
        made.say(
            "prune",
            f"{best.name}: texts of up to {best.longest:,} characters, {_long(best):.0%} of them "
            "longer than 40",
        )


def _long(f: ColumnFacts) -> float:
    rows: int = sum(p["rows"] for p in f.patterns if p["pattern"] == LONG)
    return rows / (f.filled or 1)


def _choose_split(
    made: Suggestion, facts: Sequence[ColumnFacts], dependencies: Sequence[Mapping[str, Any]]
) -> None:
    """Hold out the newest rows where there is a time, else whole entities."""
    entities = [f for f in facts if _is_entity(f, made, dependencies)]
    times = [f for f in facts if f.kind == "time" and not f.nulls and f.distinct >= MOMENTS]
    listed = ", ".join(f"{f.name} ({f.distinct:,} values)" for f in entities[:5])
    for time in times:
        start = time.quantiles.get("95%")
        if start is not None and start != time.low:
            made.split = {"time": time.name, "starts": {HELD_OUT: start}}
            made.say("split", f"{time.name} from {start} on: the newest twentieth of the rows")
            if entities:
                made.say("split", f"or rows of one thing on one side, shares with by: {listed}")
            return
    if entities:
        made.split = {"shares": {HELD_OUT: 0.1}, "by": [entities[0].name]}
        made.say("split", f"rows of one {entities[0].name} are on one side; such columns: {listed}")


def _is_entity(f: ColumnFacts, made: Suggestion, dependencies: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column names something that has several rows: others depend on it, or its name."""
    plain = f.kind == "text" or (f.kind == "number" and f.type not in {"float", "double"})
    if not plain or f.name in (made.by, made.near_duplicates) or f.constant:
        return False
    if not ENTITIES <= f.distinct <= f.filled / 2:
        return False
    leads = any(d["left"] == [f.name] for d in dependencies)
    return leads or f.name.lower().endswith(ID_ENDINGS)


def _expect(made: Suggestion, facts: Sequence[ColumnFacts], keys: Sequence[Sequence[str]]) -> None:
    """Say what holds in all rows; only what a row without it cannot be used for is quarantined."""
    rows = facts[0].rows if facts else 0
    if not rows:
        made.say("expect", "there are no rows that say what to expect")
        return
    made.expected.append(
        Expected("ExpectTableRowCountToBeBetween", {"min_value": 1}, "stop", "there are rows")
    )
    for f in facts[:MOST_EXPECTED]:
        made.expected += _of_column(made, f)
    for key in keys:
        if len(key) == 1 and list(key) != made.key and "`" not in key[0]:
            made.expected.append(
                Expected("ExpectColumnValuesToBeUnique", {"column": key[0]}, "warn", "unique")
            )
    if len(facts) > MOST_EXPECTED:
        made.say("expect", f"of the first {MOST_EXPECTED} of {len(facts):,} columns")


def _of_column(made: Suggestion, f: ColumnFacts) -> list[Expected]:
    if "`" in f.name:  # Great Expectations takes no such name
        return []
    found, column = [], {"column": f.name}
    if f.filled == f.rows:
        needed = f.name == made.by or f.name in (made.key or [])
        found.append(
            Expected(
                "ExpectColumnValuesToNotBeNull", column, "quarantine" if needed else "warn",
                "key or group" if needed else "no nulls so far",
            )
        )  # fmt: skip
    ends = _ends(f)
    if ends is not None:
        found.append(Expected("ExpectColumnValuesToBeBetween", column | ends, "warn", "so far"))
    values = [t["value"] for t in f.top]
    if f.kind == "text" and f.exact and 0 < f.distinct <= MOST_IN_SET and f.distinct < f.filled / 2:
        found.append(
            Expected("ExpectColumnValuesToBeInSet", {**column, "value_set": sorted(values)},
                     "warn", f"{f.distinct} values so far")
        )  # fmt: skip
    elif f.kind == "text" and len(f.patterns) == 1 and f.patterns[0]["rows"] == f.filled:
        regex = regex_of(f.patterns[0]["pattern"])
        if regex:
            found.append(
                Expected("ExpectColumnValuesToMatchRegex", {**column, "regex": regex}, "warn",
                         f"all are like {f.patterns[0]['pattern']}")
            )  # fmt: skip
    return found


def _ends(f: ColumnFacts) -> dict[str, Any] | None:
    """Least and greatest value where they are plain numbers."""
    if f.kind != "number" or f.low is None or f.constant:
        return None
    if isinstance(f.low, dict) or isinstance(f.high, dict):
        return None
    low, high = (float(end) if isinstance(end, str) else end for end in (f.low, f.high))
    if f.type == "float":
        # Great Expectations compares what it is in single precision, not its shortest text.
        low, high = (float(np.float32(end)) for end in (low, high))
    return {"min_value": low, "max_value": high}
