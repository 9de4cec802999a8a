"""The conversations are there, whole, without names."""

from course_utils.data.conversations import conversations


def test_they_are_all_there():
    found = conversations()
    assert len(found) == 7_168 and sum(map(len, found)) == 258_112
    assert {message.who for conversation in found for message in conversation} == {0, 1}
    assert found[5][1] == (0, "You're awake?")
