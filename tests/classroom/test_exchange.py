"""The exchange of a hub: whose is what, and what a student can lay into it."""

import os
import shutil
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest

from course_utils.classroom import exchange
from course_utils.commands import cli

resource = pytest.importorskip("resource", reason="the exchange of a hub is for Linux")


@pytest.fixture
def root(room, tmp_path):
    room.release("ada", "bob")
    (tmp_path / "exchange").mkdir()
    notebooks = {student: room.overlay.released("ngrams", student) for student in ("ada", "bob")}
    assert exchange.hand_out(tmp_path / "exchange", "ngrams", notebooks) == 2
    return tmp_path / "exchange"


def submit(root, student, content=b"{}", time="2026-11-28 12:00:00.0 UTC", **changes):
    """What nbgrader's submit leaves."""
    name = changes.get("name", f"{student}+ngrams+{time}+abc")
    folder = root / student / "llm" / "inbound" / name
    folder.mkdir()
    (folder / "ngrams.ipynb").write_bytes(content)
    (folder / "submission_secret.txt").write_text("s" * 128)
    return folder


def kept(room):
    store = room.overlay.store()
    return {s.student: (s.refused, s.refused or store.content(s)) for s in store.pending("ngrams", 1)}


def collect(root, room):
    return exchange.collect(root, "ngrams", room.overlay.store())


def test_a_student_gets_the_own_notebook_once(root, room):
    own = root / "ada" / "llm" / "outbound" / "ngrams" / "ngrams.ipynb"
    assert own.read_bytes() == room.overlay.released("ngrams", "ada").read_bytes()
    own.write_bytes(b"given")
    assert exchange.hand_out(root, "ngrams", {"ada": room.overlay.released("ngrams", "ada")}) == 0
    assert own.read_bytes() == b"given"


def test_nobody_enters_before_the_hub_lets_them(root):
    modes = {str(p.relative_to(root / "ada")): p.stat().st_mode & 0o777 for p in [*root.glob("ada/llm/*")]}
    assert modes == {"llm/outbound": 0o755, "llm/inbound": 0o733, "llm/feedback": 0o711}
    assert (root / "ada").stat().st_mode & 0o777 == 0o700


def test_an_untouched_notebook_displaces_no_filled_one(root, room):
    given, work = room.overlay.released("ngrams", "ada").read_bytes(), room.notebook("ada")
    submit(root, "ada", nbformat.writes(work).encode())
    found, _ = collect(root, room)
    submit(root, "ada", given, time="2026-11-29 12:00:00.0 UTC")
    again, remarks = collect(root, room)
    assert again == found and remarks == [
        "ada: nothing is written in ngrams.ipynb; what was kept before counts."
    ]
    folder = submit(root, "bob", given)
    (folder / "mine.ipynb").write_text(nbformat.writes(room.notebook("bob")))
    found, remarks = collect(root, room)
    assert found["bob"].name == "mine.ipynb"
    assert "bob: nothing is written in ngrams.ipynb; mine.ipynb counts in its place." in remarks


def test_an_untouched_one_displaces_no_filled_one_that_was_never_collected(root, room):
    work = nbformat.writes(room.notebook("ada")).encode()
    submit(root, "ada", work)
    submit(root, "ada", room.overlay.released("ngrams", "ada").read_bytes(), time="2026-11-29 12:00:00.0 UTC")
    found, remarks = collect(root, room)
    assert room.overlay.store().content(found["ada"]) == work
    assert remarks == [
        "ada: nothing is written in ngrams.ipynb, which counts.",
        "ada: something is written in an earlier one, which counts in its place.",
    ]


def test_a_name_that_a_hub_would_write_otherwise_is_refused(room, tmp_path):
    (tmp_path / "roster.csv").write_text("student\nbob\nAda\n")
    given = ["--students", str(tmp_path / "roster.csv"), "--exchange", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"no capitals, so that Ada.*write ada in .*roster.csv"):
        cli.main(["release", "ngrams", "--overlay", str(room.folder), *given])
    assert not (tmp_path / "bob").exists() and room.overlay.roster("ngrams") == set()


