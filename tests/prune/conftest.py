"""Three groups of rows that overlap; a module says how many of each, and by which seed."""

import numpy as np
import pytest

from neighbourly import SCHEMA


@pytest.fixture(scope="module")
def rows(request):
    chance = np.random.default_rng(request.module.SEED)
    labels = np.repeat(np.arange(3), request.module.COUNTS)
    at = chance.normal(size=(len(labels), 3)) * [1.0, 5.0, 0.3] + 0.4 * labels[:, None]
    return [(i, int(g), *map(float, p)) for i, (g, p) in enumerate(zip(labels, at, strict=True))]


@pytest.fixture(scope="module")
def path(spark, rows, tmp_path_factory):
    """The rows as a Delta table."""
    folder = str(tmp_path_factory.mktemp("rows") / "source")
    spark.createDataFrame(rows, SCHEMA).write.format("delta").save(folder)
    return folder
