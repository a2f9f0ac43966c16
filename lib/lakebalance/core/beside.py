"""Runs work beside other work in the same session, so that one fills the pauses of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

T = TypeVar("T")
Item = TypeVar("Item")
MOST_AT_ONCE = 16


class Beside:
    """Work that goes on in threads while the body of a ``with`` does its own.

    The end of the body waits for all of it. A failure of what was started comes before one of the
    body, which may only have followed from it.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> with Beside(local_session()) as beside:
    ...     started = beside.start(lambda: 6 * 7)
    >>> started.result()
    42
    """

    def __init__(self, spark: SparkSession) -> None:
        """Take up to ``MOST_AT_ONCE`` pieces of work at once.

        Parameters
        ----------
        spark : the session whose job group, tags and properties hold for the threads too.
        """
        self._spark = spark
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE)
        self._started: list[Future[Any]] = []

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Begin a piece of work."""
        started = self._pool.submit(inheritable_thread_target(self._spark)(work))
        self._started.append(started)
        return started

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=isinstance(error, KeyboardInterrupt))
        if error is not None and not isinstance(error, Exception):
            return
        for started in self._started:
            failed = started.exception()
            if failed is not None and failed is not error:
                raise failed from error


def each(spark: SparkSession, items: Iterable[Item], work: Callable[[Item], T]) -> list[T]:
    """Do the same with several things at once; what came of it, in their order.

    Examples
    --------
    >>> from lakebalance.core.session import local_session
    >>> each(local_session(), [1, 2], lambda n: n + 1)
    [2, 3]
    """
    with Beside(spark) as beside:
        started = [beside.start(partial(work, item)) for item in items]
    return [one.result() for one in started]
