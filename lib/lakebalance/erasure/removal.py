"""Carries out a request: rows go from every table, and are looked for again."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from lakebalance import __version__
from lakebalance.core.beside import each
from lakebalance.core.errors import LakebalanceError, TableError
from lakebalance.core.secrets import hide
from lakebalance.core.tables import Table, newest_version, only_deleted_since, read_delta
from lakebalance.erasure.files import old_files, vacuum
from lakebalance.erasure.marks import as_entries, erase, sought
from lakebalance.erasure.requests import remember_proof
from lakebalance.erasure.search import Search
from lakebalance.erasure.trace import Published
from lakebalance.forgotten import FORGOTTEN
from lakebalance.frames import Frames
from lakebalance.pipeline import carry_out
from lakebalance.publish.state import State
from lakebalance.publish.transaction import published_version


@dataclass
class Removal:
    """What is done for a request whose rows are found."""

    search: Search

    def carry_out(
        self,
        *,
        sources: bool,
        vacuum_hours: float | None,
        models: str | None,
        said: dict[str, str],
    ) -> dict[str, Any]:
        """Take the rows out everywhere, look for them again, and write down what was found."""
        found = self.search.seen(models)
        self._remember_marks()
        self._erase_leftovers()
        if sources:
            self._erase_sources()
        for run in self.search.trace.reached:
            if not run.gone:
                self._make_again(run)
        # Last, as rows that are deleted from a table keep its other batches from being made again.
        for run in self.search.concerned:
            if run.gone:
                self._take_out_what_is_left(run)
        files = {} if vacuum_hours is None else self._vacuum(vacuum_hours, sources=sources)
        self.search.show("looking for the rows again")
        proof = {**found, **said, "dry_run": False, "vacuum_hours": vacuum_hours}
        after = self.search.counts(
            [line["table"] for line in [*found["tables"], *found["sources"]]]
        )
        for part in ("tables", "sources"):
            proof[part] = [{**line, "after": after[line["table"]]} for line in found[part]]
        left = self.search.left()
        proof["leftovers"] = [
            {"table": name, "marked": n, "after": {"marked": left[name]}}
            for name, n in self.search.left_before.items()
            if n or left[name]
        ]
        proof["old_files"] = [{"table": name, "files": n} for name, n in files.items()]
        if not sources and any(line["after"]["marked"] for line in proof["sources"]):
            self.search.notes.append(
                "the sources' tables still hold the rows, which runs leave out"
            )
        proof["complete"] = self._is_complete(proof, sources=sources, vacuum_hours=vacuum_hours)
        return self._signed(proof)

    def _remember_marks(self) -> None:
        """Write down what is forgotten: from now on, no run takes it in."""
        self.search.show("remembering what is forgotten")
        if not self.search.trace.marks:
            return
        rows = self.search.scratch(as_entries(self.search.trace.marks), "marks")
        for folder in dict.fromkeys(
            [self.search.state.folder, *(r.state.folder for r in self.search.concerned)]
        ):
            State(folder).write(rows, FORGOTTEN, self.search.request)

    def _erase_leftovers(self) -> None:
        self.search.show("erasing beside the tables")
        held = [own for own in self.search.leftovers if self.search.left_before[own.table.name]]
        each(self.search.spark, held, lambda own: own.erase())

    def _erase_sources(self) -> None:
        """Delete the rows from the sources' tables."""
        for name in self.search.source_tables:
            self.search.show(f"erasing in {name}")
            self._erase_in(name)

    def _erase_in(self, name: str) -> None:
        count = self.search.count(name)
        if count["marked"]:
            rows = read_delta(self.search.spark, Table(name), count["version"])
            erase(Table(name), sought(rows, self.search.marks_of(name), name))

    def _make_again(self, run: Published) -> None:
        """Make a run again without the rows, or take them out of tables that it is not in."""
        if self.search.request in run.entry["plan"].get("forgotten", []):
            return
        names = list(run.tables.values())
        replaced, spark = run.recipe.publish.replace_where, self.search.spark
        if any(published_version(spark, Table(n), run.run, replaced) is None for n in names):
            self._take_out(run, names, f"was written by others since run {run.run}")
            return
        repaired = run.entry["plan"].get("released", [])
        frames = Frames(run.recipe, self.search.spark, self._versions(run), releasing=repaired)
        target = run.entry["target"]
        try:
            carry_out(frames, lambda stage: self.search.show(f"making {target} again: {stage}"))
        except LakebalanceError as error:
            # A gate or a rule that cannot be met must not keep rows in; but rows that were made of
            # them are found by no key of theirs.
            if run.has_children:
                raise
            self._take_out(run, names, f"cannot be made again ({error})")

    def _take_out_what_is_left(self, run: Published) -> None:
        """Take the rows out of the tables of a run that nobody can make again.

        Raises
        ------
        TableError : it made new rows of others, and these have no key to be found by.
        """
        names = [name for name in run.tables.values() if self.search.count(name)["marked"]]
        if not names:
            return
        which = ", ".join(run.gone)
        if run.has_children:
            raise TableError(
                f"run {run.run} to {run.entry['target']} made new rows of those of {which}, whose "
                "version that it read is not there any more: run its recipe again first"
            )
        why = f"cannot be made again (the version of {which} that it read is not there any more)"
        self._take_out(run, names, why)
        self.search.notes.append(
            f"rows that pruning took for the same in run {run.run} were followed as far as {which} "
            "has them today"
        )

    def _take_out(self, run: Published, names: list[str], why: str) -> None:
        for name in names:
            self._erase_in(name)
        self.search.notes.append(
            f"{run.entry['target']} {why}: the rows were deleted from it, and its groups are not "
            "filled up"
        )

    def _versions(self, run: Published) -> dict[str, int | str]:
        """What the run is to read: as before, but newer versions where nothing is new in them.

        Files of older ones may go, and nobody could say then why a row is in. Tables that runs
        wrote, which may have been made again, are read as they are now.
        """
        plan, spark = run.entry["plan"], self.search.spark
        versions = {table["name"]: table["version"] for table in plan.get("evaluation", [])}
        written = [place for other in self.search.trace.runs for place in other.places.values()]
        for source in plan["sources"]:
            table, version = Table(source["table"]), source["version"]
            place = run.sources[source["name"]]
            ours = any(place.is_one_with(own) for own in written)
            if isinstance(version, int) and (ours or only_deleted_since(spark, table, version)):
                version = newest_version(spark, table)
            versions[source["name"]] = version
        return versions

    def _vacuum(self, hours: float, *, sources: bool) -> dict[str, int]:
        """Remove old files; how many are left, by table."""
        names = [*self.search.with_old_files]
        names += self.search.sources_with_old_files if sources else []
        tables = [*map(Table, names), *[own.table for own in self.search.leftovers]]
        self.search.show("removing old files")
        each(self.search.spark, tables, lambda table: vacuum(self.search.spark, table, hours))
        left = each(self.search.spark, tables, lambda t: old_files(self.search.spark, t))
        return {table.name: n for table, n in zip(tables, left, strict=True)}

    def _is_complete(
        self, proof: dict[str, Any], *, sources: bool, vacuum_hours: float | None
    ) -> bool:
        looked_at = [*proof["tables"], *proof["leftovers"], *(proof["sources"] if sources else [])]
        found = any(line["after"]["marked"] for line in looked_at)
        files = any(line["files"] for line in proof["old_files"]) if vacuum_hours == 0 else False
        return not (found or files or self.search.unfollowed or self.search.unsearched)

    def _signed(self, proof: dict[str, Any]) -> dict[str, Any]:
        """The proof with a hash of all that it says, as the state remembers it."""
        finished = dt.datetime.now(dt.timezone.utc)
        proof = hide(proof) | {
            "notes": hide(self.search.notes),
            "started": self.search.started.isoformat(timespec="seconds"),
            "finished": finished.isoformat(timespec="seconds"),
            "package_version": __version__,
        }
        text = json.dumps(proof, sort_keys=True)
        proof["proof"] = hashlib.sha256(text.encode()).hexdigest()
        remember_proof(self.search.state, self.search.spark, proof)
        self.search.scratch.clear()
        return proof
