"""What every widget owes to a request, whatever comes: 1,000 random ones to the kernel side of each."""

import faulthandler
import json
import random
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils import learner, widgets
from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.reader import MaskedReader
from course_utils.bert.texts import with_masks
from course_utils.finetuning.answering import byte_level
from course_utils.generation.translating import Candidate, Translation
from course_utils.generation.unmasking import Masked
from course_utils.generation.writing import Ending, Writer
from course_utils.gpt import GPT, GPTConfig
from course_utils.learner import progress
from course_utils.learner.passages import GameText, Passage
from course_utils.learner.predict import predict
from course_utils.learner.progress import ProgressFile
from course_utils.learner.quiz import Quiz, quiz
from course_utils.learner.sealed_prediction import SealedPrediction
from course_utils.learner.shannon_game import ShannonGame
from course_utils.ngrams import NGramModel
from course_utils.ngrams.bidirectional import BidirectionalNGram
from course_utils.pretraining.filters.judging import Judged
from course_utils.pretraining.reports import Number, Report
from course_utils.recurrent import RecurrentLM, trace
from course_utils.seq2seq.corruptions import corruptions, drawn_spans
from course_utils.seq2seq.objectives import put_together
from course_utils.tokenizers import BPETokenizer, WordPieceTokenizer
from course_utils.training import StepReport
from course_utils.widgets import smoothing_lab
from course_utils.widgets.adapter_lab import AdapterLab
from course_utils.widgets.attention_explorer import AttentionExplorer
from course_utils.widgets.base import Widget
from course_utils.widgets.before_after import BeforeAfter
from course_utils.widgets.completion_bench import CompletionBench
from course_utils.widgets.corruption_builder import CorruptionBuilder
from course_utils.widgets.data_desk import DataDesk
from course_utils.widgets.gate_scope import GateScope
from course_utils.widgets.gradient_horizon import GradientHorizon
from course_utils.widgets.isoflop_planner import IsoflopPlanner
from course_utils.widgets.law_fitter import LawFitter
from course_utils.widgets.mask_viewer import MaskViewer
from course_utils.widgets.masking_figure import MaskingFigure
from course_utils.widgets.meaning_map import MeaningMap
from course_utils.widgets.ngram_explorer import from_models
from course_utils.widgets.preference_simplex import PreferenceSimplex
from course_utils.widgets.qkv_stepper import QKVStepper, attention_steps
from course_utils.widgets.report_card import ReportCard
from course_utils.widgets.run_monitor import RunMonitor
from course_utils.widgets.sampling_lab import SamplingLab
from course_utils.widgets.surprise import Piece, SurpriseLine
from course_utils.widgets.token_tree import TokenTree
from course_utils.widgets.tokenizer_bench import TokenizerBench, byte_tokens
from course_utils.widgets.training_view import TrainingView
from course_utils.widgets.translator import Translator
from course_utils.widgets.unmasking import Unmasking

N = 1000
HANG = 60  # seconds for one request: only a hang may reach it
TEXTS = {"First": "to be or not to be, that is the question\n" * 5, "Second": "the rest is silence"}


def byte_ids(text: str) -> list[int]:
    return list(text.encode())


def adapter_lab(odd=""):
    before, change, inputs = np.random.default_rng(0).normal(size=(3, 6, 6))
    return AdapterLab(f"queries{odd}", before, before + change / 10, inputs, rank=2)


def attention_explorer(odd=""):
    raw = np.tril(np.random.default_rng(0).exponential(size=(2, 3, 4, 4))).astype(np.float32)
    return AttentionExplorer(
        ["The", f" cat{odd}", " sat", "."], raw / raw.sum(-1, keepdims=True), mask=np.tri(4, dtype=bool),
        predict=lambda edits: [(f"mat{odd}", 0.8 * 0.5 ** len(edits)), ("rug", 0.1)],
    )  # fmt: skip


def before_after(odd=""):
    torch.manual_seed(0)
    before, after = (byte_level(GPT(GPTConfig(256, 24, 1, 1, 8))) for _ in range(2))
    return BeforeAfter({f"before{odd}": before, "after": after}, {f"a play{odd}": f"To be,{odd}"}, 4)


