"""What a recipe's gates of drift compare with: versions, runs, sources and other tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pyspark.sql import DataFrame

from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.secrets import reveal
from lakebalance.core.sources import Pinned, SourceSpec, branches, pin_one
from lakebalance.expect.drift import check_columns, drift, not_compared
from lakebalance.expect.verdicts import Measured
from lakebalance.forgotten import place_of
from lakebalance.ledger import Ledger
from lakebalance.recipe.drift import Against, Drift
from lakebalance.recipe.sources import Source

if TYPE_CHECKING:
    from lakebalance.frames import Frames


@dataclass(frozen=True)
class Reference:
    """What rows are compared with, and what it is called; ``frames`` are none where there is none.

    ``why`` says why there is none.
    """

    said: str
    frames: Sequence[DataFrame]
    why: str = ""


def measured_drifts(frames: Frames) -> list[Measured]:
    """What each gate of drift finds in the rows of the sources, before gates set any aside.

    Raises
    ------
    RecipeError : a column cannot be compared, or there is no such version.
    TableError : a reference cannot be read, or has no row.
    """
    found = []
    for i, gate in enumerate(frames.recipe.expect.drift):
        place = f"expect.drift.{i}"
        reference = _reference(frames, gate, place)
        if reference.frames:
            found.append(drift(gate, _rows(frames, gate), reference.frames, reference.said, place))
        else:
            found.append(not_compared(gate, reference.said, reference.why))
    return found


def check_drifts(frames: Frames) -> None:
    """Raise where a gate of drift names a column that is not there, before rows are counted."""
    for i, gate in enumerate(frames.recipe.expect.drift):
        check_columns(gate, frames.branches[0], f"expect.drift.{i}")


def _names(frames: Frames, gate: Drift) -> list[str]:
    """The sources whose rows are compared."""
    if gate.source is not None:
        return [gate.source]
    names = [source.name for source in frames.recipe.sources]
    return [name for name in names if name != gate.against.source]


def _rows(frames: Frames, gate: Drift) -> list[DataFrame]:
    return _of(frames, _names(frames, gate))


def _of(frames: Frames, names: Sequence[str]) -> list[DataFrame]:
    sources = zip(frames.recipe.sources, frames.branches, strict=True)
    return [rows for source, rows in sources if source.name in names]


def _reference(frames: Frames, gate: Drift, place: str) -> Reference:
    against, place = gate.against, f"{place}.against"
    if against.source is not None:
        return Reference(f'source "{against.source}"', _of(frames, [against.source]))
    if (table := against.one_table) is not None:
        pinned = _opened(frames, table, place)
        where = f" where {table.where}" if table.where else ""
        return Reference(f"{pinned.table} at version {pinned.version}{where}", [pinned.df])
    if against.run is not None:
        return _of_run(frames, _names(frames, gate), place)
    specs = [s for s in frames.recipe.sources if s.name in _names(frames, gate)]
    return _of_version(frames, specs, against, place)


def _of_version(frames: Frames, specs: Sequence[Source], against: Against, place: str) -> Reference:
    """The sources at another version, or as of a time."""
    if parquet := [spec.name for spec in specs if spec.format == "parquet"]:
        raise RecipeError(
            f'{place}: source "{parquet[0]}" is Parquet, which has no versions; write table or '
            "source"
        )
    if against.version is not None and len(specs) > 1:
        raise RecipeError(
            f"{place}.version: {', '.join(spec.name for spec in specs)} have versions of their "
            "own; write source: NAME beside against, or timestamp for all of them"
        )
    update = {"version": against.version, "timestamp": against.timestamp}
    pinned = [_opened(frames, spec.model_copy(update=update), place) for spec in specs]
    return Reference(_versions(pinned), branches(pinned))


def _versions(pinned: Sequence[Pinned]) -> str:
    if len(pinned) == 1:
        return f"version {pinned[0].version}"
    return ", ".join(f"version {source.version} of {source.name}" for source in pinned)


def _of_run(frames: Frames, names: Sequence[str], place: str) -> Reference:
    """What the newest other run has read, with the filters that it had.

    A run that is planned again is compared with what it was compared with before.
    """
    ledger = Ledger(frames.recipe, frames.spark)
    other = next((own for own in ledger.ids if own != frames.run_id), None)
    if other is None:
        why = f"No other run to {frames.recipe.publish.table} is in the ledger, so there is nothing"
        return Reference("the newest run", [], f"{why} to compare with: it passes.")
    entry = ledger.entry(other)
    read = {source["name"]: source for source in entry["plan"]["sources"]}
    written = reveal(yaml.safe_load(entry["recipe"])["sources"])
    specs = [Source.model_validate(own) for own in written if own["name"] in names]
    said = f"run {other}"
    if not specs:
        why = f"{said} had no source {', '.join(names)}, so there is nothing to compare with: it"
        return Reference(said, [], f"{why} passes.")
    return Reference(said, branches([_again(frames, spec, read, said, place) for spec in specs]))


def _opened(
    frames: Frames, spec: SourceSpec, place: str, version: int | str | None = None
) -> Pinned:
    """A table at a version, without the rows that are forgotten, as sources are read."""
    return frames.forgotten.left_out(pin_one(frames.spark, spec, place, version))


def _again(
    frames: Frames, spec: Source, read: Mapping[str, Mapping[str, Any]], said: str, place: str
) -> Pinned:
    """A source as a run has read it."""
    version = read[spec.name]["version"]
    instead = "write another one, or leave the gate out of this run: --set expect.drift=[]"
    try:
        pinned = _opened(frames, spec, place, version)
    except TableError as error:
        raise TableError(f"{place}: what {said} has read is gone: {error}; {instead}") from error
    known = read[spec.name].get("table_id")
    if known and place_of(frames.spark, pinned.table).table_id != known:
        raise TableError(
            f'{place}: the table of "{spec.name}" was made anew since {said} has read it; {instead}'
        )
    if pinned.version != version:
        raise TableError(
            f'{place}: {said} has read "{spec.name}", which is Parquet and has other files now; '
            f"{instead}"
        )
    return pinned
