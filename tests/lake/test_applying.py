"""What is removed for a plan, what is left alone and why; killed, written meanwhile, at once."""

import json
from collections import Counter

import pytest

from drops import ROWS, multiset, planned, rows
from lakebalance import lake
from lakebalance.core.errors import RecipeError
from lakebalance.core.tables import Table, newest_version
from lakebalance.lake import applying
from lakebalance.lake.removals import removals_of
from written import write


@pytest.fixture
def lakes(spark, tmp_path):
    """Two equal tables, one of some of their rows, and a plan of the tables that are named."""
    for name, content in (("base", rows()), ("copy", rows()), ("some", rows(5, 25))):
        write(tmp_path / name, content)

    class Lake:
        state = str(tmp_path / "state")
        base, copy, some = (str(tmp_path / name) for name in ("base", "copy", "some"))

        @staticmethod
        def plan(*pairs):
            return planned(spark, Lake.state, pairs)

        @staticmethod
        def apply(plan, **options):
            return lake.apply(spark, Lake.state, plan, confirm=plan, **options)

        @staticmethod
        def events():
            return {r.table: r.event for r in removals_of(spark, Lake.state)}

    return Lake


def append(spark, path, start):
    spark.createDataFrame(rows(start, start + 1)).write.format("delta").mode("append").save(path)


def at(stage, do):
    """A listener that does something once, when a stage starts."""
    done = []

    def progress(name):
        if name.startswith(stage) and not done:
            done.append(name)
            do()

    return progress


def test_without_confirm_nothing_is_written(spark, lakes):
    plan = lakes.plan((lakes.copy, lakes.base), (lakes.some, lakes.base))
    shown = lake.apply(spark, lakes.state, plan)
    assert shown.dry_run and not lakes.events()
    said = {o.table: (o.action, o.kind, o.condition, o.rows) for o in shown.outcomes}
    assert said == {
        lakes.copy: ("archive", "whole", None, 40),
        lakes.some: ("archive", "condition", "`id` BETWEEN 5 AND 24", 20),
    }
    assert [newest_version(spark, Table(t)) for t in (lakes.copy, lakes.some)] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["proving", "removing", "emptying"])
def test_a_table_that_is_written_meanwhile_keeps_its_rows_and_others_go_on(spark, lakes, stage):
    plan = lakes.plan((lakes.copy, lakes.base), (lakes.some, lakes.base))
    begins = {"proving": f"proving that {lakes.copy}"}.get(stage, f"{stage} {lakes.copy}")
    done = lakes.apply(plan, progress=at(begins, lambda: append(spark, lakes.copy, 7)))
    assert [(o.table, "was written since version 0" in o.why) for o in done.skipped] == [
        (lakes.copy, True)
    ]
    expected = Counter(zip(*rows().to_pydict().values(), strict=True))
    assert multiset(spark, lakes.copy) == expected + Counter([(7, "row 3")])
    assert not multiset(spark, lakes.some)
    assert lakes.events() == {lakes.copy: "withdrawn", lakes.some: "removed"}


@pytest.mark.slow
def test_a_table_that_is_written_before_is_compared_as_it_is(spark, lakes):
    plan = lakes.plan((lakes.copy, lakes.base), (lakes.some, lakes.base))
    append(spark, lakes.copy, 900)
    append(spark, lakes.some, 30)
    done = lakes.apply(plan)
    (skipped,) = done.skipped
    assert f"1 of its 41 rows are not in {lakes.base} at version 0" in skipped.why
    assert (skipped.table, len(multiset(spark, lakes.copy))) == (lakes.copy, 41)
    # It has row 30 now: the condition of the plan's day would not select it, and any that does
    # would select row 25, too, which has the text of row 24.
    (some,) = (o for o in done.outcomes if o.table == lakes.some)
    assert (some.version, some.kind, some.rows) == (1, "rows", 21)


