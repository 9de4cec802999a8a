"""Labels by brackets: by hand, fair to every type, and with the vectors of the right places."""

import numpy as np
import pytest
import torch

from course_utils.bert import Bert, BertConfig
from course_utils.bert.brackets import bracketed_tokens, in_brackets
from course_utils.bert.texts import padded
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "(", ")", *"abcdefgh"])


def ids(text):
    return TOKENIZER.encode(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a ( b c ) d", "o.ii.o"),
        ("a b", "oo"),
        ("a ( b", "o.."),  # never closed
        ("a ) b ( c ) d", "..o.i.o"),  # a smiley before them: "a" may have been in brackets
        ("( a ( b ) c )", "...i..."),
        ("", ""),
    ],
)
def test_by_hand(text, expected):
    labels = in_brackets(ids(text), TOKENIZER)
    assert labels.tolist() == ["o i".index(sign) // 2 if sign != "." else -1 for sign in expected]


def test_each_type_stands_as_often_inside_as_outside_and_brings_its_own_vector():
    torch.manual_seed(0)
    model = Bert(BertConfig(TOKENIZER.vocab_size, 16, 2, 2, 32, max_positions=12)).eval()
    draws = np.random.default_rng(0)
    texts = [
        ids(" ".join(draws.choice([*"abcde", "f" if n % 2 else "g", "(", ")"], size=n))) for n in range(40)
    ]
    layers, inside, types = bracketed_tokens(model, texts, TOKENIZER, longest=12)
    assert layers.shape == (3, len(types), 16) and len(types) > 40
    for kind in np.unique(types):
        assert inside[types == kind].mean() == 0.5
    rows = [text[i : i + 10] for text in texts for i in range(0, len(text), 10)]
    seen = {}
    for row in rows:
        states = torch.stack(model.hidden_states(*padded([row], TOKENIZER)))[:, 0, 1:-1]
        for place, label in enumerate(in_brackets(row, TOKENIZER)):
            key = states[-1, place].detach().numpy().round(3).tobytes()
            seen[key] = label, row[place], states[:, place].detach().numpy()
    for i in range(len(types)):
        near = min(seen.values(), key=lambda found: np.abs(found[2] - layers[:, i]).max())
        assert np.abs(near[2] - layers[:, i]).max() < 1e-4
        assert near[0] == inside[i] and near[1] == types[i]


def test_texts_without_brackets_are_refused():
    model = Bert(BertConfig(TOKENIZER.vocab_size, 16, 1, 2, 32, max_positions=12))
    with pytest.raises(ValueError, match="no type stands both in brackets and outside"):
        bracketed_tokens(model, [ids("a b c"), ids("( d )")], TOKENIZER)
