"""nbgrader's exchange on a JupyterHub, with a folder for each student that no other student can enter.

nbgrader shares one exchange among all: its root must be writable for everybody, what was handed in is hidden
by a name that is hard to guess, and whose it is stands in that name. Here every student's server has a root
of its own, ROOT/STUDENT, in which nbgrader's commands and its list of assignments find what they look for:

    llm/outbound/NAME/NAME.ipynb                      the student's own notebook
    llm/inbound/STUDENT+NAME+TIME+RANDOM/NAME.ipynb   what they handed in
    llm/feedback/HASH.html                            their page, under the name that nbgrader asks for

The folders are the teacher's; `admit` lets one student in. Linux only.
"""

import hashlib
import itertools
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from course_utils.classroom.grading import cells, collecting
from course_utils.classroom.grading.store import Store, Submission
from course_utils.files import write_atomic

COURSE = "llm"
# a student may enter, hand in without looking, and fetch a page whose name they know
MODES = {"": 0o755, "outbound": 0o755, "inbound": 0o733, "feedback": 0o711}
SECRET, SECRET_BYTES = "submission_secret.txt", 1000
MAX_NOTEBOOKS = 20  # of a submission
CLOCK = "the exchange"  # as the source of a time
NO_EXCHANGE = "there is no exchange in {root}: deploy/README.md says how the hub is given one"


def own_folder(root: Path, student: str) -> Path:
    """Make a student's part of the exchange if it is missing; return its course. Until `admit` only the
    teacher can enter. Raises ValueError if there is no exchange."""
    if not root.is_dir():
        raise ValueError(NO_EXCHANGE.format(root=root))
    own = root / student
    if not own.is_dir():
        own.mkdir(mode=0o700)
    for name, mode in MODES.items():
        folder = own / COURSE / name
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(mode)  # mkdir's own mode is cut by the umask
    return own / COURSE


def admit(root: Path, student: str) -> Path:
    """Let a student, and nobody else, into their part of the exchange; return it. For the hub, which is root.

    Raises ValueError if the student's group has others in it.
    """
    import grp
    import pwd

    account = pwd.getpwnam(student)
    sharing = {user.pw_name for user in pwd.getpwall() if user.pw_gid == account.pw_gid}
    sharing |= {*grp.getgrgid(account.pw_gid).gr_mem}
    if others := sorted(sharing - {student}):
        raise ValueError(
            f"{student} shares the group {account.pw_gid} with {', '.join(others)}, who could read what "
            f"{student} hands in: give each student a group of their own (`useradd --user-group`)"
        )
    made, owner, own = own_folder(root, student), root.stat().st_uid, root / student
    for folder in (own, *(made / name for name in MODES)):
        os.chown(folder, owner, account.pw_gid if folder == own else -1)
    own.chmod(0o750)
    return own


def hand_out(root: Path, name: str, notebooks: dict[str, Path]) -> int:
    """Lay each student's notebook where `fetch` finds it; what is there stays. Return how many are new."""
    new = 0
    for student, notebook in notebooks.items():
        place = own_folder(root, student) / "outbound" / name / notebook.name
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.parent.chmod(0o755)
            write_atomic(place, notebook.read_bytes())
            place.chmod(0o644)
            new += 1
    return new


