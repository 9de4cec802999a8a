"""A specimen of each widget on the real text, and two of its reactions: for the budgets and the benchmark."""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

from harness import PATIENCE, Lab, notebook, write_notebook
from playwright.sync_api import Browser, expect

from course_utils import widgets

FILE = "gallery/my_work/gallery.ipynb"  # the learner's progress is kept in a folder of this name

SETUP = """\
from course_utils import corpora
from course_utils.counting import count_ngrams
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
corpus, encode = corpora.shakespeare(), ByteTokenizer().encode
texts = dict(list(corpus.train.items())[:{plays}])
tables = count_ngrams([encode(text) for text in texts.values()], 7, 256)
models = {{n: NGramModel(n).fit_tables(tables) for n in range(1, 8)}}
def make(i):
{make}
    return made
specimens = iter([make(i) for i in range({n})])
"""
SHOW = "next(specimens)"


@dataclass(frozen=True)
class Specimen:
    """A widget as a chapter uses it.

    make: Python that makes the i-th one after SETUP. repaint, ask: JavaScript functions of the widget's root
    and i; the first changes what is drawn without the kernel, the second asks the kernel.
    """

    make: str
    repaint: str
    ask: str


# `fill` sets a field as a person does: the widget hears an input event, then a change.
HANDS = """\
window.fill = (field, value) => {
  field.value = value;
  for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
};
window.press = (root, text) =>
  [...root.querySelectorAll("button")].find((button) => button.textContent === text).click();
window.painted = () => new Promise((done) => requestAnimationFrame(() => {
  const channel = new MessageChannel(); // its message comes after the paint
  channel.port1.onmessage = () => done(performance.now());
  channel.port2.postMessage(0);
}));
addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
"""
DRAWN = """async () => {
  const fresh = () => document.querySelector(".course-widget:not([data-old])");
  if (!fresh()) await new Promise((done) => new MutationObserver((_, observer) => {
    if (fresh()) { observer.disconnect(); done(); }
  }).observe(document.body, { subtree: true, childList: true }));
  return (await window.painted()) - window.pressed;
}"""
REACTED = """async (root, [react, i, kernel]) => {
  const start = performance.now();
  eval(react)(root, i);
  if (kernel && root.dataset.state === "idle") throw new Error("nothing was asked of the kernel");
  while (kernel && root.dataset.state !== "idle") await new Promise((done) => setTimeout(done, 1));
  return (await window.painted()) - start;
}"""
WORDS = '["puzzl", "rhym", "awkw", "drea", "swor"][i % 5]'

SPECIMENS = {
    "ngram_explorer": Specimen(
        "from course_utils.widgets.ngram_explorer import from_models\nmade = from_models(models, texts)",
        '(root) => press(root, "+ 100")',
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
    "predict": Specimen(
        "from course_utils.widgets.predict import predict\n"
        'made = predict(f"bench.{i}", "Which?", ["this", "that", "another", "none"])',
        "(root) => fill(root.querySelector('input'), 10)",
        """(root) => {
          press(root, "Spread the rest evenly");
          root.querySelector(".pr-place").click();
        }""",
    ),
    "quiz": Specimen(
        'from course_utils.widgets.quiz import quiz\nmade = quiz("1")',
        "(root, i) => root.querySelectorAll('fieldset')[i].querySelector('input').click()",
        """(root, i) => {
          const question = root.querySelectorAll("fieldset")[i];
          question.querySelector("input").click();
          question.querySelector("button").click();
        }""",
    ),
    "shannon_game": Specimen(
        "from course_utils.progress import Progress\n"
        "from course_utils.widgets.shannon_game import shannon_game\n"
        "made = shannon_game(models, Progress(), seed=i)",
        "(root) => fill(root.querySelector('.sg-input'), 'z')",
        '(root) => press(root, "I know this one")',
    ),
    "smoothing_lab": Specimen(
        "from course_utils.widgets import smoothing_lab\n"
        "made = smoothing_lab.from_tables(tables, corpus.validation, 'Twelfth Night',\n"
        "                                 methods=smoothing_lab.METHODS)",
        # an input event only: the slider is still held
        """(root, i) => {
          const slider = root.querySelector("[type=range]");
          slider.value = i;
          slider.dispatchEvent(new Event("input"));
        }""",
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
}


@dataclass
class Exhibit:
    """What was measured of one specimen after another: milliseconds, nodes, and bytes."""

    first_draw: list[float]
    repaint: list[float]
    kernel_step: list[float]
    nodes: int  # with the table shown
    bytes_over_the_wire: float  # a widget, from its making to its first draw
    bytes_kept: int  # in the notebook, for one
    refused: list[str]  # addresses outside that were asked for


def exhibit(browser: Browser, lab: Lab, name: str, plays: int, n: int) -> Exhibit:
    """Show n specimens of a widget one after the other, and let each react without and with the kernel."""
    specimen = SPECIMENS[name]
    setup = SETUP.format(plays=plays, n=n, make=textwrap.indent(specimen.make, "    "))
    write_notebook(lab.folder / FILE, setup, SHOW)
    with notebook(browser, lab, FILE) as opened:
        page, crossed = opened.page, [0]
        page.evaluate(HANDS)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")

        def count(event):
            data = event["response"]["payloadData"]
            crossed[-1] += len(data) if event["response"]["opcode"] == 1 else len(data) * 3 // 4  # base64

        devtools.on("Network.webSocketFrameReceived", count)
        cells = page.locator(".jp-CodeCell")

        def run(i):
            cells.nth(i).locator(".jp-InputPrompt").click()
            page.keyboard.press("Control+Enter")

        run(0)
        expect(cells.nth(0).locator(".jp-InputPrompt")).to_have_text("[1]:", timeout=10 * PATIENCE)
        result = Exhibit([], [], [], 0, 0.0, 0, opened.refused)
        for i in range(n):
            crossed.append(0)
            run(1)
            result.first_draw.append(page.evaluate(DRAWN))
            widget = page.locator(".course-widget:not([data-old])")
            opened.settled(widget)
            crossed.append(0)
            for react, kernel, times in [
                (specimen.repaint, False, result.repaint),
                (specimen.ask, True, result.kernel_step),
            ]:
                times.append(widget.evaluate(REACTED, [react, i, kernel]))
                opened.settled(widget)
            if table := widget.get_by_role("button", name="Show as table").all():
                table[0].click()
            nodes = widget.evaluate("(root) => root.querySelectorAll('*').length")
            result.nodes = max(result.nodes, nodes)
            widget.evaluate("(root) => { root.dataset.old = ''; }")
        making, shown = crossed[0], crossed[1::2]
        result.bytes_over_the_wire = making / n + sum(shown) / n
        opened.save()
        saved = json.loads(opened.path.read_text(encoding="utf-8"))["cells"][1]["outputs"]
        result.bytes_kept = len(json.dumps(saved, ensure_ascii=False).encode())
    lab.stop_kernels()
    return result


def without_specimen() -> list[str]:
    """The widgets of the package that have a front end, but no specimen here yet."""
    fronts = {path.stem for path in Path(widgets.__file__).parent.glob("*.js")} - {"base"}
    return sorted(fronts - set(SPECIMENS))
