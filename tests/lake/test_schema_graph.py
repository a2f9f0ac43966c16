"""Which tables have the columns of which, against comparing all pairs."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebalance.lake.facts import ColumnFacts, TableFacts
from lakebalance.lake.schema_graph import Names, edges, holds

KINDS = ["integer", "long", "double", "date", "timestamp", "timestamp_ntz", "string",
         "decimal(10,2)", "decimal(12,4)"]  # fmt: skip


def table(name, kinds):
    return TableFacts(name, 0, 1, 1, 1, tuple(ColumnFacts(n, kind) for n, kind in kinds.items()))


def pairs(tables, names=None):
    return [(edge.child, edge.parent) for edge in edges(tables, names)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(KINDS), max_size=4), max_size=8
    )
)
def test_the_same_pairs_as_of_all(schemas):
    tables = [table(f"t{i}", kinds) for i, kinds in enumerate(schemas)]
    expected = [
        (f"t{i}", f"t{j}")
        for i, child in enumerate(schemas)
        for j, parent in enumerate(schemas)
        if i != j
        and child
        and all(
            name in parent and holds(f'"{parent[name]}"', f'"{kind}"')
            for name, kind in child.items()
        )
    ]
    assert pairs(tables) == expected


def test_only_types_that_lose_nothing_hold_others():
    wide = {
        "long": {"integer"}, "double": {"integer"}, "timestamp_ntz": {"date"},
        "decimal(12,4)": {"decimal(10,2)"},
    }  # fmt: skip
    for parent in KINDS:
        for child in KINDS:
            expected = child == parent or child in wide.get(parent, ())
            assert holds(f'"{parent}"', f'"{child}"') == expected, (parent, child)


def test_names_by_alias_and_case():
    tables = [table("a", {"dep_delay": "long", "id": "long"}), table("b", {"DEP_DLY": "integer"})]
    assert pairs(tables) == []
    assert pairs(tables, Names({"dep_dly": "dep_delay"})) == []
    names = Names({"dep_dly": "dep_delay"}, ignore_case=True)
    (edge,) = edges(tables, names)
    assert (edge.child, edge.parent, edge.columns) == ("b", "a", (("DEP_DLY", "dep_delay"),))
    # Two columns of one name are not to be told apart.
    assert pairs([*tables, table("c", {"id": "long", "ID": "long"})], names) == [("b", "a")]


def test_nested_types_are_the_same_or_not():
    inner = {"name": "x", "type": "long", "nullable": True, "metadata": {}}
    struct = {"type": "struct", "fields": [inner]}
    plain = {"type": "struct", "fields": [{**inner, "nullable": False, "metadata": {"c": 1}}]}
    other = {"type": "struct", "fields": [{**inner, "name": "y"}]}
    tables = [table(n, {"s": kind}) for n, kind in zip("abc", (struct, plain, other), strict=True)]
    assert pairs(tables) == [("a", "b"), ("b", "a")]


def test_many_tables_are_not_compared_pair_by_pair():
    tables = [
        table(f"t{i:05}", {f"c{i % 5000}_{j}": "long" for j in range(6 if i < 5000 else 4)})
        for i in range(10_000)
    ]
    started = time.monotonic()
    assert len(pairs(tables)) == 5000
    assert time.monotonic() - started < 10
