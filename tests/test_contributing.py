"""The example in CONTRIBUTING.md works as it stands there, by an entry point too."""

import doctest
import re
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lakebalance.allocate.nest import Available, allocate
from lakebalance.core import registry

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def logarithm(monkeypatch):
    module = types.ModuleType("my_logarithm")
    monkeypatch.setitem(sys.modules, "my_logarithm", module)
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    entry = EntryPoint("logarithm", "my_logarithm:METHOD", "lakebalance.allocate")
    monkeypatch.setattr(
        registry, "entry_points",
        lambda group: [entry] if group == "lakebalance.allocate" else [],
    )  # fmt: skip
    registry.methods.cache_clear()
    yield module
    registry.methods.cache_clear()


def test_the_example_is_found_and_does_what_it_says(logarithm):
    assert "logarithm" in registry.methods("allocate")
    assert doctest.testmod(logarithm).failed == 0
    options = logarithm.Logarithm(method="logarithm", scale=1.0)
    counts = [Available("s", {"c": "a"}, 63), Available("s", {"c": "b"}, 7)]
    assert [a.target for a in allocate(counts, 40, None, options)] == [27, 13]


def test_two_methods_of_one_name_are_refused(logarithm, monkeypatch):
    entry = EntryPoint("equal", "lakebalance.allocate.equal:METHOD", "lakebalance.allocate")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.methods.cache_clear()
    with pytest.raises(ValueError, match="'equal' exists already"):
        registry.methods("allocate")
