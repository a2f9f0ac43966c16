"""What a plan warns of: nothing that stops it, but what its reader would want to know first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from lakebalance.core.evaluation import EvaluationTable
from lakebalance.core.registry import method_of
from lakebalance.core.split import TRAIN
from lakebalance.expect.verdicts import Verdict
from lakebalance.frames import Frames
from lakebalance.plans import PlannedGroup, PlannedOutput
from lakebalance.recipe.models import Recipe

NAMED = 3


def cautions(
    frames: Frames,
    rows_of: dict[str, int],
    verdicts: Sequence[Verdict],
    groups: Sequence[PlannedGroup],
    outputs: Sequence[PlannedOutput],
) -> list[dict[str, str]]:
    """The warnings of a plan: each a code and a message.

    Parameters
    ----------
    frames : the recipe and its sources.
    rows_of : rows by source.
    verdicts : what the expectations found.
    groups : the groups of the balanced table.
    outputs : the other tables.
    """
    recipe = frames.recipe
    found = [
        *[("empty_source", f'source "{n}" has no rows') for n, rows in rows_of.items() if not rows],
        *[("content_key", _keyless(s.name)) for s in frames.pinned if s.key is None],
        *failed(verdicts),
        *_released_and_changed(frames),
        *_too_full(frames),
        *_one_group(recipe.by, groups),
        *copies_without_split(recipe, groups),
        *_equal_rows_apart(frames),
        *_not_compared(frames),
        *_missing_groups(groups, outputs),
        *[s.warning for s in [*frames.said_of_gates, *frames.said] if s.warning is not None],
    ]
    return [{"code": code, "message": message} for code, message in found]


def _keyless(source: str) -> str:
    return (
        f'source "{source}" has no key: rows are told apart by all their columns, which a run must '
        "read; write key: [columns] or key: row_id"
    )


def failed(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, str]]:
    """Codes and messages of the gates that failed and only warn of it."""
    for v in verdicts:
        if v.on_fail == "warn" and not v.success:
            of = f" on {v.unexpected:,} of {v.rows:,} rows" if v.unexpected else ""
            found = f": {v.measured}" if v.measured else ""
            yield v.kind, f"{v.expectation} failed{of}{found}"


def _released_and_changed(frames: Frames) -> Iterable[tuple[str, str]]:
    """Where a source has other rows than those that were repaired and released."""
    if not frames.repairs:
        return
    for source in frames.as_read:
        if changed := frames.released.corrected(source):
            yield (
                "released_row_changed",
                f'{changed:,} rows of source "{source.name}" that were repaired and released are '
                "not as they were then: the source's own rows count",
            )


def _too_full(frames: Frames) -> Iterable[tuple[str, str]]:
    """Where a part of a class is larger than it should be, as its rows cannot be told apart."""
    for clusters in frames.clusters:
        full = [c for c in clusters.classes if max(c.sizes) > c.most]
        if full:
            said = [
                f"{c.name} ({len(c.sizes)} of {c.wanted} parts, of up to {max(c.sizes):,} rows "
                f"where {c.most:,} were to be the most)"
                for c in full[:NAMED]
            ]
            more = f" and {len(full) - NAMED:,} more" if len(full) > NAMED else ""
            yield (
                "cluster_too_full",
                f"allocate.clusters.{clusters.name}: too many rows are equal in "
                f"{', '.join(clusters.of)} to be divided: {'; '.join(said)}{more}; add a column to "
                "of that tells them apart, or write a larger floor",
            )


def _one_group(by: Sequence[str], groups: Sequence[PlannedGroup]) -> Iterable[tuple[str, str]]:
    """Where there is nothing to balance, as when a class was lost on the way."""
    filled = {repr(group.group) for group in groups if group.available}
    if by and len(filled) == 1:
        message = f"all rows are of one group, {filled.pop()}: there is nothing to balance"
        yield "one_group", message


def copies_without_split(
    recipe: Recipe, groups: Sequence[PlannedGroup]
) -> Iterable[tuple[str, str]]:
    """Where a split of the output would put copies of one row on both of its sides."""
    sampler = method_of("sample", recipe.sample)
    rows_out = [sampler.rows_out(group.available, group.target) for group in groups]
    copies = sum(max(n - g.available, 0) for n, g in zip(rows_out, groups, strict=True))
    if recipe.split is None and copies:
        yield (
            "copies_without_split",
            f"{copies:,} rows of the output are copies of others, or made from them: split it for "
            "testing, and the test holds rows that were trained on; write split: {shares: {test: "
            "0.2}}, or split: {done: true} where the sources hold rows for training only",
        )


def _equal_rows_apart(frames: Frames) -> Iterable[tuple[str, str]]:
    """Where rows that differ in their key alone may be on both sides of the split."""
    split = frames.recipe.split
    by_key = split is not None and split.shares and not split.by
    deduplicated = any(
        not method_of("prune", options).training_only for options in frames.recipe.prune
    )
    if by_key and not deduplicated and any(s.key is not None for s in frames.pinned):
        yield (
            "split_without_prune",
            "rows that are equal but for their key may be in training and in a part that is held "
            "out; write prune: [{method: exact, columns: […]}]",
        )


def steps_against(recipe: Recipe, table: EvaluationTable) -> list[str]:
    """The pruning steps that take out rows which overlap an evaluation table."""
    found = []
    for i, options in enumerate(recipe.prune):
        if method_of("prune", options).evaluation:
            named: Sequence[str] | None = getattr(options, "tables", None)
            if table.prunes if named is None else table.name in named:
                found.append(f"prune.{i}")
    return found


def _not_compared(frames: Frames) -> Iterable[tuple[str, str]]:
    """Where rows may overlap a table that a model is evaluated on."""
    for table in frames.evaluation:
        if not steps_against(frames.recipe, table):
            yield (
                "evaluation_not_compared",
                f'rows may overlap the evaluation table "{table.name}": no pruning step compares '
                "them with it; write prune: [{method: contamination}]"
                + ("" if table.prunes else f" and leave out {table.place}.contamination"),
            )


def _missing_groups(
    groups: Sequence[PlannedGroup], outputs: Sequence[PlannedOutput]
) -> Iterable[tuple[str, str]]:
    """Where a part has no row of groups that others have."""
    parts = {output.part: output.groups for output in outputs if output.part != TRAIN}
    if not parts:
        return
    names = dict.fromkeys(repr(g.group) for own in [groups, *parts.values()] for g in own)
    for part, own in {TRAIN: groups, **parts}.items():
        rows: Counter[str] = Counter()
        for group in own:
            rows[repr(group.group)] += group.available
        missing = [name for name in names if not rows[name]]
        if missing:
            more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
            yield (
                "group_not_in_part",
                f'the part "{part}" has no row of {", ".join(missing[:NAMED])}{more}',
            )
