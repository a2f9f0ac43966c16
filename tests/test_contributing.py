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
def power(monkeypatch):
    module = types.ModuleType("my_power")
    monkeypatch.setitem(sys.modules, "my_power", module)
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    entry = EntryPoint("power", "my_power:METHOD", "lakebalance.allocate")
    monkeypatch.setattr(
        registry, "entry_points",
        lambda group: [entry] if group == "lakebalance.allocate" else [],
    )  # fmt: skip
    registry.methods.cache_clear()
    yield module
    registry.methods.cache_clear()


def test_the_example_is_found_and_does_what_it_says(power):
    assert "power" in registry.methods("allocate")
    assert doctest.testmod(power).failed == 0
    options = power.Power(method="power", alpha=0.5, max_epochs=None)
    counts = [Available("s", {"c": "a"}, 900), Available("s", {"c": "b"}, 100)]
    assert [a.target for a in allocate(counts, 40, None, options)] == [30, 10]


def test_two_methods_of_one_name_are_refused(power, monkeypatch):
    entry = EntryPoint("equal", "lakebalance.allocate.equal:METHOD", "lakebalance.allocate")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry.methods.cache_clear()
    with pytest.raises(ValueError, match="'equal' exists already"):
        registry.methods("allocate")
