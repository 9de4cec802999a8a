"""The pairs are whole, stand once, and no question of the test was seen in training."""

from collections import Counter

from course_utils.data.instructions import Pair, instructions


def test_no_question_stands_on_two_sides():
    train, test = ({pair.prompt.lower() for pair in part} for part in vars(instructions()).values())
    assert not train & test and len(train) > 3 * len(test)


def test_each_pair_stands_once_and_is_whole():
    pairs = instructions().train + instructions().test
    assert len(pairs) == len(set(pairs)) == 819
    assert all(pair.prompt and pair.answer for pair in pairs)
    assert max(Counter(pair.topic for pair in pairs).values()) < 300
    assert Pair("trivia", "Who was the 37th President of the United States?", "Richard Nixon") in pairs
