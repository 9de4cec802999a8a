"""What a class's answers say, on classes whose ability and learning are known."""

import csv
import io

import numpy as np
import pytest

from course_utils.classroom.inventory import figures, results
from course_utils.classroom.inventory.items import FORMS, LETTERS, items
from course_utils.commands import cli

K = len(items())
GUESS = 0.2


def chances(ability, difficulty):
    """The chance of a right answer, (students, questions): the three-parameter logistic model."""
    return GUESS + (1 - GUESS) / (1 + np.exp(-1.2 * (ability[:, None] - difficulty)))


def room(seed, students, learnt=1.0, bad=None):
    """A class in which half takes A first: its sheets, and its true chances before and after. `bad` is a form
    and the number of a question whose key is wrong: who knows the answer does not give it."""
    generator = np.random.default_rng(seed)
    ability, difficulty = generator.normal(size=students), np.random.default_rng(99).normal(0.3, 0.8, size=K)
    sheets, true = [], []
    for when, level in (("before", ability), ("after", ability + learnt)):
        p = chances(level, difficulty)
        true.append(p)
        right = generator.random(p.shape) < p
        for student in range(students):
            form = FORMS[(student + (when == "after")) % 2]
            asked = [item.forms[form] for item in items()]
            letters = [
                question.right if good != (bad == (form, i)) else question.tempting
                for i, (question, good) in enumerate(zip(asked, right[student], strict=True))
            ]
            sheets.append(results.Sheet(f"s{student}", when, form, tuple(letters)))
    return sheets, *true


def as_file(path, sheets):
    out = io.StringIO()
    csv.writer(out).writerows(
        [
            ["student", "when", "form", *range(1, K + 1)],
            *([s.student, s.when, s.form, *s.answers] for s in sheets),
        ]
    )
    path.write_text(out.getvalue(), "utf-8")
    return path


def test_figures_of_a_small_table_by_hand():
    right = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    # p = 3/4, 1/2, 1/4; sums 3, 2, 1, 0 have the variance 5/4
    assert figures.kr20(right) == pytest.approx(3 / 2 * (1 - (3 / 16 + 1 / 4 + 3 / 16) / (5 / 4)))
    assert figures.gain(np.array([0.2, 0.4]), np.array([0.6, 0.7])) == pytest.approx(0.35 / 0.7)
    tells = figures.discrimination(right, np.zeros(4))
    assert tells[0] == pytest.approx(np.corrcoef(right[:, 0], right[:, 1:].sum(axis=1))[0, 1])
    assert np.isnan(figures.gain(np.ones(2), np.ones(2))) and np.isnan(figures.kr20(np.ones((3, 4))))
    assert np.isnan(figures.discrimination(np.ones((3, 4)), np.zeros(3))).all()
    assert np.isnan(figures.interval(figures.gain, np.ones(1), np.ones(1))).all()


def test_learning_alone_is_no_discrimination():
    """All fail before and all know after, by chance alone within: nothing tells one from another."""
    generator = np.random.default_rng(0)
    right = np.vstack([generator.random((300, K)) < 0.2, generator.random((300, K)) < 0.8]).astype(int)
    groups = np.repeat([0, 1], 300)
    assert abs(figures.discrimination(right, groups)).max() < 0.15
    assert figures.discrimination(right, np.zeros(600)).min() > 0.4, "without groups it would look like much"


@pytest.mark.parametrize("learnt", [0.0, 1.0])
def test_the_interval_of_the_gain_holds_the_true_one(learnt):
    held = 0
    for seed in range(20):
        sheets, before, after = room(seed, 60, learnt)
        true = (after.mean() - before.mean()) / (1 - before.mean())
        low, high = figures.interval(figures.gain, *results.matched(sheets)[:2], resamples=400)
        held += low <= true <= high
        assert high - low < 0.25
    assert held >= 17  # 95 % are 19; fewer than 17 would come in two trials of a hundred


def test_reliability_is_what_two_parallel_tests_agree_in():
    generator = np.random.default_rng(1)
    p = chances(generator.normal(size=4000), np.linspace(-1, 1, K))
    one, other = (generator.random(p.shape) < p for _ in range(2))
    assert figures.kr20(one.astype(int)) == pytest.approx(
        np.corrcoef(one.sum(1), other.sum(1))[0, 1], abs=0.03
    )


@pytest.mark.parametrize("sheets, spread", [(3, (2, 9)), (results.MANY, (0.1, 0.3))])
def test_reliability_is_mostly_chance_with_few_sheets(sheets, spread):
    found = [figures.kr20(results.right(room(seed, sheets)[0][:sheets])) for seed in range(100)]
    low, high = np.nanquantile(found, [0.05, 0.95])
    assert spread[0] < high - low < spread[1]


def test_a_bad_question_is_found_and_good_ones_mostly_left_alone():
    blamed = 0
    for seed in range(10):
        found = results.figures(room(seed, 100, bad=("B", 7))[0])
        told = {(each.form, each.item.id): each.look for each in found}
        assert "is the key right?" in told.pop(("B", items()[7].id))
        blamed += sum(map(bool, told.values()))
        assert not any("is the key right?" in look for look in told.values())
    assert blamed < 0.05 * 10 * (2 * K - 1)


