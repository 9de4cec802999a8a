"""A specimen of each widget on the real text, and two of its reactions: for the budgets and the benchmark."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import PATIENCE, Lab, notebook, write_notebook
from playwright.sync_api import Browser, expect

from course_utils import widgets

FILE = "gallery/my_work/gallery.ipynb"  # the learner's progress is kept in a folder of this name

SETUP = """\
from course_utils.data import corpora
from course_utils.ngrams.counting import count_ngrams
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
corpus, encode = corpora.shakespeare(), ByteTokenizer().encode
texts = dict(list(corpus.train.items())[:{plays}])
tables = count_ngrams([encode(text) for text in texts.values()], 7, 256)
models = {{n: NGramModel(n).fit_tables(tables) for n in range(1, 8)}}
"""
MAKE = "make = next(makers)\nspecimens = iter([make(i) for i in range({n})])"
SHOW = "next(specimens)"


@dataclass(frozen=True)
class Specimen:
    """A widget as a chapter uses it.

    make: Python that makes the i-th one after SETUP. repaint, ask: JavaScript functions of the widget's root
    and i; the first changes what is drawn without the kernel, the second asks the kernel, if the widget does.
    """

    make: str
    repaint: str
    ask: str = ""


# `fill` sets a field as a person does: the widget hears an input event, then a change.
HANDS = """\
window.fill = (field, value) => {
  field.value = value;
  for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
};
window.press = (root, text) =>
  [...root.querySelectorAll("button")].find((button) => button.textContent === text).click();
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
# Counted from the start of a frame, so that no part of it is the wait for the next one.
REACTED = """async (root, [react, i, kernel]) => {
  await window.frame();
  const start = performance.now();
  eval(react)(root, i);
  if (!kernel) return (await window.afterPaint()) - start;
  if (root.dataset.state === "idle") throw new Error("nothing was asked of the kernel");
  while (root.dataset.state !== "idle") {
    if (performance.now() - start > 60_000) throw new Error("the kernel does not answer");
    await new Promise((done) => setTimeout(done, 1));
  }
  return (await window.painted()) - start;
}"""
WORDS = '["puzzl", "rhym", "awkw", "drea", "swor"][i % 5]'


def sampling_lab(settings: str) -> Specimen:
    return Specimen(
        "import numpy as np\n"
        "from course_utils.widgets.sampling_lab import SamplingLab\n"
        "size = 49_152\n"
        "def next_logits(prompt):\n"
        "    return 2.5 * np.random.default_rng(len(prompt) + i).standard_normal(size, dtype=np.float32)\n"
        "made = SamplingLab(next_logits, [f' token{t}' for t in range(size)], ['To be, or not to be'],\n"
        f"                   encode=lambda prompt: prompt.encode(), {settings})",
        # an input event only: the slider is still held
        """(root, i) => {
          const slider = root.querySelector("[aria-label=temperature]");
          slider.value = 60 + i;
          slider.dispatchEvent(new Event("input"));
        }""",
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    )


