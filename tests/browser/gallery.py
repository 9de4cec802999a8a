"""A specimen of each widget on the real text: what the browser contract, and the benchmark, need of it.

A new widget joins the contract by standing in SPECIMENS.
"""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import course_utils

SETUP = """\
import numpy as np
from course_utils.data import corpora
from course_utils.ngrams.counting import count_ngrams
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
corpus, encode = corpora.shakespeare(), ByteTokenizer().encode
texts = dict(list(corpus.train.items())[:{plays}])
tables = count_ngrams([encode(text) for text in texts.values()], 7, 256)
models = {{n: NGramModel(n).fit_tables(tables) for n in range(1, 8)}}
held_out = corpus.validation[: 1400 * {plays}]  # with all 36 plays more than the smoothing lab scores
"""

# Texts that break a page which takes them for markup, or a line which takes them for one character each.
SCRIPT = "</script><script>window.pwned = 1</script>"
IMAGE = "<img src=x onerror='window.pwned = 1'>"
HEBREW, FAMILY = "שלום", "👩‍👩‍👧"
ODD = [SCRIPT, IMAGE, HEBREW, FAMILY, "", "\udcc3", "a", "a", '"', "'", "🦜", "\0", "\u0301", "\n", "x" * 999]
LONG, HALF = "x" * 10_000, "to \ud83d"  # HALF a character, which no model can read


@dataclass(frozen=True)
class Specimen:
    """A widget as a chapter uses it.

    make: Python that makes the i-th one, after SETUP and after `once`, which all of them share. repaint, ask:
    JavaScript functions of the widget's root and i; the first changes what is drawn without the kernel, the
    second asks the kernel, if the widget does.

    states: JavaScript functions of the root, each of which gives it another look; the contract sees them all.
    texts: how many texts it shows at least, with its table: fewer, and the check of their contrast would have
    seen too little. narrow: widths of pages that it fits, px.
    hostile: Python that makes one of the list `odd`, all of which it shows: the first `n_odd` of ODD, as many
    as it has places for (the worst come first).
    typed: what it says to texts in its field. enter: JavaScript function of the root that sends the text.
    """

    make: str
    repaint: str
    ask: str = ""
    states: tuple[str, ...] = ()
    texts: int = 50
    narrow: tuple[int, ...] = (600,)
    hostile: str = ""
    n_odd: int = len(ODD)
    typed: dict[str, str] = field(default_factory=dict)
    enter: str = ""
    once: str = ""


def setup(plays: int, specimens: dict[str, Specimen]) -> str:
    """Python that counts so many plays, and defines a function of each specimen's name that makes one."""
    makers = []
    for name, specimen in specimens.items():
        body = specimen.make
        if specimen.hostile:
            body += f"\nif odd:\n{textwrap.indent(specimen.hostile, '    ')}"
        made = textwrap.indent(f"{body}\nreturn made", "    ")
        makers.append(f"{specimen.once}\ndef {name}(i, odd=None):\n{made}\n")
    return SETUP.format(plays=plays) + "".join(makers)


# `fill` sets a field as a person does: the widget hears an input event, then a change. `hold` moves a slider
# and doesn't let go.
HANDS = """\
window.hold = (slider, value) => {
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
window.fill = (field, value) => {
  field.value = value;
  for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
};
window.press = (root, text) =>
  [...root.querySelectorAll("button")].find((button) => button.textContent === text).click();
"""
WORDS = '["puzzl", "rhym", "awkw", "drea", "swor"][i % 5]'
TYPE = f"(root, i) => fill(root.querySelector('textarea'), {WORDS})"
# an input event only: the slider is still held
HOLD = "(root, i) => hold(root.querySelector('[type=range]'), 30 + i)"
# a press and a move, which the kernel is not told before the release
DRAG = """(root, i) => {
  const { left, top } = root.querySelector("canvas").getBoundingClientRect();
  const to = { bubbles: true, clientX: left + 20 * i + 25, clientY: top + 5, buttons: 1 };
  root.querySelector(".cw-strips").hasPointerCapture = () => true; // of a pointer that a script can't press
  root.querySelector("canvas").dispatchEvent(new PointerEvent("pointermove", to));
}"""
MIXED = "(root) => fill(root.querySelector('textarea'), 'to be or not to be, un café 🦜 שלום')"


def sampling_lab(settings: str) -> Specimen:
    return Specimen(
        "from course_utils.widgets.sampling_lab import SamplingLab\n"
        "size = 49_152\n"
        "def next_logits(prompt):\n"
        "    return 2.5 * np.random.default_rng(len(prompt) + i).standard_normal(size, dtype=np.float32)\n"
        "made = SamplingLab(next_logits, [f' token{t}' for t in range(size)], ['To be, or not to be'],\n"
        f"                   encode=lambda prompt: prompt.encode(), {settings})",
        # an input event only: the slider is still held
        "(root, i) => hold(root.querySelector('[aria-label=temperature]'), 60 + i)",
        TYPE,
        states=(
            "(root) => fill(root.querySelectorAll('[type=text]')[0], '-1')",  # refused in words
            "(root) => press(root, 'Draw 100')",
        ),
        texts=200,
        hostile="""\
tokens = [*odd, *(f" t{i}" for i in range(40))]
logits = np.linspace(4, -4, len(tokens))
made = SamplingLab(lambda prompt: logits, tokens, odd[:1], encode=lambda prompt: [0])""",
    )


