"""A stand-in for the workbook, so that the launcher is tested with packages of a few bytes.

`make_project` copies this file into the project as its build backend, so it imports nothing of the tests.
"""

import base64
import functools
import hashlib
import http.server
import importlib.metadata
import shutil
import threading
import zipfile
from pathlib import Path

# what runs before anything is installed
LAUNCHER = (
    "course.py",
    "course_utils/commands/setting_up.py",
    "course_utils/commands/stops.py",
    "course_utils/commands/bundle_manifest.py",
)
PYPROJECT = """
[build-system]
requires = []
build-backend = "standin"
backend-path = ["."]

[project]
name = "llm-workbook"
version = "1"
dependencies = ["tiny-one", "torch"]

[project.optional-dependencies]
test = ["tiny-two"]

[tool.course.megabytes]
cpu = [11, 1]
cuda = [22, 1]
test = [3, 1]
"""
# What the launcher hands over to: it prints what it was given.
CLI = """
import json, os, sys
given = {"argv": sys.argv[1:], "prefix": sys.prefix, "threads": os.environ["OMP_WAIT_POLICY"]}
print(json.dumps(given | {"index": os.environ.get("PIP_INDEX_URL")}))
"""
# What the launcher asks for the kernel spec.
IPYKERNEL = "import sys; print('ipykernel', *sys.argv[1:])"


def make_project(folder: Path) -> Path:
    """Write the stand-in, with the real course.py and what it imports, into `folder`."""
    (folder / "course_utils" / "commands").mkdir(parents=True)
    for name in LAUNCHER:
        shutil.copy(Path(__file__).parent.parent / name, folder / name)
    shutil.copy(__file__, folder)
    texts = {
        "pyproject.toml": PYPROJECT,
        "course_utils/__init__.py": "",
        "course_utils/commands/__init__.py": "",
        "course_utils/commands/cli.py": CLI,
    }
    for name, text in {**texts, "ipykernel.py": IPYKERNEL}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def make_wheel(
    folder: Path, name: str, files: dict[str, bytes], requires=(), extra="", tag="py3-none-any"
) -> Path:
    info = f"{name}-1.dist-info"
    lines = [f"Requires-Dist: {each}" for each in requires]
    lines += ["Provides-Extra: test", f"Requires-Dist: {extra} ; extra == 'test'"] if extra else []
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", *lines, ""])
    wheel = f"Wheel-Version: 1.0\nGenerator: standin\nRoot-Is-Purelib: true\nTag: {tag}\n"
    files = {**files, f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": wheel.encode()}
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, data in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            member = zipfile.ZipInfo(inner)
            member.external_attr = 0o100755 << 16  # a plain file that may be executed
            archive.writestr(member, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    here = Path(__file__).parent
    files = {"llm_workbook.pth": str(here).encode()}
    return make_wheel(Path(wheel_directory), "llm_workbook", files, ["tiny-one", "torch"], "tiny-two").name


def make_uv_wheel(folder: Path) -> Path:
    """uv as it is installed here, put back into a wheel."""
    files = {}
    for path in importlib.metadata.distribution("uv").files:
        if path.name in ("uv", "uv.exe"):
            files[f"uv-1.data/scripts/{path.name}"] = path.locate().read_bytes()
        elif path.parts[0] == "uv" and path.suffix == ".py":
            files[path.as_posix()] = path.locate().read_bytes()
    return make_wheel(folder, "uv", files)


class Index(http.server.ThreadingHTTPServer):
    """A package index on loopback that serves `folder` (simple/NAME/FILE.whl).

    What `cut` names is broken off halfway. What `held` names stops halfway until `release` is set; `reached`
    tells that it did.
    """

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self.cut, self.held = set(), set()
        self.reached, self.release = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/simple"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.release.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, outputfile):
        name, data = Path(self.path).name, source.read()
        half = len(data) // 2
        outputfile.write(data[:half])
        if name in self.server.cut:
            self.close_connection = True
            return
        if name in self.server.held:
            outputfile.flush()
            self.server.reached.set()
            self.server.release.wait(60)
        outputfile.write(data[half:])

    def log_message(self, *arguments):
        pass
