"""The commands of a class, from `overlay new` to `contest`."""

import argparse
import getpass
import os
import sqlite3
import sys
from functools import partial
from pathlib import Path


def positive(text: str) -> int:
    """A number from 1 on, of the command line."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"at least 1; got {number}")
    return number


def add_to(add) -> None:
    """Add the parsers of these commands; `add(function)` makes one."""

    def with_overlay(parser):
        parser.add_argument("--overlay", help="the folder of the class, if it is not beside the course")
        return parser

    def signed(parser):
        parser.add_argument("--by", metavar="NAME", help="who decides; without it, you")

    parser = with_overlay(add(overlay))
    parser.add_argument("what", choices=["new", "check"])

    def with_exchange(parser):
        parser.add_argument(
            "--exchange", type=Path, metavar="FOLDER", help="of a JupyterHub: deploy/README.md says more"
        )
        return parser

    parser = with_exchange(with_overlay(add(release)))
    parser.add_argument("name")
    parser.add_argument("--students", type=Path, metavar="ROSTER.csv", help="a notebook for each")
    parser = add(check)
    parser.add_argument("file", type=Path)
    parser.add_argument("--unsafe", action="store_true", help="run your own file without a sandbox")
    parser = with_overlay(add(grade))
    parser.add_argument("name")
    collected = with_exchange(parser.add_mutually_exclusive_group())
    collected.add_argument("--submissions", type=Path, metavar="DIR", help="what was handed in since")
    parser.add_argument(
        "--received", metavar="TIMES.csv", help="when that was received; `nbgrader`: by its timestamp.txt"
    )
    parser.add_argument("--names", type=Path, metavar="NAMES.csv", help="whose each file is: file, student")
    parser.add_argument("--workers", type=positive, help="how many at a time")
    parser.add_argument("--again", action="store_true", help="grade all again, in a new round")
    parser.add_argument(
        "--unsafe", action="store_true", help="without a sandbox: only files that you have read"
    )
    parser = with_overlay(add(mark))
    parser.add_argument("name")
    parser.add_argument("file", type=Path, help="a filled CSV file, or nbgrader's gradebook.db")
    signed(parser)
    parser = with_overlay(add(requests))
    parser.add_argument("name")
    parser.add_argument("--add", type=Path, metavar="FILE.csv", help="note these: student, question, why")
    parser = with_overlay(add(reply))
    parser.add_argument("name")
    parser.add_argument("ids", type=int, nargs="+", metavar="REQUEST", help="its number")
    parser.add_argument("--why", required=True, help="the student reads it")
    answer = parser.add_mutually_exclusive_group(required=True)
    answer.add_argument("--points", type=float, help="another mark")
    answer.add_argument("--erratum", type=int, metavar="NUMBER", help="that corrects it")
    answer.add_argument("--no-change", action="store_true", help="the grade stays")
    signed(parser)
    parser = with_overlay(add(erratum))
    parser.add_argument("name")
    parser.add_argument("question")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--accept", type=Path, metavar="FILE.py", help="its function is right too")
    kind.add_argument("--full-marks", action="store_true", help="for all whose file could be read")
    parser.add_argument("--why", required=True, help="the students read it")
    parser.add_argument("--write", action="store_true", help="without it, only what would change is listed")
    parser.add_argument("--workers", type=positive, help="how many at a time")
    parser.add_argument("--unsafe", action="store_true", help="without a sandbox: only what you have read")
    signed(parser)
    with_exchange(with_overlay(add(feedback))).add_argument("name")
    with_overlay(add(report)).add_argument("name")
    with_overlay(add(gradescope)).add_argument("name")
    parser = add(inventory)
    parser.add_argument("what", choices=["forms", "results"])
    parser.add_argument("path", type=Path, help="a folder for the forms, or the table of answers")
    parser = with_overlay(add(export))
    parser.add_argument("name")
    parser.add_argument(
        "--format", choices=["csv", "gradescope", "nbgrader", "moodle", "canvas"], default="csv"
    )
    parser = with_exchange(with_overlay(add(student)))
    parser.add_argument("name")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--export", type=Path, metavar="FILE.zip", help="write all that is kept")
    what.add_argument("--delete", action="store_true", help="remove it, for good")
    parser = with_overlay(add(contest))
    parser.add_argument("recipes", type=Path, help="a folder of recipes, NAME.toml")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each recipe")
    parser.add_argument("--flops", type=float, default=1e12, help="that a run may cost")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="a text to score on, not The Tempest")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")


def overlay(options) -> None:
    """make the private folder of a class (new), or check its references (check)"""
    from course_utils.classroom import overlay

    folder = overlay.place(options.overlay)
    print(overlay.new(folder) if options.what == "new" else "\n".join(overlay.Overlay(folder).check()))


def release(options) -> None:
    """write an assignment's notebooks for students"""
    from course_utils.classroom import examples, exchange, handing_out, overlay
    from course_utils.classroom.assignments import find_assignment

    assignment, teacher = find_assignment(options.name), overlay.Overlay(overlay.place(options.overlay))
    if options.exchange and not options.students:
        raise ValueError("--exchange gives each student a notebook of their own: name them by --students")
    students = handing_out.read_roster(options.students) if options.students else [overlay.EVERYONE]
    if options.exchange and (capitals := [student for student in students if student != student.lower()]):
        raise ValueError(
            f"JupyterHub's names have no capitals, so that {capitals[0]} would never see what lies in "
            f"--exchange: write {capitals[0].lower()} in {options.students}"
        )
    written = handing_out.release(assignment, teacher, students)
    folder = teacher.folder / "release" / assignment.name
    print(f"Wrote {len(written)} of {len(students)} notebooks into {folder}; those that were there stay.")
    for doubt in teacher.doubts(assignment):
        print(f"  But: {doubt}")
    if outdated := examples.outdated(assignment, teacher, students):
        print(
            "  But: a reference was changed since, and other results are expected in the examples of "
            f"{', '.join(outdated)}. Delete these notebooks (in an exchange too) and release them again if "
            "nobody has begun; else tell the students; seeds and constants stay."
        )
    if options.exchange:
        notebooks = {student: teacher.released(assignment.name, student) for student in students}
        laid = exchange.hand_out(options.exchange, assignment.name, notebooks)
        print(f"Laid {laid} of them into {options.exchange}, where students fetch them.")


