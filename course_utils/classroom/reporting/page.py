"""The teacher's page about an assignment: one HTML file without any script. All that comes from outside is
escaped, control characters are made visible, and long texts are cut."""

import re
from collections import Counter, defaultdict
from html import escape
from pathlib import Path

from course_utils.classroom.assignments import FOR_ANOTHER, Assignment, Private
from course_utils.classroom.grading import cells, origins
from course_utils.classroom.grading.gradebook import OPEN, Row, rows
from course_utils.classroom.grading.store import Store
from course_utils.classroom.grading.verdicts import EXAMPLES
from course_utils.classroom.overlay import Overlay
from course_utils.classroom.pages import page
from course_utils.classroom.reporting import oral, similarity
from course_utils.files import write_atomic

MOST = 20  # of a list that may be long: mistakes, pairs
MAX_CODE, MAX_TEXT, MAX_LINE = 4000, 600, 300  # characters that are shown
STATUSES = {
    "graded": "all functions ran",
    "partial": "an answer could not be run to its end",
    "ungradable": "the file can't be read",
    "infra_error": "a fault of the grader: run `grade` again",
    "pending": "not graded yet",
    "missing": "nothing was handed in",
}
WORDS = {
    "passed": "right",
    "mistake": "with a known mistake",
    "wrong": "otherwise wrong",
    "error": "with an error",
    "not yet": "with nothing written",
    "stopped": "stopped",
    "missing": "without the cell",
}
STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")


def report(assignment: Assignment, overlay: Overlay, store: Store) -> Path:
    """Write the page; return where it is. Raises ValueError if nothing was handed in yet, or if a reference
    is missing."""
    all_rows = list(rows(assignment, overlay, store))
    handed_in = [row for row in all_rows if row.standing]
    if not handed_in:
        raise ValueError(f"nothing was handed in for {assignment.name} yet: `grade` it first")
    sources = {row.student: _sources(assignment, store, row) for row in handed_in}
    sections = [
        _statuses(all_rows),
        _scores(assignment, all_rows),
        _questions(assignment, handed_in),
        _mistakes(handed_in),
        _to_read(assignment, handed_in),
        _same_files(assignment, overlay, store, handed_in),
        _pairs(assignment, overlay, handed_in, sources),
        _oral(assignment, overlay, handed_in, sources),
    ]
    title = f"Report: {escape(assignment.name)}"
    only = "<p>For the teacher only: names, answers, and results of the class.</p>"
    path = overlay.folder / "reports" / f"{assignment.name}.html"
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, page(title, only + "".join(sections), STYLE))
    return path


def _sources(assignment: Assignment, store: Store, row: Row) -> dict[str, str]:
    """The answers of the file that counts, by id; none of one that can't be read."""
    try:
        content = store.content(row.standing.submission)
        return cells.read(content, assignment.asked(), assignment.prelude).sources
    except (cells.Ungradable, OSError):
        return {}


def _shown(text: str, limit: int = MAX_LINE) -> str:
    """A text of somebody else's as HTML: escaped, cut, and with no character that a reader can't see."""
    more = f" … ({len(text):,} characters)" if len(text) > limit else ""
    visible = "\n".join(cells.printable(line.expandtabs(4)) for line in text[:limit].splitlines())
    return escape(visible + more)


