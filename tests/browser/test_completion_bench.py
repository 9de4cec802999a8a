"""The completion bench in a real JupyterLab: a text that is written, watched, stopped and compared."""

import contextlib
import os
import re
import time

from hands import Learner
from harness import notebook, write_notebook
from playwright.sync_api import expect

# A writer that needs no model: a word a token. In each of its steps it sleeps, as a model computes.
CELL = """\
import os, time
from course_utils.widgets.completion_bench import CompletionBench
from course_utils.generation.writing import Ending, Writer

def encode(prompt):
    text = prompt if isinstance(prompt, str) else "".join(message["content"] for message in prompt)
    return [ord(character) for character in text]

def words(seconds, fails_at=None):
    def write(ids, settings, report):
        for n in range(1, settings.length + 1):
            time.sleep(seconds)
            if n == fails_at:
                raise KeyError("no weights")
            if report(f"word{n} " if n % 10 else "🦜 שלום\\n"):
                break
        cached = (len(ids) + n - 1) * settings.cache
        return Ending("interrupted" if n < settings.length else "length", cached, 8000 * cached)
    return Writer(encode, write, context=100, weights=4_000_000, cache=8000, chats=fails_at is None)

benches = globals().get("benches", [])
writers = {"quick": words(0.001), "slow": words(0.05), "broken": words(0.01, 3)}
benches.append(CompletionBench(writers, "To be"))
benches[-1]"""
COUNT = "runs = globals().get('runs', 0) + 1\nprint('run', runs)"
# two benches on one page, a second view of the first, a cell that counts its runs, and one more
CELLS = [CELL, CELL, "benches[0]", COUNT, "0"]
LAST = 4


def begin(opened, i=0, writer="quick", **fields):
    """The i-th bench with nothing running, as a learner sets it to complete a text."""
    widget = opened.widget(i)
    if widget.locator(".cb-page").get_attribute("aria-busy") == "true":
        widget.get_by_role("button", name="Stop").click()
    ended(widget)
    widget.locator("select").select_option(writer)
    widget.get_by_label("complete a text").check()
    settings = {"Temperature": "0.8", "Top-p": "0.95", "Most tokens": "20", "Seed": "0", "Stop string": ""}
    for label, value in (settings | fields).items():
        widget.get_by_label(label).fill(value)
    widget.get_by_label("key-value cache").check()
    widget.locator("textarea").fill("To be")
    return widget


def ended(widget):
    expect(widget.locator(".cb-page")).not_to_have_attribute("aria-busy", "true", timeout=60_000)


def write(opened, widget):
    """Press Write (or Send), and wait until the text has ended."""
    widget.locator(".cb-write").click()
    opened.settled(widget)
    ended(widget)


def sentence(widget):
    return widget.locator(".cw-sentence")


def rows(widget):
    return [row.split("\t") for row in widget.locator(".cb-scroll tbody tr").all_inner_texts()]


def test_a_text_is_streamed_to_its_end_and_measured(opened):
    widget = begin(opened, writer="slow", **{"Most tokens": "40"})
    widget.locator(".cb-write").click()
    expect(widget.locator(".cb-new")).to_contain_text("word1 ", timeout=60_000)
    expect(widget.locator(".cb-state")).to_contain_text("writing")
    early = widget.locator(".cb-new").inner_text()
    ended(widget)
    late = widget.locator(".cb-new").inner_text()
    assert late.startswith(early.rstrip()) and "word39" in late and "word39" not in early
    expect(widget.locator(".cb-state")).to_have_text(
        re.compile(
            r"40 tokens · the first after \d+\.\d{3} s · \d+\.\d tokens/s · ended by the length asked for"
        )
    )
    expect(sentence(widget)).to_contain_text("slow continues “To be” with the cache: “\u2068word1 word2")
    expect(sentence(widget)).to_contain_text("40 tokens, ended by the length asked for.")
    expect(sentence(widget)).to_contain_text(
        "held 44 tokens, 0.35 MB by the formula and 0.35 MB in its tensors"
    )


