"""The masking figure without a browser: what is chosen, what it costs, own masks, and bad input."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.reader import MaskedReader
from course_utils.ngrams.bidirectional import BidirectionalNGram
from course_utils.tokenizers import WordPieceTokenizer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.masking_figure import DRAWS, IGNORED, MAX_PIECES, MaskingFigure

pytestmark = pytest.mark.usefixtures("one_thread")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "film", "was", "a", "waste", "of", "time", "##s", "."]
SENTENCES = ["The film was a waste of time.", "The films", "A film of the time was a waste."]
MASK = 4


@pytest.fixture(scope="module")
def reader():
    tokenizer = WordPieceTokenizer([*SPECIAL, *WORDS])
    rows = [tokenizer.encode(text) for text in SENTENCES]
    counts = BidirectionalNGram(tokenizer.vocab_size, MASK).fit(rows)
    counts.fit_weights(rows, [row > 0 for row in rows], np.concatenate(rows))
    torch.manual_seed(0)
    return MaskedReader(BertForMaskedLM(BertConfig(tokenizer.vocab_size, 16, 2, 2, 32)), tokenizer, counts)


@pytest.fixture
def figure(reader):
    return MaskingFigure(reader, SENTENCES)


def answer(figure, **request):
    figure._answer(figure, {"id": "me/1", **request}, [])
    return figure.shown


def draw_with(figure, how):
    """A draw in which a piece has this fate, and the piece's place."""
    for draw in range(DRAWS):
        for place, one in enumerate(answer(figure, draw=draw)["pieces"]):
            if one["how"] == how:
                return draw, place
    raise AssertionError(f"in no draw a piece is {how}")


@pytest.mark.parametrize("how", ["masked", "random", "unchanged"])
def test_a_piece_is_asked_for_whatever_the_model_sees_in_its_place(figure, reader, how):
    draw, place = draw_with(figure, how)
    inputs, labels = (rows[draw] for rows in reader.corrupt(reader.encode(SENTENCES[0]), DRAWS))
    one = figure.shown["pieces"][place]
    assert one["label"] == labels[place] == reader.tokens.index(one["piece"])
    assert one["sees"] == reader.tokens[inputs[place]]
    assert {"masked": one["sees"] == "[MASK]", "unchanged": one["sees"] == one["piece"]}.get(how, True)
    p = reader.fill(inputs, np.array([place]))[0]
    top, truth, nats = one["both"]
    assert [token for token, _ in top] == [reader.tokens[i] for i in np.argsort(-p)[:3]]
    assert truth == pytest.approx(p[labels[place]]) and nats == pytest.approx(-np.log(truth))
    assert one["left"][1] == pytest.approx(reader.fill_from_left(inputs, np.array([place]))[0, labels[place]])


def test_where_nothing_is_chosen_nothing_is_asked(figure):
    for draw in range(20):
        for one in answer(figure, draw=draw)["pieces"]:
            asked = [one["label"] != IGNORED, bool(one["how"]), one["both"] is not None]
            assert len(set(asked)) == 1
            assert one["how"] or one["sees"] == one["piece"]
            assert not (one["special"] and one["how"])


def test_the_hand_masks_a_piece_and_uncovers_it(figure):
    draw, place = draw_with(figure, "random")
    bare = next(
        i for i, one in enumerate(answer(figure, draw=draw)["pieces"]) if not (one["how"] or one["special"])
    )
    before = figure.shown["pieces"]
    shown = answer(figure, own=[bare, place], focus=bare)["pieces"]
    assert (shown[bare]["how"], shown[bare]["sees"]) == ("masked", "[MASK]")
    assert (shown[place]["how"], shown[place]["sees"], shown[place]["label"]) == (
        "",
        before[place]["piece"],
        -100,
    )
    assert figure.shown["statistics"] == figure.view()["statistics"] and figure.state["focus"] == bare
    assert answer(figure, own=[])["pieces"] == before
    answer(figure, own=[bare])
    assert answer(figure, draw=draw + 1)["own"] == []  # another draw is a clean one


def test_the_statistics_are_those_of_the_draws(figure, reader):
    inputs, labels = reader.corrupt(reader.encode(SENTENCES[0]), DRAWS)
    chosen = labels != IGNORED
    n, pieces = chosen.sum(), DRAWS * 8
    shares = figure.statistics()
    assert shares["chosen"] == n / pieces and abs(shares["chosen"] - 0.15) < 4 * (0.15 * 0.85 / pieces) ** 0.5
    assert shares["masked"] == (inputs[chosen] == MASK).mean()
    assert sum(shares[how] for how in ("masked", "random", "unchanged")) == pytest.approx(1)
    for how, share in {"masked": 0.8, "random": 0.1, "unchanged": 0.1}.items():
        # of so few words one in nine random ones is the piece itself, and can't be told from one that stayed
        luck = {"masked": 0, "random": -0.1 / 9, "unchanged": 0.1 / 9}[how]
        assert abs(shares[how] - share - luck) < 4 * (share * (1 - share) / n) ** 0.5
    assert [one["times"] for one in figure.shown["pieces"]] == chosen.sum(0).tolist()


