"""Who can tell which line comes next: the table beside the models' cards, and the model asked again."""

import json

import pytest

from course_utils.pretraining import evaluate
from course_utils.weights import next_line_recipe as recipe
from course_utils.weights import recording
from course_utils.weights.making_recipe import EVENING, OURS

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = {(row["model"], row["way"]): row for row in recording.read_table(recipe.TABLE)}
AS_READ = "blank with the option"


@pytest.mark.parametrize(
    "name, folder, of",
    [("ours, before tuning", OURS, "base"), ("ours", OURS, "chat"), ("evening", EVENING, "chat")],
)
def test_it_is_what_the_cards_say(name, folder, of):
    """But for two: the cards' models have weights of 32 bits, the shipped ones of 16."""
    share = json.loads((folder / "scores.json").read_bytes())[of]["next line"]["value"]
    assert abs(int(ROWS[name, AS_READ]["right"]) - 240 * share) < 2.5


def test_asked_again_ours_has_about_as_many_right():
    for way in recipe.WAYS:
        assert abs(recipe.right("ours", way)["right"] - int(ROWS["ours", way]["right"])) < 6


def test_the_questions_can_be_answered_with_the_context_and_hardly_without():
    reads, alone = (ROWS[recipe.SMOLLM2, way] for way in [*recipe.WAYS][:2])
    assert float(reads["low"]) > 0.4 and float(alone["high"]) < float(reads["low"])
    for text in evaluate.fixed()["texts"]:
        assert int(reads[text]) > 80 / 3
