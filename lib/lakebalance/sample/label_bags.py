"""Bags: the rows of one source that have one rare label, found by the label sets of groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakebalance.core.chance import salt_of
from lakebalance.core.labels import LabelSets, label_sets
from lakebalance.sample.label_columns import labels_of
from lakebalance.sample.thresholds import GROUP, HASH, Share

OF = "__lb_of"
IN, BAG, SALT = "__lb_in", "bag", "salt"


@dataclass(frozen=True)
class Bag:
    """The rows of a source that have a label and agree in all else that rows are counted by.

    ``name`` is for messages; ``groups`` are the ids of the label sets that have the label.
    """

    name: str
    label: str
    groups: Sequence[int]
    rows: int


def sets_of(shares: Mapping[int, Share], labels: Sequence[str]) -> LabelSets:
    """The label sets of groups, with their rows available."""
    values = [labels_of(share.values, labels) for share in shares.values()]
    return label_sets(values, [share.available for share in shares.values()])


def bags_of(shares: Mapping[int, Share], labels: Sequence[str], rare: Collection[str]) -> list[Bag]:
    """The bags of some labels, in order of the groups; those of one label need not stand together.

    Parameters
    ----------
    shares : per group: rows available, values, source.
    labels : the columns of labels, which are among a group's values.
    rare : the labels that have bags.
    """
    sets, ids = sets_of(shares, labels), list(shares)
    members: dict[tuple[str, str, int], list[int]] = {}
    for place, label in zip(sets.set_of.tolist(), sets.label_of.tolist(), strict=True):
        share = shares[ids[place]]
        if share.available and sets.names[label] in rare:
            others = [v for name, v in share.values.items() if name not in labels]
            members.setdefault((share.source, repr(others), label), []).append(ids[place])
    bags = []
    for (source, _, label), groups in members.items():
        others = [v for n, v in shares[groups[0]].values.items() if n not in labels]
        name = "/".join(map(str, [source, *others, sets.names[label]]))
        rows = sum(shares[group].available for group in groups)
        bags.append(Bag(name, sets.names[label], groups, rows))
    return bags


def in_bags(frames: Sequence[DataFrame], bags: Sequence[Bag]) -> list[DataFrame]:
    """The rows once for each bag that they are in, which then is their group.

    Parameters
    ----------
    frames : frames of one schema with ``__lb_group`` and ``__lb_hash``.
    bags : their places are the groups' ids.

    Returns
    -------
    The frames with another hash in each bag, and with the group before that in ``__lb_of``.
    """
    # By the label, so that a row's children in two bags of the same rows are not the same.
    salts = {label: _signed(salt_of("bag", label)) for label in {bag.label for bag in bags}}
    places: dict[int, list[dict[str, int]]] = {}
    for place, bag in enumerate(bags):
        for group in bag.groups:
            places.setdefault(group, []).append({BAG: place, SALT: salts[bag.label]})
    kind = pa.list_(pa.struct([(BAG, pa.int64()), (SALT, pa.int64())]))
    columns = {OF: pa.array(list(places), pa.int64()), IN: pa.array(list(places.values()), kind)}
    table = frames[0].sparkSession.createDataFrame(pa.table(columns))
    own, salt = F.col(IN).getField(BAG), F.col(IN).getField(SALT)
    return [
        frame.withColumnRenamed(GROUP, OF)
        .join(F.broadcast(table), OF)
        .withColumn(IN, F.explode(IN))
        .withColumns({GROUP: own, HASH: F.xxhash64(HASH, salt)})
        .drop(IN)
        for frame in frames
    ]


def _signed(number: int) -> int:
    return int(np.uint64(number).astype(np.int64))
