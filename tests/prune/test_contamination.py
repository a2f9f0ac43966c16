"""Rows that hold what a model is evaluated on."""

import numpy as np
import pytest
import yaml

import lakebalance as lb
from evaluated import evaluation, found, frame, grams, overlap, random_texts, spliced
from lakebalance.core.errors import LakebalanceError, RecipeError
from lakebalance.frames import Frames
from lakebalance.prune.contamination import Contamination
from lakebalance.recipe.load import loads
from neighbourly import keyed

ODD = [None, "", " … ", "x", "x y", "\u202eabc שלום עולם", "e\u0301 a", b"a \xed\xa0\x80 c d e"]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(5)
    tests = {"quiz": random_texts(rng, 40), "exam": [*random_texts(rng, 30), *ODD]}
    rows = spliced(rng, random_texts(rng, 250, 10**6), [*tests["quiz"], *tests["exam"][:30]])
    return [*rows, *rows[:40], *ODD], tests


def truth(texts, tests, n, shortest):
    """Of each row that overlaps a test the greatest share of one."""
    best = {}
    for i, text in enumerate(texts):
        for own in tests.values():
            for test in own:
                if isinstance(text, bytes) or isinstance(test, bytes):
                    continue
                share = overlap(text, test, n, shortest)
                if share:
                    best[i] = max(best.get(i, 0), share)
    return best


def test_what_overlaps_is_found_and_nothing_else_however_rows_lie(spark, texts, tmp_path):
    rows, tests = texts
    written = []

    def scratch(df, name):
        written.append(name)
        df.repartition(3).write.parquet(str(tmp_path / name))
        return spark.read.parquet(str(tmp_path / name))

    options = {"ngram": 5, "shortest": 3}
    matches = found(frame(spark, rows), evaluation(spark, tests), **options)
    again = found(frame(spark, rows, 1), evaluation(spark, tests, 3), scratch, **options)
    assert again == matches and written == ["n-gram-rows", "n-gram-tests"]
    known = truth(rows, tests, 5, 3)
    # The last is no UTF-8, and equal in both.
    assert set(matches) == {*known, len(rows) - 1} and 40 < len(known) < 100
    for i, match in matches.items():
        if i == len(rows) - 1:
            continue
        table, at = match["test"]
        sought = grams(tests[table][at], 5, 3, inside=False)
        both = sought & grams(rows[i], 5, 3, inside=True)
        assert tuple(match["ngram"].split()) in both
        assert match["shared"] == len(both) and match["share"] == len(both) / len(sought)
        assert match["rows"] == 1 and match["left"] == 0


@pytest.mark.slow
def test_shares_near_duplicates_and_boilerplate(spark, texts):
    rows, tests = texts
    options = {"ngram": 3, "shortest": 2}
    df, tables = frame(spark, rows[:250]), evaluation(spark, tests)
    known = truth(rows[:250], tests, 3, 2)
    matches = found(df, tables, **options, share=0.5)
    assert set(matches) == {i for i, share in known.items() if share >= 0.5} and len(matches) > 9
    assert {i: m["share"] for i, m in matches.items()}.items() <= known.items()
    # Rows that share a key are equal, and go together.
    twice = found(df.union(df), tables, **options, share=0.5)
    assert {i: m["rows"] for i, m in twice.items()} == dict.fromkeys(matches, 2)
    # One word of eighteen differs in the first; the second shares half, and no run of thirteen.
    base = " ".join(f"t{i}" for i in range(18))
    copy, half = base.replace("t9", "other"), " ".join(base.split()[:9])
    df = frame(spark, [copy, half, *["who is who at the end of the day " + w for w in "abcd"]])
    tables = evaluation(spark, {"quiz": [base, "who is who at the end of the day today and so"]})
    (match,) = found(df, tables, near=0.65, near_ngram=3).items()
    # 13 of the 16 shingles of each are in both.
    assert match[0] == 0 and match[1]["similarity"] == 13 / 19 and match[1]["share"] == 13 / 16
    assert set(found(df, tables, ngram=9)) == {0, 1, 2, 3, 4, 5}
    assert set(found(df, tables, ngram=9, boilerplate=3)) == {0, 1}


TEXT = "which of these cities is the capital of the country that lies to the north"


@pytest.fixture
def made(spark, table, recipe):
    """A recipe over rows of which the first three overlap an evaluation table."""
    rows = [(0, f"Q: {TEXT.title()}? Paris!", "a"), (1, "Yes, of course.", "a"), (2, TEXT, "b")]
    rows += [(i, f"another text that says {i} and nothing of what was asked at all", "ab"[i % 2])
             for i in range(3, 30)]  # fmt: skip
    source = table("s", rows, "id long, text string, c string")
    quiz = table(
        "quiz",
        [
            (7, TEXT.removesuffix(" that lies to the north"), ["that lies to the north?"]),
            (8, "Yes", ["of course"]),
        ],
        "n int, ask string, options array<string>",
    )
    nothing = table("nothing", [], "n int, ask string")

    def make(**parts):
        tables = [
            {"name": "quiz", "table": quiz, "key": ["n"], "columns": {"text": ["ask", "options"]}},
            {"name": "nothing", "table": nothing, "columns": {"text": ["ask"]}},
        ]
        balance = {"balance": {"by": ["c"], "method": "to_max"}}
        return recipe(keyed(source), **{"evaluation": tables, "allocate": balance, **parts})

    return make


