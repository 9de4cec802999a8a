"""Shannon's game in a real JupyterLab, played by keyboard."""

from playwright.sync_api import expect

GAME = """\
import numpy as np
from course_utils.learner.progress import ProgressFile
from course_utils.learner.passages import GameText, Passage
from course_utils.learner.shannon_game import ShannonGame

CONTEXT = "ALONSO\\nOld lord, I cannot blame thee,\\nWho am myself attach'd with weariness,\\n"
HIDDEN = [
    "To the\\ndulling of my spirits: sit down, and rest.\\nEven here",
    "ere I will put off my hope and keep it\\nNo longer for my flatterer",
]
ALPHABET = " etoahnsri\\nldum,ywfcgIpbA.vETkSO'NRLC;HUW:MDBF?GP!-"

def bits(context, hidden):
    return [np.linspace(4.8 - 0.5 * n, 2, len(hidden)) for n in range(7)]

def letters(text):
    return "".join(c for c in text.lower().replace("\\n", " ") if c in " abcdefghijklmnopqrstuvwxyz")

def game():
    def text(form, alphabet):
        passages = [Passage(f"{i}", f"Act {i}", form(CONTEXT), form(h)) for i, h in enumerate(HIDDEN)]
        return GameText(passages, alphabet, [f"{n}-gram" for n in range(1, 8)], bits)
    texts = {"Every character": text(str, ALPHABET)}
    texts["27 letters"] = text(letters, " etoahnsrildumywfcgpbvkxqjz")
    return ShannonGame(texts, ProgressFile(), seed=3)
"""
CELLS = [GAME, *["game()"] * 5]  # each test plays a game of its own


def start(opened, i):
    """The i-th game with the cursor in its field, and the characters that are to be guessed."""
    widget = opened.widget(i)
    widget.locator(".sg-input").focus()
    return widget


def hidden(opened, widget):
    return "To the\n" if "Act 0" in widget.locator("h4").first.inner_text() else "ere I will"


def says(widget):
    return widget.locator(".sg-says")


def test_a_game_by_keyboard_alone(opened):
    widget = start(opened, 0)
    cells = opened.page.locator(".jp-Cell").count()
    first = hidden(opened, widget)
    press = opened.page.keyboard.press
    press("z")
    expect(says(widget)).to_have_text("“z” never occurs in the training text. Not counted.")
    for key in "dd":  # in JupyterLab's command mode this deletes the cell
        press(key)
    expect(says(widget)).to_have_text("“d” was wrong already, and isn’t asked again. Not counted.")
    expect(widget.locator(".sg-wrong s")).to_have_text("d")
    for c in first:
        press("Enter" if c == "\n" else c)
    expect(widget.locator(".sg-cell")).to_have_count(len(first))
    assert widget.locator(".sg-cell i").all_inner_texts() == ["2"] + ["1"] * (len(first) - 1)
    opened.settled(widget)
    n = len(first)
    expect(widget.locator(".cw-sentence")).to_contain_text(
        f"{n} characters guessed, {n - 1} at the first try"
    )
    expect(widget.locator(".sg-too-few")).to_have_text(f"too few: {n} of 100")
    expect(widget.locator(".sg-bounds")).to_have_count(0)
    assert opened.page.locator(".jp-Cell").count() == cells
    for name in ("Show me", "I know this one"):  # the way there is Tab
        press("Tab")
        expect(widget.get_by_role("button", name=name, exact=True)).to_be_focused()
    press("Shift+Tab")
    press("Space")
    expect(says(widget)).to_contain_text("tried from the commonest on")
    expect(widget.locator(".sg-input")).to_be_focused()


def test_a_held_key_counts_once(opened):
    widget = start(opened, 1)
    right = hidden(opened, widget)[0]
    opened.page.keyboard.down(right)
    for _ in range(5):  # playwright marks a second press without a release as a repeat
        opened.page.keyboard.down(right)
    opened.page.keyboard.up(right)
    expect(says(widget)).to_contain_text("A held key repeats itself")
    expect(widget.locator(".sg-cell")).to_have_count(1)
    expect(widget.locator(".sg-wrong")).to_have_count(0)


