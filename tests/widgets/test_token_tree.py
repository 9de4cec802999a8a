"""The token tree without a browser: its rows, its search beside `beam_search`, and models that misbehave."""

import json
import math

import numpy as np
import pytest
from mocks import Mock

from course_utils.generation import beam_search, generate
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.token_tree import CHILDREN, LONGEST, ROWS, TokenTree

PROMPT = [1, 2]
HOSTILE = [
    "</script>",
    '"',
    "😀",
    "שלום",
    "a",
    "a",
    "",
    "\udcc3",
    "\u0301",
    "$x$",
    "<img src=x>",
    "\0",
    " " * 40,
]


def tree_of(model, end_ids=(), tokens=None, prompt="To be"):
    """A tree of the mock model after PROMPT; `calls` lists what the model was asked."""
    calls = []

    def next_log_probs(ids):
        calls.append(ids)
        total = sum(token + 1 for token in [*PROMPT, *ids])
        return model.table[total % model.vocab_size].double().log_softmax(-1).numpy()

    tree = TokenTree(next_log_probs, tokens or [f" t{i}" for i in range(model.vocab_size)], prompt, end_ids)
    tree.calls = calls
    return tree


def constant(log_p, **settings):
    return TokenTree(lambda ids: log_p, [f"t{i}" for i in range(len(log_p))], "x", **settings)


def tied(model):
    """The same model with logits that are whole numbers: many texts are equally likely."""
    model.table = model.table.round()
    return model


def answer(tree, **request):
    tree._answer(tree, {"id": "me/1", **request}, [])
    json.dumps(tree.shown, allow_nan=False).encode("utf-8")
    return tree.shown


def row_of(tree, *path, kind="node"):
    return next(row for row in tree.found.rows if row["path"] == list(path) and row["kind"] == kind)


def kinds(row):
    return [kind for kind, _ in row["marks"]]


# The tree


def test_a_node_shows_the_likeliest_and_an_honest_rest():
    model = Mock(40, seed=1)
    tree = tree_of(model)
    p = model.next_probs(PROMPT)
    root, *children, rest = tree.found.rows
    assert root["token"] == "To be" and root["open"] and root["log_p"] == 0
    assert [row["path"][0] for row in children] == p.topk(CHILDREN).indices.tolist()
    assert [row["rank"] for row in children] == [1, 2, 3, 4, 5]
    for row in children:
        assert row["p"] == pytest.approx(p[row["path"][0]].item())
        assert row["log_p"] == pytest.approx(math.log(row["p"]))
        assert row["open"] is False
    assert rest["token"] == "the other 35 tokens"
    assert rest["p"] == pytest.approx(1 - sum(row["p"] for row in children))


def test_children_are_asked_for_once_and_only_when_a_node_is_opened():
    tree = tree_of(Mock(40, seed=1))
    assert tree.calls == [[]]
    first = tree.found.rows[1]["path"][0]
    answer(tree, wanted=[[[first], CHILDREN]])
    assert tree.calls == [[], [first]]
    assert len(tree.found.rows) == 2 * (CHILDREN + 1) + 1
    answer(tree, wanted=[[[first], 0]])
    assert len(tree.found.rows) == CHILDREN + 2
    answer(tree, wanted=[[[first], 3], [[], 10]])
    assert len(tree.found.rows) == 10 + 1 + 3 + 1 + 1 and tree.calls == [[], [first]]


def test_the_log_probability_runs_down_the_path():
    model = Mock(40, seed=2)
    tree = tree_of(model)
    answer(tree, wanted=[[[7], 40], [[7, 3], 40]], chosen=[7, 3, 9])
    p = model.next_probs
    expected = (p(PROMPT)[7] * p([*PROMPT, 7])[3] * p([*PROMPT, 7, 3])[9]).log().item()
    assert row_of(tree, 7, 3, 9)["log_p"] == pytest.approx(expected)
    assert tree.found.texts["yours"].log_p == pytest.approx(expected)
    assert f"Your path is “·t7·t3·t9”, 3 tokens, log p −{-expected:.2f} nats" in tree.describe()
    assert not [row for row in tree.found.rows if row["kind"] == "rest" and row["path"]]  # all 40 are shown


def test_of_equal_tokens_the_smaller_id_ranks_first():
    tree = constant(np.log(np.full(8, 1 / 8)))
    assert [(row["path"], row["rank"]) for row in tree.found.rows[1:6]] == [([i], i + 1) for i in range(5)]