@pytest.mark.parametrize("found, said", [(-0.002, "it hardly tells"), (-0.3, "is the key right?"), (0.3, "")])
def test_a_key_is_doubted_beyond_the_standard_error_alone(found, said):
    shares = {"before": 0.5, "after": 0.5}
    look = results.Figures(items()[0], "A", shares, shares, found, sheets=40).look
    assert said in look and bool(said) == bool(look)


def test_no_gain_is_not_a_negative_one(monkeypatch):
    monkeypatch.setattr(results, "gain", lambda before, after: -0.001)
    assert "Normalised gain 0.00 (95 % interval 0.00 to 0.00)" in " ".join(results.said(room(0, 40)[0]))


def test_a_question_that_is_guessed_is_found():
    generator, found = np.random.default_rng(0), 0
    for seed in range(10):
        sheets = [
            results.Sheet(s.student, s.when, s.form, (str(generator.choice(list(LETTERS))), *s.answers[1:]))
            for s in room(seed, 200)[0]
        ]
        found += all("hardly tells" in f.look or "key right" in f.look for f in results.figures(sheets)[::K])
    assert found >= 8


def test_a_question_says_how_many_took_the_misconception():
    sheets, *_ = room(0, 80)
    each = next(each for each in results.figures(sheets) if (each.form, each.item.id) == ("A", items()[3].id))
    own = [s for s in sheets if (s.form, s.when) == ("A", "before")]
    tempting = items()[3].forms["A"].tempting
    assert each.tempted["before"] == np.mean([s.answers[3] == tempting for s in own])
    assert each.right["before"] + each.tempted["before"] == pytest.approx(1)  # as these classes answer


def test_the_page(tmp_path, capsys):
    sheets, *_ = room(3, 70, bad=("A", 2))
    sheets[0] = results.Sheet("<script>", "before", "A", ("",) * K)
    cli.main(["inventory", "results", str(as_file(tmp_path / "answers.csv", sheets))])
    out = capsys.readouterr().out
    assert "69 students took both: 34 took A and then B, 35 took B and then A." in out
    assert "Normalised gain 0." in out and out.count("KR-20") == 4
    text = (tmp_path / "answers-results.html").read_text("utf-8")
    assert "There is no control group" in text and "<script" not in text and text.count("<tr>") == 41
    assert f"<td>A3 {items()[2].id}</td>" in text and "is the key right?" in text


def test_an_answer_may_be_the_text_of_its_choice_or_open(tmp_path):
    sheet = results.Sheet("ada", "before", "A", ("", "d", *"abcd" * 4, "b", "c"))
    said = [
        "-" if not letter else item.forms["A"].choices[LETTERS.index(letter)]
        for item, letter in zip(items(), sheet.answers, strict=True)
    ]
    told = results.Sheet("ada", "before", "A", tuple(said))
    assert results.read(as_file(tmp_path / "answers.csv", [told])) == [sheet]
    other = results.Sheet("ada", "before", "B", told.answers)
    with pytest.raises(ValueError, match="it is one of a, b, c, d"):
        results.read(as_file(tmp_path / "answers.csv", [other]))


def test_one_order_and_a_small_class_are_told(tmp_path):
    answers = tuple(item.forms["A"].right for item in items())
    sheets = [
        results.Sheet(f"s{i}", when, form, answers)
        for i in range(3)
        for when, form in zip(results.WHEN, FORMS, strict=True)
    ]
    path, lines = results.write(as_file(tmp_path / "a.csv", sheets))
    assert "(too few for an interval)" in lines[1]
    assert any("All took the forms in one order" in line for line in lines)
    assert "mostly chance" in path.read_text("utf-8") and not any(f.look for f in results.figures(sheets))
    alone = [results.Sheet("ada", "before", "A", answers)]
    assert results.said(alone) == [
        "0 students took both.",
        "Reliability of form A before (sheets: 1): too few for KR-20, which takes 30 sheets.",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("when", "later"), "line 2 .*when is 'later'; it is one of before, after"),
        (("form", "C"), "form is 'c'|form is 'C'; it is one of A, B"),
        (("7", "e"), "7 is 'e'; it is one of a, b, c, d"),
        (("student", ""), "a sheet without a name"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path, change, told):
    row = {"student": "ada", "when": "before", "form": "A"} | {str(i): LETTERS[0] for i in range(1, K + 1)}
    text = ",".join(row) + "\n" + ",".join((row | dict([change])).values()) + "\n"
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        results.read(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="a second sheet of ada before"):
        line = ",".join(row.values()) + "\n"
        (tmp_path / "a.csv").write_text(",".join(row) + "\n" + line * 2)
        results.read(tmp_path / "a.csv")


def test_a_table_without_columns_or_answers_is_one_sentence(tmp_path):
    for text, told in (
        ("a,b\n", "no column 'student'"),
        (",".join(["student", "when", "form", *map(str, range(1, K + 1))]), "no answers yet"),
    ):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(ValueError, match=told):
            results.read(tmp_path / "a.csv")
    with pytest.raises(SystemExit, match=r"there is no file .*none\.csv"):
        cli.main(["inventory", "results", str(tmp_path / "none.csv")])
