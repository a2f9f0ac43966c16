"""Which tables to keep where containment is a tree: exact, by dynamic programming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Sources = Sequence[Mapping[int, int]]


def on_tree(
    keep: Sequence[int], sources: Sources, pinned: frozenset[int]
) -> list[int | None] | None:
    """The best sources, by the nearest kept ancestor; None where containment is no tree.

    It is one where what serves a table is its parent and all that serves the parent, and a nearer
    ancestor is never the dearer source.

    Parameters
    ----------
    keep : what each table costs to keep.
    sources : what each costs if rebuilt from another.
    pinned : the tables that are kept.

    Examples
    --------
    >>> on_tree([100, 50, 20], [{}, {0: 9}, {0: 9, 1: 4}], frozenset())
    [None, 0, 0]
    >>> on_tree([1, 1], [{1: 0}, {0: 0}], frozenset()) is None  # equal tables
    True
    """
    parent = _parents(sources)
    if parent is None:
        return None
    from_root = sorted(range(len(keep)), key=lambda v: (len(sources[v]), v))
    children: list[list[int]] = [[] for _ in keep]
    for v, p in enumerate(parent):
        if p is not None:
            children[p].append(v)
    # least[v][u]: of the subtree of v, if u is the nearest kept table above it.
    least: list[dict[int | None, int]] = [{} for _ in keep]
    kept: list[dict[int | None, bool]] = [{} for _ in keep]
    for v in reversed(from_root):
        if_kept = keep[v] + sum(least[c][v] for c in children[v])
        for u in [None, *sources[v]]:
            dropped = None
            if u is not None and v not in pinned:
                dropped = sources[v][u] + sum(least[c][u] for c in children[v])
            kept[v][u] = dropped is None or if_kept <= dropped
            least[v][u] = if_kept if dropped is None else min(if_kept, dropped)
    above: list[int | None] = [None] * len(keep)
    chosen: list[int | None] = [None] * len(keep)
    for v in from_root:
        p = parent[v]
        if p is not None:
            above[v] = p if chosen[p] is None else above[p]
        chosen[v] = None if kept[v][above[v]] else above[v]
    return chosen


def _parents(sources: Sources) -> list[int | None] | None:
    parents: list[int | None] = []
    for v, serving in enumerate(sources):
        if not serving:
            parents.append(None)
            continue
        nearest = max(serving, key=lambda u: (len(sources[u]), -u))
        if v in sources[nearest] or serving.keys() != {nearest, *sources[nearest]}:
            return None
        by_distance = sorted(serving, key=lambda u: -len(sources[u]))
        costs = [serving[u] for u in by_distance]
        if costs != sorted(costs):
            return None
        parents.append(nearest)
    return parents