def test_a_token_that_cannot_come_is_shown_without_infinity():
    tree = constant(np.array([0.0, -math.inf, -math.inf]))
    shown = answer(tree, wanted=[[[], 3]], chosen=[2], steps=3)
    assert [row["log_p"] for row in tree.found.rows if len(row["path"]) == 1] == [0.0, None, None]
    assert shown["texts"][-1]["log_p"] is None and "log p −∞ nats" in tree.describe()
    assert [len(step.active) for step in tree.found.steps] == [1, 1, 1]


def test_a_chosen_node_that_was_closed_gives_way_to_the_one_above():
    tree = tree_of(Mock(40, seed=1))
    answer(tree, wanted=[[[7], 5]], chosen=[7, 3])
    shown = answer(tree, wanted=[[[7], 0]])
    assert shown["chosen"] == [7] and shown["at"] == "node" and tree.found.texts["yours"].ids == [7]
    assert answer(tree, chosen=[], at="rest")["at"] == "rest"
    assert answer(tree, chosen=[7], at="rest")["at"] == "node"


def test_when_all_of_the_rest_is_shown_the_last_of_it_is_chosen():
    tree = tree_of(Mock(9, seed=1))
    shown = answer(tree, wanted=[[[], 10]], chosen=[], at="rest")
    assert (shown["at"], shown["chosen"]) == ("node", tree.found.rows[-1]["path"])


def test_the_search_opens_what_the_learner_had_closed():
    tree = tree_of(Mock(30, seed=4, spread=1.0))
    answer(tree, wanted=[[[], 0], [[2], 0]], steps=0)
    assert len(tree.found.rows) == 1
    shown = answer(tree, steps=2)
    assert len(shown["ranking"]) == 6 and shown["wanted"] == [[[2], 0]]
    assert all(row_of(tree, *beam.ids) for beam in tree.found.step.active)
    assert len(answer(tree, wanted=[[[], 0]])["rows"]) == 1  # and may be closed again


def test_more_rows_than_fit_are_counted_and_follow_the_chosen_one():
    tree = tree_of(Mock(300, seed=1))
    shown = answer(tree, wanted=[[[], 200]])
    assert (len(shown["rows"]), shown["above"], shown["below"]) == (ROWS, 0, 202 - ROWS)
    chosen = tree.found.rows[150]["path"]
    shown = answer(tree, chosen=chosen)
    assert shown["above"] + ROWS + shown["below"] == 202 and shown["above"] > 100
    assert chosen in [row["path"] for row in shown["rows"]]
    shown = answer(tree, steps=1)  # what the search finds is in sight first
    assert shown["above"] == 0 and chosen == shown["chosen"]
    assert answer(tree)["above"] > 100


# The search


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("penalty, end_ids", [(0.0, [0]), (0.75, [0, 3]), (1.0, []), (2.0, [0])])
def test_the_search_finds_what_beam_search_finds(width, penalty, end_ids):
    for seed in range(2):
        for model in (Mock(7, seed=seed), tied(Mock(7, seed=seed))):
            tree = tree_of(model, end_ids)
            tree.handle({"width": width, "length_penalty": penalty, "steps": LONGEST})
            found = beam_search(model, PROMPT, LONGEST, width, length_penalty=penalty, end_ids=end_ids)
            assert tree.found.step.best(width) == found
            assert tree.found.texts["best"] == found[0]
            greedy = generate(model, [PROMPT], tree.state["steps"], end_ids=end_ids)[0].ids
            assert tree.found.texts["greedy"].ids == greedy


def test_steps_forward_and_back_and_another_width():
    tree = tree_of(Mock(30, seed=4, spread=1.0))
    seen = [answer(tree, steps=n)["rows"] for n in range(6)]
    calls = len(tree.calls)
    assert [answer(tree, steps=n)["rows"] for n in (4, 2, 0)] == [seen[4], seen[2], seen[0]]
    assert len(tree.calls) == calls == len(set(map(tuple, tree.calls)))  # each once, and none again
    assert answer(tree, steps=3, width=1)["ranking"][0]["n"] == 3
    assert [one["kind"] for one in tree.shown["ranking"]] == ["beam", "pruned"]
    assert len([row for row in tree.found.rows if "beam" in kinds_or_none(row)]) == 1


def kinds_or_none(row):
    return kinds(row) if row["kind"] == "node" else []