def completion_bench(odd=""):
    def write(ids, settings, report):
        for _ in range(min(settings.length, 3)):
            report(f"ab{odd}")
        return Ending("length")

    writers = {
        name: Writer(lambda prompt: [1, 2], write, 8, 1, 1, chats=name == "b") for name in (f"a{odd}", "b")
    }
    return CompletionBench(writers, f"To be,{odd}")


def corruption_builder(odd=""):
    tokens = ["to", "be", f"or{odd}", "not", "to", "be"]
    return CorruptionBuilder(tokens, corruptions, drawn_spans, put_together, spans=[(1, 3), (4, 4)])


def data_desk(odd=""):
    names = f"language{odd}", "quality"
    said = [("it is in French", None), (None, None), (None, f"code{odd}")]
    judged = [dict(zip(names, reasons, strict=True)) for reasons in said]
    truths = [names[0], "", None]
    return DataDesk(
        [Judged(f"a text{odd}", f"here{odd}", *pair) for pair in zip(judged, truths, strict=True)]
    )


def gate_scope(odd=""):
    torch.manual_seed(0)
    cells = {3: (f"place in the line{odd}", 0.8), 11: ("vowel", -0.4)}
    return GateScope(partial(trace, RecurrentLM(256, 8, 16)), cells, {f"a question{odd}": "to be"})


def gradient_horizon(odd=""):
    return GradientHorizon({f"RNN{odd}": [0.5**k for k in range(30)], "LSTM": [0.9**k for k in range(30)]})


def isoflop_planner(odd=""):
    laws = [[1.8, 480, 2100, 0.35, 0.37], [1.8, 400, 2000, 0.34, 0.38]]
    return IsoflopPlanner(laws, currency=f"${odd}")


def law_fitter(odd=""):
    x = [1e3, 3e3, 1e4, 3e4, 1e5, 3e5]
    return LawFitter(x, [2 + 20 / one**0.4 for one in x], 1e6, f"bytes{odd}", truth=2.1)


def mask_viewer(odd=""):
    def lay_out(question, answer):
        words = [("<s>", "template"), *((word, "question") for word in question.split())]
        return [*words, *((f"{word}{odd}", "answer") for word in answer.split()), ("</s>", "end")]

    return MaskViewer(lay_out, f"where is it{odd}", "here")


def masking_figure(odd=""):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = WordPieceTokenizer([*special, "to", "be", "or", "not", "##s"])
    ids = tokenizer.encode("to be or not to be bes")
    counts = BidirectionalNGram(tokenizer.vocab_size, tokenizer.ids["[MASK]"]).fit([ids])
    counts.fit_weights([ids], [ids > 0], ids)
    torch.manual_seed(0)
    bert = BertForMaskedLM(BertConfig(tokenizer.vocab_size, 8, 1, 2, 16))
    return MaskingFigure(MaskedReader(bert, tokenizer, counts), ["to be or not", f"not{odd} to be"], draw=3)


def meaning_map(odd=""):
    places = [(f"by the bank{odd}", 7, 11)] * 3 + [("a bank lends", 2, 6)] * 3
    vectors = np.random.default_rng(0).normal(size=(3, 6, 4))
    return MeaningMap(vectors, places, [f"river{odd}"] * 3 + ["money"] * 3)


def ngram_explorer(odd=""):
    ids = [byte_ids(text) for text in TEXTS.values()]
    models = {n: NGramModel(n, "mle").fit(ids, 256) for n in (1, 2, 3)}
    titled = {f"{title}{odd}": text for title, text in TEXTS.items()}
    return from_models({f"one{odd}": models, "two": models}, titled, order=2, n=20)


def preference_simplex(odd=""):
    return PreferenceSimplex([f"helpful{odd}", "short", "rude"])


def qkv_stepper(odd=""):
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=size).round(1) for size in [(3, 4), (4, 2), (4, 2), (4, 2)]]
    return QKVStepper(["a", f"rose{odd}", "is"], *numbers, yours=attention_steps)


def questions(odd=""):
    asked = {key: replace(one, ask=f"{one.ask}{odd}") for key, one in quiz("1").asked.items()}
    return Quiz(f"Quiz{odd}", asked, progress.current().read())


