"""The text is what the scoreboard says it is."""

import pytest

from course_utils.data import corpora


def test_the_rule_removes_markup_and_nothing_else():
    raw = "# Title\n\n### SCENE I. A ship.\n\n__\\[Aside]_  \n**ALONSO**  \nGood *sir*, 'tis\\--well\n\n"
    assert corpora.normalise(raw) == "Title\n\nSCENE I. A ship.\n\n[Aside]\nALONSO\nGood sir, 'tis--well\n"


def test_the_split_is_by_whole_play():
    text = corpora.shakespeare()
    assert len(text.train) == 36
    assert not {"The Tempest", "Twelfth Night"} & set(text.train)
    assert text.test.startswith("The Tempest\n\nACT I\n\nSCENE I. On a ship at sea.\n")
    assert text.validation.startswith("Twelfth Night\n")
    for play in [text.test, text.validation, *text.train.values()]:
        assert not set(play) & set("*_#\\")
        assert not any(line != line.rstrip() for line in play.split("\n"))


def test_scenes_join_to_the_play():
    play = corpora.shakespeare().test
    pieces = corpora.scenes(play)
    assert "".join(pieces) == play
    assert len(pieces) == 1 + 9  # what stands before the first scene, and nine scenes


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "play.md").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"play.md is not UTF-8: byte 0xff at offset 2"):
        corpora.read_utf8(tmp_path / "play.md")
