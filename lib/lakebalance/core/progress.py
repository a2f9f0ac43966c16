"""Times the stages of a run and tells a listener which one has started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lakebalance.core.spark_errors import said_for_users

Progress = Callable[[str], None]


class Stopwatch:
    """The stages of one plan or run, in order of their starts, with rows and seconds.

    ``began`` counts from the first; some go on beside others.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        """Start.

        Parameters
        ----------
        progress : called with the name of each stage as it starts.
        """
        self.entries: list[dict[str, Any]] = []
        self._progress = progress
        self._started = time.monotonic()

    @contextmanager
    def stage(self, name: str, rows_in: int | None = None) -> Iterator[dict[str, Any]]:
        """Time a stage; the caller writes its row counts into what is given."""
        if self._progress:
            self._progress(name)
        entry: dict[str, Any] = {"name": name, "rows_in": rows_in, "rows_out": None}
        # In the order of their starts, as one may go on beside others.
        self.entries.append(entry)
        start = time.monotonic()
        entry["began"] = round(start - self._started, 3)
        with said_for_users(name):
            yield entry
        entry["seconds"] = round(time.monotonic() - start, 3)