@pytest.mark.slow
def test_of_two_equal_tables_one_stays_also_when_two_plans_are_applied_at_once(spark, lakes):
    one, other = lakes.plan((lakes.copy, lakes.base)), lakes.plan((lakes.base, lakes.copy))
    # The other plan has looked at both, and proves, when the first one does it all.
    done = lakes.apply(other, progress=at("proving", lambda: lakes.apply(one)))
    assert [o.table for o in done.skipped] == [lakes.base]
    assert f"plan {one}" in done.skipped[0].why
    assert (len(multiset(spark, lakes.base)), multiset(spark, lakes.copy)) == (ROWS, Counter())
    again = lakes.apply(other)
    assert "is rebuilt from it" in again.skipped[0].why or "removed by" in again.skipped[0].why
    # A table that another one is rebuilt from is not removed either, whatever holds its rows.
    write(lakes.base + "2", rows())
    third = lakes.apply(lakes.plan((lakes.base, lakes.base + "2")))
    assert f"{lakes.copy}, removed by plan {one}, is rebuilt from it" in third.skipped[0].why


class Killed(BaseException):
    """What ends a process."""


def kill():
    raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("step", ["claimed", "emptying", "removed", "deleted"])
def test_what_is_killed_is_whole_or_done_by_applying_it_again(spark, lakes, monkeypatch, step):
    plan = lakes.plan((lakes.copy, lakes.base))
    real, delete = applying.record, step == "deleted"

    def record(spark, state, removals, event, note=""):
        if event == step:
            kill()
        return real(spark, state, removals, event, note)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(applying, "record", record)
        if delete:
            patch.setattr(applying, "take_files", lambda *_: None)
        stop = at("emptying", kill) if step == "emptying" else lambda _: None
        lakes.apply(plan, delete=delete, progress=stop)
    is_whole = step in ("claimed", "emptying")
    assert len(multiset(spark, lakes.copy)) == (ROWS if is_whole else 0)
    done = lakes.apply(plan)
    assert not done.skipped
    assert lakes.events() == {lakes.copy: "removed"}
    version = newest_version(spark, Table(lakes.copy))
    assert version == 1 and not multiset(spark, lakes.copy)
    assert [o.why for o in lakes.apply(plan).outcomes] == ["done before"]
    assert newest_version(spark, Table(lakes.copy)) == version
    found = lake.restore(spark, lakes.state, [lakes.copy])
    assert [r.how for r in found] == ["version"] and len(multiset(spark, lakes.copy)) == ROWS
    # What was restored can be removed again.
    assert not lakes.apply(plan).skipped
    assert not multiset(spark, lakes.copy)


@pytest.mark.slow
def test_by_command_with_a_table_that_cannot_be_read(spark, lakes, call, tmp_path):
    plan = lakes.plan((lakes.copy, lakes.base), (lakes.some, lakes.base))
    (tmp_path / "some/_delta_log" / f"{0:020}.json").write_text("{")
    code, out, err = call("apply", plan, "--state", lakes.state)
    assert (code, "Nothing was done" in out, f"--confirm {plan}" in out) == (0, True, True), err
    code, out, err = call("apply", plan, "--state", lakes.state, "--confirm", plan, "--json")
    assert code == 4, err
    done = json.loads(out)
    assert [t["action"] for t in done["tables"]] == ["archive", "skip"]
    code, out, _ = call("restore", lakes.copy, "--state", lakes.state)
    assert (code, "its own older version" in out) == (0, True)
    assert len(multiset(spark, lakes.copy)) == ROWS


def test_what_users_get_wrong_is_said(spark, lakes, call):
    plan = lakes.plan((lakes.copy, lakes.base))
    code, _, err = call("apply", plan[:-1], "--state", lakes.state)
    assert (code, f'did you mean "{plan}"?' in err.replace("\n", "")) == (2, True)
    with pytest.raises(RecipeError, match=f"confirm: yes is not the plan.*write {plan}"):
        lake.apply(spark, lakes.state, plan, confirm="yes")
    assert call("restore", "--state", lakes.state)[0] == 2
    with pytest.raises(RecipeError, match=r"no table /l/t that was removed; there are none"):
        lake.restore(spark, lakes.state, ["/l/t"])
    with pytest.raises(RecipeError, match="no table that plan x removed"):
        lake.restore(spark, lakes.state, plan="x")