def test_pastes_dead_keys_and_foreign_letters(opened):
    widget = start(opened, 1)
    before = widget.locator(".sg-cell").count()
    paste = """(input, text) => {
        const data = new DataTransfer();
        data.setData('text', text);
        const how = { clipboardData: data, bubbles: true, cancelable: true };
        input.dispatchEvent(new ClipboardEvent('paste', how));
    }"""
    field = widget.locator(".sg-input")
    field.evaluate(paste, "To the\nlighthouse")
    expect(says(widget)).to_have_text("17 characters came at once: guess one at a time. Not counted.")
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Input.imeSetComposition", {"text": "´", "selectionStart": 1, "selectionEnd": 1})
    expect(says(widget)).to_have_text("17 characters came at once: guess one at a time. Not counted.")
    session.send("Input.insertText", {"text": "é"})
    expect(says(widget)).to_have_text("“é” never occurs in the training text. Not counted.")
    assert field.input_value() == ""
    opened.page.keyboard.insert_text("😀")
    expect(says(widget)).to_have_text("“😀” never occurs in the training text. Not counted.")
    expect(widget.locator(".sg-cell")).to_have_count(before)
    expect(widget.locator(".sg-wrong")).to_have_count(0)
    opened.page.keyboard.press("D")
    expect(says(widget)).to_have_text("Not “D”. 1 guess so far.")  # and it goes on


def test_i_know_this_one_leaves_no_guess(opened):
    widget = start(opened, 2)
    place = widget.locator("h4").first.inner_text()[:5]
    opened.page.keyboard.press(hidden(opened, widget)[0])
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("1 character guessed")
    widget.get_by_role("button", name="I know this one").click()
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("0 characters guessed")
    expect(widget.locator(".cw-sentence")).to_contain_text("1 passage discarded")
    expect(widget.locator(".sg-too-few")).to_have_text("too few: 0 of 100")
    assert widget.locator("h4").first.inner_text()[:5] != place
    expect(widget.locator(".sg-input")).to_be_focused()


def test_the_27_letters_by_touch(opened):
    widget = opened.widget(4)
    widget.get_by_label("27 letters").check()
    opened.settled(widget)
    expect(widget.locator(".sg-key")).to_have_count(27)
    boxes = [key.bounding_box() for key in widget.locator(".sg-key").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 32  # for a thumb
    expect(widget.locator(".sg-context")).to_have_text(
        "alonso old lord i cannot blame thee who am myself attachd with weariness "
    )
    widget.locator(".sg-input").press("3")
    expect(says(widget)).to_contain_text("“3” is none of the 27")
    widget.locator(".sg-input").press("Enter")
    expect(says(widget)).to_contain_text("The line break is none of the 27")
    first = hidden(opened, widget).lower()[0]
    widget.get_by_role("button", name="x", exact=True).click()
    widget.get_by_role("button", name=first, exact=True).click()
    expect(widget.locator(".sg-cell i")).to_have_text("2")
    opened.settled(widget)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator("table").last.locator("td")).to_have_text(["2", "1"])


def test_from_a_hundred_on_a_bar_and_the_budgets(opened):
    """Both passages of one game: what was too few becomes an interval."""
    widget = start(opened, 3)
    for _ in range(2):
        first = hidden(opened, widget)
        opened.page.keyboard.press("x")
        for c in first[:4]:
            opened.page.keyboard.press(c)
        while widget.get_by_role("button", name="Next passage").is_hidden():
            widget.get_by_role("button", name="Show me").click()
        opened.page.keyboard.press("Enter")
        opened.settled(widget)
    expect(widget.locator(".sg-page")).to_be_hidden()  # all were played
    expect(widget.locator(".sg-too-few")).to_have_count(0)
    expect(widget.locator(".cw-sentence")).to_contain_text("with 95 % intervals")
    interval, bounds = (widget.locator(f".sg-{name}").bounding_box() for name in ("interval", "bounds"))
    assert interval["x"] < bounds["x"] and interval["width"] > bounds["width"] > 20
    assert widget.locator("*").count() < 2000
    opened.screenshot("shannon-all-played", widget)
