"""Rows that were repaired after a gate had set them aside, and how runs read them.

A row of a table is found by a hash of the columns that identify it, and taken for the same as long
as all its columns are as they were. Every run that shares the state reads the repaired row in its
place: in any version of the table in which the original is as it was when it was released.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakebalance.core.columns import column, kinds
from lakebalance.core.identity import Identity
from lakebalance.core.sources import KEY, Pinned
from lakebalance.core.tables import newest_version, read_delta
from lakebalance.forgotten import MARK, Place, Places, in_halves, is_marked
from lakebalance.publish.state import RUN, State

RELEASED = "released"
# Not names that rows may have themselves.
HASH, CONTENT = "lb_hash", "lb_content"
REPAIRED, REQUEST, ORDER = "__lb_repaired", "__lb_request", "__lb_order"


@dataclass(frozen=True)
class Release:
    """The rows of one table that a request repaired.

    ``identity`` tells the originals apart, ``content`` are all columns that they had.
    """

    request: str
    place: Place
    identity: Identity
    content: Identity

    @property
    def table(self) -> str:
        """The name of the state's table that holds the rows, by what they are told apart by."""
        parts = [self.place.location, self.place.table_id, self.identity.text, self.content.text]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        return f"{RELEASED}-{digest}"


@dataclass
class Released:
    """What the requests in a state have repaired.

    ``only`` are the requests that count, in order, as when an earlier run is looked at; all where
    left out. ``pending`` are the rows of a request that is not in the state yet.
    """

    state: State
    spark: SparkSession
    only: Sequence[str] | None = None
    pending: Mapping[Release, DataFrame] = field(default_factory=dict)

    @cached_property
    def places(self) -> Places:
        """Where tables lie."""
        return Places(self.spark)

    @cached_property
    def entries(self) -> list[Release]:
        """Which requests repaired rows of which tables, the first request first."""
        return [*self._known, *self.pending]

    @property
    def _known(self) -> list[Release]:
        if self.only is not None and not self.only:
            return []
        version = newest_version(self.spark, self.state.table(RELEASED))
        if version is None:
            return []
        names = [RUN, "location", "table_id", "identity", "content"]
        index = read_delta(self.spark, self.state.table(RELEASED), version)
        rows = index.orderBy("released", *names).select(*names).collect()
        found = [
            Release(run, Place(at, id_), Identity.from_text(own), Identity.from_text(content))
            for run, at, id_, own, content in rows
        ]
        if self.only is None:
            return found
        place = {request: i for i, request in enumerate(self.only)}
        return sorted((r for r in found if r.request in place), key=lambda r: place[r.request])

    def named(self, table: str, version: int | str) -> list[Release]:
        """What was repaired of a table that is read at a version; of Parquet, that is a text."""
        if not self.entries:
            return []
        place = self.places.of(table, delta=isinstance(version, int))
        return [] if place is None else self.of(place)

    def of(self, place: Place) -> list[Release]:
        """What was repaired of a table."""
        return [release for release in self.entries if release.place.is_one_with(place)]

    def requests(self, read: Iterable[tuple[str, int | str]]) -> list[str]:
        """The requests that repaired rows of tables, which are read at some versions; in order."""
        own = {release.request for table, version in read for release in self.named(table, version)}
        return list(dict.fromkeys(r.request for r in self.entries if r.request in own))

    def rows(self, releases: Sequence[Release]) -> DataFrame:
        """The repaired rows of some requests by one identity, as the last of them left each.

        Returns
        -------
        ``lb_hash`` and ``lb_content`` of the original, its columns, repaired, and ``__lb_request``.
        """
        order = {release.request: i for i, release in enumerate(releases)}
        frames = [self.written(release) for release in releases]
        place = F.create_map(*[F.lit(part) for pair in order.items() for part in pair])
        names = releases[0].content.names
        every = reduce(DataFrame.unionByName, frames).withColumn(ORDER, place[F.col(REQUEST)])
        row = F.struct(REQUEST, F.struct(*map(column, names)).alias(REPAIRED))
        last = every.groupBy(HASH, CONTENT).agg(F.max_by(row, ORDER).alias("__lb_last"))
        repaired = F.col("__lb_last").getField(REPAIRED)
        return last.select(
            HASH,
            CONTENT,
            *[repaired.getField(name).alias(name) for name in names],
            F.col("__lb_last").getField(REQUEST).alias(REQUEST),
        )

    def written(self, release: Release) -> DataFrame:
        """A request's rows of a table: hashes of the originals, their columns, ``__lb_request``."""
        rows = self.pending.get(release)
        if rows is None:
            table = self.state.table(release.table)
            every = self.spark.read.format("delta").load(table.name)
            rows = every.where(F.col(RUN) == release.request)
        names = [HASH, CONTENT, *release.content.names]
        return rows.select(*map(column, names), F.lit(release.request).alias(REQUEST))

    def replaced(self, source: Pinned) -> Pinned:
        """A source with the repaired rows in the place of the originals.

        A repaired row that does not meet the source's filter is filtered like any other.
        """
        if not self._by_table(source):
            return source
        rows, names = self.marked(source), source.df.columns
        if source.where is not None:
            kept = F.col(REQUEST).isNull() | F.coalesce(F.expr(source.where), F.lit(False))
            rows = rows.where(kept)
        return replace(source, df=rows.select(*map(column, names)))

    def marked(self, source: Pinned) -> DataFrame:
        """A source's rows with the repaired ones, and the request of each, in ``__lb_request``."""
        rows, kind_of = source.df, kinds(source.df)
        found: list[tuple[str, str, set[str]]] = []
        for i, releases in enumerate(self._by_table(source)):
            repaired, request = f"{REPAIRED}{i}", f"{REQUEST}{i}"
            names = [name for name in releases[0].content.names if name in kind_of]
            fixed = self._to_join(releases, names, repaired, request)
            one, as_it_was = self._same(source, releases[0])
            rows = rows.join(fixed, one & as_it_was, "left")
            rows = rows.drop(*[c for c in fixed.columns if c not in (repaired, request)])
            found.append((repaired, request, set(names)))
        # The last table is that of the last request: it counts.
        values = []
        for name in source.df.columns:
            value = column(name)
            for repaired, request, names_of in found:
                if name in names_of:
                    own = F.col(repaired).getField(name).cast(kind_of[name])
                    value = F.when(F.col(request).isNotNull(), own).otherwise(value)
            values.append(value.alias(name))
        last = F.coalesce(*[F.col(request) for _, request, _ in reversed(found)])
        return rows.select(*values, last.alias(REQUEST))

    def _by_table(self, source: Pinned) -> list[list[Release]]:
        """What was repaired of a source by the tables that hold it, the last request's last.

        Without a column that they had, no row is as it was.
        """
        by_table: dict[str, list[Release]] = {}
        for release in self.named(source.table, source.version):
            if set(release.content.names) <= set(source.df.columns):
                by_table.setdefault(release.table, []).append(release)
        place = {release: i for i, release in enumerate(self.entries)}
        return sorted(by_table.values(), key=lambda releases: place[releases[-1]])

    def _to_join(
        self, releases: Sequence[Release], names: Sequence[str], repaired: str, request: str
    ) -> DataFrame:
        rows = self.rows(releases)
        return in_halves(
            rows.withColumnRenamed(HASH, MARK),
            F.col(CONTENT).alias("__lb_content"),
            F.struct(*map(column, names)).alias(repaired),
            F.col(REQUEST).alias(request),
        )

    @staticmethod
    def _same(source: Pinned, release: Release) -> tuple[Column, Column]:
        """Whether a row has the identity of a repaired one, and whether it is as it was then."""
        content = release.content.hash(source.df, source.table)
        # No condition to join by: worked out for those few rows alone that have the identity.
        halves = [
            content.getField(half).bitwiseXOR(F.col("__lb_content").getField(half)) == 0
            for half in ("hi", "lo")
        ]
        return is_marked(release.identity.hash(source.df, source.table)), halves[0] & halves[1]

    def asked_by(self, source: Pinned) -> DataFrame | None:
        """Which of a source's rows were repaired: ``__lb_key`` as repaired, and ``request``.

        Parameters
        ----------
        source : without what is repaired.
        """
        if not self._by_table(source):
            return None
        rows = replace(source, df=self.marked(source).where(F.col(REQUEST).isNotNull()))
        known = rows.df.select(
            replace(rows, df=rows.df.drop(REQUEST)).key_hash.alias(KEY),
            F.col(REQUEST).alias("request"),
        )
        return known

    def corrected(self, source: Pinned) -> int:
        """How many rows that were repaired the source has otherwise by now; one Spark job each.

        A row without a key is another one as soon as it is changed, so that nobody can tell, and
        where a column is gone, none is as it was.

        Parameters
        ----------
        source : without what is repaired.
        """
        tables = self._by_table(source)
        known = {release for releases in tables for release in releases}
        others = [r for r in self.named(source.table, source.version) if r not in known]
        found = sum(self.written(release).count() for release in others)
        for releases in tables:
            fixed = self._to_join(releases, [], REPAIRED, REQUEST)
            one, as_it_was = self._same(source, releases[0])
            found += source.df.join(fixed, one & ~as_it_was, "left_semi").count()
        return found
