"""Sends the events of a run where OpenLineage's own settings say, and never stops a run for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from lakebalance.core.errors import first_line
from lakebalance.core.secrets import hide
from lakebalance.core.sources import Pinned
from lakebalance.core.tables import Table, newest_version, read_delta
from lakebalance.forgotten import Places
from lakebalance.frames import Frames
from lakebalance.lineage.naming import Dataset, dataset
from lakebalance.lineage.tables import Described
from lakebalance.recipe.outputs import BALANCED
from lakebalance.result import Result

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

    from lakebalance.lineage.events import Story

log = logging.getLogger("lakebalance")


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether OpenLineage's own settings say where events go.

    Parameters
    ----------
    environ : the process's environment.

    Examples
    --------
    >>> is_wanted({"OPENLINEAGE_URL": "http://localhost:5000"})
    True
    >>> is_wanted({"OPENLINEAGE_URL": "http://localhost:5000", "OPENLINEAGE_DISABLED": "true"})
    False
    """
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    settings = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
    if any(name in settings or name.startswith("OPENLINEAGE__TRANSPORT") for name in environ):
        return True
    files = (Path("openlineage.yml"), Path.home() / ".openlineage" / "openlineage.yml")
    return any(file.is_file() for file in files)


@contextmanager
def told(frames: Frames) -> Iterator[Callable[[Result], None]]:
    """Tell of the run within the block: that it starts, and how it ends.

    Parameters
    ----------
    frames : what it reads.

    Yields
    ------
    What is called with the result, once the run has published it.
    """
    teller = _Teller.of(frames) if is_wanted(os.environ) else None
    if teller is None:
        yield lambda result: None
        return
    teller.send(lambda story: story.started())
    try:
        yield teller.finished
    except BaseException as error:
        failed = error
        teller.send(lambda story: story.failed(failed))
        raise


class _Teller:
    """Sends the events of one run."""

    def __init__(self, frames: Frames, client: OpenLineageClient) -> None:
        from lakebalance.lineage.events import Story

        self.frames, self.client = frames, client
        self.places = Places(frames.spark)
        self.story: Story = Story(
            frames.recipe,
            {source.name: self._input(source) for source in frames.pinned},
            os.environ.get("OPENLINEAGE_NAMESPACE", "lakebalance"),
            os.environ.get("OPENLINEAGE_PARENT_ID", ""),
        )

    @classmethod
    def of(cls, frames: Frames) -> _Teller | None:
        """One that is ready; None, with a line in the log, where it cannot be made."""
        frames.pinned  # noqa: B018  a source that cannot be read is the run's own error
        try:
            from openlineage.client import OpenLineageClient
        except ImportError:
            log.warning("no lineage is sent: pip install 'lakebalance[lineage]'")
            return None
        try:
            return cls(frames, OpenLineageClient())
        except Exception as error:
            # Whatever is wrong with the settings is no reason to stop a run.
            _not_sent(error)
            return None

    def send(self, made: Callable[[Story], RunEvent]) -> None:
        """Send an event; where that fails, a line in the log says so."""
        try:
            self.client.emit(made(self.story))
        except Exception as error:
            _not_sent(error)

    def finished(self, result: Result) -> None:
        """The run has published its tables."""
        self.send(lambda story: story.finished(result.plan.summary(), self._outputs(result)))
        self.client.close()

    def _input(self, source: Pinned) -> Described:
        where = self._dataset(source.table, delta=isinstance(source.version, int))
        return Described(where, T.StructType(source.columns), source.version)

    def _outputs(self, result: Result) -> list[tuple[Described, bool]]:
        versions = {output["name"]: output["version"] for output in result.outputs}
        versions[BALANCED] = result.version
        found = []
        for output in self.frames.outputs:
            if output.inside:
                continue
            groups = result.plan.groups_of(output.name)
            rows = result.rows if output.name == BALANCED else sum(g.target for g in groups)
            table, version = Table(output.table), versions[output.name]
            columns = read_delta(self.frames.spark, table, version).schema
            described = Described(self._dataset(output.table), columns, version, rows)
            found.append((described, any(group.synthetic for group in groups)))
        return found + self._quarantine(result)

    def _quarantine(self, result: Result) -> list[tuple[Described, bool]]:
        """The rows that gates have set aside, if there are any."""
        name = result.paths.get("quarantine")
        if name is None:
            return []
        spark, table = self.frames.spark, Table(name)
        version = newest_version(spark, table) or 0
        columns = read_delta(spark, table, version).schema
        rows = result.plan.quarantined
        return [(Described(self._dataset(name), columns, version, rows), False)]

    def _dataset(self, name: str, *, delta: bool = True) -> Dataset:
        place = self.places.of(name, delta=delta)
        location = name if place is None else place.location
        return dataset(hide(location), None if Table(name).is_path else name)


def _not_sent(error: Exception) -> None:
    log.warning("lineage was not sent: %s", hide(first_line(error)))
