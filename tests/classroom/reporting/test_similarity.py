"""Answers that are alike: copies are found under other names, honest work that differs is not.

The honest answers are to a public exercise: those to an assignment's own functions stand in no public file.
"""

import re

import pytest

from course_utils.classroom.reporting import similarity

STUB = "def perplexity(text, model):\n    raise NotImplementedError"
HONEST = [
    """def perplexity(text, model):
    bits = 0.0
    for word in text:
        p = model.get(word, 0)
        if p == 0:
            return math.inf
        bits -= math.log2(p)
    return 2 ** (bits / len(text))""",
    """def perplexity(text, model):
    if any(model.get(w, 0) == 0 for w in text):
        return float("inf")
    return 2 ** (-sum(math.log2(model[w]) for w in text) / len(text))""",
    """def perplexity(text, model):
    p = np.array([model.get(word, 0.0) for word in text])
    with np.errstate(divide="ignore"):
        return float(2 ** -np.log2(p).mean())""",
    """def perplexity(text, model):
    total, n = 0, 0
    for i in range(len(text)):
        try:
            total = total + math.log(model[text[i]])
        except (KeyError, ValueError):
            return math.inf
        n = n + 1
    return math.exp(-total / n)""",
    """def perplexity(text, model):
    product = 1
    for w in text:
        product *= model[w] if w in model else 0
    if product == 0:
        return np.inf
    return product ** (-1 / len(text))""",
    """def perplexity(text, model):
    def cost(word):
        return -math.log2(model[word]) if model.get(word) else math.inf
    costs = list(map(cost, text))
    return 2 ** (sum(costs) / len(costs))""",
]


def renamed(source):
    """A copy under other names, with another constant, comments and a docstring of its own."""
    for old, new in {"bits": "energy", "word": "x1", "total": "acc", "product": "m", "costs": "c"}.items():
        source = re.sub(rf"\b{old}\b", new, source)
    head, _, rest = source.partition("\n")
    return f'K = 7\n{head}\n    """Mine."""\n    # step by step\n{rest.replace("0.0", "0.5")}'


def found(answers):
    return {(pair.one, pair.other) for pair in similarity.pairs(answers, [STUB])}


def test_honest_answers_that_differ_are_no_pairs():
    assert found({f"s{i}": [source] for i, source in enumerate(HONEST)}) == set()


@pytest.mark.parametrize("copied", range(len(HONEST)))
def test_a_copy_is_found_under_other_names(copied):
    answers = {f"s{i}": [source] for i, source in enumerate(HONEST)} | {"t": [renamed(HONEST[copied])]}
    assert found(answers) == {(f"s{copied}", "t")}


def test_what_many_have_is_no_pair():
    answers = {f"s{i}": [HONEST[0]] for i in range(similarity.FEW + 1)}
    assert found(answers) == set()
    assert len(found(dict(list(answers.items())[:-1]))) == 6  # of four: every two


def test_what_was_handed_out_is_no_pair():
    assert similarity.pairs({"a": [HONEST[0]], "b": [HONEST[0]]}, [HONEST[0]]) == []


def test_uncommon_names_and_comments_are_told():
    ours = HONEST[0].replace("bits", "grandmother") + "  # never"
    answers = {f"s{i}": [source] for i, source in enumerate(HONEST)} | {"a": [ours], "b": [ours]}
    best = similarity.pairs(answers, [STUB])[0]
    assert (best.one, best.other, best.share) == ("a", "b", 1)
    assert {"grandmother", "never"} <= set(best.words)


def test_free_names_count_and_bound_ones_do_not():
    trees = [similarity.tree_of(text) for text in ("a = len(b)", "x = len(b)", "a = max(b)", "a = len(c)")]
    told = [similarity.nodes(tree, similarity.names_bound(tree)) for tree in trees]
    assert told[0] == told[1] and told[0] not in told[2:]


@pytest.mark.parametrize(
    "hostile", ["def (", "x = " + "(" * 5000, "-" * 9000 + "1", "\0", "x = 1" * 10_000, "+".join("1" * 9000)]
)
def test_what_no_parser_takes_is_compared_with_nothing(hostile):
    answers = {"a": [hostile], "b": [hostile], "c": [HONEST[0]]}
    assert found(answers) <= {("a", "b")}  # the last one can be parsed, and has one part


def test_a_large_class_is_compared():
    answers = {f"s{i:03}": [HONEST[i % 5]] for i in range(298)}
    answers |= {"t": [HONEST[5]], "u": [renamed(HONEST[5])]}
    assert found(answers) == {("t", "u")}
