"""bootstrap: multinomial copies, exact totals, the same rows however they lie."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

import lakebalance as lb
from lakebalance.core.chance import exponential, words
from lakebalance.sample.arrivals import arrivals, bits_of, decided, find_last_arrivals, moment_of
from lakebalance.sample.thresholds import GROUP, HASH, Threshold

HASHES = np.random.default_rng(1).integers(-(2**63), 2**63, 20_000)


def test_exponential_is_the_logarithm_and_never_0():
    bits = words(np.arange(100_000), np.zeros(100_000, dtype=np.int64), 5)
    uniform = ((bits >> np.uint64(12)).astype(float) + 0.5) * 2.0**-52
    assert exponential(bits) == pytest.approx(-np.log(uniform), rel=1e-14)
    assert stats.kstest(exponential(bits), "expon").pvalue > 0.01
    ends = exponential(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert 36 < ends[0] < 37 and 0 < ends[1] < 1e-15


def counted(hashes, until):
    found = np.zeros(len(hashes), dtype=int)
    for rows, _ in arrivals(hashes, np.full(len(hashes), until)):
        np.add.at(found, rows, 1)
    return found


@pytest.mark.parametrize("until", [0.05, 1.0, 7.5])
def test_arrivals_are_those_of_a_poisson_process(until):
    copies = np.bincount(counted(HASHES, until), minlength=4)
    upto = np.arange(len(copies) - 1)
    expected = stats.poisson.pmf(upto, until) * len(HASHES)
    expected = np.append(expected, len(HASHES) - expected.sum())
    # What is rare is too rough to be told apart.
    rare = expected < 5
    both = [np.append(x[~rare], x[rare].sum()) for x in (copies, expected)]
    assert stats.chisquare(*both).pvalue > 0.01


def test_moments_do_not_depend_on_which_rows_are_looked_at_together():
    def moments(hashes, until):
        made = [m[rows == 0] for rows, m in arrivals(hashes, np.full(len(hashes), until))]
        return np.concatenate(made)

    alone = moments(HASHES[:1], 500.0)
    assert len(alone) > 400 and (np.diff(alone) > 0).all()
    assert (moments(HASHES, 500.0) == alone).all()
    assert (bits_of(alone)[1:] > bits_of(alone)[:-1]).all()
    assert moment_of(int(bits_of(alone)[0])) == alone[0]


def frame(spark, hashes, groups, partitions):
    rows = [(int(g), int(h), i) for i, (g, h) in enumerate(zip(groups, hashes, strict=True))]
    return spark.createDataFrame(rows, f"{GROUP} bigint, {HASH} bigint, id int").repartition(
        partitions
    )


def test_thresholds_are_the_moments_of_a_plain_sort_ties_among_them(spark):
    groups = np.repeat([1, 2, 3, 4], [3000, 5, 40, 1])
    hashes = HASHES[: len(groups)].copy()
    # Rows that are equal in their key share a hash, and thereby all moments.
    hashes[3005:3045] = hashes[3005]
    wanted = {1: (3000, 700), 2: (5, 1833), 3: (40, 130), 4: (1, 1), 5: (7, 0)}
    halves = [frame(spark, hashes[i::2], groups[i::2], i + 1) for i in (0, 1)]
    found = find_last_arrivals(halves, wanted)
    for group in (1, 2, 3, 4):
        rows, target = wanted[group]
        until = np.full(rows, 10.0 + 2 * target / rows)
        here = np.sort(np.concatenate([m for _, m in arrivals(hashes[groups == group], until)]))
        last = here[target - 1]
        at_last = target - (here < last).sum()
        whole = at_last == (here == last).sum()
        assert found[group] == Threshold(0, int(bits_of(here)[target - 1]), at_last, whole)
    assert not found[3].whole and found[5] == Threshold(0)


@pytest.mark.slow
@pytest.mark.parametrize("target", [30, 2000])
def test_the_table_has_exactly_the_rows_and_each_can_say_why(spark, table, recipe, target):
    # Each row is there twice, so that both have one key and all moments in common.
    rows = [(i // 2, "ab"[i // 2 % 10 == 0], 0.5) for i in range(1000)]
    outputs = []
    for i, order in enumerate((rows, rows[::-1])):
        path = table(f"t{i}", order, "`my id` long, `the.label` string, x double", i + 1)
        asked = recipe(
            {"name": "s", "table": path},
            allocate={"balance": {"by": ["the.label"], "method": "equal"}, "rows": target},
            sample={"method": "bootstrap"},
        )
        result = lb.run(asked, spark)
        written = [tuple(r) for r in spark.read.format("delta").load(result.table).collect()]
        outputs.append(Counter(written))
        assert Counter(row[1] for row in written) == {"a": target // 2, "b": target // 2}
    assert outputs[0] == outputs[1]
    copies = Counter({row[0]: n for row, n in outputs[1].items()})
    rare = [copies[i] / 2 for i in range(0, 500, 10)]
    assert np.mean(rare) == target / 200 and (len(set(rare)) > 4 or target == 30)
    fates = lb.explain(asked, spark, "`my id` < 100", limit=1000)
    assert len(fates) == 100
    for fate in fates:
        assert fate["fate"] == ("kept" if fate["copies"] else "sampled out")
        assert fate["copies"] == len(fate["arrivals"])
        torn = "equal_rows_kept" in fate
        assert 2 * (fate["copies"] - torn) <= copies[fate["row"]["my id"]] <= 2 * fate["copies"]


def test_a_fate_counts_the_arrivals(spark):
    value = int(HASHES[0])
    some = np.concatenate([m for _, m in arrivals(HASHES[:1], np.array([9.0]))])
    third = Threshold(0, int(bits_of(some)[2]), 1, True)
    assert decided(third, value) == (3, 3, {"arrivals": some[:3].tolist(), "last_arrival": some[2]})
    assert decided(Threshold(0, third.last, 1, False), value)[:2] == (2, 3)
    assert decided(Threshold(0), value) == (0, 0, {})
