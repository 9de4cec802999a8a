"""Each filter on small texts whose answer is plain; how often it is right is a recorded table."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import labelled
from course_utils.pretraining import filters
from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters import personal
from course_utils.pretraining.filters.contamination import Contamination
from course_utils.pretraining.filters.duplicates import ExactDuplicates, NearDuplicates
from course_utils.pretraining.filters.language import Language, identify
from course_utils.pretraining.filters.quality import quality
from course_utils.pretraining.filters.runs import runs, words
from course_utils.weights import languages_recipe

PROSE = (
    "We left the harbour before it was light, and for an hour nobody spoke. The sea lay grey to the end of "
    "the world. Then the old man at the helm began to hum, and with the first of the sun we saw the island "
    "that he had told us of, so low that a wave might have hidden it, with three trees and a house."
)


def document(text, source="this"):
    return Document(text, source)


# ---- runs of words ----


@given(st.lists(st.sampled_from(["a", "b", "the", "ключ", "7"]), max_size=12), st.integers(1, 5))
def test_runs_are_equal_exactly_where_the_words_are(found, length):
    numbers = runs(" ".join(found), length)
    at = range(max(len(found) - length + 1, min(len(found), 1)))
    expected = [tuple(found[i : i + length]) for i in at]
    assert len(numbers) == len(expected)
    pairs = {(a, b) for a, b in zip(numbers.tolist(), expected, strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_runs_know_order_and_no_case_or_marks():
    assert runs("One, two THREE", 3) == runs("one two—three.", 3) != runs("two one three", 3)
    assert words("") == () and len(runs("", 3)) == len(runs("...", 3)) == 0


# ---- duplicates ----


def test_exact_duplicates_differ_in_case_and_white_space_at_most():
    judge = ExactDuplicates()
    assert judge(document("To be, or not.", "Hamlet")) is None
    assert judge(document("to be,\n or NOT.\n")) == "it says what Hamlet says, word for word"
    assert judge(document("To be, or so.")) is None
    assert judge(document("!")) is None and judge(document("?")) is None
    assert judge(document("Straße")) is None and judge(document("STRASSE")) and not judge(document("Strase"))


def sentences(n, seed):
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(12)) + "." for _ in range(n)]


def test_near_duplicates_are_found_in_another_order_and_with_a_word_changed():
    parts = sentences(6, seed=1)
    judge = NearDuplicates()
    assert judge(document(" ".join(parts), "the first")) is None
    assert judge(document(" ".join(parts[::-1]))).endswith("of its runs of 2 words with the first")
    assert judge(document(" ".join(parts).replace("w1", "v1", 1))) is not None
    assert judge(document(" ".join(sentences(6, seed=2)))) is None
    assert judge(document(" ".join(parts[:1] + sentences(5, seed=3)))) is None  # a quotation
    assert judge(document("?!")) is None and judge(document("?!")) is None  # no words to compare


def test_the_estimate_is_near_the_similarity():
    """Pairs of a known similarity, 0.2 on each side of the threshold, which is 4.5 deviations."""
    for shared, removed in ((0.50, 0), (0.90, 1)):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            both = 400  # words, one run each
            same = round(2 * both * shared / (1 + shared))
            a = [f"a{i}x{seed}" for i in rng.permutation(both)]
            b = a[:same] + [f"b{i}x{seed}" for i in range(both - same)]
            judge = NearDuplicates(length=1)
            judge(document(" ".join(a)))
            assert (judge(document(" ".join(b))) is not None) == removed


def test_what_was_removed_is_not_compared_with():
    """A chain of small changes leads away from the first: each is judged by what was kept."""
    parts = sentences(20, seed=4)
    far = sentences(20, seed=5)
    judge = NearDuplicates()
    verdicts = [judge(document(" ".join(far[:k] + parts[k:]))) for k in (0, 1, 2, 12)]
    assert [verdict is None for verdict in verdicts] == [True, False, False, True]


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match=r"threshold is a share between 0 and 1; got 50"):
        NearDuplicates(threshold=50)
    with pytest.raises(ValueError, match=r"length is a number of words of at least 1; got 0"):
        NearDuplicates(length=0)


# ---- contamination ----


def test_a_leaked_run_is_found_whatever_its_marks_and_a_short_phrase_is_not():
    judge = Contamination([document(PROSE), document("too short")], length=8)
    assert judge.too_short == 1
    leaked = "He wrote: FOR AN HOUR\nNOBODY SPOKE — the sea lay grey! And went on."
    assert judge(document(leaked)) == "2 of its runs of 8 words stand in an evaluation text"
    assert judge(document("For an hour nobody spoke, but the sea lay grey.")) is None
    assert judge(document("for an hour nobody")) is None and judge(document("")) is None


def test_no_test_text_is_long_enough():
    with pytest.raises(ValueError, match=r"none of the 1 evaluation texts has 13 words"):
        Contamination([document("a b c")])
    with pytest.raises(ValueError, match=r"length is a number of words of at least 1; got -1"):
        Contamination([document(PROSE)], length=-1)


# ---- language ----

IN_LANGUAGES = {
    "english": PROSE,
    "german": "Wir verließen den Hafen, ehe es hell wurde, und eine Stunde lang sprach niemand ein Wort.",
    "french": "Nous avons quitté le port avant le jour, et pendant une heure personne n'a parlé.",
    "polish": "Opuściliśmy port, zanim zrobiło się jasno, i przez godzinę nikt się nie odezwał.",
    "russian": "Мы вышли из гавани до рассвета, и целый час никто не говорил ни слова.",
    "turkish": "Hava aydınlanmadan limandan ayrıldık ve bir saat boyunca kimse konuşmadı.",
}


def test_languages_are_named():
    assert {name: identify(text)[0] for name, text in IN_LANGUAGES.items()} == {n: n for n in IN_LANGUAGES}
    assert Language()(document(PROSE)) is None
    assert Language()(document(IN_LANGUAGES["french"])) == "it is in French, not in English"
    assert Language("french")(document(IN_LANGUAGES["french"])) is None
    assert Language("french")(document(PROSE)) == "it is in English, not in French"


def test_what_is_no_language_is_unknown():
    assert Language()(document("12:30 — 45")) == "it is in no language that is known: it has no letters"
    assert Language()(document("")) is not None
    reason = Language()(document("xq zvv kjq wqx pffz qqk jzx vvq"))
    assert reason.startswith("it is in no language that is known: three letters cost 1")


def test_a_language_that_it_cannot_tell_is_refused():
    with pytest.raises(ValueError, match=r"the language is one of albanian, arabic.*got 'klingon'"):
        Language("klingon")


def test_the_table_is_what_the_recipe_counts():
    found = languages_recipe.texts()
    names, log2_probs = filters.language.table()
    assert names == sorted(found)
    for name in ("russian", "spanish"):
        np.testing.assert_array_equal(log2_probs[:, names.index(name)], languages_recipe.count(found[name]))


# ---- personal data ----

PERSONAL = {
    "an e-mail address": ["ada.lovelace+maths@mail.example.org", "Ö.Ünal@büro.de", "X@Y.IO"],
    "a telephone number": ["+44 20 7946 0958", "+49 (0)30 1234567", "(212) 555-0187", "030 1234567"],
    "a card number": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    "an IP address": ["81.2.69.142", "2001:4860:4860::8888"],
    "a bank account": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "a social security number": ["123-45-6789"],
}
HARMLESS = [
    "the years 1914-1918 and 1939 - 1945",
    "Luke 5:10, at 12:30:45 on 2024-11-28",
    "ISBN 978-3-16-148410-0 has a check digit of its own",
    "version 1.2.3.4 of 127.0.0.1 behind 192.168.0.1, or 999.1.1.1",
    "card 4111 1111 1111 1112 has the wrong check digit",
    "DE88 3704 0044 0532 0130 00 too",
    "a population of 1,234,567,890 at 3.14159265358979 a head",
    "5'4\" @home, me@localhost and @ada_l; a-b+c.d",
    "000-12-3456 and 666-12-3456 were never given out",
    "52.7541; -0.9742",
    "Adenain (EC 3.4.22.39), 05.08.1971 10:20",
]


@pytest.mark.parametrize("kind", PERSONAL)
def test_personal_data_is_found_where_it_stands(kind):
    for datum in PERSONAL[kind]:
        text = f"Write to {datum}, if you like."
        found = personal.find(text)
        assert [(each.kind, text[each.start : each.end]) for each in found] == [(kind, datum)]
        reason = filters.personal_data(document(text))
        assert reason == f"it holds {kind}" and datum not in reason


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_kept(text):
    assert personal.find(text) == [] and filters.personal_data(document(text)) is None


@given(st.from_regex(r"[1-9][0-9]{11,17}", fullmatch=True), st.data())
def test_luhn_finds_each_single_wrong_digit(digits, data):
    right = next(digits + d for d in "0123456789" if personal.passes_luhn(digits + d))
    i = data.draw(st.integers(0, len(digits)))
    wrong = data.draw(st.sampled_from([d for d in "0123456789" if d != right[i]]))
    assert not personal.passes_luhn(right[:i] + wrong + right[i + 1 :])
    assert personal.passes_luhn("79927398713") and personal.passes_luhn("4111111111111111")


@pytest.mark.parametrize("unit", ["a", "1", "1 ", "a.", "a@", "::", "+1", "(0", "A1", "AB12 ", "a@b."])
def test_no_text_makes_the_search_slow(unit):
    """Where a text repeats itself, a pattern could try every split, which takes the square of its length."""
    personal.find(unit * 50_000)


# ---- quality ----

BAD = {
    "it has no words": "?! ...",
    "characters in the mean": "x y " * 20,
    "have a letter": "the 1234 of 5678 and 9012 to 3456",
    "curly brackets": "def main() { print to the world of that }",
    "commonest words": "crimson lantern gather woodland stubborn violet " * 4 + "end here now " * 9,
    "hash signs": "the #big #and #loud #of #to day",
    "begin with a bullet": "- the morning milk\n- and two loaves of bread\n- letters to be answered\n",
    "end with an ellipsis": "the first of them all, and longer than others ...\nthe second of three lines, "
    "which goes on ...\nthe third, with some more words that follow ...\nand a fourth that comes to an end",
    "stood before": "Chapter the first\n" * 4
    + "of that which was seen and said by the people of the village before it came to the ears of the king\n",
    "times": "buy the best of it now, " * 30,
}


@pytest.mark.parametrize("reason", BAD)
def test_each_rule_removes_what_breaks_it_and_says_so(reason):
    assert reason in quality(document(BAD[reason]))


def test_good_prose_is_kept_long_or_short():
    for text in (
        PROSE,
        "A fine film .",
        "“So many books, so little time.”",
        *IN_LANGUAGES["english"].split(". "),
    ):
        assert quality(document(text)) is None, text


# ---- all of them ----


def test_all_filters_on_real_texts_of_each_kind():
    """The first ten of each kind: what each loses to the filters is in a recorded table, of all of them."""
    evaluation = [document(PROSE)]
    kept = {}
    for kind, texts in labelled.texts_by_kind().items():
        judges = filters.standard(evaluation)
        kept[kind] = sum(filters.verdict(document(text), judges) is None for text in texts[:10])
    assert min(kept[kind] for kind in ("web, cleaned", "encyclopaedia", "quotations")) >= 8
    assert kept["random words"] <= 1 and kept["random characters"] == 0 and kept["code"] <= 1


def test_the_names_in_the_tally_are_those_of_the_filters():
    texts = [
        PROSE,
        PROSE,
        PROSE.replace("old", "young"),
        IN_LANGUAGES["german"],
        "I am a@b.org, of all",
        "{the of}",
    ]
    documents = [document(text, f"text {i}") for i, text in enumerate(texts)]
    kept, tally = filters.run(documents, filters.standard([document("one two three " * 9)]))
    assert [each.source for each in kept] == ["text 0"]
    assert {name: amount.documents for name, amount in tally.removed.items()} == {
        "exact duplicates": 1,
        "language": 1,
        "personal data": 1,
        "quality": 1,
        "contamination": 0,
        "near-duplicates": 1,
    }
