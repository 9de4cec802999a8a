"""The specimens, shown one after another, and what each costs: for the benchmark."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from gallery import HANDS, SPECIMENS, Specimen, setup
from harness import PATIENCE, Lab, bytes_from_the_server, notebook, write_notebook
from playwright.sync_api import Browser, expect

FILE = "gallery/my_work/gallery.ipynb"  # the learner's progress is kept in a folder of this name

MAKE = "make = next(makers)\nspecimens = iter([make(i) for i in range({n})])"
SHOW = "next(specimens)"

CLOCK = """\
window.frame = () => new Promise(requestAnimationFrame);
window.afterPaint = () => new Promise((done) => {
  const channel = new MessageChannel(); // posted in a frame, its message comes after the frame's paint
  channel.port1.onmessage = () => done(performance.now());
  channel.port2.postMessage(0);
});
window.painted = () => window.frame().then(window.afterPaint);
addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
"""
DRAWN = """async () => {
  const fresh = () => document.querySelector(".course-widget:not([data-old])");
  if (!fresh()) await new Promise((done, fail) => {
    setTimeout(() => fail(new Error("no widget was drawn")), 60_000);
    new MutationObserver((_, observer) => {
      if (fresh()) { observer.disconnect(); done(); }
    }).observe(document.body, { subtree: true, childList: true });
  });
  return (await window.painted()) - window.pressed;
}"""
# Counted from the start of a frame, so that no part of it is the wait for the next one. The kernel's first
# answer counts: a widget that writes shows it, and asks on.
REACTED = """async (root, [react, i, kernel]) => {
  await window.frame();
  const start = performance.now();
  eval(react)(root, i);
  if (!kernel) return (await window.afterPaint()) - start;
  if (root.dataset.state === "idle") throw new Error("nothing was asked of the kernel");
  await new Promise((done, fail) => {
    setTimeout(() => fail(new Error("the kernel does not answer")), 60_000);
    new MutationObserver((changes, observer) => {
      const answered = root.dataset.state === "idle" || changes.some((change) => change.oldValue === "idle");
      if (answered) { observer.disconnect(); done(); }
    }).observe(root, { attributeFilter: ["data-state"], attributeOldValue: true });
  });
  return (await window.painted()) - start;
}"""


@dataclass
class Exhibit:
    """What was measured of one specimen after another: milliseconds, nodes, and bytes."""

    first_draw: list[float]
    repaint: list[float]
    kernel_step: list[float]
    nodes: int  # with the table shown
    bytes_over_the_wire: int  # a widget, from its making to its first draw
    bytes_kept: int  # in the notebook, for one
    refused: list[str]  # addresses outside that were asked for


def exhibits(
    browser: Browser, lab: Lab, plays: int, n: int, specimens: dict[str, Specimen] = SPECIMENS
) -> Iterator[tuple[str, Exhibit]]:
    """Of each widget, show n specimens one by one, and let each react without and with the kernel."""
    source = setup(plays, specimens) + f"makers = iter([{', '.join(specimens)}])"
    write_notebook(lab.folder / FILE, source, MAKE.format(n=n), SHOW)
    with notebook(browser, lab, FILE) as opened:
        page, cells = opened.page, opened.page.locator(".jp-CodeCell")
        page.evaluate(f"() => {{ {HANDS} {CLOCK} }}")
        crossed = bytes_from_the_server(page)

        def start(cell):
            cells.nth(cell).locator(".jp-InputPrompt").click()
            page.keyboard.press("Control+Enter")

        def run(cell, runs):
            start(cell)
            prompt = cells.nth(cell).locator(".jp-InputPrompt")
            expect(prompt).to_have_text(f"[{runs}]:", timeout=4 * PATIENCE)
            failed = "".join(cells.nth(cell).locator(".jp-OutputArea").all_inner_texts())
            assert not failed, failed

        run(0, 1)
        for at, (name, specimen) in enumerate(specimens.items()):
            result = Exhibit([], [], [], 0, 0, 0, opened.refused)
            crossed.clear()
            run(1, 2 + at * (n + 1))
            for i in range(n):
                start(2)
                result.first_draw.append(page.evaluate(DRAWN))
                widget = page.locator(".course-widget:not([data-old])")
                opened.settled(widget)
                result.bytes_over_the_wire += sum(crossed) // n
                result.repaint.append(widget.evaluate(REACTED, [specimen.repaint, i, False]))
                opened.settled(widget)
                if specimen.ask:
                    result.kernel_step.append(widget.evaluate(REACTED, [specimen.ask, i, True]))
                opened.settled(widget)
                for table in widget.get_by_role("button", name="Show as table").all():
                    table.click()
                nodes = widget.evaluate("(root) => root.querySelectorAll('*').length")
                result.nodes = max(result.nodes, nodes)
                widget.evaluate("(root) => { root.dataset.old = ''; }")
                crossed.clear()  # what reactions took is not counted
            opened.save()
            kept = json.loads(opened.path.read_text(encoding="utf-8"))["cells"][2]["outputs"]
            result.bytes_kept = len(json.dumps(kept, ensure_ascii=False).encode())
            yield name, result
