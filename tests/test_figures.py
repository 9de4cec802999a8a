"""What README and docs quote is what its sources say, and a figure that has drifted is found."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils.weights import recording

FILE = Path(__file__).parents[1] / "benchmarks" / "figures.py"
spec = importlib.util.spec_from_file_location("figures", FILE)
figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(figures)
ALL = figures.figures()
CHEAP = [figure for figure in ALL if not figure.bench and figure.value != "wheel_megabytes()"]


def test_each_sentence_stands_in_its_file_once_with_its_figures():
    assert all(figure.quoted() for figure in ALL)
    assert all(bool(figure.shows) != bool(figure.value) for figure in ALL)


@pytest.mark.parametrize("figure", CHEAP, ids=lambda figure: figure.says[:40])
def test_what_is_quoted_is_what_its_source_says(figure, monkeypatch):
    monkeypatch.chdir(figures.ROOT)
    assert figure.holds(figures.measure(figure, {}))


def test_a_figure_that_drifted_is_found():
    figure = next(figure for figure in CHEAP if figure.says.startswith("famous faults"))  # 250, of 249.15
    assert figure.holds([249.15]) and not replace(figure, band=0).holds([249.15])
    assert not figure.holds([200.0]) and not figure.holds([300.0])


def test_a_range_holds_what_is_in_it(tmp_path):
    file = tmp_path / "doc.md"
    file.write_text("between 1,100 and\n1,200 times")
    figure = figures.Figure(str(file), "between {} and {} times", value="", shows="", band=0.1)
    assert figure.quoted() == [1100, 1200]
    assert figure.holds([1150.0]) and figure.holds([1300.0]) and not figure.holds([1330.0])
    with pytest.raises(ValueError, match="its source shows"):
        figure.holds([1.0, 2.0, 3.0])


@pytest.mark.parametrize("text", ["there is none", "it is 3. Yes, it is 3."])
def test_a_sentence_that_is_not_there_once_is_no_source(text):
    with pytest.raises(ValueError, match="should have it once"):
        figures.numbers("it is {}.", text, "a file")


def test_the_benchmarks_that_its_help_names_have_figures():
    (named,) = re.findall(r"bench figures (\w+ \w+) ", figures.__doc__)
    assert {*named.split()} <= {figure.bench for figure in ALL}


PRINTS = """
[[figure]]
file = "doc.md"
says = "copying takes {} s"
bench = "slow"
shows = "compiled: {} s"

[[figure]]
file = "doc.md"
says = "reading takes {} s"
bench = "slow"
shows = "read: {} s"

[[figure]]
file = "doc.md"
says = "writing takes {} s"
bench = "slow, too"
shows = "{} s"

[[figure]]
file = "doc.md"
says = "{} is two"
value = "2"
"""


@pytest.fixture
def in_small(tmp_path, monkeypatch):
    """A page with four figures: one that its benchmark doesn't print here, one that it does, one whose
    benchmark fails, and one that is computed."""
    (tmp_path / "doc.md").write_text("copying takes 5 s, reading takes 3 s, writing takes 9 s; 2 is two")
    (tmp_path / "figures.toml").write_text(PRINTS)
    for name, path in {
        "ROOT": tmp_path,
        "TABLE": tmp_path / "figures.toml",
        "KEPT": tmp_path / "kept.csv",
    }.items():
        monkeypatch.setattr(figures, name, path)
    monkeypatch.setattr(
        figures, "printed", lambda bench: "read: 3 s" if bench == "slow" else sys.exit("failed")
    )

    def run(*benches):
        monkeypatch.setattr(sys, "argv", ["figures", *benches])
        with pytest.raises(SystemExit) as end:
            figures.main()
        return end.value.code, [row["sentence"] for row in recording.read_table(figures.KEPT)]

    return run


def test_a_figure_that_is_not_printed_here_is_said_and_the_others_are_looked_up(in_small, capsys):
    assert in_small("slow") == (1, ["reading takes {} s"])
    said = capsys.readouterr().out
    assert "MISSING  doc.md: 'copying takes {} s'; bench slow has" in said
    assert "1 holds, 0 DRIFTED, 1 MISSING" in said


def test_what_was_measured_before_a_benchmark_failed_is_kept(in_small):
    assert in_small("all") == ("failed", ["reading takes {} s"])
    assert in_small() == (0, ["reading takes {} s", "{} is two"])


def test_all_is_all(in_small, monkeypatch):
    monkeypatch.setattr(
        figures, "printed", lambda bench: "compiled: 5 s, read: 3 s" if bench == "slow" else "9 s"
    )
    assert in_small("all") == (0, [figure.says for figure in figures.figures()])
