"""Take the README's pictures: open a chapter in a real JupyterLab, run it, and save what a learner sees.

    python docs/take_pictures.py 00_start_here [01_ngrams ...]

For each chapter docs/pictures/ gets CHAPTER.png, the top of the notebook, and CHAPTER-WIDGET.png, each
widget alone, in the light theme; and the first one in the dark theme too.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 300_000
sys.path.insert(0, str(ROOT / "tests" / "browser"))
import harness  # noqa: E402 (it lives beside the tests that it serves)


def save(name: str, page: Page, of=None) -> None:
    """Save a picture. Raises ValueError if it is too large for a README."""
    file = PICTURES / f"{name}.png"
    (of or page).screenshot(path=file)
    size = file.stat().st_size
    print(f"{file.relative_to(ROOT)}: {size:,} bytes")
    if size > MAX_BYTES:
        raise ValueError(f"{file.name} has {size:,} bytes; at most {MAX_BYTES:,} are wanted: show less")


def take(lab: harness.Lab, browser, chapter: str) -> None:
    shutil.copy(ROOT / "notebooks" / f"{chapter}.ipynb", lab.folder)
    with harness.notebook(
        browser, lab, f"{chapter}.ipynb", viewport={"width": 1200, "height": 900}
    ) as notebook:
        notebook.run_all()
        notebook.page.locator(".jp-WindowedPanel-outer").evaluate("(pane) => pane.scrollTo(0, 0)")
        save(chapter, notebook.page)
        # tall enough that no widget is cut off, and that JupyterLab draws all cells
        notebook.page.set_viewport_size({"width": 1200, "height": 2500})
        labels = notebook.page.locator(".course-widget").evaluate_all("(all) => all.map((w) => w.ariaLabel)")
        for i, label in enumerate(labels):
            name = f"{chapter}-{label.lower().replace(' ', '-')}"
            if labels.index(label) == i:
                save(name, notebook.page, notebook.widget(i))
        notebook.theme("Dark")
        if labels:
            save(f"{chapter}-{labels[0].lower().replace(' ', '-')}-dark", notebook.page, notebook.widget(0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="+", metavar="CHAPTER", help="a notebook's name without .ipynb")
    chapters = parser.parse_args().chapters
    unknown = [name for name in chapters if not (ROOT / "notebooks" / f"{name}.ipynb").exists()]
    if unknown:
        have = ", ".join(sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")))
        sys.exit(f"There is no chapter {', '.join(unknown)}; there are {have}.")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = harness.chromium(playwright)
        with harness.running_lab(Path(folder)) as lab:
            for chapter in chapters:
                take(lab, browser, chapter)
        browser.close()


if __name__ == "__main__":
    main()
