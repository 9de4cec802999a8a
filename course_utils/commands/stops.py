"""What stops a set-up: a sentence that says what is wrong and what to do.

course.py imports this before anything is installed: standard library only, and Python 3.6 must run it.
"""

import re
import shutil
import sys


class Stop(Exception):
    """One sentence that says what is wrong and what to do, and the output of the installer that failed."""

    def __init__(self, sentence, output=""):
        super().__init__(sentence)
        self.output = output


class HalfWritten(Stop):
    """Packages may be half written, so the next set-up makes .venv again."""


class NoNetwork(Stop):
    pass


UNREACHABLE = (
    "No package index can be reached ({line}): check the network (or the proxy), then run the same command "
    "again; what has been fetched is kept, and the full output is in {log}."
)
# (kind, pattern of an installer's output, the sentence for it); the first that matches is said.
REASONS = [
    (
        HalfWritten,
        r"No space left on device|os error 28|Errno 28|os error 112|not enough space",
        "The disk is full, with {free:,} MB left in {here}: free some, then run the same command again.",
    ),
    (NoNetwork, r"network timeout|timed out", UNREACHABLE),
    (
        Stop,
        r"invalid package format|hash mismatch|BadZipFile|invalid zip|is invalid|not a zip|"
        r"failed to (extract|read|unzip)|unexpected end of file|corrupt|end of central directory|crc32",
        "A package arrived damaged ({line}): run the same command again; if it stays damaged, "
        "the folder or index that serves it has a bad copy.",
    ),
    (
        NoNetwork,
        r"invalid peer certificate|certificate.verify.failed|no ca certificates",
        "The certificate of a package index can't be verified ({line}): add your network's authority to the "
        "system's store, or set `cert` in pip's configuration to its file, then run the same command again; "
        "the full output is in {log}.",
    ),
    (
        NoNetwork,
        r"failed to fetch|connection (refused|reset|broken|aborted)|connect error|dns error|"
        r"failed to establish|name resolution|network is unreachable|proxyerror|proxy url",
        UNREACHABLE,
    ),
    (
        Stop,
        r"no solution found|no matching distribution|resolutionimpossible",
        "No set of packages fits Python {python} on this machine ({line}): try another Python "
        "from 3.11 on; the full output is in {log}.",
    ),
    (Stop, r"", "The installer failed ({line}): its full output is in {log}."),
]


def free_megabytes(folder):
    return shutil.disk_usage(folder).free // 1_000_000


def explanation(output, folder, log):
    """The Stop that explains this output of an installer or of the system. The course is in `folder`, and the
    file `log` has all of the output."""
    output = re.sub(r".*Retry\(total=[1-9].*", "", output)  # pip went on from there: it is no reason
    kind, pattern, sentence = next(reason for reason in REASONS if re.search(reason[1], output, re.I))
    lines = output.strip().splitlines() or ["no output"]
    line = next((line for line in lines if pattern and re.search(pattern, line, re.I)), lines[-1]).strip()
    python = "{}.{}".format(*sys.version_info[:2])
    sentence = sentence.format(line=line, log=log, here=folder, free=free_megabytes(folder), python=python)
    return kind(sentence, output)