def collect(root: Path, name: str, store: Store) -> tuple[dict[str, Submission], list[str]]:
    """Keep what each student has handed in last, and of several notebooks in it the one that was changed
    last; return it by student, and what a teacher should know.

    Who it is from says the folder in which it lies, and when it came the time of its last change, which no
    user can set back: not what its author wrote into a name or a file. The first time counts for the same
    bytes: handing them in again, or moving the exchange, makes nobody late. What was handed in before the
    last, and never collected, is not kept. No link is followed, on no level.
    """
    kept, remarks, times, empty = {}, [], [], set()  # `empty`: whose newest is untouched
    first, before = store.first_received(CLOCK), store.standings(name)
    for student in _students(root):
        earlier = collecting.counted(store, before, student)
        for path, folder in _handed_in(root / student / COURSE / "inbound", name):
            if folder is None:
                remarks.append(f"{student}: {path.name} can't be opened as a folder, and was left out.")
                continue
            place = collecting.usual_at(folder, name), sorted(folder.glob("*.ipynb"))
            choice = collecting.choose(student, [place], folder, name, earlier)
            if student not in kept or (student in empty and choice.filled):
                if student in empty:
                    remarks.append(
                        f"{student}: something is written in an earlier one, which counts in its place."
                    )
                    empty.discard(student)
                remarks += choice.remarks
                if choice.earlier_counts:
                    continue
                kept[student] = store.keep(name, student, choice.file)
                if choice.filled is False:
                    empty.add(student)
            elif not _same(choice.file, kept[student]):
                continue
            submission, received = kept[student], _changed(folder, choice.file)
            if submission.id not in first or received < first[submission.id]:
                first[submission.id] = received
                times.append((submission, received, CLOCK))
    store.receive(times)
    return kept, remarks


def _same(file: Path, submission: Submission) -> bool:
    """Whether a file has the bytes of what was kept."""
    try:
        return hashlib.sha256(cells.load(file)).hexdigest() == submission.sha256
    except cells.Ungradable:
        return False


def _changed(folder: Path, file: Path) -> datetime:
    """When the later of them was made, moved or written, by the kernel's clock (st_ctime)."""
    stats = [folder.stat(), *([file.lstat()] if os.path.lexists(file) else [])]
    return datetime.fromtimestamp(max(stat.st_ctime for stat in stats), UTC)


def give_back(root: Path, name: str, pages: Path) -> int:
    """Lay each student's page where `fetch_feedback` looks for that of any of their files; return of how many
    students. Raises ValueError if nbgrader, whose names these are, is not installed."""
    try:
        from nbgrader.utils import notebook_hash
    except ImportError:
        raise ValueError(
            f"nbgrader is not installed here: `{sys.executable} -m pip install nbgrader`, and try again"
        ) from None
    given = set()
    for student in _students(root):
        page, folder = pages / f"{student}.html", root / student / COURSE
        for _, handed_in in _handed_in(folder / "inbound", name) if page.exists() else ():
            if secret := handed_in and _secret(handed_in):
                for notebook in _notebooks(handed_in) | {name}:
                    hashed = notebook_hash(secret=secret, notebook_id=notebook)
                    place = folder / "feedback" / f"{hashed}.html"
                    write_atomic(place, page.read_bytes())
                    place.chmod(0o644)
                given.add(student)
    return len(given)


def _students(root: Path) -> list[str]:
    if not root.is_dir():
        raise ValueError(NO_EXCHANGE.format(root=root))
    return sorted(path.name for path in root.iterdir() if (path / COURSE / "inbound").is_dir())


def _handed_in(inbound: Path, name: str) -> Iterator[tuple[Path, Path | None]]:
    """What a student has handed in for an assignment, the newest first: each folder, and the same as it was
    when it was opened, which a link put in its place can't change. None for what is no folder, or closed."""
    found = [path for path in inbound.iterdir() if _parts(path)[1:2] == [name]]
    for path in sorted(found, key=lambda path: _parts(path)[2], reverse=True):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            yield path, None
            continue
        try:
            yield path, Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)


def _parts(path: Path) -> list[str]:
    """STUDENT, NAME, TIME and RANDOM; fewer for what nbgrader has not written."""
    parts = path.name.rsplit("+", 3)
    return parts if len(parts) == 4 else []


def _notebooks(folder: Path) -> set[str]:
    """How a student's notebooks are called, for nbgrader looks for a page of each. A name that isn't UTF-8 is
    left out: it couldn't be hashed."""
    names = (path.stem for path in folder.glob("*.ipynb") if path.name.isprintable())
    return set(itertools.islice(names, MAX_NOTEBOOKS))


def _secret(folder: Path) -> str:
    """What nbgrader made the name of the feedback of; empty if it can't be read."""
    try:
        handle, _ = cells.opened(folder / SECRET)
    except cells.Ungradable:
        return ""
    with open(handle, "rb") as file:
        return file.read(SECRET_BYTES).decode("ascii", "ignore").strip()