def _table(head: list[str], lines: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th scope='col'>{word}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _bar(share: float) -> str:
    """A bar; what it shows stands beside it in digits."""
    width = f"{100 * share:.1f}"
    return (
        f"<svg viewBox='0 0 100 8' preserveAspectRatio='none' aria-hidden='true'><rect width='{width}' "
        "height='8'/></svg>"
    )


def _statuses(all_rows: list[Row]) -> str:
    count, lines = Counter(row.status for row in all_rows), []
    for status, meaning in STATUSES.items():
        students = [row for row in all_rows if row.status == status]
        names = ", ".join(_shown(row.student) for row in students) if status != "graded" else ""
        if students:
            lines.append([status, str(count[status]), meaning, names])
    return f"<h2>{len(all_rows)} students</h2>" + _table(["Status", "Students", "Meaning", "Who"], lines)


def _scores(assignment: Assignment, all_rows: list[Row]) -> str:
    """How often each number of points was reached: by machine, and in all once that is known."""
    by_machine = [row.standing.details["score"] for row in all_rows if row.standing and row.standing.details]
    in_all = [row.earned for row in all_rows if row.earned is not None]
    out = "<h2>Points</h2>"
    most = sum(points for id, points in assignment.points().items() if id in assignment.asks)
    for title, scores, possible in (
        ("by machine", by_machine, most),
        ("with the written answer, before lateness", in_all, sum(assignment.points().values())),
    ):
        out += f"<h3>{title}: {len(scores)} students, of {possible:g} points</h3>" if scores else ""
        count = Counter(scores)
        lines = [
            [f"{points:g}", str(number), _bar(number / max(count.values()))]
            for points, number in sorted(count.items())
        ]
        out += _table(["Points", "Students", ""], lines) if scores else ""
    return out


def _marks(row: Row) -> list[dict]:
    return row.standing.details.get("marks", [])


def _questions(assignment: Assignment, handed_in: list[Row]) -> str:
    """The share of right answers, the hardest first."""
    points, lines = assignment.points(), []
    for id in assignment.asks:
        count = Counter(mark["status"] for row in handed_in for mark in _marks(row) if mark["id"] == id)
        if not count.total():
            continue
        share = count["passed"] / count.total()
        rest = "; ".join(f"{n} {WORDS.get(s, s)}" for s, n in count.most_common() if s != "passed")
        right = f"{count['passed']} of {count.total()} ({share:.0%})"
        lines.append((share, [escape(id), f"{points[id]:g}", right, _bar(share), rest]))
    head = ["Function", "Points", "Right", "", "The others"]
    return "<h2>The hardest first</h2>" + _table(head, [line for _, line in sorted(lines)])


def _mistakes(handed_in: list[Row]) -> str:
    """The known mistakes, the most frequent first."""
    count = Counter(
        (mark["id"], re.sub(rf"^{FOR_ANOTHER} .*", f"{FOR_ANOTHER} another constant.", mark["known"]))
        for row in handed_in
        for mark in _marks(row)
        if mark.get("known")
    )
    out = "<h2>Most frequent mistakes</h2>"
    if not count:
        return out + "<p>No known mistake was made.</p>"
    lines = [[str(number), escape(id), _shown(said)] for (id, said), number in count.most_common(MOST)]
    return out + _table(["Students", "Function", "What they were told"], lines)


def _to_read(assignment: Assignment, handed_in: list[Row]) -> str:
    out = "<h2>Written answers to read</h2>"
    lines = []
    for row in handed_in:
        for id, answer in row.standing.details.get("written", {}).items():
            if row.comments[id] == OPEN:
                written = "" if assignment.is_blank(id, answer) else answer
                lines.append([_shown(row.student), str(len(written.split())), _shown(written, MAX_TEXT)])
    if not lines:
        return out + "<p>None is left.</p>"
    return (
        f"{out}<p>{len(lines)}; fill in the points in the list that <code>grade</code> named last.</p>"
        + "<details><summary>Their beginnings</summary>"
        + _table(["Student", "Words", "Answer"], lines)
        + "</details>"
    )


def _same_files(assignment: Assignment, overlay: Overlay, store: Store, handed_in: list[Row]) -> str:
    """Who has handed in another's notebook, or the bytes of another's file."""
    files, having = [row.standing.submission for row in handed_in], defaultdict(list)
    made_from = origins.made_from_anothers(assignment, overlay, store, files)
    for file in files:
        having[file.sha256].append(file.student)
    said = [f"{student}: made from the notebook of {whose}" for student, whose in made_from.items()]
    for sha256, students in having.items():
        if sha256 and len(students) > 1:
            said.append(f"{', '.join(students)}: the same file, byte for byte")
    listed = "".join(f"<li>{_shown(each)}</li>" for each in said)
    return "<h2>Files of another</h2>" + (f"<ul>{listed}</ul>" if said else "<p>None was found.</p>")


def _pairs(assignment: Assignment, overlay: Overlay, handed_in: list[Row], sources: dict) -> str:
    """Pairs whose answers are alike beyond what is common, with both texts."""
    own = [id for id, ask in assignment.asks.items() if isinstance(ask, Private)]
    stubs = [source for id, (_, source) in assignment.tagged().items() if id in own]
    answers = {student: [found.get(id, "") for id in own] for student, found in sources.items()}
    found = similarity.pairs(answers, stubs)
    other_constant = {
        row.student
        for row in handed_in
        if any(mark.get("known", "").startswith(FOR_ANOTHER) for mark in _marks(row))
    }
    too_long = [s for s, texts in answers.items() if any(len(t) > similarity.MAX_SOURCE for t in texts)]
    few = similarity.few(len(answers))
    out = (
        "<h2>Answers that are alike</h2><p><strong>This is a reason to talk with two students, and proves "
        "nothing.</strong> The functions are short, and people who never met write the same ones: in our "
        "trial two authors who worked apart shared 84 % of their uncommon parts, both having written the "
        "obvious solution. A copy that was rearranged may not be found. Compared are the syntax trees of "
        f"{', '.join(map(escape, own))}: whatever names, comments and constants are, without what was handed "
        f"out and what more than {few} students have. A pair is listed from "
        f"{similarity.ALIKE:.0%} of the smaller one's uncommon parts on, and {similarity.LEAST} in common. "
        "Names and comments that few others use say more than structure: they come first.</p>"
    )
    out += f"<p>{len(found)} of {len(answers) * (len(answers) - 1) // 2} pairs are listed"
    out += f"; the first {MOST} are shown.</p>" if len(found) > MOST else ".</p>"
    if too_long:
        out += (
            f"<p>Longer than {similarity.MAX_SOURCE:,} characters, and not compared: "
            f"{', '.join(map(_shown, too_long))}.</p>"
        )
    for pair in found[:MOST]:
        facts = [f"{pair.shared} of {pair.smaller} uncommon parts ({pair.share:.0%})"]
        if pair.words:
            facts.append(f"names and words that few have: {_shown(', '.join(pair.words))}")
        facts += [
            f"an answer of {_shown(student)} is right for a constant that is not theirs"
            for student in (pair.one, pair.other)
            if student in other_constant
        ]
        both = "".join(
            f"<div><strong>{_shown(student)}</strong>"
            + "".join(f"<pre>{_shown(text, MAX_CODE)}</pre>" for text in answers[student])
            + "</div>"
            for student in (pair.one, pair.other)
        )
        out += (
            f"<details><summary>{_shown(pair.one)} and {_shown(pair.other)}: {'; '.join(facts)}</summary>"
            f"<div class='two'>{both}</div></details>"
        )
    return out


def _oral(assignment: Assignment, overlay: Overlay, handed_in: list[Row], sources: dict) -> str:
    """Three questions for each student, with the answers."""
    examiner = oral.Examiner(assignment, overlay, sources)
    out = (
        "<h2>Questions to talk about</h2><p>Made by rule out of each student's own file: the line that the "
        f"fewest others have, what came out for one of the {EXAMPLES} examples that they have, when it was "
        "graded, and what would change. Who wrote an answer can explain it; who can't explain it may be shy. "
        "No code of a student's was run for this page.</p>"
    )
    for row in handed_in:
        made = examiner.questions(row.student, _marks(row))
        listed = "".join(
            f"<li>{_paragraphs(question.asked)}<p><em>To expect:</em></p>{_paragraphs(question.answer)}</li>"
            for question in made
        )
        said = f"<ol>{listed}</ol>" if made else "<p>There is no code to ask about.</p>"
        out += f"<article><h3>{_shown(row.student)}</h3>{said}</article>"
    return out


def _paragraphs(text: str) -> str:
    """The first and the last line are ours; code and values between them are set as such."""
    first, *between = text.splitlines()
    last = between.pop() if between else ""
    code = "".join(f"<pre>{_shown(line, MAX_TEXT)}</pre>" for line in between)
    return f"<p>{_shown(first, MAX_TEXT)}</p>{code}" + (f"<p>{_shown(last, MAX_TEXT)}</p>" if last else "")
