"""Does what a plan says: empties tables whose rows others hold, with all it takes to rebuild them.

Nothing is removed that was not made again first, by the SQL that is kept, and compared: by count
and by sums of 128-bit hashes of all rows, at the tables' newest versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from pyspark.sql import SparkSession

from lakebalance.core.beside import each
from lakebalance.core.errors import RecipeError, TableError
from lakebalance.core.paths import local, one_path
from lakebalance.core.progress import Progress
from lakebalance.core.tables import Table, detail, newest_version
from lakebalance.lake.definition import Definition, definition_of
from lakebalance.lake.emptying import Untouched, commit_of, empty, take_files
from lakebalance.lake.entries import Inventory
from lakebalance.lake.entries import kept as kept_entries
from lakebalance.lake.finding import find, kept_bytes
from lakebalance.lake.kept import keep_rows, rows_path, script_path, write_script
from lakebalance.lake.log_reading import reason
from lakebalance.lake.pinned import Pinned
from lakebalance.lake.prices import sharing
from lakebalance.lake.proof import proven, proven_now, proves
from lakebalance.lake.rebuild import Rebuild
from lakebalance.lake.removals import BY_HAND, Removal, barred, record, removals_of
from lakebalance.lake.stored_plans import load_plan


@dataclass(frozen=True)
class Outcome:
    """What is or would be done to a table that a plan drops.

    ``action`` is ``archive`` (emptied; its files stay until VACUUM), ``delete`` (its files too),
    ``by_hand`` (Parquet, which has no commits: its rebuild is proven, and who wants to deletes its
    folder) or ``skip``, with ``why``. ``kind`` says how it is rebuilt: the parent's rows as a
    ``whole``, by a ``condition``, or by their hashes (``rows``), which take ``kept_bytes``.
    """

    table: str
    action: str
    rebuild_from: str
    why: str = ""
    version: int | None = None
    rows: int | None = None
    bytes: int | None = None
    kind: str | None = None
    condition: str | None = None
    kept_bytes: int = 0
    script: str | None = None


@dataclass(frozen=True)
class Applied:
    """What became of a plan, or with ``dry_run`` would become."""

    plan: str
    dry_run: bool
    outcomes: list[Outcome]

    @property
    def skipped(self) -> list[Outcome]:
        """Tables that the plan drops and that were left alone."""
        return [o for o in self.outcomes if o.action == "skip"]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        tables = [asdict(outcome) for outcome in self.outcomes]
        return {"plan": self.plan, "dry_run": self.dry_run, "tables": tables}


Step = tuple[Outcome, Removal | None]


def apply(
    spark: SparkSession,
    state: str,
    plan: str,
    *,
    confirm: str | None = None,
    delete: bool = False,
    progress: Progress = lambda stage: None,
) -> Applied:
    """Remove the rows of the tables that a plan drops; without ``confirm``, only say what would be.

    A table is emptied by one commit and stays where it is. Before that, the SQL that rebuilds it is
    written into the state's folder and run, and its rows are compared with the table's, all of them
    and at the newest versions. A table that does not pass, or was written meanwhile, is skipped.
    Running it again finishes what was broken off and changes nothing that is done.

    Parameters
    ----------
    spark : a session, classic or Connect.
    state : the folder that ``plan`` was given.
    plan : a plan's id.
    confirm : the same id, to do it.
    delete : delete the files of the rows too, and so the tables' older versions.
    progress : called with the name of each stage.

    Returns
    -------
    What was or would be done to each table. In ``state``, ``removed`` is the record of removals.

    Raises
    ------
    RecipeError : there is no such plan, or ``confirm`` is another id.

    Examples
    --------
    >>> apply(spark, "lake_state", "1f0c…", confirm="1f0c…").skipped  # doctest: +SKIP
    []
    """
    content = load_plan(spark, state, plan)
    if confirm not in (None, plan):
        raise RecipeError(f"confirm: {confirm} is not the plan that is applied; write {plan}")
    dropped = [d for d in content["tables"] if d["rebuild_from"] is not None]
    applying = _Applying(spark, state, plan, delete, progress)
    looked_at = applying.looked_at(dropped)
    if confirm is not None:
        looked_at = applying.done(looked_at)
    return Applied(plan, confirm is None, [outcome for outcome, _ in looked_at])


class _Applying:
    """One application of a plan: what is to be done is looked at first, and written down."""

    def __init__(
        self, spark: SparkSession, state: str, plan: str, delete: bool, progress: Progress
    ) -> None:
        self.spark, self.state, self.plan = spark, state, plan
        self.action = "delete" if delete else "archive"
        self.progress = progress

    def looked_at(self, dropped: Sequence[dict[str, Any]]) -> list[Step]:
        """What would be done to each table, and the removals that this would be."""
        known = removals_of(self.spark, self.state)
        entries = kept_entries(self.spark, local(self.state).rstrip("/")) or ()
        needed = _needed(Inventory(tuple(entries)))
        return each(self.spark, dropped, lambda decision: self._looked_at(decision, known, needed))

    def _looked_at(
        self, decision: Mapping[str, Any], known: Sequence[Removal], needed: Mapping[str, str]
    ) -> Step:
        name, parent = decision["table"], decision["rebuild_from"]
        mine = [r for r in known if r.plan == self.plan and r.table == name]
        begun = next((r for r in mine if r.is_active), None)
        try:
            if begun is not None and (begun.is_removed or self._is_emptied(begun)):
                if self.action == "delete" and begun.event != "deleted":
                    _check_needed(name, needed)
                return self._step(begun)
            _check_needed(name, needed)
            if why := barred(known, name, parent, _own(begun)):
                raise TableError(why)
            claim = _claim(self.plan, name, sum(not r.is_active for r in mine))
            proven = self._by_hand if decision.get("format") == "parquet" else self._proven
            return self._step(proven(decision, claim))
        except Exception as error:
            return _skipped(name, parent, reason(error, name)), None

    def _step(self, removal: Removal) -> Step:
        rebuild = removal.rebuild
        before = "" if not removal.is_removed else "done before"
        if removal.event == "removed" and self.action == "delete":
            before = "archived before"
        outcome = Outcome(
            removal.table,
            {"deleted": "delete", BY_HAND: BY_HAND}.get(removal.event, self.action),
            rebuild.parent,
            before,
            removal.version,
            removal.fingerprint.rows,
            removal.bytes,
            rebuild.kind,
            rebuild.condition,
            removal.kept_bytes,
            script_path(self.state, removal.claim),
        )
        return outcome, removal

    def _proven(self, decision: Mapping[str, Any], claim: str) -> Removal:
        """How a table is removed and rebuilt, compared at the newest versions.

        Raises
        ------
        TableError : it is not as planned, or its parent has not all of its rows.
        """
        name, parent = decision["table"], decision["rebuild_from"]
        self.progress(f"comparing {name} with {parent}")
        if one_path(name) == one_path(parent):
            raise TableError(f"{name} and {parent} are one table")
        child, source = self._pinned(name), self._pinned(parent)
        said = detail(self.spark, Table(name))
        if said["id"] != decision["id"]:
            raise TableError(f"{name} was made anew since the plan; scan, graph and plan again")
        found = find(self.spark, child, source, list(decision["columns"].items()))
        if found.fingerprint.rows == 0:
            raise TableError(f"{name} has no rows")
        size = int(said["sizeInBytes"])
        kept = kept_bytes(found.different)
        _worth_it(name, found.rebuild, kept, size)
        rebuild = found.rebuild
        if found.different:
            rebuild = replace(rebuild, kept=rows_path(self.state, claim))
        return Removal(
            claim, self.plan, name, said["id"], child.version, size, found.fingerprint,
            rebuild, definition_of(said, rebuild.child_schema), kept,
        )  # fmt: skip

    def _by_hand(self, decision: Mapping[str, Any], claim: str) -> Removal:
        """How a folder of Parquet is rebuilt, from the newest version of its parent.

        Raises
        ------
        TableError : its parent has not all of its rows, or no condition selects them.
        """
        name, parent = decision["table"], decision["rebuild_from"]
        self.progress(f"comparing {name} with {parent}")
        source = self._pinned(parent)
        found = find(
            self.spark, Pinned(name, 0, "parquet"), source, list(decision["columns"].items())
        )
        if found.different:
            raise TableError(f"{name} is Parquet, and no condition selects its rows from {parent}")
        return Removal(
            claim, self.plan, name, decision["id"], 0, decision["bytes"], found.fingerprint,
            found.rebuild, Definition(found.rebuild.schema), event=BY_HAND,
        )  # fmt: skip

    def _pinned(self, table: str) -> Pinned:
        version = newest_version(self.spark, Table(table))
        if version is None:
            raise TableError(f"{table} is not a Delta table any more")
        return Pinned(table, version)

    def done(self, steps: Sequence[Step]) -> list[Step]:
        """Do what was looked at; what cannot be done becomes a table that is skipped."""
        ready = each(self.spark, steps, self._prepared)
        claims = [r for _, r in ready if r is not None and r.event == "claimed"]
        record(self.spark, self.state, claims, "claimed")
        # Whoever claims what these need, or needs what these claim, is in the record now, or will
        # find these there.
        known = removals_of(self.spark, self.state)
        return each(self.spark, ready, lambda step: self._removed(step, known))

    def _prepared(self, step: Step) -> Step:
        """Write all that a rebuild takes, and prove that it makes the rows."""
        removal = step[1]
        if removal is None or removal.is_removed:
            return step
        if removal.event != BY_HAND and self._is_emptied(removal):
            return step
        self.progress(f"proving that {removal.table} can be rebuilt")
        try:
            if removal.rebuild.kept is not None:
                removal = replace(removal, kept_bytes=keep_rows(self.spark, removal))
                _worth_it(removal.table, removal.rebuild, removal.kept_bytes, removal.bytes)
            write_script(self.spark, self.state, removal)
            if not proves(self.spark, removal, removal.rebuild):
                raise TableError(f"{removal.table}: what its script makes are not its rows")
        except Exception as error:
            return _skipped_step(removal, reason(error, removal.table))
        return self._step(removal)

    def _removed(self, step: Step, known: Sequence[Removal]) -> Step:
        """Empty a table and, where that is asked for, delete its files."""
        removal = step[1]
        if removal is None:
            return step
        try:
            if removal.event == "claimed":
                if not self._is_emptied(removal):
                    self._last_look(removal, known)
                empty(self.spark, removal, self.progress)
                removal = record(self.spark, self.state, [removal], "removed")[0]
            if self.action == "delete" and removal.event == "removed":
                self._delete(removal)
        except Exception as error:
            why = reason(error, removal.table)
            self._withdraw(removal, error, why)
            return _skipped_step(removal, why)
        return step

    def _is_emptied(self, removal: Removal) -> bool:
        return commit_of(self.spark, removal) is not None

    def _last_look(self, removal: Removal, known: Sequence[Removal]) -> None:
        if why := barred(known, removal.table, removal.rebuild.parent, {removal.claim}):
            raise Untouched(why)
        if not proven_now(self.spark, removal):
            raise Untouched(f"{removal.rebuild.parent} was written since, and lacks rows")

    def _delete(self, removal: Removal) -> None:
        self.progress(f"deleting the files of {removal.table}")
        # Its newest version must make them, too: older ones go with the next VACUUM.
        if not proven_now(self.spark, removal) or proven(self.spark, removal) is None:
            raise TableError(
                f"{removal.table}: {removal.rebuild.parent} does not make its rows any more; its "
                "files stay"
            )
        take_files(self.spark, removal)
        record(self.spark, self.state, [removal], "deleted")

    def _withdraw(self, removal: Removal, error: Exception, why: str) -> None:
        """Write down that a table has all its rows, where that is sure."""
        if removal.event != "claimed":
            return
        try:
            if isinstance(error, Untouched) or commit_of(self.spark, removal) is None:
                record(self.spark, self.state, [removal], "withdrawn", why)
        except Exception:  # the claim stays, and so does the table's parent
            return


def _needed(inventory: Inventory) -> dict[str, str]:
    """Tables that the newest scan found to be needed by others, with why."""
    clones, lenders = sharing(inventory.tables)
    return {
        **dict.fromkeys(clones, "has files of another table"),
        **dict.fromkeys(lenders, "has files that another table, such as a shallow clone, reads"),
        **{name: f"is read by {views[0]}" for name, views in inventory.views.items() if views},
    }


def _check_needed(table: str, needed: Mapping[str, str]) -> None:
    if table in needed:
        raise TableError(f"{table} {needed[table]}, as the newest scan says")


def _claim(plan: str, table: str, tries: int) -> str:
    """The name of a removal: two applications of one plan at once mean the same by it."""
    return f"{plan}-{sha256(table.encode()).hexdigest()[:8]}-{tries}"


def _own(begun: Removal | None) -> set[str]:
    return set() if begun is None else {begun.claim}


def _skipped(table: str, parent: str, why: str) -> Outcome:
    return Outcome(table, "skip", parent, why)


def _skipped_step(removal: Removal, why: str) -> Step:
    return _skipped(removal.table, removal.rebuild.parent, why), None


def _worth_it(table: str, rebuild: Rebuild, kept: int, size: int) -> None:
    """Refuse to keep more than what is removed.

    Raises
    ------
    TableError : hashes of a table's rows take more bytes than its files.
    """
    if kept >= size:
        raise TableError(
            f"{table}: no condition selects its rows from {rebuild.parent}, and the hashes of its "
            f"different rows would take {kept:,} bytes; its own files take {size:,}"
        )