@pytest.mark.slow
def test_a_recipe_with_evaluation_tables_publishes_nothing_of_them(spark, made):
    asked = made()
    written = lb.run(asked, spark)
    plan = written.plan.to_dict()
    assert [(s["method"], s["dropped"], s["fate"]) for s in plan["pruned"]] == [
        ("contamination", 3, "contaminated")
    ]
    assert [(t["name"], t["version"], t["contamination"]) for t in plan["evaluation"]] == [
        ("quiz", 0, ["prune.0"]), ("nothing", 0, ["prune.0"])
    ]  # fmt: skip
    compared = plan["diagnostics"][0]
    assert [row[3:] for row in compared["rows"]] == [[2, 2, 4], [0, 0, 0]]
    # Published are copies of rows, none of which overlaps a test.
    out = [r["text"] for r in spark.read.format("delta").load(asked.publish.table).collect()]
    assert len(out) == written.rows > 27
    tests = [f"{TEXT}?", "Yes\nof course"]
    assert not any(overlap(text, test, 13, 8) for text in out for test in tests)
    by_table = next(d for d in written.to_dict()["diagnostics"] if "dropped" in d["title"])
    assert by_table["rows"] == [["quiz", 3, 2], ["nothing", 0, 0]]
    said = {d["row"]["id"]: d for d in lb.explain(asked, spark, "id < 4")}
    assert [said[i]["fate"] for i in range(3)] == ["contaminated"] * 3
    first = said[0]
    assert first["by"] == "prune.0 (contamination)" and first["evaluation"] == "quiz"
    assert first["test_row"]["n"] == 7 and first["ngram"] in TEXT and first["share"] == 1.0
    assert said[1]["test_row"]["n"] == 8 and said[1]["ngram"] == "yes of course"
    assert said[3]["fate"] == "kept"


WRONG = [
    ({"columns": {"txt": ["ask"]}}, {}, 'evaluation.0.columns: no column "txt"; did you mean'),
    ({"columns": {"id": ["ask"]}}, {}, 'column "id" is of type bigint; name columns of text'),
    ({"columns": {"text": ["asks"]}}, {}, 'evaluation.0.columns.text: no column "asks"'),
    ({"columns": {"text": ["n"]}}, {}, 'evaluation.0.columns.text: column "n" is of type int'),
    ({"table": "./none"}, {}, "evaluation.0.table: ./none is not a Delta table"),
    ({}, {"tables": ["quis"]}, 'prune.0.tables: no evaluation table "quis"; did you mean'),
]


def test_tables_that_are_off_are_warned_of_and_wrong_ones_refused(spark, made):
    tables = made().model_dump()["evaluation"]
    off = [{**t, "contamination": False} for t in tables]
    asked = made(evaluation=off)
    assert asked.prune == []
    plan = lb.plan(asked, spark)
    assert [w["code"] for w in plan.warnings].count("evaluation_not_compared") == 2
    assert plan.run_id != Frames(made(evaluation=[]), spark).run_id
    with pytest.raises(RecipeError, match=r"prune.0: there is no evaluation table to compare"):
        lb.plan(made(evaluation=off, prune=[{"method": "contamination"}]), spark)
    for change, option, message in WRONG:
        changed = [{**tables[0], **change}, tables[1]]
        steps = [{"method": "contamination", **option}]
        with pytest.raises(LakebalanceError) as refused:
            lb.plan(made(evaluation=changed, prune=steps), spark)
        assert message in str(refused.value)


def test_the_step_is_added_where_there_is_none():
    base = {"name": "n", "sources": [{"name": "s", "table": "a/b"}], "publish": {"table": "a/c"}}
    table = {"name": "e", "table": "a/e", "columns": {"text": ["q"]}}
    said = yaml.safe_dump({**base, "evaluation": [table]})
    assert [step.method for step in loads(said).prune] == ["contamination"]
    assert loads(loads(said).to_yaml()) == loads(said)
    exact = {"method": "exact"}
    (first, last) = loads(said, sets=["prune=[{method: exact}]"]).prune
    assert (first.method, last.method) == ("exact", "contamination")
    own = {"method": "contamination", "ngram": 8}
    given = loads(yaml.safe_dump({**base, "evaluation": [table], "prune": [own, exact]}))
    assert [step.method for step in given.prune] == ["contamination", "exact"]
    assert loads(said, sets=["evaluation.e.contamination=off"]).prune == []
    wrong = {**base, "evaluation": [{**table, "name": "s"}]}
    with pytest.raises(RecipeError, match="another table has the name 's', too"):
        loads(yaml.safe_dump(wrong))
    with pytest.raises(RecipeError, match=r"evaluation.0.columns: text: name at least one column"):
        loads(said, sets=["evaluation.e.columns={text: []}"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0}, "greater than 0"),
        ({"near": 1.5}, "less than or equal to 1"),
        ({"ngram": 0}, "greater than or equal to 1"),
        ({"ngram": 61}, "less than or equal to 60"),
        ({"tokens": "letters"}, "'words' or 'characters'"),
        ({"tables": []}, "at least 1"),
        ({"boilerplate": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        Contamination(method="contamination", **options)