def test_marks_say_what_is_kept_what_is_pruned_and_by_how_much():
    tree = tree_of(Mock(30, seed=4, spread=1.0))
    answer(tree, steps=3, width=3)
    going, left_out = tree.found.step.active, tree.found.step.pruned
    for place, beam in enumerate(going, 1):
        assert row_of(tree, *beam.ids)["marks"][0] == ("beam", f"in the beam, {place}")
    for beam in left_out:
        words = f"pruned: −{-beam.score:.2f}, the last one kept has −{-going[-1].score:.2f}"
        assert row_of(tree, *beam.ids)["marks"][0] == ("pruned", words)
    for name in ("greedy", "best"):
        ids = tree.found.texts[name].ids
        assert all(name in kinds(row_of(tree, *ids[:n])) for n in (1, 2, 3))
    marked = [row["path"] for row in tree.found.rows if "greedy" in kinds_or_none(row)]
    assert marked == [tree.found.texts["greedy"].ids[:n] for n in (1, 2, 3)]


def test_a_node_that_only_the_search_opened_says_what_it_hides():
    tree = tree_of(Mock(30, seed=4, spread=1.0))
    answer(tree, steps=3)
    below = [row for row in tree.found.rows if len(row["path"]) == 1 and row["kind"] == "node"]
    hidden, mass = row_of(tree)["hidden"]
    assert hidden == 30 - len(below) and mass == pytest.approx(1 - sum(row["p"] for row in below))
    answer(tree, wanted=[[[], CHILDREN]])
    assert "hidden" not in row_of(tree) and row_of(tree, kind="rest")["p"] > 0


def test_the_end_of_a_text_is_a_leaf_and_a_finished_beam_stays_marked():
    tree = tree_of(Mock(7, seed=0), end_ids=[0, 3])
    answer(tree, steps=LONGEST, width=2, length_penalty=0.5)
    finished = tree.found.step.finished
    assert finished and tree.shown["over"] and tree.state["steps"] < LONGEST
    for beam in finished:
        row = row_of(tree, *beam.ids)
        assert row["open"] is None and row["marks"][0] == ("finished", "finished")
    answer(tree, steps=0, wanted=[[[], 7]])
    assert row_of(tree, 3)["open"] is None and row_of(tree, 3)["marks"] == [("finished", "ends the text")]


def test_the_sentence_says_by_how_much_the_beam_beats_greedy():
    """ab is likelier than all that begin with the likelier b."""
    table = {(): [0.45, 0.55, 0.0], (0,): [0.04, 0.95, 0.01], (1,): [0.4, 0.3, 0.3]}
    with np.errstate(divide="ignore"):
        table = {path: np.log(p) for path, p in table.items()}
    tree = TokenTree(lambda ids: table[tuple(ids)], ["a", "b", "c"], "x")
    answer(tree, steps=1, width=2)
    assert "They are the same text." in tree.describe()
    answer(tree, steps=2)
    assert "best so far “ab”, 2 tokens, log p −0.85 nats, −0.42 a token" in tree.describe()
    assert "greedy “ba”, 2 tokens, log p −1.51 nats, −0.76 a token" in tree.describe()
    times = 0.45 * 0.95 / (0.55 * 0.4)
    assert f"is {times:.3g} times as likely as the greedy one, of the same length" in tree.describe()
    answer(tree, width=1)
    assert "They are the same text." in tree.describe()


# What goes wrong


def test_a_path_longer_than_the_context_says_so_in_the_tree_and_in_the_search():
    def next_log_probs(ids):
        if len(ids) > 2:
            raise ValueError("this GPT reads 4 tokens at once; 5 came")
        return np.log(np.full(4, 0.25))

    tree = TokenTree(next_log_probs, list("abcd"), "xy")
    answer(tree, wanted=[[[0], 4], [[0, 0], 4], [[0, 0, 0], 4]])
    assert row_of(tree, 0, 0, 0, kind="problem")["token"] == (
        "No answer here: this GPT reads 4 tokens at once; 5 came"
    )
    shown = answer(tree, steps=10)
    assert shown["steps"] == 3 and shown["problem"] == ""
    assert shown["notice"] == "The search stops after 3 steps: this GPT reads 4 tokens at once; 5 came."
    assert shown["notice"] in tree.describe() and tree.png()


@pytest.mark.parametrize(
    "log_p, words",
    [
        ([0.1, 0.2, 0.3], "sum to 1; these sum to 3.676: if they come from logits"),
        ([math.nan, 0.0, -1.0], "1 of the 3 log-probabilities are NaN"),
        ([math.inf, 0.0, 0.0], "these sum to inf"),
        ([-math.inf] * 3, "these sum to 0"),
        (
            [0.0, -math.inf],
            "there are 3 tokens, and each has its log-probability; got an array of shape (2,)",
        ),
        ([[0.0, 0.0, 0.0]], "got an array of shape (1, 3)"),
        (None, "got an array of shape ()"),
    ],
)
def test_an_answer_that_is_no_distribution_is_named(log_p, words):
    tree = TokenTree(lambda ids: log_p, list("abc"), "x")
    assert words in tree.found.rows[1]["token"] and words in tree.describe()
    shown = answer(tree, steps=3)
    assert shown["steps"] == 0 and words in shown["notice"] and tree.png()


