"""The teacher's page: what it counts, three questions for each student, and nothing that runs."""

import re
from html import unescape

import pytest

from course_utils.classroom.grading import sandbox
from course_utils.classroom.grading.store import Given
from course_utils.classroom.reporting import oral, page
from course_utils.commands import cli
from course_utils.learner.checks import CHECKS

EVIL = "<script>alert(1)</script>"


def record(room, student, points, **more):
    """A graded answer to witten_bell and page_bits, as a grader would have noted it."""
    room.hand_in(student, **more.pop("changes", {}))
    store = room.overlay.store()
    kept = store.keep("ngrams", student, room.submissions / student / "ngrams.ipynb")
    marks = []
    for id, out_of in room.assignment.points().items():
        if id in room.assignment.asks:
            right = points.get(id, out_of) == out_of
            example = {"number": 1, "call": f"{id}(1, 2)", "returned": "3.0", "expected": "4.0"}
            example |= {"right": right, "expected": "3.0" if right else "4.0"}
            mark = {"id": id, "title": id, "points": points.get(id, out_of), "out_of": out_of}
            mark |= {"status": "passed" if right else "mistake", "sentence": f"Wrong. {EVIL}"}
            marks.append(mark | {"known": "" if right else more.get("known", "Oh no."), "example": example})
    score = sum(mark["points"] for mark in marks)
    details = {
        "score": score,
        "out_of": 14,
        "marks": marks,
        "written": {"answer": more.get("answer", f"{EVIL} three words")},
    }
    store.record(kept, 1, more.get("status", "graded"), "", details)
    store.close()


def report(room):
    cli.main(["report", "ngrams", "--overlay", str(room.folder)])
    return (room.folder / "reports" / "ngrams.html").read_text(encoding="utf-8")


def section(text, heading):
    """The text of a section, a line a row."""
    [found] = re.findall(rf"<h2>{heading}.*?(?=<h2>|</body>)", text, re.S)
    return unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</tr>|</p>|</li>", "\n", found)))


def test_what_the_page_counts(room):
    room.release("ada", "bob", "cleo", "dora", "nobody")
    record(room, "ada", {})
    record(room, "bob", {"witten_bell": 0}, known="You forgot K.")
    stub = room.assignment.tagged()["answer"][1]
    record(room, "cleo", {"witten_bell": 0, "page_bits": 0}, known="You forgot K.", answer=stub)
    record(room, "dora", {"page_bits": 0}, known="That is right for K = 3; yours is 5, as it says.")
    store = room.overlay.store()
    store.mark("ngrams", [Given("ada", "answer", store.standings("ngrams")["ada"].submission.sha256, 4, "")])
    text = report(room)
    assert re.search(r"missing\s+1\s+nothing was handed in\s+nobody", section(text, "5 students"))
    points = section(text, "Points")
    assert (
        "by machine: 4 students, of 14 points" in points
        and "with the written answer, before lateness: 1 students" in points
    )
    assert re.findall(r"^\s*(\d+)\s+(\d+)\s*$", points, re.M) == [
        ("0", "1"),
        ("6", "1"),
        ("8", "1"),
        ("14", "1"),
        ("18", "1"),
    ]
    hardest = section(text, "The hardest first")
    assert re.search(
        r"page_bits\s+6\s+2 of 4 \(50%\)\s+2 with a known mistake(.|\n)+count\s+0\s+4 of 4", hardest
    )
    mistakes = section(text, "Most frequent mistakes")
    assert re.search(r"2\s+witten_bell\s+You forgot K\.", mistakes)
    assert "That is right for another constant." in mistakes and "K = 3" not in mistakes
    to_read = section(text, "Written answers")
    assert "3; fill in" in to_read and re.search(r"bob\s+3", to_read) and "ada" not in to_read
    assert re.search(r"cleo\s+0\s+dora", to_read), "what was handed out is no answer"


def test_nothing_on_the_page_runs_and_all_is_bounded(room):
    long = "x" * 90_000
    changes = {
        "ada": {"witten_bell": f"K = 2  # {EVIL}\ndef witten_bell(a, b):\n    return '{long}' + a + b"},
        "bob": {"witten_bell": "x = " + "(" * 9000, "page_bits": "\x1b[2J\u202edef page_bits("},
        "<b>": {"witten_bell": f"def witten_bell(c, lower):\n    {EVIL}"},
    }
    for student, change in changes.items():
        record(room, student, {"witten_bell": 0}, changes=change, known=EVIL)
    text = report(room)
    assert "<script" not in text and "<b>" not in text and "default-src 'none'" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text) and len(text) < 100_000
    assert "and not compared: ada" in text


def test_whose_notebook_a_file_was_made_from(room):
    room.release("ada", "bob", "cleo")
    for student in ("ada", "bob"):
        record(room, student, {})
    assert "None was found." in section(report(room), "Files of another")
    store, ada = room.overlay.store(), room.submissions / "ada" / "ngrams.ipynb"
    store.record(store.keep("ngrams", "cleo", ada), 1, "ungradable")
    (room.submissions / "odd.ipynb").write_text('{"metadata": {"course": {"seed": [1]}}}')
    store.record(store.keep("ngrams", "bob", room.submissions / "odd.ipynb"), 1, "graded")
    said = section(report(room), "Files of another")
    assert [line.strip() for line in said.splitlines()[:3]] == [
        "Files of another   cleo: made from the notebook of ada",
        "ada, cleo: the same file, byte for byte",
        "",
    ]


