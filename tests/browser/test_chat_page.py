"""The chat page in a real Chromium, by keyboard alone and with the network blocked."""

import re

import pytest
from chat_server import chat_model, running
from harness import ARTEFACTS, CONTRASTS, NOWHERE, is_outside
from playwright.sync_api import expect

from course_utils.serving import asking

NAME = """() => {
  const at = document.activeElement;
  return at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent;
}"""
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def chats():
    return {"quick": chat_model(pause=0.003), "slow": chat_model(pause=0.05)}


@pytest.fixture(scope="module")
def port(chats):
    with running(**chats) as port:
        yield port


@pytest.fixture
def page(browser, port):
    """Opened anew, on a page that can reach loopback and nothing else."""
    context = browser.new_context(proxy=NOWHERE, viewport={"width": 1000, "height": 800}, has_touch=True)
    page, asked, faults = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: (
            said.type == "error"
            and "503" not in said.text
            and "400" not in said.text
            and faults.append(said.text)
        ),
    )
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.get_by_label("Model").locator("option")).to_have_count(3)
    yield page
    context.close()
    assert asked and not any(map(is_outside, asked)) and not faults


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, name, back=False):
    """By the Tab key, to a control of this name."""
    for _ in range(30):
        press(page, "Shift+Tab" if back else "Tab")
        at = page.evaluate(NAME)
        if at and name in at:
            return
    raise AssertionError(f"no way to {name} by the Tab key")


def texts(page):
    return page.locator(".chat-text").all_inner_texts()


def complete(page):
    expect(page.get_by_role("status")).to_have_text("The answer is complete.")


def ask(page, text):
    page.keyboard.type(text)
    press(page, "Enter")


def test_a_conversation_by_keyboard_alone(page, chats, monkeypatch):
    monkeypatch.setattr(asking, "MAX_LENGTH", 12)
    expect(page.get_by_label("Message")).to_be_focused()
    ask(page, f"To be? {HOSTILE}")
    complete(page)
    (question, answer) = texts(page)
    assert question == f"To be? {HOSTILE}" and page.title() == "Chat" and answer
    expect(page.locator("small")).to_contain_text("12 tokens · the first after")
    expect(page.locator("small")).to_contain_text("tokens/s · cut off at its longest")

    tab_to(page, "Temperature", back=True)
    press(page, "Home")  # greedy
    expect(page.get_by_label("Temperature")).to_have_attribute("aria-valuetext", "0, greedy")
    tab_to(page, "Regenerate")
    press(page, "Enter")
    expect(page.get_by_label("Message")).to_be_focused()  # where the button was is nothing
    complete(page)
    greedy = texts(page)[1]
    expect(page.locator("small")).to_contain_text("12 tokens")
    press(page, "Shift+Tab", "Enter")
    complete(page)
    assert texts(page) == [question, greedy] and greedy != answer

    tab_to(page, "Edit", back=True)
    press(page, "Enter")
    expect(page.get_by_label("Message")).to_have_value(question)
    press(page, "Escape")  # no, as it was
    expect(page.get_by_label("Message")).to_have_value("")
    tab_to(page, "Edit", back=True)
    press(page, "Space", "Control+a")
    page.keyboard.type("Not to be?")
    press(page, "Shift+Enter")
    ask(page, "Well?")
    complete(page)
    assert texts(page)[0] == "Not to be?\nWell?" and len(texts(page)) == 2

    tab_to(page, "New chat", back=True)
    press(page, "Enter")
    assert texts(page) == []
    expect(page.get_by_label("Message")).to_be_focused()


def test_an_answer_is_streamed_and_stopped(page, chats):
    tab_to(page, "Model", back=True)
    press(page, "ArrowDown")
    expect(page.get_by_label("Model")).to_have_value("slow")
    tab_to(page, "Message")
    ask(page, "To be?")
    expect(page.locator(".chat-text").nth(1)).to_have_text(re.compile("..."))
    press(page, "Escape")
    expect(page.get_by_role("status")).to_have_text("The answer was stopped.")
    steps, kept = chats["slow"].model.steps, texts(page)[1]
    assert kept and steps < 100
    page.wait_for_timeout(300)
    assert chats["slow"].model.steps - steps <= 2 and texts(page)[1] == kept
    expect(page.locator("small")).to_contain_text("stopped")


def test_what_goes_wrong_is_a_sentence_and_the_question_stays(page, monkeypatch):
    monkeypatch.setattr(asking, "MAX_LENGTH", 4)
    tab_to(page, "Model", back=True)
    press(page, "End")
    tab_to(page, "Message")
    ask(page, "To be?")
    expect(page.get_by_role("alert")).to_contain_text("broken can't be loaded: model.safetensors is damaged")
    assert texts(page) == ["To be?"]
    tab_to(page, "Model", back=True)
    press(page, "Home")
    tab_to(page, "Ask again")
    press(page, "Enter")
    complete(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_label("Message").fill("x" * 100_000)
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("quick reads 1 to 199: shorten it")
    assert len(texts(page)) == 3


def test_a_long_conversation_goes_on_without_its_beginning(page, monkeypatch):
    monkeypatch.setattr(asking, "MAX_LENGTH", 2)
    for i in range(3):
        ask(page, 60 * "ab" + str(i))
        complete(page)
        expect(page.locator("small")).to_have_count(i + 1)
    expect(page.locator("small").nth(0)).not_to_contain_text("not read")
    expect(page.locator("small").nth(2)).to_contain_text("messages not read: the model's window is full")


def test_light_dark_and_narrow(page, monkeypatch):
    monkeypatch.setattr(asking, "MAX_LENGTH", 12)
    for _ in range(2):
        ask(page, "To be, or not to be: that is the question. שלום 🦜")
        complete(page)
    tab_to(page, "Edit", back=True)
    press(page, "Enter")
    ARTEFACTS.mkdir(exist_ok=True)
    for theme, width in [("light", 1000), ("dark", 1000), ("dark", 320)]:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 700})
        contrasts = page.evaluate(f"({CONTRASTS})(document.body)")
        assert len(contrasts) > 10 and min(contrast["ratio"] for contrast in contrasts) >= 4.5, contrasts
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = page.get_by_label("Message").bounding_box()
        assert box["y"] + box["height"] < 700
        page.screenshot(path=ARTEFACTS / f"chat-{theme}-{width}.png")
