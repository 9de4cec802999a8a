"""Before and after in a real JupyterLab: written side by side, stopped, by mouse and by keyboard."""

import re

from playwright.sync_api import expect

# Two models that write "abcdefgh" and "ABCDEFGH" over and over, slowly, and end at the 60th token.
CELL = """\
import time
import torch
from course_utils.finetuning.answering import Answerer
from course_utils.gpt import GPTCache
from course_utils.widgets.before_after import BeforeAfter
class Spelling:
    vocab_size, context = 16, 80
    def __init__(self, first):
        self.first = first
    def new_cache(self):
        return GPTCache(1)
    def __call__(self, ids, cache=None, mask=None, last=None):
        time.sleep(0.02)
        following = self.first + (ids + 1) % 8
        return torch.nn.functional.one_hot(following, 16).float()[:, -last:] * 8
letters = "abcdefghABCDEFGH"
def spoken(first):
    encode = lambda text: [letters.index(c) for c in text]
    return Answerer(Spelling(first), encode, lambda ids: "".join(letters[i] for i in ids), "letters")
BeforeAfter({"small": spoken(0), "CAPITAL": spoken(8)}, {"h": "h", "H": "H"}, length=60)"""


def press(widget, name):
    widget.get_by_role("button", name=name, exact=True).click(force=True)


def test_answers_grow_side_by_side_until_they_are_stopped_and_then_each_is_judged(opened):
    widget = opened.widget()
    press(widget, "h")
    opened.settled(widget)
    answers, sentence = widget.locator(".ba-answer"), widget.locator(".cw-sentence")
    press(widget, "Write")
    expect(answers.first).to_have_text(re.compile("^abc"))
    expect(sentence).to_have_text("“small” and “CAPITAL” are answering “h”.")
    assert widget.locator(".ba-answer [style]").count() == 0
    press(widget, "Stop")
    opened.settled(widget)
    small, capital = answers.all_inner_texts()
    assert 3 <= len(small) == len(capital) < 60 and ("ABCDEFGH" * 9).startswith(capital)
    expect(sentence).to_contain_text("“small” finds its own answer 0.01, the other's 11.55")
    assert widget.locator(".ba-answer [style]").count() == 2 * len(small)
    expect(widget.locator(".ba-table small", has_text="likelier")).to_have_count(2)
    press(widget, "Write")
    expect(widget.get_by_text("60 tokens, ended by the length asked for")).to_have_count(2)
    opened.settled(widget)
    assert answers.first.inner_text()[: len(small)] == small


def test_by_keyboard_alone_and_a_stop_string_with_a_line_break(opened):
    widget, keys = opened.widget(), opened.page.keyboard
    press(widget, "h")
    opened.settled(widget)
    widget.get_by_label("Stop string").focus()
    keys.type("de")
    opened.settled(widget)
    widget.get_by_role("button", name="Write").focus()
    keys.press("Enter")
    expect(widget.get_by_text("5 tokens, ended by the stop string")).to_have_count(1)
    expect(widget.get_by_text("60 tokens, ended by the length asked for")).to_have_count(1)
    widget.get_by_role("slider", name="step").focus()
    keys.press("Home")
    keys.press("ArrowRight")
    opened.settled(widget)
    assert widget.locator(".ba-answer").all_inner_texts() == ["a", "A"]
    widget.get_by_label("Stop string").fill("a\\n")
    opened.settled(widget)
    expect(widget.get_by_label("Stop string")).to_have_value("a\\n")
    press(widget, "Start over")
    widget.get_by_label("Stop string").fill("")
    opened.settled(widget)


def test_a_number_that_was_emptied_comes_back(opened):
    seed = opened.widget().get_by_label("Seed")
    seed.fill("7")
    seed.fill("")
    seed.press("Tab")
    expect(seed).to_have_value("7")
