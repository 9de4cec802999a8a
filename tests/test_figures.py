"""What README and docs quote is what its sources say, and a figure that has drifted is found."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

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
