"""Parses YAML or JSON and remembers the line of every field, for messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lakebalance.core.errors import RecipeError

Path = tuple[str | int, ...]
MOST_NODES = 100_000
SURROGATE = re.compile("[\ud800-\udfff]")
TEXT_OR_TAB = re.compile(r'"(?:\\.|[^"\\])*"|\t', re.DOTALL)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which dates stay text and 1e-3 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


@dataclass(frozen=True)
class SourceText:
    """A parsed text: its data, and the 1-based line of each path in it."""

    data: Any
    lines: Mapping[Path, int]
    name: str

    def line_of(self, path: Path) -> int:
        """The line of a path, or of the nearest thing above it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: Path) -> str:
        """A path for messages: ``recipe.yaml:12  sources.0.table``."""
        dotted = ".".join(str(part) for part in path) or "recipe"
        return f"{self.name}:{self.line_of(path)}  {dotted}"


@dataclass
class _Reader:
    name: str
    lines: dict[Path, int] = field(default_factory=dict)
    nodes: int = 0

    def fail(self, node: yaml.Node, path: Path, what: str) -> RecipeError:
        dotted = ".".join(str(part) for part in path) or "recipe"
        return RecipeError(f"{self.name}:{node.start_mark.line + 1}  {dotted}: {what}")

    def read(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise self.fail(node, path, f"more than {MOST_NODES:,} values; write fewer aliases")
        if id(node) in above:
            raise self.fail(node, path, "an alias contains itself; write the value out")
        self.lines.setdefault(path, node.start_mark.line + 1)
        inside = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(n, (*path, i), inside) for i, n in enumerate(node.value)]
        loader = _Loader("")
        try:
            value = loader.construct_object(node, deep=True)
            return _joined(value) if isinstance(value, str) else value
        except (yaml.YAMLError, ValueError) as error:
            raise self.fail(node, path, f"cannot be read: {error}") from error

    def _mapping(self, node: yaml.MappingNode, path: Path, above: tuple[int, ...]) -> Any:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fail(key_node, path, "a field's name must be text")
            key = _joined(str(key_node.value))
            if key in data:
                raise self.fail(key_node, (*path, key), "written twice; leave out one")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            data[key] = self.read(value_node, (*path, key), above)
        return data


def _joined(text: str) -> str:
    """A text with its pairs of surrogates as the characters that JSON writes so."""
    if not SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text  # one alone, which is no character


def _without_tabs(text: str) -> str:
    """JSON that is indented by tabs, which YAML does not take outside of texts."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    return TEXT_OR_TAB.sub(lambda found: " " if found[0] == "\t" else found[0], text)


def parse(text: str, name: str = "recipe.yaml") -> SourceText:
    """Parse YAML or JSON without running anything in it.

    Parameters
    ----------
    text : the text.
    name : what messages call it.

    Raises
    ------
    RecipeError : bad syntax, a field written twice, endless aliases; with the line.

    Examples
    --------
    >>> parse("a:\\n  b: 1").line_of(("a", "b"))
    2
    """
    try:
        node = yaml.compose(_without_tabs(text), Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RecipeError(f"{name}:{line}  recipe: not YAML: {problem}") from error
    if node is None:
        raise RecipeError(f"{name}:1  recipe: is empty; start from what `lakebalance init` writes")
    reader = _Reader(name)
    data = reader.read(node, (), ())
    return SourceText(data, reader.lines, name)
