"""The everyday texts: all of them, read as text, and none of the sentences that are asked."""

from course_utils.data.evaluations import everyday_sentences
from course_utils.data.everyday import everyday_texts


def test_all_texts_are_there_without_the_marks_of_questions():
    texts = everyday_texts()
    assert len(texts) == 11_374 and not any("Question:" in text or "Context:" in text for text in texts)
    assert texts[0].endswith("What will happen to Others? thank bailey.")
    assert "Eric adds more resistors to the series circuit. The resistance increases." in texts
    assert any(text.startswith("An ox came down to a reedy pool to drink.") for text in texts)


def test_none_of_the_everyday_sentences_stands_in_them():
    read = "\n".join(everyday_texts()).lower()
    for cloze in everyday_sentences():
        before, after = cloze.sentence.lower().rstrip(".").split("[mask]")
        assert not any(f"{before}{word}{after}" in read for word in cloze.accepted), cloze.sentence
