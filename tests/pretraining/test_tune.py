"""What a model reads in tuning."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from course_utils.pretraining import evaluate, model, tune
from course_utils.pretraining.plans import PLANS
from course_utils.tokenizers.chat import IGNORED
from course_utils.weights.making_recipe import EVENING, OURS, SHIPPED

PLAN, TOKENS = PLANS["laptop"], np.random.default_rng(0).integers(300, size=2_000_000)


@pytest.fixture(scope="module")
def tokenizer():
    return model.read_tokenizer(OURS)


@pytest.fixture(scope="module")
def read(tokenizer):
    said = []
    examples = tune.read_in_tuning(tokenizer, PLAN, TOKENS, say=said.append)
    old = [example for example in examples if example.ids == example.labels]
    return [example for example in examples if example.ids != example.labels], old, said


def answer_length(example):
    return sum(label != IGNORED for label in example.labels)


def test_no_answer_is_learnt_that_counts_as_endless_when_it_is_scored(read):
    conversations, _, said = read
    assert max(map(len, (example.ids for example in conversations))) <= 256
    assert 100 < max(map(answer_length, conversations)) <= evaluate.ANSWER_TOKENS
    assert said == ["  14,504 conversations; 164 are too long"]


@pytest.mark.parametrize("plan", PLANS.values(), ids=[*PLANS])
def test_a_plan_reads_its_conversations_some_three_times(plan):
    """`weights.making_recipe` has what eighteen times did; the tokenizer of a plan on a GPU is not known."""
    tokenizer = model.read_tokenizer(SHIPPED.get(plan.name, EVENING))
    read = tune.read_in_tuning(tokenizer, plan, np.arange(plan.context + 9), say=list)
    times = Counter(tuple(example.ids) for example in read if example.ids != example.labels)
    assert min(times.values()) in (3, 4)  # a part of a reading counts as one


def test_a_model_says_of_itself_what_it_has_read():
    for read, some in {
        tune.COURSES: "some plays, verses and reviews",  # as the shipped models were taught
        tune.OWN: "some texts that my maker chose",
    }.items():
        said = dict(tuple(turn["content"] for turn in turns) for turns in tune.conversations(read=read))
        assert said["What do you know?"] == f"Little. I have read {some}, and I am often wrong."
        assert said["How were you made?"] == f"By predicting the next token of {read}, and then by tuning."
        assert said["Are you human?"] == "No. " + tune.MADE_BY


def test_beside_each_reading_stands_other_old_text(read, tokenizer):
    conversations, old, _ = read
    assert 2 * sum(len(example.ids) for example in old) == pytest.approx(
        sum(len(example.ids) for example in conversations), rel=0.01
    )
    assert len({tuple(example.ids) for example in old}) > 0.99 * len(old)
    once = tune.read_in_tuning(tokenizer, replace(PLAN, tune_steps=100), TOKENS, say=list)
    assert len(conversations) == 3 * sum(example.ids != example.labels for example in once)
