"""The tables of n-grams beside plain counting with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from course_utils.ngrams.counting import count_ngrams, ending_ids, look_up

V, ORDER = 5, 4
TEXTS = [np.random.default_rng(length).integers(0, V - 1, length) for length in (60, 3, 25)]
TABLES = count_ngrams(TEXTS, ORDER, V)
COUNTS = [
    Counter(tuple(text[i : i + n].tolist()) for text in TEXTS for i in range(len(text) - n + 1))
    for n in range(1, ORDER + 1)
]
GRAMS = [[()], *[sorted(counts) for counts in COUNTS]]  # by order from 0: the n-gram of each id


@pytest.mark.parametrize("n", range(1, ORDER + 1))
def test_counts_and_ids_are_those_of_a_sorted_dictionary(n):
    table = TABLES[n - 1]
    assert table.counts.tolist() == [COUNTS[n - 1][gram] for gram in GRAMS[n]]
    assert [GRAMS[n - 1][i] for i in table.contexts] == [gram[:-1] for gram in GRAMS[n]]
    assert [GRAMS[n - 1][i] for i in table.suffixes] == [gram[1:] for gram in GRAMS[n]]
    assert table.n_contexts == len(GRAMS[n - 1])


@pytest.mark.parametrize("n", range(1, ORDER + 1))
def test_what_follows_a_context(n):
    table = TABLES[n - 1]
    totals = table.per_context(table.counts)
    for context, gram in enumerate(GRAMS[n - 1]):
        counted = {token: COUNTS[n - 1][*gram, token] for token in range(V)}
        expected = {token: count for token, count in counted.items() if count}
        tokens, ids = table.followers(context)
        assert dict(zip(tokens.tolist(), table.counts[ids].tolist(), strict=True)) == expected
        assert totals[context] == sum(expected.values())
        for token in range(V):
            found = table.find(context, token)
            assert (GRAMS[n][found] == (*gram, token)) if token in expected else (found == -1)
    assert table.find(-1, 0) == -1


def test_a_text_is_looked_up_order_by_order():
    text = np.random.default_rng(3).integers(0, V, 50)  # with a token and n-grams that were never counted
    for n, (contexts, grams) in enumerate(look_up(TABLES, text), start=1):
        for i in range(len(text)):
            gram = tuple(text[i - n + 1 : i + 1].tolist()) if i >= n - 1 else None
            context = gram[:-1] if gram else None
            assert contexts[i] == (GRAMS[n - 1].index(context) if context in GRAMS[n - 1] else -1)
            assert grams[i] == (GRAMS[n].index(gram) if gram in GRAMS[n] else -1)


def test_the_ids_of_what_some_tokens_end_with():
    tokens = TEXTS[0][:3]
    ends = [tuple(tokens[3 - n :].tolist()) for n in range(4)]
    assert ending_ids(TABLES, tokens) == [GRAMS[n].index(end) for n, end in enumerate(ends)]
    assert ending_ids(TABLES, np.array([0, V - 1])) == [0, -1, -1]