def test_the_cache_on_and_off_stand_side_by_side(opened):
    widget = begin(opened)
    write(opened, widget)
    widget.get_by_label("key-value cache").uncheck()
    write(opened, widget)
    widget.get_by_role("button", name="Show as table").click()
    head = widget.locator(".cw-tables table").first.locator("th").all_inner_texts()
    assert head[:4] == ["Writer", "Cache", "Tokens read", "Tokens written"]
    widget.get_by_role("button", name="Hide table").click()
    mine = [row for row in rows(widget) if row[0] == "quick"]
    assert [row[1:4] for row in mine] == [["on", "5", "20"], ["off", "5", "20"]]
    assert [row[6:] for row in mine] == [
        ["the length asked for", "4.00 MB", "0.19 MB", "0.19 MB"],
        ["the length asked for", "4.00 MB", "0.00 MB", "0.00 MB"],
    ]
    expect(sentence(widget)).to_contain_text("With the cache and without it, quick wrote the same")


def run_cell(opened, i, says):
    """Run the i-th code cell, and wait for another output than it had, with these words."""
    cell = opened.page.locator(".jp-CodeCell").nth(i)
    output = cell.locator(".jp-OutputArea")
    before = output.inner_text()
    cell.locator(".jp-InputPrompt").click()
    opened.page.keyboard.press("Control+Enter")
    expect(output).not_to_have_text(before, timeout=60_000)
    expect(output).to_contain_text(says, timeout=60_000)


def write_cell(opened, code):
    """Put this code into the last cell, and stay on it."""
    opened.page.locator(".jp-CodeCell").nth(LAST).locator(".jp-InputPrompt").click()
    Learner(opened).write(LAST, code)


def test_stop_ends_a_slow_writer_and_the_kernel_is_free_before_and_after(opened):
    widget = begin(opened, writer="slow", **{"Most tokens": "1000"})
    widget.locator(".cb-write").click()
    expect(widget.locator(".cb-new")).to_contain_text("word2 ", timeout=60_000)
    run_cell(opened, 3, "run")  # while it writes
    expect(widget.locator(".cb-state")).to_contain_text("writing")
    widget.get_by_role("button", name="Stop").click()
    ended(widget)
    expect(sentence(widget)).to_contain_text("ended by an interruption")
    tokens = widget.locator(".cb-state").inner_text()
    assert 1 < int(tokens.split()[0]) < 1000
    run_cell(opened, 3, "run")
    assert widget.locator(".cb-state").inner_text() == tokens  # nothing has been written since


def test_interrupting_the_kernel_leaves_the_bench_usable(opened):
    widget = begin(opened, writer="slow", **{"Most tokens": "1000"})
    widget.locator(".cb-write").click()
    expect(widget.locator(".cb-new")).to_contain_text("word2 ", timeout=60_000)
    opened.menu("Kernel", "Interrupt Kernel")
    tokens = int(widget.locator(".cb-state").inner_text().split()[0].replace(",", ""))
    expect(widget.locator(".cb-new")).to_contain_text(
        f"word{tokens // 10 * 10 + 11} ", timeout=60_000
    )  # it is no cell's, so it goes on
    widget.get_by_role("button", name="Stop").click()
    ended(widget)
    begin(opened)
    write(opened, widget)
    expect(sentence(widget)).to_contain_text("20 tokens, ended by the length asked for")


def test_interrupting_a_cell_that_writes_ends_the_text(opened):
    widget, last = begin(opened), opened.page.locator(".jp-CodeCell").nth(LAST)
    write_cell(opened, "print(len(benches[0].write('Ah', 'slow', length=1000)) > 9)")
    opened.page.keyboard.press("Control+Enter")
    expect(widget.locator(".cb-state")).to_contain_text("writing · by a cell", timeout=60_000)
    expect(widget.locator(".cb-new")).to_contain_text("word2 ", timeout=60_000)  # live, from a busy kernel
    opened.menu("Kernel", "Interrupt Kernel")
    ended(widget)
    expect(sentence(widget)).to_contain_text("slow continues “Ah” with the cache")
    expect(sentence(widget)).to_contain_text("ended by an interruption")
    expect(last.locator(".jp-OutputArea")).to_have_text("True")
    begin(opened)
    write(opened, widget)
    expect(sentence(widget)).to_contain_text("20 tokens, ended by the length asked for")