def test_without_submissions_it_says_so(room):
    with pytest.raises(SystemExit, match="nothing was handed in"):
        report(room)


def lines(source):
    return oral.lines_of(
        "witten_bell", source, "K = 2\ndef witten_bell(counts, lower):\n    raise NotImplementedError"
    )


def test_lines_tell_what_they_read_and_set():
    head = "K = 2\ndef witten_bell(counts, lower):\n"
    source = f"{head}    n = sum(counts.values())\n    m = [w + n for w in lower]\n"
    first, second, third = lines(source + "    for a in m:\n        n += a\n    return n")[:3]
    assert (first.text, first.reads, first.sets) == ("n = sum(counts.values())", ("counts",), ("n",))
    assert first.later == (4, 7)
    assert {(line.reads, line.sets) for line in (second, third)} == {
        (("lower", "n"), ("m",)),
        (("a",), ("n",)),
    }
    assert all(line.number != 1 for line in lines(source)), "what was handed out is not asked about"


def test_a_match_is_its_first_line_without_its_cases():
    head = "def witten_bell(counts, lower):\n    match (counts, len(lower), K):\n        case (a, 1, 2):\n"
    few, many = (lines(head + "            n = 1\n" * n + "    return n")[0] for n in (1, 9))
    assert few.text == many.text == "match (counts, len(lower), K):" and few.shape == many.shape


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\f", "\x1c"])
def test_what_ends_no_line_of_python_ends_none_here(end):
    source = "def witten_bell(counts, lower):\r\n"
    source += f"    # a{end}b\r    n = sum(counts.values())\n    return n * 2 + K"
    assert [(line.number, line.text) for line in lines(source)] == [
        (3, "n = sum(counts.values())"),
        (4, "return n * 2 + K"),
    ]


def test_a_line_under_other_names_has_the_same_shape():
    one, other = (
        lines(f"def witten_bell(counts, lower):\n    {n} = len(counts)\n    return {n} * 2 + K")
        for n in ("t", "types")
    )
    assert [line.shape for line in one] == [line.shape for line in other] and one != other


def test_each_student_gets_three_questions_of_their_own(room):
    rare = "K = 2\ndef witten_bell(counts, lower):\n    odd = {w: p ** 2 for w, p in lower.items()}\n"
    rare += "    return odd"
    room.release("ada", "bob", "cleo")
    record(room, "ada", {})
    record(room, "bob", {"witten_bell": 0}, changes={"witten_bell": rare}, known="Not p squared.")
    record(room, "cleo", {}, status="ungradable")
    store = room.overlay.store()
    rows = {row.student: row for row in page.rows(room.assignment, room.overlay, store)}
    sources = {student: page._sources(room.assignment, store, row) for student, row in rows.items()}
    examiner = oral.Examiner(room.assignment, room.overlay, sources)

    def ask(student):
        return examiner.questions(student, rows[student].standing.details["marks"])

    own, other = room.own("ada"), {2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 2}[room.own("ada")]
    line, result, what_if = ask("ada")
    assert (
        "What would come out without it?" in line.asked and "others have a line of this shape" in line.answer
    )
    assert result.answer == "It returned: 3.0"
    assert f"if your K were {other} and not {own}?" in what_if.asked
    assert re.search(rf"With {own}: .*\nWith {other}: ", what_if.answer)
    line, result, mistake = ask("bob")
    assert "odd = {w: p ** 2" in line.asked and line.answer.startswith("Nobody else has")
    assert "It reads lower. It sets odd, read in line 4." in line.answer
    assert "where" in mistake.asked.lower() and mistake.answer == "It returned: 3.0\nNot p squared."
    assert examiner.questions("cleo", [])[0].asked.startswith("In your "), "lines only, if nothing was kept"
    blank = [mark | {"status": "not yet"} for mark in rows["ada"].standing.details["marks"]]
    assert examiner.questions("ada", blank) == examiner.questions("ada", []), "a stub returns nothing"
    assert len(examiner.questions("cleo", [])) == 2 and examiner.questions("nobody", []) == []


@pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
def test_grading_keeps_an_example_to_talk_about(room):
    room.hand_in(
        "ada", witten_bell=f"K = {room.own('ada')}\ndef witten_bell(counts, lower):\n    return lower"
    )
    marks = {mark["id"]: mark for mark in room.grade()["ada"].details["marks"]}
    right, wrong = marks["count"]["example"], marks["witten_bell"]["example"]
    assert (
        right["call"].startswith("ngram_counts(")
        and right["right"]
        and right["returned"] == right["expected"]
    )
    assert not wrong["right"] and wrong["returned"] != wrong["expected"] and len(wrong["call"]) < 400
    assert marks["witten_bell"]["known"] == "" and marks["page_bits"]["status"] == "passed"
    ours = CHECKS["1.1"].call(
        marks and CHECKS["1.1"].cases(room.overlay.shown_seed("ngrams", "ada"))[right["number"]]
    )
    assert right["call"] == ours
    assert "What does your function return" in report(room)