def report_card(odd=""):
    comes = f"of 60 problems{odd}", "all else"
    bits, right = (
        Number(f"bits{odd}", 2.5, "bits", *comes),
        Number("sums", 0.3, "share", *comes, 0.2, 0.4, 0.25, 60),
    )
    return ReportCard(
        {f"a{odd}": Report([bits, right], [f"it fails{odd}"], [[f"1+1={odd}", "3"]] * 9), "b": Report([bits])}
    )


def run_monitor(odd=""):
    losses = [4.0 - k / 50 + (3 if k == 90 else 0) for k in range(120)]
    whole = {
        "losses": losses,
        "evaluations": [[50, 3.0, 2.5]],
        "seconds": 9.0,
        "tokens": 480,
        "restarts": [60],
    }
    return RunMonitor(
        {f"a run{odd}": whole, "b": {"losses": [4.0, None], "diverged": f"step 3{odd}"}, "c": {"losses": []}}
    )


def sampling_lab(odd=""):
    logits = np.linspace(3, -3, 12, dtype=np.float32)
    return SamplingLab(
        lambda prompt: logits[:: 1 if len(prompt) % 2 else -1], [f" t{i}{odd}" for i in range(12)],
        [f"Once upon{odd}", "The cat sat on"], encode=lambda prompt: [1, 1, 7],
    )  # fmt: skip


def shannon_game(odd=""):
    passages = [
        Passage(f"key {i}", f"Act {i}{odd}", "what was read before: " * 3, "abba" * 15) for i in range(3)
    ]
    text = GameText(passages, "abc\n", [f"fair{odd}"], lambda context, hidden: [np.full(len(hidden), 2.0)])
    return ShannonGame({f"small{odd}": text, "other": text}, ProgressFile())


def smoothing(odd=""):
    examples, name = {f"rare{odd}": "t th"}, f"a scene{odd}"
    return smoothing_lab.from_text(TEXTS, "the question is to rest", held_out_name=name, examples=examples)


def surprise(odd=""):
    def read(size, text):
        data = text.encode()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        return [Piece(piece, float(i), b"e", 0.125) for i, piece in enumerate(pieces)]

    readers = {f"bytes{odd}": partial(read, 1), "threes": partial(read, 3)}
    return SurpriseLine(readers, {f"a question{odd}": "to be?"})


def token_tree(odd=""):
    logits = np.random.default_rng(0).normal(size=(5, 12))
    table = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return TokenTree(
        lambda ids: table[sum(ids) % 5], [f" t{i}{odd}" for i in range(12)], f"To be{odd}", end_ids=[3]
    )


def tokenizer_bench(odd=""):
    own = BPETokenizer.train(TEXTS["First"], 256 + 20)
    verses = {f"English{odd}": ["to be or not"], "French": ["être ou ne pas être"]}
    return TokenizerBench(
        own.merges, {f"fast{odd}": byte_tokens(own.fast())}, verses, {f"line{odd}": "to be or not"}
    )


def training_view(odd=""):
    view = TrainingView(10, f"A model{odd}", f"evaluation{odd}", f"token{odd}")
    view(StepReport(1, 10, 2.0, None, 1e-3, 100.0, 1.0))
    return view


def translator(odd=""):
    def translate(task, text, forced, more):
        if not text.strip():
            raise ValueError("the source is empty")
        source = [f"{task}{odd}", *text.split()]
        ids = [*forced, *range(len(forced), min(len(forced) + more, 7))]
        raw = np.random.default_rng(len(text)).exponential(size=(2, 3, len(ids), len(source)))
        best = [Candidate(i, f"t{i}{odd}", 0.5 / (i + 1)) for i in range(3)]
        p = [0.25] * len(ids)
        weights = raw / raw.sum(-1, keepdims=True)
        target = [f"t{i}{odd}" for i in ids]
        return Translation(source, target, ids, p, [best] * len(ids), weights, len(ids) >= 7, [])

    tasks = {f"modern{odd}: ": "old to modern", "old: ": f"modern to old{odd}"}
    examples = {f"a verse{odd}": (f"modern{odd}: ", f"thou shalt{odd} not"), "another": ("old: ", "you will")}
    return Translator(translate, examples, tasks)


def unmasking(odd=""):
    tokens = [f"a{odd}", "b", "c"]

    def log_probs(ids):
        masks = int((ids == 3).sum())
        return torch.linspace(0, masks, 3 * masks).view(masks, 3).log_softmax(1)

    def encode(text):
        return with_masks(text, lambda piece: np.frombuffer(piece.encode(), np.uint8) % 3, 3)

    masked = Masked(log_probs, 3, encode, tokens, " ".join, 40)
    return Unmasking(masked, {f"a beginning{odd}": ("to be", 6), "a gap": ("to [MASK] or", 0)})