def check(options) -> int:
    """say whether a file can be graded, and what its examples say"""
    from course_utils.classroom import checking
    from course_utils.classroom.grading import cells, sandbox

    def say(line):
        print(cells.printable(line))  # what stands in the file would reach the terminal

    if not options.file.exists():
        raise ValueError(f"there is no file {options.file}: name the notebook that you want to hand in")
    try:
        assignment, answers, tests = checking.look(options.file)
    except cells.Ungradable as error:
        say(f"This file can't be graded. {error}")
        return 1
    if lacking := checking.without_points(assignment, answers):
        say(
            f"As an answer to {assignment.name} this file earns no point for a function: it has none of "
            f"{', '.join(lacking)}."
        )
        say("Hand in the notebook that your teacher has given you, with your answers in its own cells.")
        return 1
    print(f"This file can be graded, as an answer to {assignment.name}.")
    for notice in answers.notices:
        say(f"  But: {notice}")
    for id in checking.unwritten(assignment, answers):
        say(f"  But: nothing is written in the cell {id} yet.")
    if problem := sandbox.problem(options.unsafe):
        say(f"Its examples were not run. {problem}")
        return 0
    try:
        found = checking.run_examples(assignment, answers, tests, options.unsafe)
    except sandbox.SandboxError as error:
        say(f"Its examples were not run. {error}")
        return 0
    for id, said in found.items():
        say(f"  {id}: {said}")
    return 0


def grade(options) -> None:
    """grade what was handed in"""
    from course_utils.classroom import overlay
    from course_utils.classroom.assignments import find_assignment
    from course_utils.classroom.grading import batch, caps, gradebook, marking, sandbox, times

    assignment, teacher = find_assignment(options.name), overlay.Overlay(overlay.place(options.overlay))
    if options.submissions and options.submissions.resolve().is_relative_to(teacher.folder / "release"):
        raise ValueError(f"{options.submissions} holds what was given out: name what students have handed in")
    if problem := sandbox.problem(options.unsafe):
        raise ValueError(problem)
    if (options.received or options.names) and not options.submissions:
        raise ValueError("--received and --names are about the files that --submissions names: give that too")
    if options.received == times.NBGRADER and options.names:
        raise ValueError("nbgrader's folders have students' names: give --names, or --received nbgrader")
    teacher.questions(assignment, overlay.EVERYONE)  # is every reference there?
    for doubt in teacher.doubts(assignment):
        print(f"  But: {doubt}")
    same = "the same command"
    try:
        store = teacher.store()
        if options.submissions or options.exchange:
            _collect(assignment.name, options, teacher, store)
        print(gradebook.lateness_of(assignment, teacher, store))
        store.round(assignment.name, new=options.again)
        same += " without --again" * options.again  # which would begin another round
        print("No sandbox!" if options.unsafe else f"Sandboxed, capped by {caps.kind()}.")
        at_once = partial(print, flush=True)  # into a file too
        counts = batch.grade_all(
            assignment, teacher, store, workers=options.workers, unsafe=options.unsafe, say=at_once
        )
    except (KeyboardInterrupt, OSError, sqlite3.OperationalError) as error:
        sys.exit(_stopped("was graded", error, same))
    if left := store.pending(assignment.name, store.round(assignment.name)):
        print(f"{len(left)} are still to be graded: {same} goes on.")
    told = "; ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    print(told or "Nothing is pending.")
    print(f"Written answers to read: {marking.to_read(assignment, teacher, store)}")


