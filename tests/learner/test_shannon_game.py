"""Shannon's game without a browser: passages, what is kept, what is counted, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure

from course_utils.data.corpora import shakespeare
from course_utils.learner.passages import (
    FAMOUS_LINES,
    KNOWN_LINES,
    LETTERS,
    ORDERS,
    SCOREBOARD,
    GameText,
    Passage,
    course_texts,
    cut,
)
from course_utils.learner.progress import ProgressFile
from course_utils.learner.shannon_game import ENTRY, ShannonGame, shannon_game
from course_utils.measuring.entropy import ALPHABET_27, bootstrap_interval, corrected_bounds, letters_27
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer

CONTEXT = "what was read before the first guess, long enough for any player: "
HIDDEN = ["abba" * 15, "caba" * 15, "aaaa" * 15]
PASSAGES = [Passage(f"key {i}", f"Act {i}", CONTEXT, hidden) for i, hidden in enumerate(HIDDEN)]


def flat_bits(context, hidden):
    return [np.full(len(hidden), 2.0), [2.0 + (c == "b") for c in hidden]]


def small_texts():
    return {
        "small": GameText(PASSAGES, "abc\n", ["fair", "uneven"], flat_bits),
        "capitals": GameText(
            [Passage(p.key, p.place, p.context, p.hidden.upper()) for p in PASSAGES],
            "ABC",
            ["fair", "uneven"],
            flat_bits,
        ),
    }


@pytest.fixture
def game():
    return ShannonGame(small_texts(), ProgressFile())


def play(game, ranks, **more):
    """What the page sends after the guesses `ranks` on the passage that is shown."""
    request = {"text": game.text, "passage": game.passage.key if game.passage else "", "ranks": ranks}
    request |= {"wrong": "", "shown": 0, "known": False, "go": "", "id": "me/1"} | more
    game._answer(game, request, [])
    return game.shown


# ---- passages -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts():
    models = {n: NGramModel(n).fit(ByteTokenizer().encode("to be or not to be"), 256) for n in ORDERS}
    return course_texts(models)


def test_every_line_left_out_stands_in_the_play():
    play = letters_27(shakespeare().test)
    assert [line for line in FAMOUS_LINES + KNOWN_LINES if letters_27(line) not in play] == []


@pytest.mark.parametrize("name", [SCOREBOARD, LETTERS])
def test_passages_are_unseen_long_enough_and_without_known_lines(texts, name):
    passages = texts[name].passages
    assert len(passages) >= 50
    shown = [letters_27(p.context + p.hidden) for p in passages]
    assert not any(letters_27(line) in text for line in FAMOUS_LINES + KNOWN_LINES for text in shown)
    assert min(len(p.context) for p in passages) >= 60
    assert {p.place for p in passages} == {"Act III, Scene I", "Act III, Scene III"}
    assert len({p.key for p in passages}) == len(passages)


def test_passages_are_the_scoreboards_bytes_and_share_none(texts):
    test, ends = shakespeare().test, []
    for p in texts[SCOREBOARD].passages:
        assert test.count(p.context + p.hidden) == 1
        start = test.index(p.context + p.hidden)
        assert test[start - 1] == "\n"
        ends += [(start, 0), (start + len(p.context + p.hidden), 1)]
    assert [border for _, border in sorted(ends)] == [0, 1] * len(texts[SCOREBOARD].passages)
    for p, q in zip(texts[SCOREBOARD].passages, texts[LETTERS].passages, strict=True):
        assert p.key == q.key
        assert q.context + q.hidden == letters_27(p.context + p.hidden)
        assert set(q.hidden) <= set(ALPHABET_27)


def test_the_models_bits_are_those_of_the_scoreboard():
    """Scored in the passage or in the whole play, a character costs an n-gram the same."""
    encode = ByteTokenizer().encode
    train = [encode(play) for play in list(shakespeare().train.values())[:3]]
    models = {n: NGramModel(n).fit(train, 256) for n in ORDERS}
    text = course_texts(models)[SCOREBOARD]
    passage, play = text.passages[7], shakespeare().test
    start = play.index(passage.context + passage.hidden) + len(passage.context)
    bits = text.model_bits(passage.context, passage.hidden)
    for n in ORDERS:
        whole = -models[n].log2_probs(encode(play))[start : start + len(passage.hidden)]
        assert bits[n - 1] == pytest.approx(whole)


def test_commonest_characters_first(texts):
    assert texts[LETTERS].alphabet[:4] == " eto"
    assert sorted(texts[LETTERS].alphabet) == sorted(ALPHABET_27)
    assert texts[SCOREBOARD].alphabet[:2] == " e"


def test_what_is_no_passage_is_refused():
    with pytest.raises(ValueError, match="shows 59 and hides 5: take a longer text"):
        Passage("", "", "x" * 59, "abcde")
    with pytest.raises(ValueError, match="shows 60 and hides 0"):
        Passage("", "", "x" * 60, "")
    with pytest.raises(ValueError, match="the text has only 149"):
        cut("", "x" * 149)
    with pytest.raises(ValueError, match=r"alphabet lacks \['c'\]"):
        GameText(PASSAGES, "ab", [], flat_bits)
    with pytest.raises(ValueError, match="at least one passage"):
        GameText([], "ab", [], flat_bits)
    with pytest.raises(ValueError, match="at least one text; got none"):
        ShannonGame({}, ProgressFile())
    with pytest.raises(ValueError, match=r"2 models and each of 60 .*got an array of shape \(1, 2\)"):
        ShannonGame({"one": GameText(PASSAGES, "abc", ["a", "b"], lambda *_: [[1, 2]])}, ProgressFile())


# ---- counting -------------------------------------------------------------------------------------


def test_nothing_guessed(game):
    assert repr(game) == "0 characters guessed, 0 at the first try; too few for bounds: 0 of 100."
    result = game.result()
    assert result.bounds is result.interval is None and result.models == {}


def test_under_a_hundred_guesses_there_is_no_bound(game):
    shown = play(game, [1, 2, 1, 1, 3, 1, 1, 1, 2, 1, 4, 2])
    assert shown["sentence"].startswith(
        "12 characters guessed, 7 at the first try; too few for bounds: 12 of 100; best on the same "
        "characters is the fair with 2.00 bits each"
    )
    assert shown["human"] is None
    assert game.result().bounds is None


def test_from_a_hundred_on_the_bounds_come_with_an_interval(game):
    ranks = [1, 1, 2, 1, 3, 1] * 10
    play(game, ranks)
    play(game, ranks, go="next")
    shown = play(game, ranks[:40])
    result, all_ranks = game.result(), sorted(ranks + ranks[:40])
    assert result.guessed == 100 and result.first_try == all_ranks.count(1)
    assert result.bounds == pytest.approx(corrected_bounds(all_ranks))
    interval = bootstrap_interval(all_ranks, np.random.default_rng(0))
    assert np.array(result.interval) == pytest.approx(np.array(interval))
    lower, upper = result.bounds
    assert f"between {lower:.2f} (" in shown["sentence"] and f" and {upper:.2f} (" in shown["sentence"]
    assert shown["human"]["added"] == pytest.approx(2 / (200 * np.log(2)))
    assert shown["human"]["pooled"] == 0


def test_models_are_counted_on_the_same_characters(game):
    first = game.passage.hidden
    play(game, [1] * len(first))
    shown = play(game, [1] * len(first), go="next")
    bits = np.frombuffer(shown["bits"], dtype=np.float32).reshape(2, -1)
    second = game.passage.hidden
    assert bits[1].tolist() == [2.0 + (c == "b") for c in second]
    assert shown["before"]["sums"] == [2 * len(first), 2 * len(first) + first.count("b")]
    play(game, [1] * 7)
    expected = (2 * (len(first) + 7) + first.count("b") + second[:7].count("b")) / (len(first) + 7)
    assert game.result().models == pytest.approx({"fair": 2, "uneven": expected})
    assert game.shown["before"]["n"] == len(first)


def test_i_know_this_one_takes_the_guesses_out(game):
    first = game.passage
    play(game, [1] * 30)
    shown = play(game, [1] * 31, known=True, go="next")
    assert game.passage != first
    assert shown["sentence"].startswith("0 characters guessed")
    assert "1 passage discarded" in shown["sentence"]
    assert game.result().discarded == 1 and game.result().guessed == 0


def test_what_was_shown_is_counted_and_said(game):
    shown = play(game, [1, 3, 2], shown=1)
    assert "1 shown on request" in shown["sentence"]
    assert game.result().shown == 1 and game.result().guessed == 3


def test_one_switch_for_both(game):
    key = game.passage.key
    play(game, [1, 1])
    shown = play(game, [1, 1, 2], go="capitals")
    assert game.text == shown["text"] == "capitals"
    assert shown["passage"]["hidden"].isupper()
    assert shown["passage"]["key"] != key  # what was seen on one text is not asked on the other
    assert game.result().guessed == 0
    back = play(game, [], go="small")
    assert back["passage"]["key"] == key and back["ranks"] == [1, 1, 2]


def test_all_passages_played(game):
    for _ in PASSAGES:
        shown = play(game, [1] * 60, go="next")
    assert shown["passage"] is None and shown["bits"] == b""
    assert play(game, [], go="capitals")["passage"] is None
    assert game.result().guessed == 0
    assert play(game, [], go="small")["sentence"].startswith("180 characters guessed, 180 at the first try")


@pytest.mark.parametrize(
    "wrong",
    [{"ranks": [0]}, {"ranks": [9]}, {"ranks": [1] * 61}, {"ranks": [1], "wrong": "zz"}, {"shown": 4}],
)
def test_what_is_no_game_is_refused_and_changes_nothing(game, wrong):
    play(game, [1, 2])
    shown = play(game, **{"ranks": [1, 2, 1]} | wrong)
    assert "run this cell again" in shown["problem"]
    assert game.result().guessed == 2


# ---- keeping --------------------------------------------------------------------------------------


def test_a_restart_loses_nothing(tmp_path):
    file = tmp_path / "progress.json"
    game = ShannonGame(small_texts(), ProgressFile(file))
    play(game, [1, 2, 1], wrong="c" if game.passage.hidden[3] != "c" else "b", shown=1)
    kept = json.loads(file.read_text("utf-8"))[ENTRY]["small"][game.passage.key]
    assert kept["guesses"] == "1 2 1"  # a line for a person to read
    again = ShannonGame(small_texts(), ProgressFile(file))
    assert again.passage == game.passage
    for name in ("ranks", "wrong", "shownHere", "sentence"):
        assert again.shown[name] == game.shown[name]


def test_without_a_work_folder_it_is_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COURSE_WORK", raising=False)
    play(ShannonGame(small_texts()), [1, 1])
    assert ShannonGame(small_texts()).result().guessed == 2
    assert list(tmp_path.iterdir()) == []


def test_the_furthest_of_two_games_on_one_file_stays(tmp_path):
    file = tmp_path / "progress.json"
    one, two = (ShannonGame(small_texts(), ProgressFile(file)) for _ in range(2))
    play(one, [1, 2, 3])
    shown = play(two, [2])
    assert shown["ranks"] == [1, 2, 3]
    assert json.loads(file.read_text("utf-8"))[ENTRY]["small"][one.passage.key]["guesses"] == "1 2 3"


def entry(guesses="1 1", shown=0):
    return {"small": {"key 0": {"guesses": guesses, "wrong": "", "shown": shown, "known": False}}}


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        {"small": 3},
        entry(guesses="1 x"),
        entry(shown=float("inf")),
        entry(shown=1.0),
        entry(shown="1"),
    ],
)
def test_an_edited_file_costs_only_what_was_edited(tmp_path, damaged):
    file = tmp_path / "progress.json"
    file.write_text(json.dumps({"version": 1, "exercises": {}, ENTRY: damaged}))
    game = ShannonGame(small_texts(), ProgressFile(file))
    is_passage = bool(damaged) and damaged["small"] != 3
    assert ("1 passage cut short or edited" in game.shown["notice"]) == is_passage
    play(game, [1, 1])
    assert ShannonGame(small_texts(), ProgressFile(file)).result().guessed == 2


def test_a_disk_that_cannot_be_written_is_told_in_the_widget(tmp_path, capsys):
    folder = tmp_path / "my_work"
    game = ShannonGame(small_texts(), ProgressFile(folder / "progress.json"))
    play(game, [1])
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    shown = play(game, [1, 1])
    assert "kept only until this kernel stops" in shown["notice"]
    assert game.result().guessed == 2
    assert play(game, [1, 1, 2])["notice"] == "" and game.result().guessed == 3
    assert capsys.readouterr().out == ""


# ---- what is seen ---------------------------------------------------------------------------------


@pytest.mark.parametrize("guesses", [0, 12, 60])
def test_the_picture(game, guesses):
    for _ in range(2):
        play(game, [1, 2, 1, 1, 3, 1][: guesses or 0] * (guesses // 6), go="next")
    figure = Figure()
    game.picture(figure)
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert ("too few" in words) == (guesses != 60)
    assert len(game.png()) > 5000


def test_the_courses_own_game():
    """Fits 1- to 7-grams as the chapter does: the guesses a rank needs exist, and sizes hold."""
    game = shannon_game(file=ProgressFile())
    assert game.text == SCOREBOARD
    bits = np.frombuffer(game.shown["bits"], dtype=np.float32).reshape(7, 50)
    assert 4 < bits[0].mean() < 6 and bits[6].mean() < bits[0].mean() - 1
    assert len(bits.tobytes()) == 4 * 7 * 50
    shown = play(game, [1] * 3, go=LETTERS)
    assert shown["text"] == LETTERS and set(shown["passage"]["hidden"]) <= set(ALPHABET_27)
    bits = np.frombuffer(shown["bits"], dtype=np.float32).reshape(7, -1)
    assert bits[6].mean() < bits[0].mean() - 1
