"""A plugin of pytest: a failure is named when it happens, as a run that is stopped has no summary; and the
summary says which files took the time."""

from collections import Counter

import pytest

MAX_FILES = 10


@pytest.hookimpl(trylast=True)  # the terminal must be there
def pytest_configure(config):
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):  # a process of xdist has none
        config.pluginmanager.register(NamesFailures(terminal))


class NamesFailures:
    def __init__(self, terminal):
        self.terminal = terminal

    @pytest.hookimpl(trylast=True)  # after the F of the line of progress
    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.terminal.write_line(f"\n{report.nodeid} failed ({report.when})")


def pytest_terminal_summary(terminalreporter):
    seconds = Counter()  # of one process; what is set up for a file's tests is the file's
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("slowest files")
    for file, took in seconds.most_common(MAX_FILES):
        terminalreporter.line(f"{took:7.1f} s  {file}")
