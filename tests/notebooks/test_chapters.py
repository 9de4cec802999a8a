"""Every chapter runs from top to bottom and computes again what it has stored."""

import nbformat
import pytest
from nbval_runner import CHAPTERS, nbval

from course_utils.classroom.outputs import compared_cells, problems

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def test_there_are_chapters():
    assert CHAPTERS


@each_chapter
def test_the_comparison_is_strict(chapter):
    nb = nbformat.read(chapter, as_version=4)
    nbformat.validate(nb)
    assert problems(nb) == []
    compared, with_output, not_compared = compared_cells(nb)
    assert compared >= 0.9 * with_output, not_compared


@each_chapter
def test_it_computes_what_it_stores(chapter):
    run = nbval(chapter)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
