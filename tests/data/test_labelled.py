"""Texts whose truth is known are what they are said to be."""

from course_utils.data import labelled


def test_passages_have_ten_reorderings_of_their_sentences():
    found = labelled.reordered_passages()
    assert [passage.source for passage in found] == ["openwebtext"] * 1000 + ["wikipedia"] * 1000
    assert all(len(passage.reorderings) == 10 for passage in found)
    first = found[0]
    assert first.text.startswith("Donald Trump likes")
    assert sorted(first.reorderings[3].replace(".", "").split()) == sorted(
        first.text.replace(".", "").split()
    )


def test_there_are_fifty_texts_of_each_kind():
    texts = labelled.texts_by_kind()
    assert {kind: len(found) for kind, found in texts.items()} == dict.fromkeys(labelled.KINDS.values(), 50)
    assert "tree" not in texts["random characters"][0] and texts["quotations"][0].startswith(
        "“The world as we"
    )


def test_exams_are_in_sixteen_languages_without_english_words_round_them():
    exams = labelled.exams()
    assert len(exams) == 16 and min(map(len, exams.values())) == 235
    assert exams["german"][0].startswith("Wie verändert sich die Kapazität")
    assert not any("Answer" in question for questions in exams.values() for question in questions)
