"""What happens on a hub between a teacher and two students. Run as root in a room of its own by test_hub.py,
it prints what it saw as JSON. With the word `short` they only log in."""

import asyncio
import json
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import conftest  # the class of the tests of grading; test_hub.py puts its folder on the path, and deploy/
from student import Student, answering

from course_utils.classroom import exchange
from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.overlay import Overlay

ROOT = Path(__file__).parents[2]

SRV = Path("/srv")
HUB, EXCHANGE, CLASS = SRV / "hub", SRV / "exchange", SRV / "teacher" / "class"
SETTINGS = {"HUB_FOLDER": HUB, "HUB_EXCHANGE": EXCHANGE, "HOME": HUB, "PYTHONPATH": ROOT}
ENVIRONMENT = os.environ | {name: str(value) for name, value in SETTINGS.items()}
ADDRESS, PASSWORD = "http://127.0.0.1:8000", "one for both of them"
seen = {}


def accounts():
    """Homes and the exchange, each for its owner only."""
    for user in pwd.getpwall():
        home = Path(user.pw_dir)
        if home.is_relative_to(SRV):
            home.mkdir(mode=0o700)
            os.chown(home, user.pw_uid, user.pw_gid)
    HUB.mkdir(mode=0o700)
    EXCHANGE.mkdir(mode=0o711)
    os.chown(EXCHANGE, pwd.getpwnam("teacher").pw_uid, -1)


def as_user(name, *command):
    """Run a command as a user, with the environment of a shell: its exit status and what it says."""
    account = pwd.getpwnam(name)
    environment = {"HOME": account.pw_dir, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ids = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    done = subprocess.run(command, **ids, env=environment, cwd=account.pw_dir, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def course(*arguments):
    """A command of the teacher's."""
    command = [sys.executable, "-P", "-m", "course_utils.commands.cli", *arguments]
    status, said = as_user("teacher", *command, "--overlay", str(CLASS))
    assert status == 0, said
    return said


def teacher_prepares():
    course("overlay", "new")
    (CLASS / "ngrams.py").write_text(conftest.STAND_INS, encoding="utf-8")
    roster = CLASS / "roster.csv"
    roster.write_text("student\nada\nbob\n")
    said = course("release", "ngrams", "--students", str(roster), "--exchange", str(EXCHANGE))
    assert "Laid 2" in said, said


async def hand_in(student, **changes):
    """Fetch, answer and submit, as by the buttons of the list of assignments."""
    fetched = await student.action("fetch", "ngrams", exchange.COURSE)
    assert fetched["success"], fetched
    notebook = await student.read("ngrams/ngrams.ipynb")
    for cell in notebook["cells"]:
        id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = changes.get(id, cell["source"])
    await student.save("ngrams/ngrams.ipynb", notebook)
    submitted = await student.action("submit", "ngrams", exchange.COURSE)
    assert submitted["success"], submitted


async def students_work():
    room = conftest.Class.__new__(conftest.Class)  # its answers, without its folders
    room.name, room.overlay, room.assignment = "ngrams", Overlay(CLASS), find_assignment("ngrams")
    right = room.answers("ada")
    async with Student(ADDRESS, "ada", PASSWORD) as ada:
        await ada.log_in()
        await ada.start()
        seen["chapters"] = [entry["name"] for entry in await ada.read("")]
        await hand_in(ada, **right)
        kernel = await ada.kernel()
        seen["who"] = (await ada.run(kernel, "import getpass; print(getpass.getuser())")).strip()
        seen["listed"] = await ada.run(kernel, "import os; print(os.listdir(os.environ['COURSE_EXCHANGE']))")
        await ada.ask("DELETE", f"api/kernels/{kernel}")
        async with Student(ADDRESS, "bob", PASSWORD) as bob:
            await bob.log_in()
            await bob.start()
            await hand_in(bob, count="def ngram_counts(tokens, n):\n    return {}")
        teacher_grades()
        fetched = await ada.action("fetch_feedback", "ngrams", exchange.COURSE)
        assert fetched["success"], fetched
        [folder] = [entry["path"] for entry in await ada.read("ngrams/feedback")]
        seen["page"] = await ada.read(f"{folder}/ngrams.html")


def teacher_grades():
    seen["graded"] = course("grade", "ngrams", "--exchange", str(EXCHANGE), "--workers", "2")
    course("feedback", "ngrams", "--exchange", str(EXCHANGE))
    said = course("export", "ngrams", "--format", "csv")  # Wrote PATH. Students who ...
    seen["grades"] = Path(said.split("Wrote ")[1].partition(". ")[0]).read_text(encoding="utf-8")


def what_others_can_do():
    """bob, with a shell, looks for ada's work."""
    tries = [
        f"ls {EXCHANGE}",
        f"ls {EXCHANGE}/ada",
        f"ls {EXCHANGE}/ada/llm/inbound",
        f"cat {CLASS}/secret.txt",
    ]
    tries += [f"touch {EXCHANGE}/new", f"ls {HUB}", f"ls {EXCHANGE}/bob/llm/inbound", f"ls {SRV}/home/ada"]
    tries += [f"mv {EXCHANGE}/bob/llm/feedback {EXCHANGE}/bob/llm/feed"]
    seen["refused"] = [what for what in tries if "Permission denied" in as_user("bob", "sh", "-c", what)[1]]
    seen["tried"] = tries
    own = f"cat {EXCHANGE}/bob/llm/outbound/ngrams/ngrams.ipynb"  # the shell, and what bob may
    seen["own"] = as_user("bob", "sh", "-c", own)[0]


async def students_log_in():
    async with Student(ADDRESS, "ada", PASSWORD) as ada, Student(ADDRESS, "ada", "a guess") as thief:
        await ada.log_in()
        try:
            await thief.log_in()
        except PermissionError as refusal:
            seen["thief"] = str(refusal)


async def main(short):
    accounts()
    if not short:
        teacher_prepares()
    command = [sys.executable, "-m", "jupyterhub", "-f", str(Path(__file__).with_name("hub_config.py"))]
    with (HUB / "log").open("w") as log:
        hub = subprocess.Popen(command, cwd=HUB, env=ENVIRONMENT, stdout=log, stderr=log)
    try:
        await answering(ADDRESS)
        await students_log_in()
        if not short:
            await students_work()
            what_others_can_do()
        tables = [path.read_text("ascii") for path in Path("/proc/net").glob("tcp*")]  # of IPv6 too
        lines = [line.split() for table in tables for line in table.splitlines()[1:]]
        seen["addresses"] = sorted({line[1].split(":")[0] for line in lines})
    except BaseException:
        print((HUB / "log").read_text()[-6000:], file=sys.stderr)
        raise
    finally:
        hub.kill()  # asked to end, it has taken over 30 seconds; what it started ends with this room
        hub.wait()
    seen["log"] = (HUB / "log").read_text()


start = time.monotonic()
asyncio.run(main("short" in sys.argv[1:]))
print(json.dumps(seen))
print(f"{time.monotonic() - start:.1f} s", file=sys.stderr)
