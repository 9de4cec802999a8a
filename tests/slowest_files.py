"""A plugin of pytest: the terminal summary says which files took the time."""

from collections import Counter

import pytest

MAX_FILES = 10


def pytest_terminal_summary(terminalreporter):
    seconds = Counter()  # of one process; what is set up for a file's tests is the file's
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("slowest files")
    for file, took in seconds.most_common(MAX_FILES):
        terminalreporter.line(f"{took:7.1f} s  {file}")