def test_the_last_one_counts_and_the_folder_says_whose_it_is(root, room):
    submit(root, "ada", b"old", "2026-11-28 12:00:00.0 UTC")
    submit(root, "ada", b"new", "2026-11-28 13:00:00.0 UTC")
    submit(root, "bob", b"by bob", name="ada+ngrams+2026-11-28 14:00:00.0 UTC+abc")
    submit(root, "bob", b"another", name="bob+attention+2026-11-28 15:00:00.0 UTC+abc")
    found, remarks = collect(root, room)
    assert [*found] == ["ada", "bob"] and remarks == []
    assert kept(room) == {"ada": ("", b"new"), "bob": ("", b"by bob")}


def test_of_several_notebooks_the_last_changed_counts_and_the_others_are_told(root, room):
    folder = submit(root, "ada", b"final")
    (folder / "ngrams.ipynb").rename(folder / "ngrams-final.ipynb")
    (folder / "scratch.ipynb").write_bytes(b"scratch")
    os.utime(folder / "scratch.ipynb", (1e9, 1e9))
    _, remarks = collect(root, room)
    assert remarks == ["ada has handed in ngrams-final.ipynb last; scratch.ipynb does not count."]
    assert kept(room) == {"ada": ("", b"final")}


def test_a_copy_that_was_changed_later_is_told(root, room):
    folder = submit(root, "ada", b"by name")
    os.utime(folder / "ngrams.ipynb", (1e9, 1e9))
    (folder / "ngrams-Copy1.ipynb").write_bytes(b"copy")
    _, remarks = collect(root, room)
    assert remarks == [
        "ada: ngrams.ipynb counts, by its name; ngrams-Copy1.ipynb, changed no earlier, does not."
    ]
    assert kept(room) == {"ada": ("", b"by name")}


def test_no_link_is_followed(root, room, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "ngrams.ipynb").write_text("CANARY")
    folder = submit(root, "ada")
    (folder / "ngrams.ipynb").unlink()
    (folder / "ngrams.ipynb").symlink_to(secret / "ngrams.ipynb")
    submit(root, "bob", b"mine")
    (root / "bob" / "llm" / "inbound" / "bob+ngrams+2026-11-29 12:00:00.0 UTC+abc").symlink_to(secret)
    found, remarks = collect(root, room)
    assert [*found] == ["ada", "bob"] and "can't be opened as a folder" in remarks[0]
    assert "link" in kept(room)["ada"][0] and kept(room)["bob"] == ("", b"mine")


def test_nothing_that_is_put_into_an_inner_folder_is_opened(root, room, tmp_path, monkeypatch):
    secret, inner = tmp_path / "secret", submit(root, "ada") / "ngrams"
    for folder in (secret, inner):
        folder.mkdir()
        (folder / "ngrams.ipynb").write_text("CANARY")
    (inner.parent / "ngrams.ipynb").unlink()
    is_symlink = Path.is_symlink

    def swapped_after_the_look(path):
        found = is_symlink(path)
        if path.name == "ngrams" and inner.is_dir():
            shutil.rmtree(inner)
            inner.symlink_to(secret)
        return found

    monkeypatch.setattr(Path, "is_symlink", swapped_after_the_look)
    collect(root, room)
    assert "folder" in kept(room)["ada"][0]


def test_the_same_bytes_are_not_late_when_they_are_handed_in_or_moved_again(root, room, monkeypatch):
    def received(hour):
        moment = datetime(2026, 11, 28, hour, tzinfo=UTC)
        monkeypatch.setattr(exchange, "_changed", lambda folder, file: moment)
        collect(root, room)
        return room.overlay.store().standings("ngrams")["ada"].received.hour

    submit(root, "ada", b"done")
    assert (received(12), received(15)) == (12, 12), "the exchange was moved"
    submit(root, "ada", b"done", "2026-11-28 16:00:00.0 UTC")
    assert (received(16), received(11), received(12)) == (12, 11, 11)
    submit(root, "ada", b"other", "2026-11-28 17:00:00.0 UTC")
    assert received(17) == 17


def test_the_same_bytes_are_not_late_when_both_came_before_they_were_collected(root, room, monkeypatch):
    hours = {b"done": iter((22, 20)), b"other": iter((18,))}  # the newest folder is looked at first
    monkeypatch.setattr(
        exchange,
        "_changed",
        lambda folder, file: datetime(2026, 11, 28, next(hours[file.read_bytes()]), tzinfo=UTC),
    )
    submit(root, "ada", b"other", "2026-11-28 18:00:00.0 UTC")
    submit(root, "ada", b"done", "2026-11-28 20:00:00.0 UTC")
    submit(root, "ada", b"done", "2026-11-28 22:00:00.0 UTC")
    collect(root, room)
    assert room.overlay.store().standings("ngrams")["ada"].received.hour == 20


