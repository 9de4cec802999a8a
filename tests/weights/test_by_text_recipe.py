"""Words ranked by their text: what is hidden, whose rank is found, and what counts as gained."""

import numpy as np
import pytest

from course_utils import pretrained
from course_utils.bert.masking import MASK
from course_utils.weights import bert_recipe
from course_utils.weights import by_text_recipe as recipe

END, WORD, PIECE = 1012, 2143, 2015  # ".", a word of content, and "##s"


@pytest.fixture(autouse=True)
def reviews(monkeypatch):
    """Reviews of sentences of ten tokens that are common, but for a word, and a word of two pieces."""
    draws = np.random.default_rng(0)
    common = np.arange(3000, 3000 + recipe.COMMON)
    training = [np.repeat(common, 10)]

    def sentence(n):
        text = draws.choice(common, n)
        text[draws.integers(3, n - 1)] = WORD
        text[:2] = WORD + 1, PIECE
        return np.append(text, END)

    texts = [np.concatenate([sentence(9), sentence(30), sentence(12)]) for _ in range(40)]
    monkeypatch.setattr(bert_recipe, "encoded", {"train": training, "test": texts}.__getitem__)


def test_what_is_hidden_is_one_whole_word_of_the_kind():
    mask = pretrained.bert_tokenizer().ids[MASK]
    found = recipe.gaps("test", "content", 60)
    assert len(found) == 60
    for ids, right in found:
        assert (ids == mask).sum() == 1 and recipe.SHORTEST <= len(ids) <= recipe.LONGEST
        assert right <= {WORD, END}  # neither a common token nor a part of a word
    others = {*np.concatenate([[*right] for _, right in recipe.gaps("test", "any", 60)])}
    assert others & {*range(3000, 3000 + recipe.COMMON)} and not others & {WORD + 1, PIECE}


def test_a_right_token_is_found_at_its_rank_and_changes_are_counted(monkeypatch):
    evidence = {  # tokens, their logs in the gap, the logs around: in the gap 5, 6, 7 is the order
        "helps": ([5, 6, 7], [-1.0, -2.0, -3.0], [-9.0, -1.0, -9.0]),
        "harms": ([6, 5, 7], [-1.0, -2.0, -3.0], [-9.0, -1.0, -1.0]),
        "lacks": ([8, 5, 7], [-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]),
    }
    monkeypatch.setattr(bert_recipe, "load", lambda: None)
    monkeypatch.setattr(recipe, "evidence", lambda model, tokenizer, ids, n: map(np.array, evidence[ids]))
    some = [(name, {6, 9}) for name in evidence]
    ranks = recipe.ranks(some, (0.0, 1.0))
    assert ranks[0.0].tolist() == [1, 0, recipe.CANDIDATES] and ranks[1.0].tolist() == [
        0,
        2,
        recipe.CANDIDATES,
    ]
    usual, by_text = recipe.rows("test", "content", some, (0.0, 1.0))
    assert (usual["first"], usual["first_gained"], usual["first_lost"]) == ("0.3333", 0, 0)
    assert (by_text["first"], by_text["first_gained"], by_text["first_lost"]) == ("0.3333", 1, 1)
    assert (by_text["five_gained"], by_text["five_lost"]) == (0, 0)