def _stopped(done: str, error: BaseException, same: str = "the same command") -> str:
    why = f" ({error})" if f"{error}" else ""  # the disk is full
    return f"Stopped{why}; what {done} is kept, and {same} goes on where it was."


def _collect(name, options, teacher, store):
    """Keep what was handed in, and say what a teacher should know of it."""
    from course_utils.classroom import exchange, handing_out
    from course_utils.classroom.assignments import find_assignment
    from course_utils.classroom.grading import cells, collecting, origins, times

    if options.exchange:
        kept, remarks = exchange.collect(options.exchange, name, store)
        clock = "when it came into the exchange"
    else:
        names = handing_out.read_names(options.names) if options.names else None
        lists = [Path(file).resolve() for file in (options.names, options.received) if file]
        kept, remarks = collecting.collect(name, options.submissions, store, names, lists)
        if options.received:
            remarks += times.note(store, kept, options.submissions, options.received)
        clock = options.received or "when this command first saw a file"
        if not options.received and (noted := times.noted(store, kept)):
            clock += f"; for {len(noted)} of them another was noted before, and stays"
    print(f"Kept what {len(kept)} students handed in, with its sha256, in {store.folder}.")
    print(f"The time that counts: {clock}.")
    if (roster := teacher.roster(name)) and (strangers := sorted({*kept} - roster)):
        remarks.append(f"Not in the roster, and graded by names of their own: {', '.join(strangers)}.")
    counts = [standing.submission for standing in store.standings(name).values()]
    made_from = origins.made_from_anothers(find_assignment(name), teacher, store, counts)
    remarks += [
        f"{student}'s file was made from {whose}'s notebook: a wrong name, or a copy?"
        for student, whose in made_from.items()
    ]
    for remark in remarks:
        print(f"  But: {cells.printable(remark)}")


def _class(options):
    """The assignment, the overlay and the store that options name."""
    from course_utils.classroom import overlay
    from course_utils.classroom.assignments import find_assignment

    teacher = overlay.Overlay(overlay.place(options.overlay))
    return find_assignment(options.name), teacher, teacher.store()


def mark(options) -> None:
    """note the points that a person gave for written answers"""
    from course_utils.classroom.grading import cells, formgrader, marking

    assignment, _, store = _class(options)
    by_nbgrader = options.file.suffix == ".db"
    marks = formgrader.read(assignment, options.file) if by_nbgrader else marking.read(options.file)
    for line in marking.note(assignment, store, marks, _who(options)):
        print(cells.printable(line))


def requests(options) -> None:
    """note students' requests for another look; list those that are open"""
    from course_utils.classroom.grading import cells, gradebook, requests

    assignment, teacher, store = _class(options)
    if options.add:
        print(f"Requests noted: {requests.note(assignment, store, options.add)}.")
    rows = {row.student: row for row in gradebook.rows(assignment, teacher, store)}
    waiting = [request for request in requests.requests(assignment, store) if not request.replies]
    for request in waiting:
        row, id = rows[request.student], request.question
        asked = f"{request.student}, {id}, {request.asked[:10]}: {request.why}"
        print(f"{request.id}  {cells.printable(asked)}")
        print(f"   {gradebook.shown(row, id)}. {cells.printable(row.comments[id])}")
    print(f"Open: {len(waiting)}.")


def reply(options) -> None:
    """answer requests for another look"""
    from course_utils.classroom.grading import requests
    from course_utils.classroom.grading.database import now

    assignment, _, store = _class(options)
    answer = requests.Reply(options.why, _who(options), now(), options.points, options.erratum)
    requests.reply(assignment, store, options.ids, answer)
    print(f"Noted: {answer.said}. `feedback {options.name}` writes it on the pages.")


