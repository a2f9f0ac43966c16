"""Rows whose treatment depends on their covariates, and what is true of them."""

import numpy as np

from lakebalance.core.registry import methods
from lakebalance.recipe.models import Recipe
from lakebalance.sample.thresholds import GROUP, HASH


def confounded(n=3000, width=3, strength=1.0, seed=3):
    """Normal covariates x0, x1, …, a category c, and a treatment t that follows from them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width))
    c = rng.integers(0, 3, n)
    logit = strength * (x[:, 0] - 0.5 * x[:, 1] + 0.4 * (c == 1)) - 0.3
    t = (rng.uniform(size=n) < 1 / (1 + np.exp(-logit))).astype(int)
    return {
        **{f"x{i}": x[:, i] for i in range(width)},
        "c": np.array(["a", "b", "c"])[c],
        "t": t,
        "id": np.arange(n),
    }


def options(method, covariates, **more):
    """Options as a recipe has them."""
    given = {"method": method, "treatment": "t", "treated": 1, "covariates": covariates, **more}
    base = {"name": "n", "sources": [{"name": "s", "table": "a/b"}], "publish": {"table": "a/c"}}
    return Recipe.model_validate({**base, "sample": given}).sample


def prepared(frames, asked):
    """What a method finds in the rows, after the checks that come before."""
    method = methods("sample")[asked.method]
    method.check_columns(frames[0].drop("__lb_source", "__lb_key", GROUP, HASH), asked, [])
    return method.prepare(frames, {}, asked)


def weights(frames, asked, by="id"):
    """The prepared state, and the weights in the order of a column."""
    found = prepared(frames, asked)
    return found, weights_of(frames, asked, found, by)


def weights_of(frames, asked, found, by="id"):
    """The weights in the order of a column."""
    asked = asked.model_copy(update={"rows": None})
    out = methods("sample")[asked.method].function(frames, {}, asked, found.state)
    return out.select(by, asked.column).toArrow().sort_by(by)[asked.column].to_numpy()


def table(found, i):
    """A diagnostic as rows by their first column."""
    d = found.diagnostics[i]
    return {row[0]: dict(zip(d.columns, row, strict=True)) for row in d.rows}


def copies(frames, asked, found):
    """How often each row is put out, in the order of ids that count from 0."""
    out = methods("sample")[asked.method].function(frames, {}, asked, found.state)
    assert not {"weight", GROUP, HASH} & set(out.columns)
    return np.bincount(out.select("id").toArrow()["id"].to_numpy())
