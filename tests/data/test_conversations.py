"""The conversations: all of them, in the order of the package, and none of the sentences that are asked."""

from course_utils.data.conversations import conversations
from course_utils.data.evaluations import everyday_sentences


def test_all_conversations_are_there():
    found = conversations()
    assert len(found) == 7_168 and sum(map(len, found)) == 258_145
    assert found[0][:2] == ["Hello", "How are you doing today?"]


def test_none_of_the_everyday_sentences_was_said():
    said = "\n".join(message for chat in conversations() for message in chat).lower()
    for cloze in everyday_sentences():
        before, after = cloze.sentence.lower().rstrip(".").split("[mask]")
        assert not any(f"{before}{word}{after}" in said for word in cloze.accepted), cloze.sentence