def test_any_error_is_words_and_the_next_try_begins_anew():
    broken = [True]

    def next_log_probs(ids):
        if broken and len(ids) == 2:
            raise RuntimeError("my own slip")
        return np.log(np.array([0.5, 0.3, 0.2]))

    tree = TokenTree(next_log_probs, list("abc"), "x")
    shown = answer(tree, steps=4)
    assert (shown["steps"], shown["notice"]) == (
        2,
        "The search stops after 2 steps: RuntimeError: my own slip.",
    )
    broken.clear()
    shown = answer(tree, steps=4)
    assert (shown["steps"], shown["notice"]) == (4, "")


def test_a_greedy_path_without_an_answer_is_cut_with_notice():
    """A beam of 2 keeps ba and bb and leaves aa, the greedy path, after which the model fails."""

    def next_log_probs(ids):
        if ids == [0, 0]:
            raise RuntimeError("no more")
        return np.log(np.array([0.34, 0.33, 0.33] if ids[:1] == [0] else [0.5, 0.4, 0.1]))

    first = np.log(np.array([0.5, 0.45, 0.05]))
    tree = TokenTree(lambda ids: next_log_probs(ids) if ids else first, list("abc"), "x")
    shown = answer(tree, steps=3, width=2)
    assert shown["steps"] == 3 and shown["notice"] == "No answer after “aa”: RuntimeError: no more."
    assert tree.found.texts["greedy"].ids == [0, 0]
    assert "They differ in length" in tree.describe()


def test_an_empty_prompt_is_said():
    tree = tree_of(Mock(9), prompt="")
    assert tree.shown["notice"] == "The prompt is empty: these are tokens that begin a text."
    assert tree.describe().startswith("After “”: the likeliest of 9 tokens is")


def test_a_long_prompt_is_shown_by_its_end():
    tree = tree_of(Mock(9), prompt="x" * 10_000 + " to be")
    assert len(tree.found.rows[0]["token"]) == 60 and tree.found.rows[0]["token"].endswith("x to be")
    assert len(tree.describe()) < 300


@pytest.mark.parametrize(
    "request_, words",
    [
        ({"width": 9}, "width is a whole number from 1 to 8; got 9"),
        ({"length_penalty": -1}, "length_penalty is a number from 0 to 2; got -1"),
        ({"steps": 21}, "steps is a whole number from 0 to 20; got 21"),
        ({"chosen": [9]}, "chosen[0] is a whole number from 0 to 8; got 9"),
        ({"wanted": [[[-1], 5]]}, "wanted[0][0][0] is a whole number from 0 to 8; got -1"),
    ],
)
def test_requests_that_are_refused(request_, words):
    tree = tree_of(Mock(9))
    before = tree.shown["rows"]
    shown = answer(tree, **request_)
    assert words in shown["problem"] and shown["rows"] == before


def test_input_that_is_refused():
    with pytest.raises(ValueError, match="end_ids are ids of tokens, 0 to 8; got 9"):
        tree_of(Mock(9), end_ids=[9])
    with pytest.raises(ValueError, match="one at least; got none"):
        TokenTree(lambda ids: np.zeros(0), [], "x")


# What is seen


def test_hostile_tokens_reach_the_browser_whole_and_the_html_escaped(recwarn):
    tree = tree_of(Mock(len(HOSTILE), seed=1), tokens=HOSTILE, prompt="</script>\ud83d")
    shown = answer(tree, wanted=[[[], 20], *([[i], 2] for i in range(len(HOSTILE)))], steps=4, width=8)
    assert {row["token"] for row in shown["rows"]} >= {"</script>", "שלום", "", "‹C3›", "\0"}
    bundle = tree._repr_mimebundle_()
    html = bundle["text/html"]
    assert "<script" not in html and "<img src=x" not in html and html.count("<img") == 1
    assert repr(tree) == tree.describe() == bundle["text/plain"] == shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == tree.model_id
    assert len(json.dumps(bundle)) < 200_000 and len(json.dumps(shown)) < 200_000
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_the_picture_follows_the_search():
    tree = tree_of(Mock(30, seed=4, spread=1.0))
    before = tree.png()
    answer(tree, steps=3)
    assert before.startswith(b"\x89PNG") and tree.png() != before
