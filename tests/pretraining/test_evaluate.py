"""The questions are fixed, fair and fresh; a guesser gets what guessing gets, and one who knows all of it."""

import hashlib
import json

import numpy as np
import pytest
import torch

from course_utils.data import corpora
from course_utils.data.instructions import instructions
from course_utils.finetuning.orders import NAMES, NEW_NAMES
from course_utils.finetuning.tasks import side_of
from course_utils.generation import Completion
from course_utils.pretraining import evaluate
from course_utils.pretraining.evaluate import OPTIONS, TASKS, chance, repetition, share
from course_utils.pretraining.tune import IDENTITY
from course_utils.tokenizers.chat import end_ids

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def asked():
    return evaluate.fixed()


def test_the_questions_are_the_same_each_time(asked):
    assert json.dumps(evaluate.fixed()) == json.dumps(asked)


def test_what_is_asked_is_held_out(asked):
    assert list(asked["texts"]) == ["The Tempest", "film reviews", "Bible, new English"]
    assert (
        hashlib.sha256(asked["texts"]["The Tempest"].encode()).hexdigest()
        == corpora.shakespeare().test_sha256
    )
    assert not {pair.prompt for pair in instructions().train} & {*asked["prompts"]}
    assert len(set(asked["prompts"])) == evaluate.PROMPTS
    assert {side_of(prompt) for prompts in asked["problems"].values() for prompt in prompts} == {"test"}
    assert asked["validation"] not in "".join(asked["texts"].values())


def test_what_is_fresh_was_never_asked_nor_learnt(asked):
    fresh = evaluate.fresh()
    assert {name: len(prompts) for name, prompts in fresh["problems"].items()} == dict.fromkeys(
        evaluate.ASKED_LATER, evaluate.FRESH_PROBLEMS
    )
    drawn = {name: task.problems("test", evaluate.DRAWN_BEFORE) for name, task in TASKS.items()}
    for name, prompts in fresh["problems"].items():
        assert not {*prompts} & {problem.prompt for problem in drawn.get(name, [])}
        assert {side_of(prompt) for prompt in prompts} == {"test"}
    learnt = [*(pair.prompt for pair in instructions().train), *IDENTITY]
    known = {*map(str.lower, learnt), *map(str.lower, asked["prompts"])}
    prompts = [*map(str.lower, fresh["prompts"])]
    assert len({*prompts}) == 100 and not {*prompts} & known


def test_an_order_for_a_new_name_is_right_with_that_name():
    learnt = " ".join(problem.solution for problem in TASKS["orders"].problems("train", 3000))
    assert not any(name in learnt for name in NEW_NAMES)
    problem = evaluate.RENAMED.problems("test", 1)[0]
    day, name, goods = problem.solution.split(" | ")
    assert name in NEW_NAMES and name in problem.prompt
    assert evaluate.RENAMED.right(problem.prompt, problem.solution)
    assert not evaluate.RENAMED.right(problem.prompt, f"{day} | {NAMES[0]} | {goods}")


def test_a_wrong_answer_of_each_task_is_kept_if_there_is_one(monkeypatch, tokenizer):
    def answers(model, tokenizer, prompts, sampler=None):
        return [Completion([], "3", "end") for _ in prompts]

    monkeypatch.setattr(evaluate, "answers", answers)
    for prompts, wrong in ((["1+2=", "2+1="], []), (["1+2=", "5+5=", "6+6="], [["5+5=", "3"]])):
        few = {"problems": {"addition": prompts}, "prompts": ["Hi"]}
        found = evaluate.answered(None, tokenizer, few, say=list)
        assert found["tasks"]["addition"]["wrong"] == wrong and found["stops"]["value"] == 1


def test_a_blank_before_an_option_is_read_with_it():
    """As in training: the tokens of a word have it before them. An option that begins a line has none."""
    for context, options, read in [
        ("He went. ", ["Then", "She"], ("He went.", [" Then", " She"])),
        ("He went.\n", ["Then", "She"], ("He went.\n", ["Then", "She"])),
    ]:
        assert evaluate.as_read({"context": context, "options": options}) == read


def test_the_line_that_comes_next_is_among_four_of_its_kind(asked):
    choices = asked["choices"]
    assert len(choices) == evaluate.CHOICES
    for choice in choices:
        text, context = asked["texts"][choice["text"]], choice["context"]
        at = text.index(context) + len(context)
        right = choice["options"][choice["right"]]
        assert text[at:].lstrip().startswith(right)
        assert len(choice["options"]) == OPTIONS == len(set(choice["options"]))
        assert not any(text[at:].lstrip().startswith(o) for o in choice["options"] if o != right)
    right = np.array([choice["right"] for choice in choices])
    assert np.bincount(right).min() > 40  # who always takes one place gets a quarter
    lengths = np.array([[len(option) for option in choice["options"]] for choice in choices])
    ranks = np.argsort(np.argsort(lengths, axis=1, kind="stable"), axis=1, kind="stable")
    shares = np.bincount(ranks[np.arange(len(right)), right], minlength=OPTIONS) / len(right)
    assert shares.min() > 0.15 and shares.max() < 0.36  # and so does who goes by length


@pytest.mark.parametrize("different", [1, 2, 3, 4])
def test_a_text_of_few_lines_has_no_choices(different):
    lines = [f"a line of more than twenty-five letters, the {nth}" for nth in range(different)]
    choices = evaluate.fixed("\n".join(lines * 40))["choices"]
    assert all(len(choice["options"]) == OPTIONS for choice in choices)
    assert any(choice["text"] == "your own texts" for choice in choices) == (different == OPTIONS)


