"""Pages of the concept inventory on a phone: nothing is cut off, and no column is a word wide."""

import pytest

from course_utils.classroom.inventory import items, results

PHONE = {"width": 380, "height": 800}
MOST = 8000  # px high: a column that is squeezed makes the page several times as long


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inventory")
    items.write_forms(folder)
    answers = folder / "answers.csv"
    head = answers.read_text("utf-8").splitlines()[0]
    lines = [
        f"ada,{when},{form}" + ",a" * len(items.items()) for when, form in (("before", "A"), ("after", "B"))
    ]
    answers.write_text("\n".join([head, *lines]), "utf-8")
    results.write(answers)
    return folder


@pytest.mark.parametrize("name", ["answers-results", "key", "form-A"])
def test_a_page_fits_a_phone(browser, folder, name):
    page = browser.new_page(viewport=PHONE)
    page.goto((folder / f"{name}.html").as_uri())
    width, height = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    page.close()
    assert width == PHONE["width"] and height < MOST
