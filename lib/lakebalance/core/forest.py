"""Trees of cuts, one for each class, and the cell that a row lies in, as a plain column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F


@dataclass
class Forest:
    """The nodes of binary trees; the first ones are the roots, of the depth 0.

    What is below ``cut`` on ``axis`` goes on at the node ``below``, all else at ``above``. A leaf
    goes on at itself.
    """

    axis: list[int] = field(default_factory=list)
    cut: list[float] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    above: list[int] = field(default_factory=list)

    @classmethod
    def of_roots(cls, roots: int) -> Forest:
        """So many trees of one node."""
        forest = cls()
        for _ in range(roots):
            forest._add()
        return forest

    def _add(self) -> int:
        node = len(self.axis)
        self.axis.append(0)
        self.cut.append(0.0)
        self.below.append(node)
        self.above.append(node)
        return node

    def split(self, leaf: int, axis: int, cut: float) -> tuple[int, int]:
        """Make two leaves of one; returns what is below the cut, and what is not."""
        self.axis[leaf], self.cut[leaf] = axis, cut
        self.below[leaf], self.above[leaf] = self._add(), self._add()
        return self.below[leaf], self.above[leaf]

    def leaves(self, root: int) -> list[int]:
        """The leaves of a tree, from the lowest to the highest.

        Examples
        --------
        >>> forest = Forest.of_roots(2)
        >>> forest.split(1, 0, 3.5), forest.leaves(0), forest.leaves(1)
        ((2, 3), [0], [2, 3])
        """
        if self.below[root] == root:
            return [root]
        return [*self.leaves(self.below[root]), *self.leaves(self.above[root])]

    @property
    def depth(self) -> int:
        """The most cuts from a root to a leaf."""
        depth_of = [0] * len(self.axis)
        for node, below in enumerate(self.below):
            if below != node:
                depth_of[below] = depth_of[self.above[node]] = depth_of[node] + 1
        return max(depth_of, default=0)

    def leaf(self, root: Column, at: Column) -> Column:
        """The leaf that a row lies in.

        Parameters
        ----------
        root : the number of the tree, not null.
        at : the row's coordinates, an array of doubles without nulls.
        """
        root = root.cast("int")
        if not self.depth:
            return root
        axis, cut = listed(self.axis, "int"), listed(self.cut, "double")
        below, above = listed(self.below, "int"), listed(self.above, "int")
        steps = F.sequence(F.lit(1), F.lit(self.depth))

        def walked(place: Column) -> Column:
            def step(node: Column, _: Column) -> Column:
                lower = F.get(place, F.get(axis, node)) < F.get(cut, node)
                return F.when(lower, F.get(below, node)).otherwise(F.get(above, node))

            return F.aggregate(steps, root, step)

        # Within an array, so that the coordinates are made once a row and not at each step.
        return F.get(F.transform(F.array(at), walked), F.lit(0))


def listed(values: Sequence[int | float | str], kind: str) -> Column:
    """Many numbers, or texts of digits, as one constant array; a literal each would be slow."""
    return F.split(F.lit(",".join(map(str, values))), ",").cast(f"array<{kind}>")