SPECIMENS = {
    "attention_explorer": Specimen(
        "import numpy as np\n"
        "from course_utils.widgets.attention_explorer import AttentionExplorer\n"
        "raw = np.tril(np.random.default_rng(i).exponential(size=(12, 12, 32, 32))).astype(np.float32)\n"
        "made = AttentionExplorer([f' token{t}' for t in range(32)], raw / raw.sum(-1, keepdims=True),\n"
        "                         mask=np.tri(32, dtype=bool), scale=0.125,\n"
        "                         predict=lambda edits: [('yes', 0.5 / (1 + len(edits))), ('no', 0.5)])",
        """(root, i) => root.querySelectorAll("[role=option]")[i]
          .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))""",
        "(root, i) => root.querySelectorAll('[role=option]')[i].click()",
    ),
    "completion_bench": Specimen(
        "from course_utils.generation import adapters\n"
        "from course_utils.gpt import GPT, GPTConfig\n"
        "from course_utils.widgets.completion_bench import CompletionBench\n"
        "gpts = {name: GPT(GPTConfig(256, 64, 4, 4, width)) for name, width in [('a', 64), ('b', 128)]}\n"
        "made = CompletionBench({name: adapters.byte_level(gpt) for name, gpt in gpts.items()})\n"
        "for cache in (True, False):\n"
        "    made.write('To be, or not to be', length=200, cache=cache)",
        "(root, i) => fill(root.querySelector('select'), ['b', 'a'][i % 2])",
        """(root) => {
          root.querySelector("textarea").value = "To be";
          press(root, "Write");
        }""",
    ),
    "gate_scope": Specimen(
        "from functools import partial\n"
        "from course_utils.measuring.probing import followers\n"
        "from course_utils.recurrent import trace\n"
        "from course_utils.weights import lstm_recipe\n"
        "from course_utils.widgets.gate_scope import GateScope\n"
        'read = partial(trace, lstm_recipe.build("recorded"))\n'
        "ids = encode(corpus.validation)[:5000]\n"
        "cells = followers(read(ids).cell_state, ids)\n"
        'made = GateScope(read, cells, {"a scene": corpus.validation[2000:2300]})',
        # a press and a move, which the kernel is not told before the release
        """(root, i) => {
          const { left, top } = root.querySelector("canvas").getBoundingClientRect();
          const to = { bubbles: true, clientX: left + 20 * i + 5, clientY: top + 5, buttons: 1 };
          root.querySelector("canvas").dispatchEvent(new PointerEvent("pointermove", to));
        }""",
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
    "gradient_horizon": Specimen(
        "from course_utils.widgets.gradient_horizon import GradientHorizon\n"
        'names = ["RNN", *(f"LSTM, forget bias {b}" for b in (-1, 0, 1, 3))]\n'
        "shrinks = dict(zip(names, (0.5, 0.4, 0.6, 0.8, 0.95)))\n"
        "made = GradientHorizon({name: [x**k for k in range(256)] for name, x in shrinks.items()})",
        # an input event only: the slider is still held
        """(root, i) => {
          const slider = root.querySelector("[type=range]");
          slider.value = 30 + i;
          slider.dispatchEvent(new Event("input"));
        }""",
        "(root, i) => fill(root.querySelector('[type=range]'), 60 + i)",
    ),
    "ngram_explorer": Specimen(
        "from course_utils.widgets.ngram_explorer import from_models\nmade = from_models(models, texts)",
        '(root) => press(root, "+ 100")',
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
    "predict": Specimen(
        "from course_utils.learner.predict import predict\n"
        'made = predict(f"bench.{i}", "Which?", ["this", "that", "another", "none"])',
        "(root) => fill(root.querySelector('input'), 10)",
        """(root) => {
          press(root, "Spread the rest evenly");
          root.querySelector(".pr-place").click();
        }""",
    ),
    "qkv_stepper": Specimen(
        "import numpy as np\n"
        "from course_utils.widgets.qkv_stepper import QKVStepper, attention_steps\n"
        "generator = np.random.default_rng(i)\n"
        "numbers = [np.round(generator.normal(size=size), 1) for size in [(6, 6), *[(6, 4)] * 3]]\n"
        "made = QKVStepper(['a', 'rose', 'is', 'a', 'rose', '.'], *numbers, yours=attention_steps)",
        # the kernel is asked too, for the sentence; all that is drawn comes before it answers
        "(root, i) => root.querySelectorAll('[role=tab]')[1 + i % 6].click()",
        "(root, i) => fill(root.querySelector('[type=number]'), [0.5, -0.5][i % 2])",
    ),
    "quiz": Specimen(
        'from course_utils.learner.quiz import quiz\nmade = quiz("1")',
        "(root, i) => root.querySelectorAll('fieldset')[i].querySelector('input').click()",
        """(root, i) => {
          const question = root.querySelectorAll("fieldset")[i];
          question.querySelector("input").click();
          question.querySelector("button").click();
        }""",
    ),
    "sampling_lab": sampling_lab("temperature=0.8, top_p=0.95"),
    # each works on nearly the whole vocabulary: there is no more to compute
    "sampling_lab_nine": sampling_lab(
        "repetition_penalty=1.2, frequency_penalty=0.5, temperature=0.8, top_k=49_000, top_p=0.9999,\n"
        "                   min_p=1e-7, typical=0.99, epsilon=1e-9, eta=1e-9"
    ),
    "shannon_game": Specimen(
        "from course_utils.learner.progress import ProgressFile\n"
        "from course_utils.learner.shannon_game import shannon_game\n"
        "made = shannon_game(models, ProgressFile(), seed=i)",
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
    "surprise": Specimen(
        "from course_utils.widgets.surprise import Piece, SurpriseLine\n"
        "def read(size):\n"
        "    def pieces(text):\n"
        "        data = text.encode()\n"
        "        cut = [data[at : at + size] for at in range(0, len(data), size)]\n"
        "        return [Piece(part, float(sum(part) % 17), b' the', 0.25) for part in cut]\n"
        "    return pieces\n"
        'made = SurpriseLine({"bytes": read(1), "fours": read(4)}, {"a scene": corpus.test[2000:2200]})',
        # a press and a move, which the kernel is not told before the release
        """(root, i) => {
          const { left, top } = root.querySelector("canvas").getBoundingClientRect();
          const to = { bubbles: true, clientX: left + 20 * i + 5, clientY: top + 5, buttons: 1 };
          root.querySelector("canvas").dispatchEvent(new PointerEvent("pointermove", to));
        }""",
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
    "token_tree": Specimen(
        "import numpy as np\n"
        "from course_utils.widgets.token_tree import TokenTree\n"
        "def next_log_probs(ids):\n"
        "    logits = 3 * np.random.default_rng([i, *ids]).normal(size=49_152)\n"
        "    return logits - np.log(np.exp(logits).sum())\n"
        "made = TokenTree(next_log_probs, [f' token{t}' for t in range(49_152)], 'To be, or')\n"
        "made.handle({'width': 8, 'steps': 2})\n"
        "made.show()",
        """(root, i) => root.querySelector("[role=tree]")
          .dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }))""",
        '(root) => press(root, "Step")',
    ),
    "tokenizer_bench": Specimen(
        "from course_utils.tokenizers import BPETokenizer\n"
        "from course_utils.widgets.tokenizer_bench import TokenizerBench, byte_tokens\n"
        "own = BPETokenizer.train(next(iter(texts.values())), 256 + 500)\n"
        "verses = {name: [text[:500]] for name, text in list(corpus.train.items())[:5]}\n"
        'made = TokenizerBench(own.merges, {"fast": byte_tokens(own.fast())}, verses,\n'
        '                      {"line": "To be, or not to be, that is the question:"})',
        "(root, i) => fill(root.querySelector('select'), ['bytes', 'id'][i % 2])",
        f"(root, i) => fill(root.querySelector('textarea'), {WORDS})",
    ),
    "training_view": Specimen(
        "import math\n"
        "from course_utils.training import StepReport\n"
        "from course_utils.widgets.training_view import TrainingView\n"
        'made = TrainingView(8000, "An LSTM", "Twelfth Night, bits a byte", "byte")\n'
        "for step in range(1, 8001):\n"
        "    bits = 2 + 6 * math.exp(-step / 500)\n"
        "    seen = step, 8000, bits * math.log(2), 2.5 - step // 200 / 100, 1e-3, 30_000.0, 1.0\n"
        "    made(StepReport(*seen, evaluated=step // 200 * 200))",
        '(root) => press(root, "Show as table")',
    ),
}


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
    makers = [
        f"def {name}(i):\n{textwrap.indent(specimen.make, '    ')}\n    return made\n"
        for name, specimen in specimens.items()
    ]
    setup = SETUP.format(plays=plays) + "".join(makers) + f"makers = iter([{', '.join(specimens)}])"
    write_notebook(lab.folder / FILE, setup, MAKE.format(n=n), SHOW)
    with notebook(browser, lab, FILE) as opened:
        page, cells, crossed = opened.page, opened.page.locator(".jp-CodeCell"), [0]
        page.evaluate(HANDS)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")

        def count(event):
            data = event["response"]["payloadData"]
            crossed[0] += len(data) if event["response"]["opcode"] == 1 else len(data) * 3 // 4  # base64

        devtools.on("Network.webSocketFrameReceived", count)

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
            result, crossed[0] = Exhibit([], [], [], 0, 0, 0, opened.refused), 0
            run(1, 2 + at * (n + 1))
            for i in range(n):
                start(2)
                result.first_draw.append(page.evaluate(DRAWN))
                widget = page.locator(".course-widget:not([data-old])")
                opened.settled(widget)
                result.bytes_over_the_wire += crossed[0] // n
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
                crossed[0] = 0  # what reactions took is not counted
            opened.save()
            kept = json.loads(opened.path.read_text(encoding="utf-8"))["cells"][2]["outputs"]
            result.bytes_kept = len(json.dumps(kept, ensure_ascii=False).encode())
            yield name, result


def without_specimen() -> list[str]:
    """The widgets of the package that have a front end, but no specimen here yet."""
    scripts = Path(widgets.__file__).parent.glob("*.js")
    fronts = {path.stem for path in scripts if "export default" in path.read_text(encoding="utf-8")}
    return sorted(fronts - set(SPECIMENS))
