"""The run monitor in a real browser: its arithmetic as Python's, picking and hiding, runs that go on."""

import numpy as np
import pytest
from playwright.sync_api import expect

from course_utils.training import StepReport
from course_utils.widgets.run_monitor import RunMonitor, _along, facts

LOG = {"losses": [4.0, None, 3.0, 2.0, 1.0], "evaluations": [[2, 8.0, 2.5], [4, 10.0, 2.4]]}
LOG |= {"seconds": 16.0, "flops": 50}
MANY = """\
from course_utils.widgets.run_monitor import RunMonitor
losses = [2 + 3 * 0.98**k for k in range(400)]
spiked = {"losses": [*losses[:300], 6.0, *losses[301:]], "tokens": 9000, "restarts": [350]}
RunMonitor({"calm <b>": {"losses": losses, "evaluations": [[400, 2.5]]}, "spiked": spiked})"""
# a step is done whenever it is asked, and its name says how often it was
LIVE = """\
losses = []
def logs():
    losses.append(2.0)
    return {f"asked {len(losses)}": {"losses": losses, "steps": 4}}
RunMonitor(logs)"""
CELLS, HEIGHT = [MANY, LIVE], 700
# the clock of the page is moved on by hand
CLOCK = """() => {
  window.ticks = [];
  window.realInterval = window.setInterval;
  window.setInterval = (f, ms) => (ms === 2000 ? ticks.push(f) : realInterval(f, ms));
}"""
TICK = """async () => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); // what is seen is told after a frame
  ticks.forEach((tick) => tick());
}"""


# a view of a model whose kernel is busy: it gets no answer, but news of a run that reports
BUSY = """async ([source, fixed, shown]) => {
  const blob = new Blob([source], { type: "text/javascript" });
  const { default: widget } = await import(URL.createObjectURL(blob));
  const bytes = (numbers) => new DataView(new Float32Array(numbers).buffer);
  const withCurve = (curve) => shown.runs.map((run) => ({ ...run, curve: bytes(curve) }));
  let hear, now = { ...shown, runs: withCurve([4]) };
  const get = (name) => (name === "fixed" ? fixed : now), on = (_, f) => { hear = f; };
  const model = { get, on, off() {}, send() {} };
  widget.render({ model, el: document.body });
  const box = document.querySelector("label.cw-box input:not([aria-label])");
  box.click();
  now = { ...now, sentence: "news", runs: withCurve([4, 3, 2, 1]) };
  hear();
  const was = [document.querySelector(".cw-sentence").textContent, box.checked];
  now = { ...now, log: false, hidden: [0] };
  hear();
  return [...was, document.querySelectorAll("polyline").length];
}"""


@pytest.fixture(scope="module")
def opened(laid):
    laid.page.evaluate(CLOCK)
    laid.run_all()
    laid.widget(1)
    laid.page.evaluate("() => { window.setInterval = realInterval; }")
    return laid


def test_javascript_smooths_and_places_as_python_does(browser):
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { smoothed, along };"], { type: "text/javascript" });
          window.monitor = await import(URL.createObjectURL(blob));
        }""",
        RunMonitor._esm,
    )
    curve = [4.0, None, 3.0, 2.0, 1.0]
    script = "([curve, n]) => monitor.smoothed(curve.map((x) => x ?? NaN), n)"
    np.testing.assert_equal(page.evaluate(script, [curve, 2]), [4, 4, 3, 2.5, 1.5])
    np.testing.assert_equal(page.evaluate(script, [curve, 1]), [4, np.nan, 3, 2, 1])
    run = facts("a", LOG)
    given = {"ends": run["ends"], "clock": run["clock"]}
    for x in ("steps", "FLOPs", "seconds"):
        theirs = page.evaluate(
            "([run, x]) => [0.5, 2, 3, 4.5, 5].map((at) => monitor.along(run, x, at))", [given, x]
        )
        np.testing.assert_allclose(theirs, _along(run, x, np.array([0.5, 2, 3, 4.5, 5])))
    assert page.evaluate("(run) => monitor.along(run, 'tokens', 1)", given) is None
    page.close()


def test_news_of_a_run_undoes_nothing_that_a_busy_kernel_has_not_heard_of(browser):
    page, monitor = browser.new_page(), RunMonitor()
    monitor.follow("a")(StepReport(1, 9, 4.0, None, 1e-3, 1.0, 1.0))
    monitor.refresh()
    shown = monitor.shown | {"runs": [run | {"curve": ""} for run in monitor.shown["runs"]]}
    assert page.evaluate(BUSY, [RunMonitor._esm, monitor.fixed, shown]) == ["news", True, 0]
    page.close()


def test_a_run_is_picked_and_hidden_and_its_spike_is_marked_and_named(opened):
    widget = opened.widget(0)
    plot, notes = widget.locator(".rm-plot").first, widget.locator(".rm-notes")
    lines, spikes = plot.locator("polyline"), plot.get_by_text("▲")
    expect(lines).to_have_count(2)
    expect(spikes).to_have_count(1)
    expect(notes).to_have_text("nothing stood out")
    widget.get_by_role("radio").nth(1).check()
    expect(notes).to_contain_text("loss spike at step 301: 6.00 nats, usual before it 2.0")
    expect(notes).to_contain_text("restarted with step 350")
    expect(plot.locator("polyline.rm-chosen")).to_have_count(1)
    widget.get_by_role("checkbox", name="show spiked").uncheck()
    expect(lines).to_have_count(1)
    expect(spikes).to_have_count(0)
    widget.get_by_role("combobox").first.select_option("tokens")
    expect(widget.locator(".cw-notice")).to_have_text(
        "Of “calm <b>” the tokens are not known, so nothing is drawn."
    )
    expect(lines).to_have_count(0)


def test_a_run_that_goes_on_is_asked_for_while_somebody_looks_and_until_it_is_over(opened):
    widget = opened.widget(1)
    sentence = widget.locator(".cw-sentence")

    def tick():
        opened.page.evaluate(TICK)
        opened.settled(widget)

    expect(sentence).to_have_text("1 run: “asked 1” 25 % of 4 steps.")
    opened.widget(0).locator("select").first.scroll_into_view_if_needed()
    tick()
    expect(sentence).to_contain_text("asked 1”")  # it is below the window
    widget.locator(".cw-foot").scroll_into_view_if_needed()
    for n, done in ((2, "50 %"), (3, "75 %"), (4, "4")):
        for _ in range(100):  # the page may be slow to notice that it is in sight
            tick()
            if f"asked {n}”" in sentence.inner_text():
                break
        expect(sentence).to_have_text(f"1 run: “asked {n}” {done} of 4 steps.")
    tick()
    expect(sentence).to_contain_text("asked 4”")