def erratum(options) -> None:
    """a reference or check was wrong: grade again what it touches, list what changes, and write it"""
    from course_utils.classroom.grading import cells, errata, regrading, sandbox
    from course_utils.data import corpora

    assignment, teacher, store = _class(options)
    kind = "accept" if options.accept else "full marks" if options.full_marks else "reference"
    if kind != "full marks" and (problem := sandbox.problem(options.unsafe)):
        raise ValueError(problem)
    if options.accept and not options.accept.is_file():
        raise ValueError(f"there is no file {options.accept}: name one that has the function to be accepted")
    source = corpora.read_utf8(options.accept) if options.accept else ""
    found = errata.Erratum(options.question, kind, source, options.why, _who(options))
    workers, say = options.workers or os.cpu_count() or 1, partial(print, flush=True)
    try:
        plan = regrading.plan(
            assignment, teacher, store, found, workers=workers, unsafe=options.unsafe, say=say
        )
    except KeyboardInterrupt:
        sys.exit("Stopped; nothing is written.")
    moving = [change for change in plan.changes if change.moves]
    for change in moving:
        print(cells.printable(f"{change}"))
    by_hand = sum(change.by_hand is not None for change in moving)
    counts = len(moving) - by_hand
    said = [f"{plan.graded} looked at: {counts} mark{'s change' if counts != 1 else ' changes'}"]
    said += [f"{by_hand} by hand stay{'s' * (by_hand == 1)}"] if by_hand else []
    if words := len(plan.changes) - len(moving):
        said.append(f"of {words} more only the sentence changes")
    print("; ".join(said) + "." if plan.graded else "It touches no answer so far.")
    if not options.write:
        print("Nothing is written: the same command with --write writes it.")
        return
    number = regrading.write(assignment, store, plan)
    print(f"Written as erratum {number}. `feedback {options.name}` and `export {options.name}` show it.")


def _who(options) -> str:
    """Who decides: the name that was given, or that of the login."""
    try:
        return options.by or getpass.getuser()
    except (KeyError, OSError):  # which a container may not have
        raise ValueError("your login has no name here: say who you are by --by NAME") from None


def _handed_in(assignment, store) -> str:
    return f"Students who have handed in: {len(store.standings(assignment.name))}."


def feedback(options) -> None:
    """write a page for each student"""
    from course_utils.classroom import exchange
    from course_utils.classroom.grading import feedback

    assignment, teacher, store = _class(options)
    pages = feedback.feedback(assignment, teacher, store)
    print(f"Wrote the pages into {pages}. {_handed_in(assignment, store)}")
    if options.exchange:
        given = exchange.give_back(options.exchange, options.name, pages)
        print(f"Laid those of {given} students into {options.exchange}, where they fetch them.")


def report(options) -> None:
    """write a page for the teacher: results, answers that are alike, questions to talk about"""
    from course_utils.classroom.reporting import page

    print(f"Wrote {page.report(*_class(options))}: for you only, it names students.")


def gradescope(options) -> None:
    """pack the autograder that Gradescope runs"""
    from course_utils.classroom.gradescope import packing

    assignment, teacher, _ = _class(options)
    print(
        f"Wrote {packing.pack(assignment, teacher)}: it holds your references, so give it to Gradescope only."
    )


def inventory(options) -> None:
    """write the concept inventory's forms, or what a class's answers to them say"""
    from course_utils.classroom.inventory import items, results

    if options.what == "forms":
        written = items.write_forms(options.path)
        print(f"Wrote {', '.join(path.name for path in written)} into {options.path}.")
        return
    page, lines = results.write(options.path)
    print("\n".join([*lines, f"Each question: {page}"]))


def export(options) -> None:
    """write the grades for another system"""
    from course_utils.classroom.grading import export

    assignment, teacher, store = _class(options)
    written = export.export(options.format, assignment, teacher, store)
    print(f"Wrote {written}. {_handed_in(assignment, store)}")


def student(options) -> None:
    """say what is kept of one student, export it or delete it"""
    from course_utils.classroom import overlay, privacy
    from course_utils.files import one_form

    teacher, name = overlay.Overlay(overlay.place(options.overlay)), one_form(options.name)
    if options.export:
        number = privacy.export(teacher, name, options.export, options.exchange)
        print(f"Wrote {options.export}: {number} files.")
    elif options.delete:
        print("\n".join(privacy.delete(teacher, name, options.exchange)))
    else:
        print("\n".join(privacy.told(teacher, name, options.exchange)))


def contest(options) -> None:
    """train each recipe with several seeds, and rank them"""
    from course_utils.classroom import overlay
    from course_utils.classroom.contest import holding, page
    from course_utils.data import corpora

    if options.held_out and not options.held_out.is_file():
        raise ValueError(f"there is no file {options.held_out}: name a text in UTF-8")
    if options.held_out:
        text = corpora.read_utf8(options.held_out).removeprefix("\ufeff")  # Windows' mark is no text
    else:
        text = corpora.shakespeare().test
    holding.look_in(options.recipes)  # raises before a contest is begun, which fixes its settings
    name, teacher = options.recipes.resolve().name, overlay.Overlay(overlay.place(options.overlay))
    held = holding.Contest(teacher, name, options.seeds, options.flops, text)
    try:
        found = held.hold(options.recipes, options.processes, partial(print, flush=True))
    except (KeyboardInterrupt, OSError) as error:
        sys.exit(_stopped("is done", error))
    print("\n".join(page.write(held, found)))
    print(f"The table and the page: {held.folder / 'leaderboard.csv'}, and .html beside it.")
