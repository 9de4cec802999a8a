"""Pages of the inventory and of a contest on a phone: nothing is cut off, and no column is a word wide."""

from types import SimpleNamespace

import pytest

from course_utils.classroom.contest import page as contest
from course_utils.classroom.contest import ranking
from course_utils.classroom.inventory import items, results

PHONE = {"width": 380, "height": 800}
MOST = 8000  # px high: a column that is squeezed makes the page several times as long


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inventory")
    items.write_forms(folder)
    answers = folder / "answers.csv"
    head = answers.read_text("utf-8").splitlines()[0]
    lines = [
        f"ada,{when},{form}" + ",a" * len(items.items()) for when, form in (("before", "A"), ("after", "B"))
    ]
    answers.write_text("\n".join([head, *lines]), "utf-8")
    results.write(answers)
    scores = {"alan@school.org": [2.71, 2.72, 2.74], "bob": [2.80, 2.93, 3.01]}
    costs = {name: {"n": 1_234_567} for name in scores}
    held = SimpleNamespace(name="rec", seeds=3, flops=1e12)
    found = SimpleNamespace(scores=scores, costs=costs, left_out={})
    leaderboard = contest._html(held, ranking.ranked(scores), found, contest.power_said(found))
    (folder / "leaderboard.html").write_text(leaderboard, "utf-8")
    return folder


@pytest.mark.parametrize("name", ["answers-results", "key", "form-A", "leaderboard"])
def test_a_page_fits_a_phone(browser, folder, name):
    page = browser.new_page(viewport=PHONE)
    page.goto((folder / f"{name}.html").as_uri())
    width, height = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    page.close()
    assert width == PHONE["width"] and height < MOST