EDITS = [{"layer": 0, "head": 1, "how": "uniform"}, {"layer": 1, "head": 0, "how": "swap", "with": 2}]
WRITE = {
    **{"do": "write", "writer": "b", "chat": True, "prompt": "to be", "system": "you", "temperature": 0.5},
    **{"top_p": 1, "length": 3, "seed": 1, "stop": "x", "cache": False},
}
VALUES = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "typical": 0.5, "epsilon": 0.01}
VALUES |= {"eta": 0.01, "repetition_penalty": 1.1, "frequency_penalty": 0.5}
STEPS = [{"name": name, "value": value, "on": True} for name, value in VALUES.items()]
REST = {"shown": 1, "known": False}
HOW = {"order": "random", "temperature": 0.5, "at_once": 2, "seed": 3}
LOOK = {"place": 2, "layer": 0, "head": 1}
SEARCH = {"width": 2, "length_penalty": 0.5}

# what makes each widget, cheaply; and requests that it grants, of which the random ones are made
SPECIMENS: dict[str, tuple[Callable[..., Widget], list[dict]]] = {
    "adapter_lab": (adapter_lab, [{"rank": 3, "alpha": 8.0}]),
    "attention_explorer": (
        attention_explorer,
        [
            {
                **{"attention": "", "layer": 1, "head": 2, "chosen": [0, 2], "combine": "mean", "query": 1},
                **{"hide": ["delimiters “.”"], "renormalise": True, "edits": EDITS},
            },
            {
                **{"attention": "", "layer": 0, "head": 0, "chosen": [0], "combine": "one", "query": 3},
                **{"hide": [], "renormalise": False, "edits": EDITS[:1]},
            },
        ],
    ),
    "before_after": (
        before_after,
        [
            {
                **{"prompt": "not to be", "cut": 0, "length": 3, "temperature": 0.5, "seed": 2, "stop": "x"},
                "step": 2,
            },
            {"step": 1},
            {"step": 9},
        ],
    ),
    "completion_bench": (completion_bench, [WRITE, {"do": "stop"}, {"do": "new"}]),
    "corruption_builder": (
        corruption_builder,
        [
            {"hidden": [0, 1, 5], "masks": [0, 4], "cut": 2, "focus": 6, "together": True},
            {"draw": 7, "rate": 0.5, "mean": 2},
        ],
    ),
    "data_desk": (
        data_desk,
        [
            {"list": "removed", "at": 2, "keep": [0], "drop": [1, 2], "filters": ["quality"], "told": True},
            {"list": "wrong", "keep": [], "drop": []},
        ],
    ),
    "gate_scope": (gate_scope, [{"text": "be", "cell": 11, "focus": 1, "cut": 0}, {"cell": 3, "focus": 2}]),
    "gradient_horizon": (gradient_horizon, [{"distance": 3, "curves": ["LSTM"], "bias": 0.5}]),
    "isoflop_planner": (
        isoflop_planner,
        [{"budget": 22.5, "served": 12, "size": 120, "price": 2}, {"budget": 19.0, "served": 16}],
    ),
    "law_fitter": (
        law_fitter,
        [{"losses": [3.5, 3, 2.5, 2.4, 2.3, 2.2], "out": [1], "point": 2, "floor": True, "told": True}],
    ),
    "mask_viewer": (
        mask_viewer,
        [{"question": "who", "answer": "I am", "labels": "the end has no label", "cut": 0}, {"answer": ""}],
    ),
    "masking_figure": (
        masking_figure,
        [{"text": "not to bes", "draw": 7, "own": [1, 3], "focus": 2, "cut": 0}, {"draw": 0}, {"focus": 3}],
    ),
    "meaning_map": (meaning_map, [{"layer": 1, "chosen": 4, "scale": "this layer's own"}]),
    "ngram_explorer": (
        ngram_explorer,
        [{"context": "not to ", "order": 3, "n": 30, "seed": 2, "model": "two", "cut": 0}],
    ),
    "predict": (
        lambda odd="": predict("fuzz.1", f"Which?{odd}", [f"this{odd}", "that", "none"]),
        [{"chips": [20, 30, 50]}, {"chips": [100, 0, 0]}],
    ),
    "preference_simplex": (
        preference_simplex,
        [
            {
                **{"first": 0.5, "second": -1, "third": 2.5, "beta": 0.3, "pairs": 10},
                **{"methods": ["DPO", "GRPO"], "step": 30},
            },
            {"methods": [], "step": 0},
        ],
    ),
    "qkv_stepper": (qkv_stepper, [{"x": [[1, 0.5, 0, -1]] * 3, "step": 3, "cell": ["scaled", 1, 0]}]),
    "quiz": (questions, [{"question": 1, "choice": 2}]),
    "report_card": (report_card, [{"measure": "sums", "model": "b", "page": 0}, {"page": 2}]),
    "run_monitor": (
        run_monitor,
        [{"x": "seconds", "smooth": 30, "log": True, "hidden": [0, 2], "run": 1}, {"x": "FLOPs", "run": 7}],
    ),
    "sampling_lab": (
        sampling_lab,
        [{"prompt": "The cat", "cut": 0, "n": 10, "seed": 3, "names": [1, 5], "steps": STEPS}],
    ),
    "sealed_prediction": (
        lambda odd="": SealedPrediction("fuzz.2", f"What comes?{odd}", [2.0, 2.1], lambda: 2.05),
        [{"chips": [20, 30, 50]}, {"chips": [100, 0, 0]}, {"run": True}],
    ),
    "shannon_game": (
        shannon_game,
        [
            {"text": "small", "passage": "key 1", "ranks": [1, 2, 1], "wrong": "c", **REST, "go": ""},
            {"text": "small", "passage": "", "ranks": [], "wrong": "", **REST, "go": "other"},
        ],
    ),
    "smoothing_lab": (
        smoothing,
        [{"context": "to b", "order": 2, "methods": ["absolute", "add_k"], "k": 0.5, "discount": 0.5}],
    ),
    "surprise": (surprise, [{"text": "né 🦜", "focus": 3, "cut": 0}]),
    "token_tree": (
        token_tree,
        [
            {"wanted": [[[], 5], [[1, 2], 10]], "chosen": [1, 2], "at": "rest", **SEARCH, "steps": 3},
            {"wanted": [[[], 5]], "chosen": [3], "at": "node", **SEARCH, "steps": 0},
        ],
    ),
    "tokenizer_bench": (tokenizer_bench, [{"text": "not to be", "merges": 5}]),
    "training_view": (training_view, [{}, {"step": 3}]),
    "translator": (
        translator,
        [
            {"task": "old: ", "text": "you must", "cut": 0, "forced": [2, 1], **LOOK, "step": 3},
            {"task": "old: ", "text": "you must", "cut": 0, "forced": [], **LOOK, "step": 7},
            {"place": 4},
        ],
    ),
    "unmasking": (
        unmasking,
        [
            {"text": "or [MASK] to", "more": 2, "cut": 0, **HOW, "step": 2, "place": 3},
            {"text": "or [MASK] to", "more": 2, "cut": 0, **HOW, "step": 1, "place": 0},
            {"step": 3, "place": 5},
        ],
    ),
}