def scored(monkeypatch, asked, model, tokenizer, log_p):
    """Shares right when log p of an option is what `log_p(choice, option)` says."""
    options = [log_p(choice, option) for choice in asked["choices"] for option in choice["options"]]
    monkeypatch.setattr(evaluate, "log_probs_of", lambda *_, **__: torch.tensor(options))
    return np.mean(evaluate.choices_right(model, tokenizer, asked))


def test_who_knows_the_line_is_right_and_who_counts_bytes_guesses(monkeypatch, asked, model, tokenizer):
    def knows(choice, option):
        return -1.0 if option == choice["options"][choice["right"]] else -500.0

    few = asked | {"choices": asked["choices"][::4]}
    assert scored(monkeypatch, few, model, tokenizer, knows) == 1
    assert scored(monkeypatch, few, model, tokenizer, lambda choice, option: -knows(choice, option)) == 0


def test_a_long_line_is_not_wrong_for_being_long(monkeypatch, model, tokenizer):
    """It is likelier a byte. The wrong variant, which compares sums, would take a short one."""
    choice = {"context": "a", "options": ["a long line that is right", "not", "nor", "no"], "right": 0}
    log_p = [-len(option) * (0.9 if option == choice["options"][0] else 1.0) for option in choice["options"]]
    assert np.argmax(log_p) == 3
    log_p = dict(zip(choice["options"], log_p, strict=True))
    few = {"choices": [choice]}
    assert scored(monkeypatch, few, model, tokenizer, lambda choice, option: log_p[option]) == 1


def test_an_answer_counts_if_it_is_right_and_ends(monkeypatch, tokenizer):
    task = TASKS["addition"]
    right, wrong = tokenizer.encode("3").ids, tokenizer.encode("4").ids
    end = end_ids(tokenizer)[:1]
    written = [([*right, *end], "end"), (right, "length"), ([*wrong, *end], "end")]
    written = [Completion(ids, tokenizer.decode(ids), reason) for ids, reason in written]
    monkeypatch.setattr(evaluate, "answers", lambda *_: written)
    assert evaluate.problems_right(None, tokenizer, task, ["1+2="] * 3) == [True, False, False]
    assert evaluate.ended(None, tokenizer, ["1+2="] * 3) == [True, False, True]


@pytest.mark.parametrize("ask", [evaluate.answers, evaluate.ended])
def test_ctrl_c_is_no_wrong_answer(monkeypatch, ask, model, tokenizer):
    monkeypatch.setattr(evaluate, "generate", lambda *_, **__: [Completion(reason="end"), Completion()])
    with pytest.raises(KeyboardInterrupt):
        ask(model, tokenizer, ["one", "two"])


def test_a_model_is_asked_side_by_side_as_a_chat_is(model, tokenizer):
    prompts = ["1+2=", "Who are you?"]
    found = evaluate.answers(model, tokenizer, prompts)
    asked = evaluate.answerer(model, tokenizer)
    for prompt, completion in zip(prompts, found, strict=True):
        answer = asked.begin(prompt, 8)
        while not answer.ended:
            answer.advance()
        assert answer.ids and answer.ids == completion.ids[: len(answer.ids)]


def test_chance_is_what_a_guesser_gets():
    for task in TASKS.values():
        prompts = [problem.prompt for problem in task.problems("test", 20)]
        assert chance(task, prompts) < 0.02  # so a model that is right has learnt something


def test_shares_have_an_interval():
    assert share([True] * 30 + [False] * 70) == pytest.approx((0.3, 0.219, 0.396), abs=0.001)


def test_the_interval_of_none_or_all_is_no_point():
    assert share([False] * 40) == pytest.approx((0, 0, 0.088), abs=0.001)
    assert share([True] * 60) == pytest.approx((1, 0.940, 1), abs=0.001)
    assert not share([False] * 60).low > 0, "who solves nothing is not above a chance of 0"


@pytest.mark.parametrize(
    "text, found",
    [("", 0), ("one two three", 0), ("a b c d e f", 0), ("a b c d a b c d", 1 / 5), ("a " * 20, 16 / 17)],
)
def test_repetition(text, found):
    assert repetition(text) == pytest.approx(found)


def test_a_5_gram_is_scored_on_the_same_texts(asked):
    few = {"texts": {"a": "to be or not to be", "b": "zzzz"}}
    found = evaluate.ngram_bits(["to be or not to be, that is the question"] * 40, few)
    assert found["a"] < 1 < 4 < found["b"]


# Floors


def good_scores():
    right = {"value": 0.2, "low": 0.1, "high": 0.3, "chance": 0.005}
    chat = {"bits_per_byte": {"a play": 2.1}, "tasks": {"addition": right}, "stops": {"value": 0.95}}
    return {"chat": chat, "5-gram": {"a play": 2.2}}


def test_a_good_model_is_over_its_floors():
    found = evaluate.floors(good_scores())
    assert [f.name for f in found] == ["bits per byte of a play", "addition", "answers that stop"]
    assert all(f.holds for f in found)
    assert evaluate.said(found)[0] == "holds   bits per byte of a play: 2.100 (under the 5-gram's 2.200)"


@pytest.mark.parametrize(
    "at, field, key, value",
    [
        (0, "bits_per_byte", "a play", 2.2),  # as many as the 5-gram
        (1, "tasks", "addition", {"value": 0.02, "low": 0.004, "high": 0.05, "chance": 0.005}),
        (2, "stops", "value", 0.94),
    ],
)
def test_a_missed_floor_is_the_one_that_is_named(at, field, key, value):
    scores = good_scores()
    scores["chat"][field][key] = value
    found = evaluate.floors(scores)
    assert [f.holds for f in found] == [number != at for number in range(3)]
    assert evaluate.said(found)[at].startswith("MISSED")