def test_two_benches_write_at_once_and_two_views_show_the_same(opened):
    long = {"Most tokens": "1000"}
    one, two, view = begin(opened, 0, "slow", **long), begin(opened, 1, "slow", **long), opened.widget(2)
    for widget in (one, two):
        widget.locator(".cb-write").click()
    for widget in (one, two, view):
        expect(widget.locator(".cb-state")).to_contain_text("writing", timeout=60_000)
    for widget in (one, two):
        widget.get_by_role("button", name="Stop").click()
    for widget in (one, two, view):
        ended(widget)
        expect(sentence(widget)).to_contain_text("slow continues “To be” with the cache")
    assert view.locator(".cb-new").inner_text() == one.locator(".cb-new").inner_text()
    view.locator("textarea").fill("else")
    write(opened, begin(opened))
    begin(opened, 2, "slow", **long).locator(".cb-write").click()
    expect(one.locator(".cb-state")).to_contain_text("writing", timeout=60_000)
    one.get_by_role("button", name="Stop").click()  # either view stops it
    ended(view)
    expect(sentence(view)).to_contain_text("ended by an interruption")


def test_a_screen_reader_hears_of_the_begin_and_the_end_not_of_each_token(opened):
    widget = begin(opened, writer="slow", **{"Most tokens": "40"})
    sentence(widget).evaluate(
        """(node) => {
          window.spoken = [];
          new MutationObserver(() => window.spoken.push(node.textContent)).observe(node, { childList: true });
        }"""
    )
    write(opened, widget)
    spoken = opened.page.evaluate("window.spoken")
    assert len(spoken) == 2 and "it is writing" in spoken[0] and "40 tokens" in spoken[1]
    assert (
        widget.locator(".cb-new").evaluate("(node) => node.closest('[aria-live], [role=status], [role=log]')")
        is None
    )
    assert (
        widget.locator(".cb-state").evaluate("(node) => node.closest('[aria-live], [role=status]')") is None
    )


def test_a_writer_that_fails_says_so_in_words(opened):
    widget = begin(opened, writer="broken")
    write(opened, widget)
    expect(widget.locator(".cw-problem")).to_have_text("KeyError: 'no weights'")
    expect(sentence(widget)).to_contain_text("2 tokens, ended by an error.")
    expect(widget.get_by_label("chat")).to_be_disabled()
    begin(opened)
    write(opened, widget)
    expect(widget.locator(".cw-problem")).to_be_hidden()


def test_a_long_prompt_is_cropped_on_its_way_and_by_the_context_with_notice(opened):
    widget = begin(opened)
    widget.locator("textarea").fill("word " * 10_000)
    write(opened, widget)
    expect(widget).to_contain_text("Got 50,000 characters; the last 8,000 are read.")
    expect(widget).to_contain_text("The prompt has 8,000 tokens: the last 100 ")


def test_a_setting_that_is_not_allowed_is_refused_by_name(opened):
    widget = begin(opened)
    for label, value, says in [
        ("Temperature", "-1", "temperature is a number from 0 to 1,000,000; got -1"),
        ("Temperature", "", "temperature is a number from 0 to 1,000,000; got ''"),
        ("Top-p", "1.5", "top_p is a number from 0 to 1; got 1.5"),
        ("Most tokens", "0", "length is a whole number from 1 to 1,000; got 0"),
        ("Most tokens", "2.5", "length is a whole number from 1 to 1,000; got 2.5"),
        ("Seed", "-3", "seed is a whole number from 0 to 4,294,967,295; got -3"),
    ]:
        field = widget.get_by_label(label)
        allowed = field.input_value()
        field.fill(value)
        write(opened, widget)
        expect(widget.locator(".cw-problem")).to_have_text(says)
        field.fill(allowed)
    write(opened, widget)
    expect(widget.locator(".cw-problem")).to_be_hidden()


