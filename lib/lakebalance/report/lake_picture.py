"""The picture of a lake: clusters of tables that hold each other's rows, drawn in layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from lakebalance.core.paths import common_folder

# Of a larger cluster, so many of the largest nodes are drawn.
MOST_NODES = 60
NODE = (176, 40)
GAP = (18, 46)
MOST_IN_A_ROW = 8
MOST_CHARACTERS = 24


@dataclass(frozen=True)
class Node:
    """Tables that hold each other, so that they are equal, as one box; ``x``, ``y`` its corner."""

    tables: list[str]
    title: str
    bytes: int
    goes: int
    x: int = 0
    y: int = 0

    @property
    def state(self) -> str:
        """``kept``, ``goes``, or ``some`` where only some of equal tables could go."""
        if not self.goes:
            return "kept"
        return "goes" if self.goes == len(self.tables) else "some"


@dataclass(frozen=True)
class Line:
    """From a node to one that holds it, as an SVG path; ``rebuild`` where the plan relies on it."""

    path: str
    rebuild: bool


@dataclass(frozen=True)
class Cluster:
    """Tables that hang together, as a drawing; ``left_out`` nodes are only counted."""

    tables: list[str]
    bytes: int
    goes: int
    nodes: list[Node]
    lines: list[Line]
    left_out: int

    @property
    def width(self) -> int:
        """Of the drawing, in pixels."""
        return max(node.x for node in self.nodes) + NODE[0] + 2

    @property
    def height(self) -> int:
        """Of the drawing, in pixels."""
        return max(node.y for node in self.nodes) + NODE[1] + 2


def clusters(
    sizes: Mapping[str, int],
    edges: Sequence[tuple[str, str]],
    rebuilt_from: Mapping[str, str] | None = None,
) -> list[Cluster]:
    """The clusters of a lake, those with most bytes first; tables that hang with none are left out.

    Parameters
    ----------
    sizes : bytes by table.
    edges : pairs of a table and one that holds all of its rows.
    rebuilt_from : by each table that could go, the one from which it would be rebuilt.

    Examples
    --------
    >>> found = clusters({"/l/a": 9, "/l/b": 4, "/l/c": 4, "/l/d": 1}, [("/l/b", "/l/a"),
    ...     ("/l/b", "/l/c"), ("/l/c", "/l/b"), ("/l/c", "/l/a")], {"/l/b": "/l/a"})
    >>> [(node.title, node.state, node.y) for node in found[0].nodes]
    [('a', 'kept', 0), ('b = c', 'some', 86)]
    """
    lake: Any = nx.DiGraph()
    lake.add_edges_from(sorted(edge for edge in edges if set(edge) <= sizes.keys()))
    whole = nx.condensation(lake)
    common = common_folder(list(sizes))
    goes = rebuilt_from or {}
    found = [
        _cluster(whole.subgraph(members), sizes, goes, common)
        for members in nx.weakly_connected_components(whole)
    ]
    return sorted(found, key=lambda cluster: (-cluster.bytes, cluster.tables))


def _cluster(part: Any, sizes: Mapping[str, int], goes: Mapping[str, str], common: str) -> Cluster:
    nodes = {id: _node(sorted(part.nodes[id]["members"]), sizes, goes, common) for id in part}
    order = sorted(nodes, key=lambda id: (-nodes[id].bytes, nodes[id].tables))
    drawn = part.subgraph(order[:MOST_NODES])
    # What holds a holder holds as well: only the nearest is drawn, and what the plan relies on.
    reduced = nx.transitive_reduction(drawn)
    of_table = {table: id for id in drawn for table in nodes[id].tables}
    relied = {
        (of_table[child], of_table[parent])
        for child, parent in goes.items()
        if child in of_table and parent in of_table and of_table[child] != of_table[parent]
    }
    layers = _layers(drawn, order)
    placed = {
        id: Node(n.tables, n.title, n.bytes, n.goes, x, y)
        for id, (x, y) in _places(layers, reduced).items()
        for n in [nodes[id]]
    }
    lines = [
        Line(_path(placed[child], placed[parent]), (child, parent) in relied)
        for child, parent in sorted({*reduced.edges, *relied})
    ]
    tables = sorted(table for node in nodes.values() for table in node.tables)
    return Cluster(
        tables,
        sum(node.bytes for node in nodes.values()),
        sum(node.goes for node in nodes.values()),
        [placed[id] for id in order if id in placed],
        lines,
        len(nodes) - len(placed),
    )


def _node(
    tables: list[str], sizes: Mapping[str, int], goes: Mapping[str, str], common: str
) -> Node:
    names = [table.removeprefix(common) for table in tables]
    title = " = ".join(names) if len(names) < 3 else f"{names[0]} = {len(names) - 1} others"
    if len(title) > MOST_CHARACTERS:
        # The end of a path tells more than its beginning.
        title = "…" + title[-MOST_CHARACTERS + 1 :]
    size = sum(sizes[table] for table in tables)
    return Node(tables, title, size, sum(table in goes for table in tables))


def _layers(drawn: Any, order: Sequence[int]) -> list[list[int]]:
    """The nodes by how far they are below one that nothing holds; wide layers take several rows."""
    turned = drawn.reverse()
    rank = {id: i for i, id in enumerate(order)}
    layers = []
    for generation in nx.topological_generations(turned):
        row = sorted(generation, key=rank.__getitem__)
        layers += [row[i : i + MOST_IN_A_ROW] for i in range(0, len(row), MOST_IN_A_ROW)]
    return layers


def _places(layers: Sequence[Sequence[int]], reduced: Any) -> dict[int, tuple[int, int]]:
    """Where each node is: below the middle of what holds it, as far as there is room."""
    placed: dict[int, tuple[int, int]] = {}
    step = (NODE[0] + GAP[0], NODE[1] + GAP[1])
    for depth, layer in enumerate(layers):
        middle = {}
        for place, id in enumerate(layer):
            above = [placed[parent][0] for parent in reduced.successors(id) if parent in placed]
            middle[id] = sum(above) / len(above) if above else place * step[0]
        x = 0
        for id in sorted(layer, key=lambda id: (middle[id], layer.index(id))):
            x = max(x, round(middle[id]))
            placed[id] = (x, depth * step[1])
            x += step[0]
    return placed


def _path(child: Node, parent: Node) -> str:
    """A curve from the top of a child to the bottom of what holds it."""
    x1, y1 = child.x + NODE[0] // 2, child.y
    x2, y2 = parent.x + NODE[0] // 2, parent.y + NODE[1]
    bend = max(14, (y1 - y2) // 2)
    return f"M{x1},{y1} C{x1},{y1 - bend} {x2},{y2 + bend} {x2},{y2}"
