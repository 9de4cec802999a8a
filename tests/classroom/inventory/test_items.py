"""The inventory itself: each idea once in each form, with a source, and no letter that pays."""

import re

from course_utils.classroom.inventory.items import FORMS, LETTERS, items, write_forms
from course_utils.commands import cli
from course_utils.learner.quizzes import all_questions


def test_there_are_twenty_ideas_each_in_two_forms():
    assert len(items()) == 20 == len({item.id for item in items()})
    for item in items():
        assert item.idea and item.misconception and re.search(r"(18|19|20)\d\d", item.source), item.id
        assert f"chapter {item.chapter}," in item.source or item.id == "context"
        assert item.chapter in all_questions()
        asked = [item.forms[form] for form in FORMS]
        assert asked[0].ask != asked[1].ask and not set(asked[0].choices) & set(asked[1].choices), item.id
        for question in asked:
            assert len(set(question.choices)) == len(LETTERS) and question.right != question.tempting
            lengths = [len(choice) for choice in question.choices]
            assert len(question.choices[LETTERS.index(question.right)]) < 3 * sorted(lengths)[2], item.id


def test_no_letter_is_right_more_often():
    for form in FORMS:
        right = [item.forms[form].right for item in items()]
        assert all(right.count(letter) == 5 for letter in LETTERS)


def test_the_longest_or_shortest_choice_is_no_good_guess():
    for form in FORMS:
        for pick in (max, min):
            got = sum(
                pick(question.choices, key=len) == question.choices[LETTERS.index(question.right)]
                for question in (item.forms[form] for item in items())
            )
            assert got <= 8, "of 20, of which 5 come by chance"


def test_forms_give_nothing_away(tmp_path, capsys):
    cli.main(["inventory", "forms", str(tmp_path / "new")])
    assert (
        "Wrote form-A.html, form-B.html, form-A.gift, form-B.gift, key.html, answers.csv"
        in capsys.readouterr().out
    )
    for form in FORMS:
        text = (tmp_path / "new" / f"form-{form}.html").read_text("utf-8")
        assert text.count("<fieldset>") == 20 and text.count("type='radio'") == 80 and "<script" not in text
        assert not re.search(r"\b(id|value|data-[\w-]+)=", text)  # that could tell what is asked or right
        assert not any(item.idea in text or item.misconception in text for item in items())
    key = (tmp_path / "new" / "key.html").read_text("utf-8")
    assert all(f"<td>{item.forms['A'].right}</td><td>{item.forms['B'].right}</td>" in key for item in items())
    assert write_forms(tmp_path)[-1].read_text().startswith('"student","when","form","1"')


def test_answers_that_are_filled_in_stay(tmp_path, capsys):
    table = write_forms(tmp_path)[-1]
    filled = table.read_text("utf-8") + '"ada","before","A","a"\n'
    table.write_text(filled, "utf-8")
    cli.main(["inventory", "forms", str(tmp_path)])
    assert table.read_text("utf-8") == filled
    assert "form-B.gift, key.html into" in capsys.readouterr().out


def test_a_quiz_has_the_forms_texts_and_no_other_sign_of_its_format(tmp_path):
    write_forms(tmp_path)
    for form in FORMS:
        blocks = (tmp_path / f"form-{form}.gift").read_text("utf-8").strip().split("\n\n")
        for number, (block, item) in enumerate(zip(blocks, items(), strict=True), start=1):
            question = item.forms[form]
            signs = re.sub(r"\\.", "", block)  # what is not escaped
            assert [signs.count(sign) for sign in "=~{}:#"] == [1, 3, 1, 1, 4, 0], block
            head, *choices, end = re.sub(r"\\(.)", r"\1", block).split("\n")
            assert head == f"::{form}{number}::[plain]{question.ask} {{" and end == "}"
            assert tuple(choice[1:] for choice in choices) == question.choices
            assert choices[LETTERS.index(question.right)][0] == "="
