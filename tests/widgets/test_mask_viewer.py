"""The mask viewer: which tokens carry loss, rightly and wrongly."""

import pytest

from course_utils.widgets.mask_viewer import LABELLINGS, MaskViewer


def lay_out(question, answer):
    words = [
        ("<s>", "template"),
        *((f" {word}", "question") for word in question.split()),
        ("<s>", "template"),
    ]
    return [*words, *((f" {word}", "answer") for word in answer.split()), ("</s>", "end")]


@pytest.fixture
def viewer():
    return MaskViewer(lay_out, "where is it", "over there")


@pytest.mark.parametrize(
    "labels, tokens, learnt",
    [
        ("as it should be", 8, " over there</s>"),
        ("the prompt has labels too", 8, "<s> where is it<s> over there</s>"),
        ("the end has no label", 8, " over there"),
        ("the template has no end", 7, " over there"),
        ("all labels are −100", 8, ""),
    ],
)
def test_the_sentence_says_which_tokens_are_learnt(viewer, labels, tokens, learnt):
    viewer.handle({"labels": labels})
    count = len([word for word in learnt.replace("<", " <").split() if word])
    assert viewer.describe().startswith(f"{tokens} tokens, of which {count} carry loss")
    assert (f"“{learnt}”" in viewer.describe()) == bool(learnt)
    assert LABELLINGS[labels].follows in viewer.describe()
    viewer.png()


def test_what_is_typed_is_laid_out(viewer):
    viewer.handle({"question": "who", "answer": ""})
    assert viewer.view()["tokens"] == [list(token) for token in lay_out("who", "")]
    assert viewer.describe().startswith("4 tokens, of which 1 carry loss, “</s>”.")


def test_a_token_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="kinds template, question, answer, end; got 'prompt'"):
        MaskViewer(lambda question, answer: [(question, "prompt")], "a", "b")
