"""What all filters say of documents, and the documents of which it is known."""

import random
from collections import Counter

from course_utils.data import labelled
from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters import judging
from course_utils.pretraining.filters.duplicates import ExactDuplicates


def test_every_filter_is_asked_and_remembers_what_another_would_have_removed():
    loud = {"loud": lambda document: "it shouts" if document.text.isupper() else None}
    found = judging.judged(
        [Document(text, text) for text in ("A", "b", "A")], loud | {"same": ExactDuplicates()}
    )
    assert [each.reasons["loud"] for each in found] == ["it shouts", None, "it shouts"]
    assert [bool(each.reasons["same"]) for each in found] == [False, False, True]
    assert {each.truth for each in found} == {None}


def test_the_known_mixture_has_what_it_says_and_a_passage_before_what_repeats_it():
    test = " ".join(f"word{i}" for i in range(60))
    mixed = judging._mixed(random.Random(0), [test])
    assert Counter(truth for _, truth in mixed) == {
        **{"": 90, "language": 32, "contamination": 24, "quality": 21, "personal data": 18},
        **{"near-duplicates": 16, "exact duplicates": 8},
    }
    place = {document.source: i for i, (document, _) in enumerate(mixed)}
    repeats = [source for source in place if source.endswith((" once more", " in another order"))]
    assert len(repeats) == 24
    for source in repeats:
        number = source.split()[1]
        first = next(place for other, place in place.items() if other.startswith(f"passage {number} of "))
        assert first < place[source]
    originals = {each.text for each in labelled.reordered_passages()}
    numbers = [d.text for d, _ in mixed if d.source == "a passage with numbers in it"]
    assert len(numbers) == 33 and not any(text in originals for text in numbers)


def test_a_leak_stands_between_two_copies_of_the_text_with_words_changed():
    text, test = "mine", " ".join(f"W{i}" for i in range(40))
    leak = judging.leaked(random.Random(0), text, test, 20, 10).split()
    assert leak[0] == leak[-1] == "mine" and leak.count("something") == 2 and len(leak) == 22
    start = random.Random(0).randrange(21)
    plain = judging.leaked(random.Random(0), text, test, 20, 0).split()
    assert plain[1:-1] == test.lower().split()[start : start + 20]