def test_a_walk_asks_nobody_anew(figure, reader, monkeypatch):
    asked = []
    monkeypatch.setattr(reader, "fill", lambda *given: asked.append(given))
    for focus in range(5):
        assert answer(figure, focus=focus)["problem"] == ""
    assert not asked


def test_the_sentence_is_the_repr_and_the_plain_text(figure):
    draw, place = draw_with(figure, "masked")
    answer(figure, draw=draw, focus=place)
    one, sentence = figure.shown["pieces"][place], figure.describe()
    first, left = one["both"][0][0], one["left"]
    assert (
        sentence.startswith("“The film was a waste of time.”: ")
        and "of 8 pieces chosen, their mean" in sentence
    )
    assert f"At “{one['piece']}”, masked, the model sees “[MASK]” and answers “{first[0]}” " in sentence
    assert f"(loss {left[2]:.2f} nats). In 1,000 corruptions " in sentence
    bundle = figure._repr_mimebundle_()
    assert repr(figure) == sentence == bundle["text/plain"] == figure.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == figure.model_id
    answer(figure, focus=0)
    assert "At “[CLS]” nothing is asked: label −100." in figure.describe()


# ---- bad and hostile input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "There is nothing to mask: the sentence has no piece of a word."),
        ("[MASK]", "There is nothing to mask"),
        ("🦜 שלום", "2 of the words of '🦜 שלום' can't be put together from the vocabulary"),
        ("film " * 200, f"has 202 pieces, [CLS] and [SEP] counted; the first {MAX_PIECES} are read"),
        ("film " * 1000, "Got 5,000 characters; the first 1,000 are read."),
        ("the \ud83d film", "lone surrogate"),
        ("</script><script>1</script>\0\n\t$a$ film", "can't be put together"),
    ],
)
def test_a_bad_text_gets_a_sentence_and_the_figure_goes_on(figure, text, says, recwarn):
    shown = answer(figure, text=text)
    assert shown["problem"] == "" and says in shown["notice"]
    assert len(shown["pieces"]) <= MAX_PIECES and shown["pieces"][-1]["piece"] == "[SEP]"
    bundle = figure._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    json.dumps(shown, allow_nan=False).encode()
    assert answer(figure, text="The film")["notice"] == "" and not recwarn.list


def test_a_short_model_reads_what_it_can(reader):
    short = SimpleNamespace(
        **vars(reader),
        **{name: getattr(reader, name) for name in ("encode", "corrupt", "fill", "fill_from_left")},
    )
    short.longest = 5
    shown = MaskingFigure(short, SENTENCES).shown
    assert [one["piece"] for one in shown["pieces"]] == ["[CLS]", "the", "film", "was", "[SEP]"]
    assert "the first 5 are read" in shown["notice"]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"draw": DRAWS}, "draw is a whole number from 0 to 999; got 1000"),
        ({"own": [0]}, "own is a list of some of 1, 2, 3, 4, 5, 6, 7, 8; got [0]"),
        ({"focus": 10}, "focus is a whole number from 0 to 9; got 10"),
        ({"text": None}, "text is a text; got None"),
    ],
)
def test_a_request_that_can_not_be_met_is_refused_and_nothing_changes(figure, request_, says):
    before = figure.describe()
    assert says in answer(figure, **request_)["problem"] and figure.describe() == before


def test_an_empty_batch_and_a_draw_that_is_not_there_are_refused(reader):
    with pytest.raises(ValueError, match="a batch needs at least one sentence; got none"):
        MaskingFigure(reader, [])
    with pytest.raises(ValueError, match="draw is a whole number from 0 to 999; got -1"):
        MaskingFigure(reader, SENTENCES, draw=-1)


def test_the_picture_has_the_lines_that_it_needs_and_is_small(figure, recwarn):
    heights = []
    for text in ("", "The film was", "the film " * 6, "the film " * 30):
        answer(figure, text=text, draw=1)
        answer(
            figure,
            own=[i for i, one in enumerate(figure.shown["pieces"]) if not (one["special"] or one["how"])],
        )
        png = figure.png()
        heights.append(int.from_bytes(png[20:24], "big"))
        assert len(png) < 140_000  # in base64, it fits into what is kept
    assert heights[0] < heights[1] < heights[2] == heights[3] and not recwarn.list
