"""The plans of a term keep to the chapters' own minutes, and to the order that chapters need."""

import re

import pytest

from course_utils.classroom import places
from course_utils.classroom.assignments import NAMES
from course_utils.learner import core_path

PLANS = (places.clone_for("test") / "docs" / "term_plans.md").read_text("utf-8")


def table(heading):
    """The rows of the table below a heading, as dicts."""
    section = PLANS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture
def minutes(monkeypatch):
    monkeypatch.chdir(places.notebooks())
    return {str(n): sum(stop.minutes for stop in core_path.stops_of(str(n))) for n in range(13)}


def test_the_chapters_minutes_are_their_own(minutes):
    found = {row["chapter"].split()[0]: int(row["core minutes"]) for row in table("What each chapter is for")}
    assert found == minutes


@pytest.mark.parametrize("plan", ["Two days", "Six weeks", "Twelve weeks"])
def test_a_plan_adds_up_and_keeps_the_order(plan):
    chapters_table = table("What each chapter is for")
    needs = {row["chapter"].split()[0]: re.findall(r"\d+", row["needs"]) for row in chapters_table}
    minutes = {row["chapter"].split()[0]: int(row["core minutes"]) for row in chapters_table}
    out, back, done = {}, {}, []
    for week, row in enumerate(table(plan)):
        chapters = re.findall(r"\d+", row["chapters"])
        assert int(row["core"]) == sum(minutes[chapter] for chapter in chapters), row
        assert int(row["core"]) + int(row["talk"]) == int(row["in all"]), row
        for chapter in chapters:
            left_out = {"2"} if plan == "Two days" else set()
            assert {*needs[chapter]} <= {*done} | left_out, row
            done.append(chapter)
        for name in re.findall(r"`(\w+)`", row.get("hand out", "")):
            out[name] = week
        for name in re.findall(r"`(\w+)`", row.get("hand in", "")):
            back[name] = week
    assert out.keys() == back.keys() and all(out[name] < back[name] for name in out)
    if plan == "Twelve weeks":
        assert out.keys() == {*NAMES}
    assert plan == "Two days" or len(done) == 13


def test_an_assignment_comes_after_its_chapter():
    guide = (places.clone_for("test") / "docs" / "teachers_guide.md").read_text("utf-8")
    after = dict(re.findall(r"^\| `(\w+)` .*\| (\d+) \| [\d–]+ \|$", guide, re.M))
    assert after.keys() == {*NAMES}
    for plan in ("Six weeks", "Twelve weeks"):
        done = []
        for row in table(plan):
            done += re.findall(r"\d+", row["chapters"])
            assert all(after.get(name, "0") in done for name in re.findall(r"`(\w+)`", row["hand out"])), row
