"""What BERT is asked is fair: one gap each, answers that are one token, and places that the plays have."""

import re
from collections import Counter

import pytest

from course_utils import pretrained
from course_utils.data import corpora
from course_utils.data.evaluations import (
    Query,
    Speeches,
    everyday_sentences,
    passages,
    quiz_explanations,
    search_queries,
    word_senses,
)


def test_twenty_gaps_whose_answers_are_single_tokens():
    tokenizer, sentences = pretrained.bert_tokenizer(), everyday_sentences()
    assert len({cloze.sentence for cloze in sentences}) == 20
    for cloze in sentences:
        assert cloze.sentence.count("[MASK]") == 1
        assert 1 <= len(cloze.accepted) <= 12 and set(cloze.accepted) <= set(tokenizer.ids)


def test_fifty_queries_each_with_its_passage():
    queries, found = search_queries(), passages()
    assert len({query.query for query in queries}) == 50
    for query in queries:
        answers = [passage for passage in found if passage.answers(query)]
        assert 1 <= len(answers) <= 4
        heading = f"ACT {query.act}\n", f"\nSCENE {query.scene}."
        before = _play(query.play).split("\n")[: query.lines[0]]
        assert heading[0].strip() in before and heading[1] in "\n".join(before)


@pytest.mark.parametrize("word", ["bank", "match"])
def test_senses_differ_in_no_single_word_and_in_no_place(word):
    senses = {}
    for one in word_senses(word):
        tokens = re.findall(r"\w+", one.sentence.lower())
        assert tokens.count(word) == 1
        senses.setdefault(one.sense, []).append(tokens)
    assert [len(sentences) for sentences in senses.values()] == [20, 20]
    places = [[tokens.index(word) for tokens in sentences] for sentences in senses.values()]
    assert abs(sum(places[0]) - sum(places[1])) < 20  # in the mean less than a word
    for sentences in senses.values():
        company = Counter(token for tokens in sentences for token in set(tokens) - {word})
        assert max(company.values()) < 20


def test_a_word_without_sentences():
    with pytest.raises(ValueError, match="for bank and match; got 'light'"):
        word_senses("light")


def _play(title):
    plays = corpora.shakespeare()
    return (plays.train | {corpora.VALIDATION: plays.validation, corpora.TEST: plays.test})[title]


def test_passages_are_the_plays_in_order():
    found = passages()
    assert len(found) == 7286
    for title in ("The Tempest", "Twelfth Night", "Hamlet"):
        lines, at = _play(title).split("\n"), 0
        for passage in (passage for passage in found if passage.play == title):
            first, last = passage.lines
            assert first > at and not any(lines[at : first - 1])  # only empty lines are left out
            assert "\n".join(lines[first - 1 : last]) == passage.text
            at = last
        assert not any(lines[at:])


@pytest.mark.parametrize(
    ("lines", "answers"),
    [
        ((10, 19), True),
        ((12, 13), True),
        ((1, 100), True),
        ((15, 24), True),
        ((16, 25), False),
        ((20, 29), False),
    ],
)
def test_a_passage_answers_if_it_shares_half(lines, answers):
    query = Query("?", "Hamlet", "I", "I", (10, 19))
    assert Speeches("Hamlet", lines, "").answers(query) == answers
    assert not Speeches("Macbeth", lines, "").answers(query)


def test_explanations_are_one_text():
    found = quiz_explanations()
    assert len(found) > 20_000 and "\n" not in found and found == found.strip()
