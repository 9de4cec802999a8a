"""Orders and the note that each asks for."""

import re

import numpy as np
import pytest

from course_utils.finetuning.orders import DAYS, GOODS, NAMES, SENTENCES, note, orders, parts_of

TASK = orders()


@pytest.mark.parametrize("sentence", SENTENCES)
def test_an_order_is_noted_in_one_form_however_it_is_said(sentence):
    prompt = sentence.format(name="Mara", number=12, goods="pears", day="Tuesday")
    assert note(prompt) == "Tuesday | Mara | 12 pears"


def test_the_number_may_be_left_out():
    short = orders(counted=False)
    prompt, solution = short.problems("test", 1)[0]
    assert solution == re.sub(r"\d+ ", "", note(prompt)) and short.answers == 24 * 20 * 7
    assert short.right(prompt, solution) and not short.right(prompt, note(prompt))
    assert not re.search(r"\d", short.guess(np.random.default_rng(0), prompt))


def test_only_the_note_is_right():
    prompt, solution = TASK.problems("test", 1)[0]
    assert TASK.right(prompt, solution)
    for wrong in ("", f"{solution}.", f" {solution}", f"Here it is: {solution}", solution.lower(), prompt):
        assert not TASK.right(prompt, wrong)


def test_no_word_is_of_two_kinds_and_the_sides_share_no_order():
    assert len({*NAMES, *GOODS, *DAYS}) == len(NAMES) + len(GOODS) + len(DAYS)
    train, test = ({p.prompt for p in TASK.problems(side, 300)} for side in ("train", "test"))
    assert not train & test
    assert TASK.answers == 24 * 20 * 7 * 98


def test_a_note_has_four_parts_and_without_its_form_none():
    true = {"day": "Friday", "name": "Zoe", "number": "1000", "goods": "shoes"}
    assert parts_of("Friday | Zoe | 1000 shoes") == true
    assert parts_of("Friday | Zoe | 1000 shoes.") == parts_of("Friday | Zoe | shoes") == {}
