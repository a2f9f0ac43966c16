"""The report of a lake: what is drawn where, for 500 tables too, and hostile names."""

import random
import re
from itertools import pairwise

import networkx as nx

from lakebalance.report.lake import render
from lakebalance.report.lake_picture import MOST_IN_A_ROW, MOST_NODES, NODE, clusters


def made(families=40, seed=3):
    """A lake of families: a root, parts of it, parts of parts, copies; and tables of their own."""
    chance = random.Random(seed)
    sizes, edges, goes = {}, [], {}
    for family in range(families):
        names = [f"/lake/f{family}/root"]
        held = {names[0]: []}
        for i in range(chance.randint(0, 22)):
            parent = chance.choice(names)
            name = f"/lake/f{family}/part {i}"
            held[name] = [parent, *held[parent]]
            edges += [(name, above) for above in held[name]]
            names.append(name)
            if chance.random() < 0.5:
                goes[name] = names[0]
        sizes |= {name: chance.randint(1, 10**9) for name in names}
        copy = f"/lake/f{family}/copy"
        sizes[copy] = sizes[names[0]]
        edges += [(copy, names[0]), (names[0], copy), *[(n, copy) for n in names[1:]]]
    sizes |= {f"/lake/own{i}": 5 for i in range(30)}
    return sizes, edges, goes


def test_every_table_is_in_one_cluster_and_no_boxes_touch():
    sizes, edges, goes = made()
    found = clusters(sizes, edges, goes)
    assert len(found) == 40
    tables = [table for cluster in found for table in cluster.tables]
    assert len(tables) == len(set(tables)) == len(sizes) - 30
    assert [c.bytes for c in found] == sorted((c.bytes for c in found), reverse=True)
    for cluster in found:
        assert cluster.goes == sum(table in goes for table in cluster.tables)
        places = [(node.x, node.y) for node in cluster.nodes]
        rows = {}
        for x, y in places:
            rows.setdefault(y, []).append(x)
        for row in rows.values():
            row.sort()
            assert len(row) <= MOST_IN_A_ROW
            assert all(b - a >= NODE[0] for a, b in pairwise(row))
        assert max(x for x, _ in places) + NODE[0] <= cluster.width


def test_lines_lead_up_and_say_all_that_edges_say():
    sizes, edges, goes = made(families=6)
    for cluster in clusters(sizes, edges, goes):
        at = {(n.x + NODE[0] // 2, n.y): n for n in cluster.nodes}
        below = {(n.x + NODE[0] // 2, n.y + NODE[1]): n for n in cluster.nodes}
        drawn = nx.DiGraph()
        drawn.add_nodes_from(n.tables[0] for n in cluster.nodes)
        for line in cluster.lines:
            *_, start, end = re.match(r"M(\S+) C\S+ \S+ (\S+)$", line.path).group(0, 1, 2)
            child = at[tuple(map(int, start.split(",")))]
            parent = below[tuple(map(int, end.split(",")))]
            assert child.y > parent.y
            drawn.add_edge(child.tables[0], parent.tables[0])
        name = {table: n.tables[0] for n in cluster.nodes for table in n.tables}
        own = [(name[a], name[b]) for a, b in edges if a in name and name[a] != name[b]]
        assert set(nx.transitive_closure(drawn).edges) == set(own)


def test_equal_tables_are_one_box():
    sizes = {"/l/a": 5, "/l/b": 5, "/l/c": 5}
    cycle = [("/l/a", "/l/b"), ("/l/b", "/l/c"), ("/l/c", "/l/a")]
    [cluster] = clusters(sizes, cycle, {"/l/b": "/l/a", "/l/c": "/l/a"})
    [node] = cluster.nodes
    assert (node.title, node.goes, node.state, cluster.lines) == ("a = 2 others", 2, "some", [])


def test_a_large_cluster_is_drawn_in_part():
    sizes = {f"t{i}": i for i in range(200)}
    [cluster] = clusters(sizes, [(f"t{i}", "t199") for i in range(199)])
    assert len(cluster.nodes) == MOST_NODES and cluster.left_out == 200 - MOST_NODES
    assert len(cluster.tables) == 200


def test_a_page_of_five_hundred_tables_is_small():
    sizes, edges, _ = made(families=45)
    assert len(sizes) > 500
    tables = [{"table": t, "rows": 1, "bytes": n} for t, n in sizes.items()]
    pairs = [{"child": a, "parent": b} for a, b in edges]
    page = render(tables, pairs)
    assert page.count("<svg ") == 45 and len(page) < 1_500_000


def test_names_are_escaped_and_nothing_is_fetched():
    bad = "/l/<script>alert(1)</script>\"'&\ud800"
    tables = [{"table": name, "rows": None, "bytes": 3} for name in (bad, "/l/b", bad + "2")]
    plan = {
        "plan": "p", "cost": {"before": 1.0, "after": 0.5, "saved": 0.5, "bound": 0.5},
        "tables": [
            {"table": bad, "action": "drop", "rebuild_from": "/l/b", "bytes": 3, "storage": 0.5,
             "rebuild": 0.0, "seconds": 1.0, "verified": True},
            {"table": "/l/b", "action": "keep", "rebuild_from": None},
        ],
        "refuted": [{"child": bad, "parent": "/l/b"}],
        "problems": [{"child": bad, "parent": "/l/b", "problem": "<img src=x>"}],
    }  # fmt: skip
    page = render(tables, [{"child": bad, "parent": "/l/b"}], plan=plan)
    assert "<script" not in page and "<img" not in page
    assert "0.5 saved" in page and "could go" in page
    assert not re.search(r'(src|href)="(?!#)', page)


def test_a_lake_without_pairs():
    tables = [{"table": "/l/a", "rows": 1, "bytes": 3}]
    page = render(tables, [], graph={"funnel": [], "problems": []})
    assert "0 clusters" in page and "<svg" not in page