JUNK = [
    *[None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**32, 2**63, 10**400, -(10**400), 0.0, -0.0, 0.5, 1.5],
    *[1e300, -1e300, 5e-324, float("nan"), float("inf"), float("-inf"), "", "0", "nan", "one", "text"],
    *["x" * 30_000, "\0\n\t", "to \ud83d", "\udcc3", "שלום", "🦜" * 3000, "</script>", "\u202e", "edits"],
    *[[], [[]], [None], [0], [[0, 1], 5], ["x"], [float("nan")], list(range(2000)), [{}], [{"how": "swap"}]],
    *[{}, {"a": 1}, {"name": "top_p"}, {"length": 3}],
]


def damaged(value, rng: random.Random):
    """The same with something wrong in it, somewhere: it may still be right."""
    inside = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    if not len(inside) or rng.random() < 0.3:
        return rng.choice(JUNK)
    place = rng.choice(list(inside))
    whole = dict(value) if isinstance(value, dict) else list(value)
    if rng.random() < 0.15:
        del whole[place]
    elif rng.random() < 0.1 and isinstance(whole, dict):
        whole[rng.choice(["colour", "", "id", "self", "__class__"])] = rng.choice(JUNK)
    elif rng.random() < 0.1 and isinstance(whole, list):
        whole.insert(place, rng.choice(JUNK))
    else:
        whole[place] = damaged(whole[place], rng)
    return whole


