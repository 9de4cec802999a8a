"""The chat page in a real Chromium, by keyboard alone or by touch alone, and with the network blocked."""

import re
from contextlib import contextmanager

import pytest
from chat_server import chat_model, running
from harness import ARTEFACTS, CONTRASTS, NOWHERE, is_outside
from playwright.sync_api import expect

from course_utils.serving import asking

NAME = "(at) => at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent"
# By what hand each control was used.
HANDS = """window.hands = [];
addEventListener('pointerdown', (event) => hands.push(event.pointerType), true);
addEventListener('keydown', () => hands.push('keyboard'), true);"""
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def chats():
    return {"quick": chat_model(pause=0.003), "slow": chat_model(pause=0.05)}


@pytest.fixture(scope="module")
def port(chats):
    with running(**chats) as port:
        yield port


@contextmanager
def opened(browser, port, **settings):
    """On a page that can reach loopback and nothing else."""
    context = browser.new_context(proxy=NOWHERE, has_touch=True, **settings)
    context.add_init_script(HANDS)
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


@pytest.fixture
def page(browser, port):
    with opened(browser, port, viewport={"width": 1000, "height": 800}) as page:
        yield page


@pytest.fixture
def phone(browser, port):
    size = {"width": 390, "height": 844}
    with opened(browser, port, viewport=size, is_mobile=True, device_scale_factor=2) as page:
        yield page
        assert {*page.evaluate("hands")} == {"touch"}


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, name, back=False):
    """By the Tab key, to a control of this name."""
    for _ in range(30):
        press(page, "Shift+Tab" if back else "Tab")
        at = page.evaluate(f"({NAME})(document.activeElement)")
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


def tap(page, name):
    page.get_by_role("button", name=name, exact=True).tap()


def ask_by_touch(page, text):
    page.get_by_label("Message").tap()
    page.get_by_label("Message").fill(text)  # the keyboard of a phone need not press keys
    tap(page, "Send")


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


def test_a_conversation_by_touch_alone(phone, chats, monkeypatch):
    monkeypatch.setattr(asking, "MAX_LENGTH", 12)
    ask_by_touch(phone, "To be?")
    complete(phone)
    (question, answer) = texts(phone)
    assert question == "To be?" and answer

    temperature = phone.get_by_label("Temperature")
    temperature.tap(position={"x": 1, "y": 10})
    expect(temperature).to_have_attribute("aria-valuetext", "0, greedy")
    tap(phone, "Regenerate")
    complete(phone)
    greedy = texts(phone)[1]
    tap(phone, "Regenerate")
    complete(phone)
    assert texts(phone) == [question, greedy] and greedy != answer

    tap(phone, "Edit")
    expect(phone.get_by_label("Message")).to_have_value(question)
    tap(phone, "Don't edit")
    expect(phone.get_by_label("Message")).to_have_value("")
    assert texts(phone) == [question, greedy]
    tap(phone, "Edit")
    ask_by_touch(phone, "Not to be?")
    complete(phone)
    assert texts(phone)[0] == "Not to be?" and len(texts(phone)) == 2

    tap(phone, "New chat")
    assert texts(phone) == []
    expect(phone.get_by_label("Message")).to_have_value("")


def test_another_model_is_chosen_and_its_answer_stopped_by_touch(phone, chats):
    phone.get_by_label("Model").tap()
    phone.get_by_label("Model").select_option("slow")  # the list that opens is the system's
    ask_by_touch(phone, "To be?")
    expect(phone.locator(".chat-text").nth(1)).to_have_text(re.compile("..."))
    tap(phone, "Stop")
    expect(phone.get_by_role("status")).to_have_text("The answer was stopped.")
    steps, kept = chats["slow"].model.steps, texts(phone)[1]
    expect(phone.locator("b").last).to_have_text("slow")
    phone.wait_for_timeout(300)
    assert chats["slow"].model.steps - steps <= 2 and kept and texts(phone)[1] == kept
    expect(phone.locator("small")).to_contain_text("stopped")


def test_on_a_phone_each_control_is_as_large_as_a_finger(phone, monkeypatch):
    """WCAG 2.2 asks for 24 px each way (2.5.8), and for 44 at its highest level (2.5.5)."""
    monkeypatch.setattr(asking, "MAX_LENGTH", 40)
    ask_by_touch(phone, "To be, or not to be: that is the question. " + 60 * "x" + " שלום 🦜")
    complete(phone)
    tap(phone, "Edit")
    phone.locator(".chat-log").evaluate("log => log.scrollTop = 0")
    controls = phone.locator("button, select, input, textarea")
    assert controls.count() == 9  # with Edit, Regenerate and Don't edit
    boxes = {control.evaluate(NAME): control.bounding_box() for control in controls.all()}
    assert all(min(box["width"], box["height"]) >= 44 for box in boxes.values()), boxes
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes.values()), boxes
    for part in ("html", ".chat-log"):
        assert phone.locator(part).evaluate("node => node.scrollWidth <= node.clientWidth"), part
    ARTEFACTS.mkdir(exist_ok=True)
    phone.screenshot(path=ARTEFACTS / "chat-phone.png")


def test_an_answer_is_streamed_and_stopped(page, chats):
    tab_to(page, "Model", back=True)
    press(page, "ArrowDown")
    expect(page.get_by_label("Model")).to_have_value("slow")
    tab_to(page, "Message")
    ask(page, "To be?")
    expect(page.locator(".chat-text").nth(1)).to_have_text(re.compile("..."))
    ask(page, "And then?")
    expect(page.get_by_role("status")).to_contain_text("Your message stays in the box")
    expect(page.get_by_label("Message")).to_have_value("And then?")
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
    monkeypatch.setattr(asking, "MAX_LENGTH", 8)  # with 2, one answer in 400 has no text and isn't shown
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
