"""Widgets without a browser: the sentence, the picture, what crosses to the browser, and hostile input."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import WIDGET_VIEW, Widget
from course_utils.widgets.ngram_explorer import MAX_CONTEXT, TOP, NGramExplorer, from_models
from course_utils.widgets.provenance import CopiedRun, fewest_runs, longest_at, tracer
from course_utils.widgets.words import visible

TEXTS = {"First": "to be or not to be, that is the question", "Second": "the rest is silence — or is it?"}
HOSTILE = [
    "</script>",
    '"',
    "'",
    "\U0001f600",
    "שלום",
    "a",
    "a",
    "",
    "\udcc3",
    "\u0301",
    "$x^2$",
    "<img src=x>",
    "\0",
]


@pytest.fixture(scope="module")
def models():
    tokens = [ByteTokenizer().encode(text) for text in TEXTS.values()]
    return {n: NGramModel(n, "mle").fit(tokens, 256) for n in range(1, 6)}


@pytest.fixture
def explorer(models):
    return from_models(models, TEXTS, context="not to ", order=3, n=60)


def hostile(tokens=HOSTILE, p=None):
    p = np.full(len(tokens), 1 / len(tokens)) if p is None else np.asarray(p)
    return NGramExplorer(
        lambda context, order: (tokens, p, np.arange(len(tokens))),
        lambda context, order, n, seed: "".join(tokens),
        lambda text: [],
        orders=range(1, 3),
        order=2,
    )


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


# ---- provenance --------------------------------------------------------------------------------


def every_copied_run(text, texts):
    """The definition, word for word: no run can be made longer to the left or to the right."""

    def home(start, end):
        return next((title for title, whole in texts.items() if text[start:end] in whole), None)

    return [
        CopiedRun(start, end - start, home(start, end))
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if home(start, end)
        and (start == 0 or not home(start - 1, end))
        and (end == len(text) or not home(start, end + 1))
    ]


@pytest.mark.parametrize("seed", range(30))
def test_tracer_finds_exactly_the_runs_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    letters = list("abc") if seed % 2 else list("aé한")  # 1, 2 and 3 bytes
    texts = {title: "".join(rng.choice(letters, size=40)) for title in "PQR"}
    texts["Q"] += texts["P"][:25]  # longer runs than an index key, in two places
    text = "".join(rng.choice([*letters, "d", "\0"], size=60, p=[0.3, 0.3, 0.3, 0.07, 0.03]))
    text += texts["P"][5:25] + "\ud83d" + texts["R"][-9:]
    assert tracer(texts)(text) == every_copied_run(text, texts)


def test_tracer_never_joins_two_texts_nor_copies_what_is_not_there():
    trace = tracer({"A": "abc", "B": "def"})
    assert trace("abcdef") == [CopiedRun(0, 3, "A"), CopiedRun(3, 3, "B")]
    assert trace("c\0d") == [CopiedRun(0, 1, "A"), CopiedRun(2, 1, "B")]
    assert trace("xyz\ud83d") == trace("") == []
    with pytest.raises(ValueError, match="at least one not empty"):
        tracer({"A": ""})


def test_longest_run_at_each_character_and_how_many_are_needed():
    runs = [CopiedRun(0, 3, "A"), CopiedRun(1, 4, "B"), CopiedRun(4, 2, "C"), CopiedRun(8, 1, "D")]
    assert longest_at(runs, 9) == [runs[0], *[runs[1]] * 4, runs[2], None, None, runs[3]]
    assert longest_at([CopiedRun(0, 2, "A"), CopiedRun(1, 2, "B")], 3)[1].title == "A"  # of equals the first
    assert fewest_runs(runs) == 4
    runs = [CopiedRun(0, 3, "A"), CopiedRun(1, 3, "B"), CopiedRun(2, 3, "C")]
    assert fewest_runs(runs) == 2  # the middle one is not needed
    assert fewest_runs([]) == 0


# ---- the explorer ------------------------------------------------------------------------------


def test_a_row_is_the_model_and_nothing_is_cut_off_before_it_sums_to_1(explorer, models):
    ids = ByteTokenizer().encode("not to ")
    for row in explorer.shown["rows"]:
        p, counts = models[row["order"]].distribution(ids), models[row["order"]].counts(ids)
        assert row["seen"] == counts.sum() and row["followers"] == np.count_nonzero(counts)
        assert sum(row["probabilities"]) + row["others"]["probability"] == pytest.approx(1)
        assert row["probabilities"] == [p for p in sorted(p, reverse=True)[:TOP] if p > 0]
        assert row["others"]["tokens"] == 256 - len(row["tokens"])
        assert [p[ord(token)] for token in row["tokens"]] == row["probabilities"]
        assert "".join(row["used"]) == "not to "[8 - row["order"] :]
    assert [row["order"] for row in explorer.shown["rows"]] == [5, 4, 3, 2, 1]


def test_sentence_has_the_numbers_and_is_the_repr_and_the_plain_text(explorer):
    # "o " was counted 3 times: twice before b, once before nothing else than n ("or not" gives "r ")
    counts = TEXTS["First"].count("o b")
    assert f"Order 3 looks at “o·”, counted {counts} times in training" in explorer.describe()
    assert "“b” 100.0 %" in explorer.describe()
    assert answer(explorer, context="\0\t", order=3)["sentence"].startswith("Order 3 looks at “‹00›⇥”")
    bundle = explorer._repr_mimebundle_()
    assert repr(explorer) == explorer.describe() == bundle["text/plain"] == explorer.shown["sentence"]
    assert "object at 0x" not in repr(explorer)


def test_picture_lies_beside_the_view_and_is_named_by_the_sentence(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle[WIDGET_VIEW]["model_id"] == explorer.model_id
    assert re.search(
        r'<img alt="Order 3 looks at [^"]+" src="data:image/png;base64,iVBOR', bundle["text/html"]
    )
    assert "Run this cell to make it live" in bundle["text/html"]
    assert len(json.dumps(bundle)) < 200_000
    assert len(json.dumps(explorer.shown)) < 200_000


def test_sample_pieces_put_the_sample_together_and_name_the_longest_run(explorer, models):
    sample = explorer.shown["sample"]
    ids = models[3].sample(60, ByteTokenizer().encode("not to "), np.random.default_rng(1))
    text = ByteTokenizer().decode(ids, errors="surrogateescape")
    assert "".join(piece["text"] for piece in sample["pieces"]) == visible(text)
    longest = max(tracer(TEXTS)(text), key=lambda run: run.length)
    assert f"Longest run copied: {longest.length} characters, from {longest.title}" in explorer.describe()
    assert [piece["length"] for piece in sample["pieces"] if piece["longest"]] == [longest.length]
    assert f"no run of {longest.length + 1} or more characters is copied" in explorer.describe()


def test_a_request_changes_what_is_shown_and_the_answer_carries_its_id(explorer):
    shown = answer(explorer, context="that ", order=2, seed=5)
    assert shown["answers"] == "me/1" and shown["problem"] == ""
    assert (shown["order"], shown["seed"], shown["context"]) == (2, 5, "that ")
    assert "Order 2 looks at “·”" in shown["sentence"]


def test_shares_of_the_orders_cross_when_they_are_given(models):
    shared = NGramExplorer(
        lambda context, order: (["a", "b"], [0.5, 0.5], [1, 1]),
        lambda *_: "ab",
        lambda text: [],
        shares=lambda context, order: np.eye(order + 1)[order],
        orders=[1, 2],
        order=2,
    )
    assert [row["shares"] for row in shared.shown["rows"]] == [[0, 0, 1], [0, 1]]


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"order": 9}, "order is one of 5, 4, 3, 2, 1; got 9"),
        ({"n": 0}, "n is a whole number from 1 to 1,000; got 0"),
        ({"seed": -1}, "seed is a whole number from 0 to 4,294,967,295; got -1"),
        ({"model": "?"}, "model is one of ; got '?'"),
    ],
)
def test_a_request_that_is_not_offered_is_refused_in_a_sentence(explorer, request_, message):
    before = explorer.shown["rows"]
    shown = answer(explorer, **request_)
    assert message in shown["problem"] and shown["rows"] == before


def test_a_very_long_context_is_cropped_with_notice(explorer):
    shown = answer(explorer, context="x" * 9_990 + "not to be ")
    assert "Got 10,000 characters" in shown["notice"] and str(MAX_CONTEXT) in shown["notice"]
    assert shown["context"].endswith("not to be ") and len(shown["context"]) == MAX_CONTEXT
    assert "Got 1,200 characters" in answer(explorer, context="a" * 200, cut=1000)["notice"]


def test_an_empty_context_and_half_a_character_are_no_error(explorer):
    shown = answer(explorer, context="")
    assert shown["problem"] == "" and all(row["used"] == [] for row in shown["rows"])
    assert "looks at no context" in shown["sentence"]
    shown = answer(explorer, context="to \ud83d")
    assert "lone surrogate" in shown["notice"] and shown["context"] == "to "


def test_bytes_that_are_no_character_are_shown_by_number(explorer):
    assert visible("\udcc3\udca9x\ud83d") == "‹C3›‹A9›x‹D83D›"
    shown = answer(explorer, context="é")
    assert shown["rows"][0]["used"] == ["‹C3›", "‹A9›"]


def test_hostile_tokens_reach_the_browser_whole_and_the_html_escaped():
    widget = hostile()
    json.dumps(widget.shown).encode("utf-8")  # no lone surrogate is left
    row = widget.shown["rows"][0]
    assert len(row["tokens"]) == TOP and row["others"]["tokens"] == len(HOSTILE) - TOP
    html = widget._repr_mimebundle_()["text/html"]
    assert "<script" not in html and "<img src=x" not in html and html.count("<img") == 1


def test_the_picture_is_drawn_without_pyplot_and_without_a_warning(recwarn):
    import sys

    sys.modules.pop("matplotlib.pyplot", None)
    assert hostile().png().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


@pytest.mark.parametrize("p", [[0.5, 0.4], [np.nan, 1], [1.5, -0.5]])
def test_a_row_whose_probabilities_are_none_says_so_and_the_widget_lives(p):
    widget = hostile(["a", "b"], p)
    assert "sum to" in widget.shown["rows"][0]["problem"]
    assert "sum to" in widget.describe()
    assert widget.png()


def test_a_learners_own_broken_function_gives_a_message_and_no_traceback(models):
    def broken(*_):
        raise RuntimeError("my own slip")

    widget = NGramExplorer(broken, broken, lambda text: [], orders=[1, 2], order=1)
    assert widget.shown["rows"][0]["problem"] == "my own slip"
    assert "There is no sample: my own slip" in widget.describe()
    assert widget.png()


def test_two_smoothings_are_a_choice(models):
    widget = from_models({"plain": models, "the same": models}, TEXTS, order=2)
    assert widget.fixed["specs"]["model"]["options"] == ["plain", "the same"]
    assert answer(widget, model="the same")["model"] == "the same"


# ---- the base ----------------------------------------------------------------------------------


class Bare(Widget):
    """A widget in a module that has no .js: it has no front end, but its contract holds."""

    def view(self):
        return {"blob": b"\x00\x01"}

    def describe(self):
        return "Seven dots."

    def picture(self, figure: Figure):
        figure.add_subplot().plot([0, 1])

    def handle(self, request):
        raise KeyError("what")


def test_powers_of_ten_on_an_axis_are_text_and_no_formula():
    class Powers(Bare):
        def picture(self, figure: Figure):
            self.axes = figure.add_subplot(xscale="log", xlim=(1e7, 1e12))

    powers = Powers()
    powers.png()
    labels = [label.get_text() for label in powers.axes.get_xticklabels()]
    assert "1e+08" in labels and not any("$" in label for label in labels)


def test_any_error_is_answered_or_the_view_would_wait_for_ever():
    bare = Bare()
    assert answer(bare)["problem"] == "KeyError: 'what'" and bare.shown["answers"] == "me/1"
    assert bare.shown["blob"] == b"\x00\x01"


def test_an_interrupt_is_answered_too(monkeypatch):
    def interrupted(self, request):
        raise KeyboardInterrupt

    monkeypatch.setattr(Bare, "handle", interrupted)
    assert answer(Bare())["problem"] == "Interrupted before it was done."


def test_the_front_end_is_one_module_without_any_address():
    source = NGramExplorer._esm
    assert source.index("function viewOf") < source.index("function render")
    assert source.count("export default") == 1
    everything = source + NGramExplorer._css
    assert not re.search(r"https?:|//[a-z]+\.|\bimport\b|innerHTML|@import|url\(", everything)
    assert "_esm" not in Bare.__dict__


def test_the_sample_in_contributing_is_a_widget():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [sample] = re.findall(r"```python\n(import .*?)```", text.partition("## A widget")[2], re.DOTALL)
    names = {"__name__": __name__}
    exec(sample, names)
    flips = names["CoinFlips"]([0, 1, 1])
    assert answer(flips, n=3)["sentence"] == "66.7 % heads in 3 flips." and flips.png()
    assert "from 1 to 3; got 4" in answer(flips, n=4)["problem"]


def test_a_lecture_is_planned_step_by_step(explorer):
    assert (
        explorer.for_lecture({"order": 2, "say": "It looks at one byte."}, {"context": "the q"}) is explorer
    )
    begun, first, second = explorer.lecture
    assert begun["state"] == explorer.state and begun["say"] == ""
    assert first["state"] == explorer.state | {"order": 2} and first["say"] == "It looks at one byte."
    assert second["state"] == first["state"] | {"context": "the q"}


@pytest.mark.parametrize("step", [{"order": 99}, {"orders": 2}, {"context": 5}])
def test_a_lecture_with_a_step_that_is_not_allowed_is_refused_before_it(explorer, step):
    with pytest.raises(ValueError, match="step 2 of the lecture: "):
        explorer.for_lecture({"order": 2}, step)
    assert explorer.lecture == [] and explorer.state["order"] == 3