def random_request(asks: list[dict], rng: random.Random):
    """One of the requests that are granted, or part of one, with up to three things wrong; or junk."""
    if rng.random() < 0.02:
        return rng.choice(JUNK)
    request = dict(rng.choice(asks))
    if rng.random() < 0.3:
        request = {name: value for name, value in request.items() if rng.random() < 0.6}
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        if isinstance(request, dict) and request:
            name = rng.choice(list(request))
            request[name] = damaged(request[name], rng) if rng.random() < 0.9 else rng.choice(JUNK)
        if rng.random() < 0.05:
            request = damaged(request, rng)
    return request


def as_json(value) -> str:
    """Strictly, with what bytes there are."""

    def in_hex(data):
        assert isinstance(data, bytes), f"{type(data).__name__} is not JSON"
        return data.hex()

    return json.dumps(value, default=in_hex, allow_nan=False, ensure_ascii=False)


def seen(widget: Widget) -> str:
    """All that can be seen of a widget, apart from what its last answer said."""
    everything = {"view": widget.view(), "state": widget.state, "sentence": widget.describe()}
    return as_json(everything | {"fixed": widget.fixed})


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_whatever_is_asked_gets_a_sentence_and_what_is_refused_changes_nothing(name, in_memory):
    make, asks = SPECIMENS[name]
    widget, rng = make(), random.Random(name)
    granted, refused, answered = 0, 0, set()  # a thread that writes may show more after its answer
    widget.observe(lambda change: answered.add(change.new["answers"]), "shown")
    for i in range(N):
        request, before = random_request(asks, rng), seen(widget)
        asked = request | {"id": f"me/{i}"} if isinstance(request, dict) and "id" not in request else request
        faulthandler.dump_traceback_later(HANG, exit=True)
        widget._answer(widget, asked, [])
        settle(widget)
        faulthandler.cancel_dump_traceback_later()
        shown, after = widget.shown, seen(widget)
        as_json(shown).encode("utf-8")  # no lone surrogate is left
        assert shown["sentence"] == widget.describe()
        if asked is not request:
            assert f"me/{i}" in answered
        if problem := shown["problem"]:
            refused += 1
            assert after == before, f"refused, and yet changed: {request}"
            is_sentence = " " in problem and not re.match(r"\w*(Error|Exception)\b", problem)
            assert is_sentence, f"{problem}: {request}"
        else:
            granted += 1
    assert granted > 50 or (name == "training_view" and refused > 50)


def settle(widget: Widget) -> None:
    """Wait for what a request has begun."""
    for thread in threading.enumerate():
        if thread.name == "a text is written":
            thread.join(HANG)


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_half_a_character_in_a_name_is_shown_by_its_number_and_can_be_chosen(name, in_memory):
    widget = SPECIMENS[name][0]("\udcc3")
    settle(widget)
    seen = widget._repr_mimebundle_() | {"fixed": widget.fixed, "shown": widget.shown}
    as_json(seen).encode("utf-8")  # and the picture is drawn
    assert "‹C3›" in as_json(seen)
    for entry, spec in widget.fixed["specs"].items():
        for option in spec.get("options", []):
            value = [option] if isinstance(widget.state[entry], list) else option
            widget._answer(widget, {entry: value}, [])
            assert widget.shown["problem"] == ""


def test_every_widget_has_a_specimen():
    folders = [Path(widgets.__file__).parent, Path(learner.__file__).parent]
    scripts = [path for folder in folders for path in folder.glob("*.js")]
    fronts = {path.stem for path in scripts if "export default" in path.read_text(encoding="utf-8")}
    assert fronts == SPECIMENS.keys()


def test_the_front_ends_have_no_address(in_memory):
    for name, (make, _) in SPECIMENS.items():
        widget = make()
        address = re.search(
            r"https?:|//[a-z]+\.|\bimport\b|innerHTML|@import|url\(", widget._esm + widget._css
        )
        assert not address, f"{name}: {address}"