SPECIMENS = {
    "adapter_lab": Specimen(
        "from course_utils.widgets.adapter_lab import AdapterLab\n"
        "draws = np.random.default_rng(i)\n"
        "before, inputs = draws.normal(size=(2, 96, 96))\n"
        "change = draws.normal(size=(96, 96)) * np.geomspace(1, 1e-3, 96)\n"
        "made = AdapterLab('the queries of block 3', before, before + change, inputs)",
        HOLD,
        "(root, i) => fill(root.querySelector('[type=range]'), 20 + i)",
        texts=30,
        hostile="before = np.eye(4)\nmade = AdapterLab(odd[0], before, 2 * before, before)",
        n_odd=1,
    ),
    "attention_explorer": Specimen(
        "from course_utils.widgets.attention_explorer import AttentionExplorer\n"
        "raw = np.tril(np.random.default_rng(i).exponential(size=(12, 12, 32, 32))).astype(np.float32)\n"
        "made = AttentionExplorer([f' token{t}' for t in range(32)], raw / raw.sum(-1, keepdims=True),\n"
        "                         mask=np.tri(32, dtype=bool), scale=0.125,\n"
        "                         predict=lambda edits: [('yes', 0.5 / (1 + len(edits))), ('no', 0.5)])",
        """(root, i) => root.querySelectorAll("[role=option]")[i]
          .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))""",
        "(root, i) => root.querySelectorAll('[role=option]')[i].click()",
        states=("(root) => press(root, 'Do it')",),
        texts=100,
        hostile="""\
raw = np.random.default_rng(0).exponential(size=(2, 2, len(odd), len(odd)))
made = AttentionExplorer(odd, raw / raw.sum(-1, keepdims=True), sinks={odd[1]: [0]},
                         predict=lambda edits: [(text, 1 / len(odd)) for text in odd])""",
    ),
    "before_after": Specimen(
        "import torch\n"
        "from course_utils.finetuning.answering import Answerer, byte_level\n"
        "from course_utils.finetuning.lora import WithoutAdapters, add_lora, lora_layers\n"
        "from course_utils.gpt import GPT, GPTConfig\n"
        "from course_utils.widgets.before_after import BeforeAfter\n"
        "torch.manual_seed(i)\n"
        "model = add_lora(GPT(GPTConfig(256, 256, 2, 4, 64)), rank=4, alpha=8)\n"
        "for _, layer in lora_layers(model):\n"
        "    torch.nn.init.normal_(layer.B)\n"
        "both = {'before': byte_level(WithoutAdapters(model)), 'after': byte_level(model)}\n"
        "made = BeforeAfter(both, {'a play': 'To be, or not to be', 'an order': 'Mara would like pears.'})\n"
        "for step in range(1, 9):\n"
        "    made.handle({'step': step})\n"
        "made.show()",
        "(root) => press(root, '◀ Back')",
        "(root) => press(root, 'Step ▶')",
        states=("(root) => press(root, 'an order')", MIXED, "(root) => press(root, 'Write')"),
        texts=40,
        narrow=(600, 420),
        hostile="""\
def spoken(model):
    return Answerer(model, lambda text: [0], lambda ids: "".join(odd[i] for i in ids), "odd")
both = dict(zip(odd, (spoken(GPT(GPTConfig(len(odd), 64, 1, 1, 8))) for _ in range(2))))
made = BeforeAfter(both, dict(zip(odd, odd)))
made.write()""",
        n_odd=4,
        typed={
            "": "a prompt must have at least one token",
            LONG: "the last 1,000 are read",
            SCRIPT: "To “</script><script>window",
            FAMILY: f"To “{FAMILY}”",
            HEBREW: f"To “{HEBREW}”",
        },
        enter="(root) => press(root, 'Step ▶')",
    ),
    "completion_bench": Specimen(
        "import torch\n"
        "from course_utils.generation import adapters\n"
        "from course_utils.generation.writing import Ending, Writer\n"
        "from course_utils.gpt import GPT, GPTConfig\n"
        "from course_utils.widgets.completion_bench import CompletionBench\n"
        "torch.manual_seed(i)\n"
        "gpts = {name: GPT(GPTConfig(256, 64, 4, 4, width)) for name, width in [('a', 64), ('b', 128)]}\n"
        "made = CompletionBench({name: adapters.byte_level(gpt) for name, gpt in gpts.items()})\n"
        "for cache in (True, False):\n"
        "    made.write('To be, or not to be', length=100, cache=cache)",
        "(root, i) => fill(root.querySelector('select'), ['b', 'a'][i % 2])",
        """(root) => {
          root.querySelector("textarea").value = "To be";
          press(root, "Write");
        }""",
        hostile="""\
def write(ids, settings, report):
    report("".join(odd))
    return Ending("length")
writer = Writer(lambda prompt: [0], write, context=1, weights=1, cache=1, chats=True)
made = CompletionBench({text: writer for text in odd})
made.write(odd[0])""",
        n_odd=4,
        typed={
            "": "there is nothing to go on from: type something first",
            LONG: "the last 8,000 are read",
            SCRIPT: "continues “</script><script>window",
            FAMILY: f"a continues “{FAMILY}” with",
            HEBREW: f"a continues “{HEBREW}” with",
        },
        enter="(root) => press(root, 'Write')",
    ),
    "corruption_builder": Specimen(
        "from course_utils.seq2seq.corruptions import corruptions, drawn_spans\n"
        "from course_utils.seq2seq.objectives import put_together\n"
        "from course_utils.widgets.corruption_builder import CorruptionBuilder\n"
        "words = next(iter(texts.values())).split()[2 : 28 + i]\n"
        "made = CorruptionBuilder(words, corruptions, drawn_spans, put_together, [(2, 5), (9, 9), (20, 22)])",
        # the kernel is asked too, for the sentence; all that is drawn comes before it answers
        "(root, i) => root.querySelectorAll('[role=option]')[7 + i].click()",
        "(root) => press(root, 'Draw spans')",
        states=(
            "(root) => press(root, 'Hide nothing')",
            """(root) => {
              press(root, "Put together again");
              for (const place of [3, 4, 9]) root.querySelectorAll("[role=option]")[place].click();
            }""",
        ),
        texts=150,
        narrow=(600, 420),
        hostile="made = CorruptionBuilder(odd, corruptions, drawn_spans, put_together, [(1, 3), (4, 4)])",
    ),
    "data_desk": Specimen(
        "from course_utils.pretraining.filters.judging import Judged\n"
        "from course_utils.widgets.data_desk import DataDesk\n"
        "names = ['duplicates', 'language', 'personal data', 'quality', 'contamination', 'near-duplicates']\n"
        "pieces = [corpus.validation[400 * k : 400 * k + 300 + k] for k in range(120)]\n"
        "says = lambda k, f: f'reason {k} of {names[f]}' if (k + f) % 11 == i % 11 else None\n"
        "made = DataDesk([Judged(text, f'scene {k}', {name: says(k, f) for f, name in enumerate(names)},\n"
        "                        ['', *names][k % 7] if k % 3 else '') for k, text in enumerate(pieces)])",
        # the kernel is told too, for its state; all that is drawn comes before it answers
        "(root, i) => root.querySelectorAll('[role=option]')[2 + i].click()",
        "(root) => press(root, 'Drop it')",
        states=(
            "(root) => press(root, 'Drop it')",
            "(root) => fill(root.querySelector('select'), 'wrong')",
            "(root) => fill(root.querySelector('select'), 'overruled')",
            "(root) => press(root, 'Take my verdicts back')",  # and the list is empty
        ),
        texts=80,
        narrow=(600, 420, 360),
        hostile="made = DataDesk([Judged(text, text, {name: text for name in odd}, odd[0]) for text in odd])",
        n_odd=4,
    ),
    "gate_scope": Specimen(
        'made = GateScope(read, cells, {"a scene": corpus.validation[2000:2300]})',
        DRAG,
        TYPE,
        states=(MIXED,),
        texts=100,
        hostile="""\
watched = {cell: (text, 0.5) for cell, text in enumerate(odd)}
made = GateScope(read, watched, dict(zip(odd, odd)))""",
        n_odd=4,
        typed={
            "": "Before the first of 0 bytes",
            LONG: "After byte 300 of 300",
            SCRIPT: "After byte 42 of 42, “>”",
            FAMILY: "After byte 18 of 18, “‹A7›”",
            HEBREW: "After byte 8 of 8, “‹9D›”",
        },
        once="""\
from functools import partial
from course_utils.measuring.probing import followers
from course_utils.recurrent import trace
from course_utils.weights import lstm_recipe
from course_utils.widgets.gate_scope import GateScope
read = partial(trace, lstm_recipe.build("recorded"))
ids = encode(corpus.validation)[:5000]
cells = followers(read(ids).cell_state, ids)""",
    ),
    "gradient_horizon": Specimen(
        "from course_utils.widgets.gradient_horizon import GradientHorizon\n"
        'names = ["RNN", *(f"LSTM, forget bias {b}" for b in (-1, 0, 1, 3))]\n'
        "shrinks = dict(zip(names, (0.5, 0.4, 0.6, 0.8, 0.95)))\n"
        "made = GradientHorizon({name: [x**k for k in range(256)] for name, x in shrinks.items()})",
        HOLD,
        "(root, i) => fill(root.querySelector('[type=range]'), 60 + i)",
        hostile="made = GradientHorizon({text: [0.9**k for k in range(9)] for text in odd})",
        n_odd=4,
    ),
    "isoflop_planner": Specimen(
        "from course_utils.weights import chinchilla_recipe\n"
        "from course_utils.widgets.isoflop_planner import IsoflopPlanner\n"
        "named, resamples = chinchilla_recipe.laws()\n"
        "laws = [[law.E, law.A, law.B, law.alpha, law.beta] for law in [named['240 runs'], *resamples]]\n"
        "made = IsoflopPlanner(laws, budget=21.0 + i)",
        "(root, i) => hold(root.querySelector('[aria-label=parameters]'), 100 + 20 * i)",
        "(root, i) => fill(root.querySelector('[aria-label=budget]'), 10 + i)",
        states=(
            "(root) => fill(root.querySelector('[aria-label=\"tokens to be served\"]'), 5)",
            "(root) => fill(root.querySelector('[aria-label=parameters]'), 300)",  # the use costs it all
            "(root) => fill(root.querySelector('[aria-label=\"tokens to be served\"]'), 9)",  # refused
        ),
        texts=80,
        narrow=(600, 420),
        hostile="made = IsoflopPlanner(laws, currency=odd[0])",
        n_odd=1,
    ),
    "law_fitter": Specimen(
        "from course_utils.widgets.law_fitter import LawFitter\n"
        "x = np.logspace(4, 6, 9)\n"
        "loss = (1.8 + 22 / x**0.25) * np.exp(0.004 * np.random.default_rng(i).normal(size=9))\n"
        "made = LawFitter(x, loss, 1e8, 'bytes read', truth=1.8 + 22 / 1e2)",
        "(root, i) => hold(root.querySelector('[type=range]'), 500 + 20 * i)",
        "(root, i) => root.querySelectorAll('[role=option]')[2 + i % 3].click()",
        states=(
            "(root) => root.querySelectorAll('[type=checkbox]')[0].click()",
            "(root) => press(root, 'What came there?')",
            "(root) => root.querySelectorAll('[type=checkbox]')[1].click()",
        ),
        texts=40,
        narrow=(600, 420),
        hostile="made = LawFitter(x, loss, 1e8, odd[0])",
        n_odd=1,
    ),
    "mask_viewer": Specimen(
        "from course_utils.widgets.mask_viewer import MaskViewer\n"
        "def lay_out(question, answer):\n"
        "    template = [(word, 'template') for word in ('<|im_start|>', 'user', '\\n')]\n"
        "    asked = [(c, 'question') for c in question]\n"
        "    return [*template, *asked, *template, *((c, 'answer') for c in answer), ('<|im_end|>', 'end')]\n"
        "made = MaskViewer(lay_out, 'Where does the sun set?', 'In the west.')",
        """(root, i) => {
          const wrong = ["all labels are −100", "the end has no label"];
          fill(root.querySelector("select"), wrong[i % 2]);
        }""",
        TYPE,
        states=("(root) => fill(root.querySelector('select'), 'the prompt has labels too')", MIXED),
        hostile="made = MaskViewer(lambda question, answer: [(text, 'answer') for text in odd], *odd[:2])",
        typed={
            "": "19 tokens, of which",
            LONG: "139 tokens, of which",
            SCRIPT: "61 tokens, of which",
            FAMILY: "24 tokens, of which",
            HEBREW: "23 tokens, of which",
        },
    ),
    "masking_figure": Specimen(
        "import torch\n"
        "from types import SimpleNamespace\n"
        "from course_utils.bert import BertConfig, BertForMaskedLM\n"
        "from course_utils.bert.reader import MaskedReader\n"
        "from course_utils.ngrams.bidirectional import BidirectionalNGram\n"
        "from course_utils.tokenizers import WordPieceTokenizer, wordpiece\n"
        "from course_utils.widgets.masking_figure import MaskingFigure\n"
        "play = next(iter(texts.values()))[:20_000]\n"
        "special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']\n"
        "tokenizer = WordPieceTokenizer([*special, *sorted({*wordpiece.words(play)})])\n"
        "ids = tokenizer.encode(play)\n"
        "asked = np.arange(len(ids)) % 9 == 0\n"
        "counts = BidirectionalNGram(tokenizer.vocab_size, 4).fit([ids])\n"
        "counts.fit_weights([ids], [asked], ids[asked])\n"
        "torch.manual_seed(i)\n"
        "bert = BertForMaskedLM(BertConfig(tokenizer.vocab_size, 32, 2, 2, 64))\n"
        "verses = [line for line in play.splitlines() if len(line) > 30][:4]\n"
        "made = MaskingFigure(MaskedReader(bert, tokenizer, counts), [*verses, play[:900]], draw=i)",
        # the kernel is asked too, for the sentence; all that is drawn comes before it answers
        "(root, i) => root.querySelectorAll('[role=option]')[4 + i % 3].click()",
        '(root) => press(root, "Draw a new mask")',
        states=(
            "(root) => root.querySelectorAll('.mf-piece')[3].click()",
            "(root) => { for (let i = 0; i < 4; i++) press(root, 'Sentence ▶'); }",
        ),
        texts=100,
        narrow=(600, 420),
        hostile="""\
n = len(odd)
ids = np.array([n, *range(n), n])
same = lambda inputs, places: np.full((len(places), n + 2), 1 / (n + 2))
reader = SimpleNamespace(
    tokens=[*odd, "[CLS]", "[MASK]"], special=np.arange(n + 2) >= n, mask=n + 1, longest=64,
    encode=lambda text: ids, fill=same, fill_from_left=same,
    corrupt=lambda ids, draws: (np.tile(ids, (draws, 1)), np.tile(np.where(ids < n, ids, -100), (draws, 1))))
made = MaskingFigure(reader, odd)""",
        typed={
            "": "There is nothing to mask",
            LONG: "the first 1,000 are read",
            SCRIPT: "can't be put together from the vocabulary",
            FAMILY: "There is nothing to mask",
            HEBREW: "There is nothing to mask",
        },
    ),
    "meaning_map": Specimen(
        "import torch\n"
        "from course_utils import pretrained\n"
        "from course_utils.bert import Bert, BertConfig\n"
        "from course_utils.bert.occurrences import occurrences, word_vectors\n"
        "from course_utils.data.evaluations import word_senses\n"
        "from course_utils.widgets.meaning_map import MeaningMap\n"
        "torch.manual_seed(i)\n"
        "senses, tokenizer = word_senses('bank'), pretrained.bert_tokenizer()\n"
        "places = occurrences([each.sentence for each in senses], 'bank')\n"
        "body = Bert(BertConfig(tokenizer.vocab_size, 16, 3, 2, 32))\n"
        "vectors = word_vectors(body, tokenizer, places).numpy()\n"
        "made = MeaningMap(vectors, places, [each.sense for each in senses])",
        "(root, i) => root.querySelectorAll('[role=option]')[i + 1].click()",
        "(root, i) => fill(root.querySelector('[type=range]'), i % 3)",
        states=("(root) => fill(root.querySelector('select'), root.querySelectorAll('option')[1].value)",),
        texts=150,
        narrow=(600, 420),
        hostile="""\
vectors = np.random.default_rng(0).normal(size=(2, len(odd), 5))
places = [(f"{text} bank {text}", len(text) + 1, len(text) + 5) for text in odd]
made = MeaningMap(vectors, places, odd)""",
        n_odd=4,
    ),
    "ngram_explorer": Specimen(
        "from course_utils.widgets import ngram_explorer\nmade = ngram_explorer.from_models(models, texts)",
        '(root) => press(root, "+ 100")',
        TYPE,
        states=("(root) => fill(root.querySelector('textarea'), 'not to be, zebra')",),  # not all saw it
        texts=80,
        narrow=(900,),
        hostile="""\
p = np.arange(len(odd), 0, -1)
made = ngram_explorer.NGramExplorer(
    {text: lambda context, order: (odd, p / p.sum(), p) for text in odd[:3]},
    {text: lambda context, order, n, seed: "".join(odd) for text in odd[:3]},
    lambda text: [(0, 4, odd[1])], orders=[1, 2], order=2, context="".join(odd))""",
        n_odd=8,
        typed={
            "": "looks at no context",
            LONG: "the last 200 are",
            SCRIPT: "“ript>”",
            FAMILY: "‹91›‹A7›”, never counted",
            HEBREW: "‹D7›‹9D›”, never counted",
        },
    ),
    "predict": Specimen(
        "from course_utils.learner.predict import predict\n"
        'made = predict(f"bench.{i}", "Which?", ["this", "that", "another", "none"])',
        "(root) => fill(root.querySelector('input'), 10)",
        """(root) => {
          press(root, "Spread the rest evenly");
          root.querySelector(".pr-place").click();
        }""",
        texts=30,
        hostile='made = predict("odd", odd[0], odd)\nmade.settle(odd[1])',
        n_odd=4,
    ),
    "preference_simplex": Specimen(
        "from course_utils.widgets.preference_simplex import PreferenceSimplex\n"
        "made = PreferenceSimplex(['helpful', 'short', 'rude'], [1 - 0.1 * i, 0, -1])",
        HOLD,
        "(root, i) => fill(root.querySelector('[type=range]'), 60 + i)",
        texts=40,
        narrow=(600, 420),
        hostile="made = PreferenceSimplex(odd)",
        n_odd=3,
    ),
    "qkv_stepper": Specimen(
        "from course_utils.widgets.qkv_stepper import QKVStepper, attention_steps\n"
        "generator = np.random.default_rng(i)\n"
        "numbers = [np.round(generator.normal(size=size), 1) for size in [(6, 6), *[(6, 4)] * 3]]\n"
        "def mine(*given):\n"
        "    steps = attention_steps(*given)\n"
        "    return steps | {'scaled': steps['scores'] / 4}\n"  # its marks are to be seen too
        "made = QKVStepper(['a', 'rose', 'is', 'a', 'rose', '.'], *numbers, yours=mine)",
        # the kernel is asked too, for the sentence; all that is drawn comes before it answers
        "(root, i) => root.querySelectorAll('[role=tab]')[1 + i % 6].click()",
        "(root, i) => fill(root.querySelector('[type=number]'), [0.5, -0.5][i % 2])",
        states=tuple(f"(root) => root.querySelectorAll('[role=tab]')[{step}].click()" for step in range(7)),
        hostile="made = QKVStepper(odd, *numbers, causal=False, yours=lambda *given: {'q': odd})",
        n_odd=6,
    ),
    "quiz": Specimen(
        "from course_utils.learner.quiz import Quiz, quiz\n"
        "from course_utils.learner.quizzes import Choice, Question\n"
        'made = quiz("1")',
        "(root, i) => root.querySelectorAll('fieldset')[i].querySelector('input').click()",
        """(root, i) => {
          const question = root.querySelectorAll("fieldset")[i];
          question.querySelector("input").click();
          question.querySelector("button").click();
        }""",
        texts=40,
        hostile="""\
choices = tuple(Choice(text, text, right=text == odd[0]) for text in odd)
made = Quiz(odd[0], {"odd": Question("0.odd", odd[1], odd[2], choices)}, made._snapshot, odd[1])""",
        n_odd=4,
    ),
    "report_card": Specimen(
        "from course_utils.pretraining.reports import Number, Report\n"
        "from course_utils.widgets.report_card import ReportCard\n"
        "says = 'of 240 questions, fixed before training', 'whether it is of use'\n"
        "def model(k):\n"
        "    bits = [Number(f'bits of {name}', 2 + k / 9, 'bits', *says) for name in ('a play', 'reviews')]\n"
        "    shares = [Number(name, 0.3 + k / 9, 'share', *says, 0.2 + k / 9, 0.4 + k / 9, 0.25, 240)\n"
        "              for name in ('which line comes next', 'orders', 'addition', 'stops by itself')]\n"
        "    said = [[corpus.test[60 * n : 60 * n + 50]] * 2 for n in range(9)]\n"
        "    return Report(bits + shares, [f'It fails in {k}.'], said)\n"
        "counted = Report(model(3).numbers[:2])\n"
        "made = ReportCard({'before tuning': model(i), 'as it chats': model(i + 1), 'a 5-gram': counted})",
        # shares, which those models have that have examples too
        "(root, i) => root.querySelectorAll('[role=option]')[6 + i].click()",
        "(root) => root.querySelector('[aria-label=\"more examples\"]').click()",
        states=(
            "(root) => press(root, 'As Markdown')",
            "(root) => fill(root.querySelector('select'), 'a 5-gram')",  # which has not all numbers
        ),
        texts=60,
        narrow=(600, 420, 360),
        hostile="""\
numbers = [Number(text, 0.5, "share", text, text, 0.4, 0.6, 0.5, 9) for text in odd]
made = ReportCard({text: Report(numbers, odd, [[text, text]]) for text in odd})""",
        n_odd=4,
    ),
    "run_monitor": Specimen(
        "from course_utils.widgets.run_monitor import RunMonitor\n"
        "draws = np.random.default_rng(i)\n"
        "losses = 2 + 6 * np.exp(-np.arange(5000) / 600) + draws.normal(scale=0.03, size=5000)\n"
        "losses[[900, 2500]] += 2\n"
        "bits = [[k, k / 9, 2 + 300 / k] for k in range(100, 5001, 100)]\n"
        "whole = {'losses': losses.tolist(), 'evaluations': bits, 'flops': 1e15, 'restarts': [3000],\n"
        "         'seconds': 560.0, 'tokens': 5000 * 4096}\n"
        "half = {'losses': losses[:800].tolist(), 'steps': 5000, 'seconds': 90.0, 'tokens': 800 * 4096}\n"
        "gone = half | {'losses': [*half['losses'], float('nan')]}\n"
        "made = RunMonitor({'rate 0.02': whole, 'rate 3': gone, 'goes on': half})",
        "(root, i) => root.querySelectorAll('[type=checkbox]')[1 + i].click()",
        "(root, i) => root.querySelectorAll('[type=radio]')[1 + i % 2].click()",
        states=(
            "(root) => fill(root.querySelector('select'), 'FLOPs')",  # of two runs they are not known
            "(root) => root.querySelector('[type=checkbox]').click()",
            "(root) => fill(root.querySelector('select'), 'seconds')",
        ),
        texts=50,
        narrow=(600, 420, 360),
        hostile="made = RunMonitor({text: {'losses': [2.0, 1.0], 'diverged': text} for text in odd})",
        n_odd=4,
    ),
    "sampling_lab": sampling_lab("temperature=0.8, top_p=0.95"),
    # each works on nearly the whole vocabulary: there is no more to compute
    "sampling_lab_nine": sampling_lab(
        "repetition_penalty=1.2, frequency_penalty=0.5, temperature=0.8, top_k=49_000, top_p=0.9999,\n"
        "                   min_p=1e-7, typical=0.99, epsilon=1e-9, eta=1e-9"
    ),
    "sealed_prediction": Specimen(
        "from course_utils.learner.sealed_prediction import SealedPrediction\n"
        'made = SealedPrediction(f"sealed.{i}", "What will it lose?", [2.0, 2.1, 2.2], lambda: 2.15)',
        "(root) => fill(root.querySelector('input'), 10)",
        """(root) => {
          press(root, "Spread the rest evenly");
          root.querySelector(".pr-place").click();
        }""",
        states=(
            """(root) => {
              press(root, "Spread the rest evenly");
              root.querySelector(".pr-place").click();
            }""",
            "(root) => root.querySelector('.sp-run').click()",
        ),
        texts=30,
        hostile='made = SealedPrediction("sealed.odd", odd[0], [2.0, 2.1], lambda: 2.05)',
        n_odd=1,
    ),
    "shannon_game": Specimen(
        "from course_utils.learner.passages import GameText, Passage\n"
        "from course_utils.learner.progress import ProgressFile\n"
        "from course_utils.learner.shannon_game import ShannonGame, shannon_game\n"
        "made = shannon_game(models, ProgressFile(), seed=i)",
        "(root) => fill(root.querySelector('.sg-input'), 'z')",
        '(root) => press(root, "I know this one")',
        states=("(root) => fill(root.querySelector('.sg-input'), 'e')", "(root) => press(root, 'Show me')"),
        hostile="""\
passages = [Passage("odd", odd[0], "".join(odd) + 60 * "x", "".join(odd))]
alphabet = "".join(dict.fromkeys("".join(odd)))
bits = lambda context, hidden: np.ones((2, len(hidden)))
text = GameText(passages, alphabet, odd[:2], bits)
made = ShannonGame({odd[0]: text, odd[1]: text}, ProgressFile())""",
        n_odd=4,
    ),
    "smoothing_lab": Specimen(
        "from course_utils.widgets import smoothing_lab\n"
        "lab = lambda **given: smoothing_lab.from_tables(\n"
        "    tables, held_out, methods=smoothing_lab.METHODS, **given)\n"
        "made = lab(held_out_name='Twelfth Night')",
        HOLD,
        TYPE,
        texts=150,
        narrow=(800,),
        hostile="made = lab(held_out_name=odd[1], examples=dict(zip(odd, odd)))",
        n_odd=4,
        typed={
            "": "Order 3 after no context",
            LONG: "never counted",
            SCRIPT: "Order 3 after “t>”",
            FAMILY: "Order 3 after “‹91›‹A7›”",
            HEBREW: "Order 3 after “‹D7›‹9D›”",
        },
    ),
    "surprise": Specimen(
        "from course_utils.widgets.surprise import Piece, SurpriseLine\n"
        "def read(size, guess=b' the'):\n"
        "    def pieces(text):\n"
        "        data = text.encode()\n"
        "        cut = [data[at : at + size] for at in range(0, len(data), size)]\n"
        "        return [Piece(part, float(sum(part) % 17), guess, 0.25) for part in cut]\n"
        "    return pieces\n"
        'made = SurpriseLine({"bytes": read(1), "fours": read(4)}, {"a scene": corpus.test[2000:2200]})',
        DRAG,
        TYPE,
        states=(MIXED,),
        texts=60,
        hostile="made = SurpriseLine({text: read(1, text.encode()) for text in odd}, dict(zip(odd, odd)))",
        n_odd=4,
        typed={
            "": "nothing to be surprised at",
            LONG: "over 240 bytes",
            SCRIPT: "over 42 bytes",
            FAMILY: "over 18 bytes",
            HEBREW: "over 8 bytes",
        },
    ),
    "token_tree": Specimen(
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
        states=('(root) => press(root, "Step")', '(root) => press(root, "To the end")'),
        texts=100,
        narrow=(700, 420),
        hostile="""\
made = TokenTree(lambda ids: np.full(len(odd), -np.log(len(odd))), odd, odd[0])
made.handle({'wanted': [[[], len(odd)]]})
made.show()""",
    ),
    "tokenizer_bench": Specimen(
        "from course_utils.tokenizers import BPETokenizer\n"
        "from course_utils.widgets.tokenizer_bench import TokenizerBench, byte_tokens\n"
        "own = BPETokenizer.train(next(iter(texts.values())), 256 + 500)\n"
        "fast = byte_tokens(own.fast())\n"
        "verses = {name: [text[:500]] for name, text in list(corpus.train.items())[:5]}\n"
        'made = TokenizerBench(own.merges, {"fast": fast}, verses,\n'
        '                      {"line": "To be, or not to be, that is the question:"})',
        "(root, i) => fill(root.querySelector('select'), ['bytes', 'id'][i % 2])",
        TYPE,
        states=(MIXED, "(root) => root.querySelectorAll('[role=option]')[1].click()"),
        texts=100,
        hostile="""\
spoken = {text: ["to be"] for text in odd}
made = TokenizerBench(own.merges, {text: fast for text in odd[:3]}, spoken, dict(zip(odd, odd)))""",
        n_odd=4,
        typed={
            "": "“” is 0 characters and 0 bytes: 0 tokens",
            LONG: "is 2,000 characters and 2,000 bytes",
            SCRIPT: "is 42 characters",
            FAMILY: "is 5 characters and 18 bytes",
            HEBREW: "is 4 characters and 8 bytes",
        },
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
        hostile="made = TrainingView(7, odd[0], odd[1], odd[2])",
        n_odd=3,
    ),
    "translator": Specimen(
        "torch.manual_seed(i + 1)\n"
        "t5 = T5(T5Config(760, 64, 3, 4, 128, 16, marks=Marks(756, 756, 757))).eval()\n"
        "with torch.no_grad():\n"
        "    for parameter in [*t5.encoder.parameters(), *t5.decoder.parameters()]:\n"
        "        parameter.mul_(4)\n"  # so that each token matters
        "tasks = {'modern: ': 'old English to modern', 'old: ': 'modern English to old'}\n"
        "examples = {'a rose': ('old: ', 'You are a rose, and I am not.'),\n"
        "            'a line': ('modern: ', 'Thou art more lovely and more temperate:')}\n"
        "made = Translator(writer(t5, tokenizer, tasks), examples, tasks, place=5)",
        "(root, i) => root.querySelectorAll('[role=listbox]')[1].children[i % 4].click()",
        """(root, i) => {
          fill(root.querySelector("textarea"), `Thou ${i} art`);
          press(root, "Translate");
        }""",
        states=(
            "(root) => root.querySelectorAll('.tr-candidate')[2].click()",
            "(root) => press(root, 'Start over')",
            "(root) => press(root, 'Step ▶')",
            "(root) => press(root, 'a line')",
        ),
        texts=150,
        narrow=(600, 420),
        hostile="""\
n = len(odd)
weights = np.full((2, 2, n, n), 1 / n)
best = [Candidate(k, text, 1 / n) for k, text in enumerate(odd)]
found = Translation(odd, odd, [*range(n)], [1 / n] * n, [best] * n, weights, True, [])
tasks = {text: text for text in odd}
made = Translator(lambda *asked: found, {text: (text, text) for text in odd}, tasks)""",
        n_odd=4,
        typed={
            "": "the source is empty",
            LONG: "the first 1,000 are read",
            SCRIPT: "“</script><script>window",
            FAMILY: f"“{FAMILY}” becomes",
            HEBREW: f"“{HEBREW}” becomes",
        },
        enter="(root) => press(root, 'Translate')",
        once="""\
import torch
from course_utils.generation.translating import Candidate, Translation, translator as writer
from course_utils.seq2seq import T5, Marks, T5Config
from course_utils.tokenizers import BPETokenizer
from course_utils.widgets.translator import Translator
tokenizer = BPETokenizer.train(next(iter(texts.values())), 256 + 500, ["<pad>", "</s>"])""",
    ),
    "unmasking": Specimen(
        "import torch\n"
        "from course_utils.bert.diffusion import MaskedDiffusion\n"
        "from course_utils.generation.unmasking import Masked, byte_level\n"
        "from course_utils.gpt import GPTConfig\n"
        "from course_utils.widgets.unmasking import Unmasking\n"
        "torch.manual_seed(i)\n"
        "model = MaskedDiffusion(GPTConfig(256, 128, 2, 2, 32))\n"
        "examples = {'a line': ('To be, or', 12), 'gaps': ('To [MASK]e, or n[MASK]t', 0)}\n"
        "made = Unmasking(byte_level(model), examples)\n"
        "for step in (1, 2, 3):\n"
        "    made.handle({'step': step})\n"
        "made.show()",
        "(root, i) => fill(root.querySelector('[aria-label=step]'), i % 3)",
        "(root) => press(root, 'Step ▶')",
        # with no gap and no mask after it, the text is refused
        states=(
            "(root) => press(root, 'Write')",
            "(root) => press(root, 'gaps')",
            MIXED,
            "(root) => press(root, 'a line')",
        ),
        texts=50,
        narrow=(600, 420),
        hostile="""\
n = len(odd)
log_p = torch.eye(n).clamp(1e-9).log().log_softmax(1)
masked = Masked(lambda ids: log_p, n, lambda text: [], odd, ''.join, n)
made = Unmasking(masked, {odd[0]: ('', n)})
made.handle({'at_once': n, 'step': 1})
made.show()""",
        n_odd=4,
        typed={
            "": "0 of 12 masks filled. The text: “▁▁▁",
            LONG: "the last 600 are read",
            SCRIPT: "The text: “</script><script>window",
            FAMILY: f"The text: “{FAMILY}▁▁▁",
            HEBREW: f"The text: “{HEBREW}▁▁▁",
        },
    ),
}


def without_specimen() -> list[str]:
    """The widgets of the package that have a front end, but no specimen here yet."""
    scripts = Path(course_utils.__file__).parent.rglob("*.js")
    fronts = {path.stem for path in scripts if "export default" in path.read_text(encoding="utf-8")}
    return sorted(fronts - set(SPECIMENS))