def test_no_student_sets_the_clock_back(root, room):
    begun = datetime.now(UTC) - timedelta(seconds=1)  # a file's time may be a tick behind
    folder = submit(root, "ada", time="2020-01-01 12:00:00.0 UTC")
    for path in (folder / "ngrams.ipynb", folder):
        os.utime(path, (0, 0))
    collect(root, room)
    standing = room.overlay.store().standings("ngrams")["ada"]
    assert standing.received >= begun and standing.source == "the exchange"


def test_many_submissions_use_up_no_handles(root, room):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for second in range(200):
        submit(root, "ada", b"%d" % second, f"2026-11-28 12:{second // 60:02}:{second % 60:02}.0 UTC")
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 50, hard))
    try:
        assert collect(root, room)[1] == [] and kept(room)["ada"] == ("", b"199")
        assert sum(1 for _ in exchange._handed_in(root / "ada" / "llm" / "inbound", "ngrams")) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pages_lie_where_nbgrader_asks_for_them(root, room, tmp_path, monkeypatch):
    names = types.SimpleNamespace(notebook_hash=lambda secret, notebook_id: f"{secret[:3]}-{notebook_id}")
    monkeypatch.setitem(sys.modules, "nbgrader", types.SimpleNamespace(utils=names))
    monkeypatch.setitem(sys.modules, "nbgrader.utils", names)
    handed_in = submit(root, "ada")
    (handed_in / "my own.ipynb").write_text("{}")
    Path(os.fsdecode(os.fsencode(handed_in) + b"/\xff.ipynb")).touch()  # whose name can't be hashed
    folder = submit(root, "bob")
    (folder / "submission_secret.txt").unlink()
    (folder / "submission_secret.txt").symlink_to("/etc/hostname")
    pages = tmp_path / "pages"
    pages.mkdir()
    for student in ("ada", "bob", "eve"):
        (pages / f"{student}.html").write_text(f"page of {student}")
    assert exchange.give_back(root, "ngrams", pages) == 1
    found = {str(p.relative_to(root)): p.read_text() for p in root.rglob("*.html")}
    assert found == {
        f"ada/llm/feedback/sss-{name}.html": "page of ada" for name in ("ngrams", "my own")
    }  # nbgrader asks for a page of each notebook that was handed in


def test_what_has_no_exchange_says_so(room, tmp_path):
    for act in (
        lambda: exchange.hand_out(tmp_path / "none", "ngrams", {"ada": tmp_path}),
        lambda: collect(tmp_path / "none", room),
    ):
        with pytest.raises(ValueError, match=r"no exchange in .*none"):
            act()


def accounts(monkeypatch, **groups):
    """Accounts of /etc/passwd for `admit`, each with this group; all belong to whoever runs the test."""
    import grp
    import pwd

    made = {name: types.SimpleNamespace(pw_name=name, pw_gid=gid) for name, gid in groups.items()}
    monkeypatch.setattr(pwd, "getpwnam", made.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: list(made.values()))
    monkeypatch.setattr(grp, "getgrgid", lambda gid: types.SimpleNamespace(gr_mem=[]))
    done = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: done.append((path, gid)))
    return done


def test_the_hub_lets_one_student_in(root, monkeypatch):
    done = accounts(monkeypatch, ada=7, bob=8)
    own = exchange.admit(root, "ada")
    assert own.stat().st_mode & 0o777 == 0o750
    assert done[0] == (own, 7) and {gid for path, gid in done[1:]} == {-1}


def test_a_group_of_several_is_refused(root, monkeypatch):
    accounts(monkeypatch, ada=7, bob=7)
    with pytest.raises(ValueError, match=r"ada shares the group 7 with bob.*useradd --user-group"):
        exchange.admit(root, "ada")
    assert (root / "ada").stat().st_mode & 0o777 == 0o700


def test_without_a_roster_there_is_nobody_to_give_it_to(root, room):
    with pytest.raises(SystemExit, match="name them by --students"):
        cli.main(["release", "ngrams", "--exchange", str(root), "--overlay", str(room.folder)])
