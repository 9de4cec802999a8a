"""Take the README's pictures: run some cells of the chapters in a real JupyterLab and save what is seen.

    python docs/take_pictures.py

    python docs/take_pictures.py film    only the moving one

Each picture is docs/pictures/NAME.png, in the light theme; the moving one is explorer.gif.
"""

import io
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Locator, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES, FILM_BYTES = 300_000, 1_500_000
FILM_WIDTH, FILM_LINE = 480, "To be, or not to be, that is the qu"
sys.path.insert(0, str(ROOT / "tests" / "browser"))
import harness  # noqa: E402 (it lives beside the tests that it serves)

# of each chapter, the cells that are run, by something that stands in them
CELLS = {
    "00_start_here": ["# Set-up", "from_models(", "scoreboard.chart("],
    "01_ngrams": [
        "# Set-up",
        "def ngram_counts(",
        'check("1.1"',
        '"1.unseen"',
        "smoothing_lab.from",
        "shannon_game(",
    ],
    "02_neural_language_models": ["# Set-up", "GateScope("],
    "05_transformer": ["# Set-up", "AttentionExplorer("],
}
SLIP = (
    "len(text) - n + 1",
    "len(text) - n",
)  # in the answer to exercise 1.1, so that its check finds a mistake


def shorten(chapter: str) -> list[str]:
    """The source of the cells that are run, in their order, as a learner would have written it."""
    cells = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    wanted = [source for source in code if any(words in source for words in CELLS[chapter])]
    return [re.sub(r"\n *### (BEGIN|END) SOLUTION", "", source.replace(*SLIP)) for source in wanted]


def place_chips(widget: Locator) -> None:
    sliders = widget.get_by_role("slider").all()
    for slider in sliders:
        slider.fill("0")  # first: only chips that are not on an option can be placed on another
    for slider, chips in zip(sliders, ["4", "20", "64", "12"], strict=True):
        slider.fill(chips)


def guess(widget: Locator) -> None:
    """Play a line of the game: for each character a few of the commonest, then it is shown."""
    found = widget.locator(".sg-cell")
    for n in range(24):
        for letter in "e taoin":
            if found.count() == n:
                widget.locator(".sg-input").press("Space" if letter == " " else letter)
        if found.count() == n:
            widget.get_by_role("button", name="Show me", exact=True).click()


def save(name: str, first: Locator, last: Locator | None = None) -> None:
    """Save a picture of `first`, or of all from its top to the bottom of `last`."""
    file, top, bottom = PICTURES / f"{name}.png", first.bounding_box(), (last or first).bounding_box()
    clip = top | {"height": bottom["y"] + bottom["height"] - top["y"]}
    first.page.screenshot(path=file, clip=clip)
    check_size(file, MAX_BYTES)


def film(notebook, widget: Locator) -> None:
    """A line is typed into the explorer, in a notebook as narrow as a phone: what each order expects."""
    page, frames = notebook.page, []
    text, last = widget.get_by_role("textbox").first, widget.get_by_text("Left for")
    text.fill(FILM_LINE)
    notebook.settled(widget)
    top, below = widget.bounding_box(), last.bounding_box()
    clip = top | {"height": below["y"] + below["height"] + 8 - top["y"]}
    for n in range(1, len(FILM_LINE) + 1):
        text.fill(FILM_LINE[:n])
        notebook.settled(widget)
        picture = Image.open(io.BytesIO(page.screenshot(clip=clip)))
        size = FILM_WIDTH, round(FILM_WIDTH * picture.height / picture.width)
        shown = 2000 if n == len(FILM_LINE) else 260  # milliseconds
        frames.append((picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), shown))

    file = PICTURES / "explorer.gif"
    colours = frames[0][0].quantize(48)  # of all frames the same: what stays as it is takes no bytes
    first, *rest = (frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame, _ in frames)
    durations = [milliseconds for _, milliseconds in frames]
    first.save(file, save_all=True, append_images=rest, duration=durations, loop=0)
    check_size(file, FILM_BYTES)


def check_size(file: Path, most: int) -> None:
    """Raises ValueError for a picture that is too large for a README."""
    size = file.stat().st_size
    print(f"{file.relative_to(ROOT)}: {size:,} bytes")
    if size > most:
        raise ValueError(f"{file.name} has {size:,} bytes; at most {most:,} are wanted: show less")


def take_film(browser, lab: harness.Lab) -> None:
    harness.write_notebook(lab.folder / "00_start_here.ipynb", *shorten("00_start_here"))
    with harness.notebook(
        browser, lab, "00_start_here.ipynb", viewport={"width": 620, "height": 5000}
    ) as notebook:
        notebook.run_all()
        film(notebook, notebook.widget())


def take(browser, lab: harness.Lab) -> None:
    for chapter in CELLS:
        harness.write_notebook(lab.folder / f"{chapter}.ipynb", *shorten(chapter))
    tall = {"width": 1200, "height": 5000}  # nothing is cut off
    with harness.notebook(browser, lab, "00_start_here.ipynb", viewport=tall) as notebook:
        notebook.run_all()
        save("scoreboard", notebook.page.locator("figure img"))
    with harness.notebook(browser, lab, "01_ngrams.ipynb", viewport=tall) as notebook:
        notebook.run_all()
        answer, verdict = (
            notebook.page.locator(".jp-Cell").filter(has_text=text)
            for text in ("def ngram_counts", "not right yet")
        )
        save("check", answer, verdict)
        bet, smoothing, game = (notebook.widget(i) for i in range(3))
        place_chips(bet)
        guess(game)
        notebook.settled(game)
        for name, widget in [("bet", bet), ("smoothing", smoothing), ("shannon", game)]:
            save(name, widget)
    for chapter, name in {"02_neural_language_models": "gates", "05_transformer": "attention"}.items():
        with harness.notebook(browser, lab, f"{chapter}.ipynb", viewport=tall) as notebook:
            notebook.run_all()
            save(name, notebook.widget())


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = harness.chromium(playwright)
        with harness.running_lab(Path(folder)) as lab:
            if sys.argv[1:] != ["film"]:
                take(browser, lab)
            take_film(browser, lab)
        browser.close()


if __name__ == "__main__":
    main()
