"""Feedback: a page for each student. What comes from outside is escaped, and no script may run."""

from html import escape
from pathlib import Path

from course_utils.classroom.assignments import Assignment
from course_utils.classroom.grading import errata
from course_utils.classroom.grading.gradebook import Marks, Row, given, last_marks, rows, shown, summed
from course_utils.classroom.grading.requests import Request, requests
from course_utils.classroom.grading.store import FAULT, Standing, Store
from course_utils.classroom.overlay import Overlay
from course_utils.classroom.pages import page
from course_utils.files import write_atomic

WORDS = {
    "graded": "Graded",
    "partial": "Graded in part: some answers could not be run to their end",
    "ungradable": "This file could not be graded, which is no zero: hand in again, or talk to your teacher",
    "infra_error": FAULT,
    "pending": "Not graded yet",
}


def feedback(assignment: Assignment, overlay: Overlay, store: Store) -> Path:
    """Write a page for each student who has handed something in; return the folder."""
    folder = overlay.folder / "feedback" / assignment.name
    folder.mkdir(parents=True, exist_ok=True)
    corrections, marks = errata.corrections(assignment, store), last_marks(assignment, store)
    asked: dict[str, list[Request]] = {}
    for request in requests(assignment, store):
        asked.setdefault(request.student, []).append(request)
    for row in rows(assignment, overlay, store):
        if row.standing:
            changed = _corrections(corrections.get(row.standing.submission.id, []), marks, row.standing)
            page = _page(assignment, row, changed + _requests(asked.get(row.student, [])))
            write_atomic(folder / f"{row.student}.html", page)
    return folder


def _corrections(made: list[errata.Correction], marks: Marks, standing: Standing) -> str:
    """What errata have changed in the machine's part of the grade, and where a person's points hide it."""
    items = ""
    for each in made:
        before = f"{each.before:g} →" if each.before != each.after else "still"
        by_hand = given(marks, standing, each.erratum.question)
        hidden = by_hand is not None and by_hand.points != each.after
        counts = f" (the {by_hand.points:g} points that a person gave count)" if hidden else ""
        items += (
            f"<li>{escape(each.erratum.question)}: {before} {each.after:g} points{counts}, by "
            f"{escape(each.erratum.who)} on {each.erratum.noted[:10]}: {escape(each.erratum.why)}</li>"
        )
    return f"<h2>Corrections</h2><ul>{items}</ul>" if made else ""


def _requests(asked: list[Request]) -> str:
    """What a student has asked for, and what came of it."""
    lines = []
    for request in asked:
        replies = [
            f"{reply.said}, by {reply.who} on {reply.replied[:10]}: {reply.why}" for reply in request.replies
        ]
        said = "<br>".join(map(escape, replies or ["open"]))
        lines.append(
            f"<tr><th scope='row'>{escape(request.question)}</th><td>{request.asked[:10]}</td>"
            f"<td>{escape(request.why)}<br><strong>{said}</strong></td></tr>"
        )
    head = "".join(f"<th scope='col'>{word}</th>" for word in ("About", "Asked", "Why, and the reply"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"<h2>Requests for another look</h2>{table}" if asked else ""


def _page(assignment: Assignment, row: Row, trail: str) -> str:
    """The page of one student; `trail` is HTML. All that comes from outside is escaped, and no script may
    run."""
    kept, standing = row.standing.submission, row.standing
    lines = "".join(
        f"<tr><th scope='row'>{escape(id)}</th><td>{shown(row, id)}</td>"
        f"<td>{escape(row.comments[id])}</td></tr>"
        for id in row.out_of
    )
    explained = standing.details or standing.status == "infra_error"  # whose reason is for the teacher
    notes = [standing.reason] if standing.reason and not explained else []
    notes += [
        *standing.details.get("notices", []),
        *(f"A later file does not count. {n}" for n in standing.newer),
    ]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    name = f"{escape(assignment.name)}: {escape(row.student)}"
    head = "".join(f"<th scope='col'>{word}</th>" for word in ("Answer", "Points", "Why"))
    answers = (
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>" if standing.details else ""
    )
    body = (
        f"<p><strong>{WORDS[standing.status]}.</strong> {escape(summed(row))}</p>"
        + (f"<ul>{listed}</ul>" if notes else "")
        + answers
        + trail
        + f"<p>Handed in: {escape(kept.name)}, {kept.bytes:,} bytes, "
        f"{standing.received:%Y-%m-%d %H:%M} UTC ({escape(standing.source)}).<br>"
        f"sha256 <code>{kept.sha256 or 'none'}</code><br>receipt <code>{kept.receipt}</code></p>"
    )
    return page(name, body)