def test_a_conversation_goes_on_and_begins_anew(opened):
    widget = begin(opened)
    widget.get_by_label("chat").check()
    widget.get_by_label("System message").fill("Be brief.")
    for message in ("hello", "and now?"):
        widget.get_by_label("Your message").fill(message)
        write(opened, widget)
        assert widget.get_by_label("Your message").input_value() == ""
    said = widget.locator(".cb-message p").all_inner_texts()
    assert said[0] == "hello" and said[2] == "and now?" and said[1].startswith("word1") and len(said) == 4
    # all that was said before is read again: the system message, both messages, and the first answer
    read = len("Be brief.") + len("hello") + len("and now?") + len(said[1] + " ")
    assert rows(widget)[0][2] == str(min(read, 100))
    expect(sentence(widget)).to_contain_text("quick answers “and now?”")
    widget.get_by_role("button", name="New conversation").click()
    expect(widget.locator(".cb-message")).to_have_count(0)


def test_keyboard_alone_then_touch(opened):
    widget, cells = begin(opened, **{"Most tokens": "1000"}), opened.page.locator(".jp-CodeCell")
    press, before = opened.page.keyboard.press, cells.count()
    widget.locator("textarea").press("Escape")  # back to the cell
    opened.tab_to("select")
    press("s")  # as in every select: the first that begins so
    opened.tab_to("textarea")
    press("Control+a")
    opened.page.keyboard.type("ROMEO:")
    press("Shift+Enter")
    opened.page.keyboard.type("Ah")
    press("Enter")
    expect(widget.locator(".cb-new")).to_contain_text("word2 ", timeout=60_000)
    press("Escape")
    ended(widget)
    expect(sentence(widget)).to_contain_text("slow continues “ROMEO:⏎Ah”")
    expect(sentence(widget)).to_contain_text("ended by an interruption")
    assert opened.page.evaluate("document.activeElement.matches('.course-widget textarea')")
    for key in ["d", "d", "a", "b", "x", "j", "k", "m"]:  # JupyterLab's commands, were it to hear them
        press(key)
    assert cells.count() == before
    press("Escape")  # nothing is being written: it leads back to the notebook
    assert opened.page.evaluate("document.activeElement.closest('.course-widget')") is None

    widget.get_by_label("chat").tap()
    widget.locator("textarea").fill("hello")
    widget.get_by_role("button", name="Send").tap()
    expect(widget.locator(".cb-message")).to_have_count(2, timeout=60_000)
    widget.get_by_role("button", name="Stop").tap()
    ended(widget)


def test_a_cell_that_runs_again_stops_what_its_old_bench_wrote(opened):
    widget = begin(opened, 1, writer="slow", **{"Most tokens": "1000"})
    widget.locator(".cb-write").click()
    expect(widget.locator(".cb-state")).to_contain_text("writing", timeout=60_000)
    write_cell(opened, "print([bench.writing for bench in benches])")
    run_cell(opened, LAST, "[False, True]")
    run_cell(opened, 1, "Write")
    time.sleep(1)
    run_cell(opened, LAST, "[False, False, False]")


def test_a_notebook_that_is_closed_and_a_kernel_that_is_stopped_while_a_text_is_written(browser, lab):
    """The page comes back to a kernel that answers; the kernel's process ends, though a thread writes."""
    name = "closing.ipynb"
    write_notebook(lab.folder / name, CELL, "print('process', os.getpid())")

    def start(opened):
        run_cell(opened, 0, "Write")
        begin(opened, writer="slow", **{"Most tokens": "1000"}).locator(".cb-write").click()
        expect(opened.page.locator(".cb-new")).to_contain_text("word2 ", timeout=60_000)
        run_cell(opened, 1, "process")
        output = opened.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea").inner_text()
        return int(output.split()[-1])

    with notebook(browser, lab, name) as opened:
        process = start(opened)
    with notebook(browser, lab, name) as opened:
        assert start(opened) == process
        lab.stop_kernels(name)
    deadline = time.monotonic() + 60
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.1)
        raise AssertionError("the kernel's process is still there")
