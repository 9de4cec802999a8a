"""The completion bench without a browser: runs, their measures, what ends them, and hostile input."""

import dataclasses
import json
import re
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch
from mocks import Mock

from course_utils import pretrained
from course_utils.generation import adapters, generate
from course_utils.generation.writing import Ending, Settings, Writer
from course_utils.gpt import GPT, GPTConfig
from course_utils.sampling import Sampler
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.completion_bench import MAX_CHARACTERS, CompletionBench

WAIT = 60  # seconds; only a hang may reach it


def model(context=64, **shape):
    torch.manual_seed(0)
    return GPT(GPTConfig(256, context, n_layers=2, n_heads=4, d_model=32, **shape)).eval()


def mock_writer(vocab_size=256, context=64, end_ids=(), **settings):
    """`generate` on the mock model, as a chapter's author could write it."""
    tokenizer = ByteTokenizer()

    def encode(prompt):
        text = prompt if isinstance(prompt, str) else "".join(message["content"] for message in prompt)
        return tokenizer.encode(text) % vocab_size

    def write(ids, settings, report):
        answer = generate(
            Mock(vocab_size, context), [ids], settings.length,
            sampler=settings.sampler, generator=torch.Generator().manual_seed(settings.seed),
            end_ids=end_ids, decode=lambda ids: tokenizer.decode(ids, errors="replace"),
            stop=[settings.stop] if settings.stop else [],
            report=lambda _row, _id, text: report(text), use_cache=settings.cache,
        )[0]  # fmt: skip
        return Ending(answer.reason)

    return Writer(encode, write, context, weights=1000, cache=8, **settings)


class Paced:
    """A writer that writes a token whenever the test lets it."""

    def __init__(self):
        self.steps, self.heard = threading.Semaphore(0), []
        self.writer = Writer(str.encode, self.write, 100, 1, 1)

    def write(self, ids, settings, report):
        for n in range(settings.length):
            assert self.steps.acquire(timeout=WAIT)
            self.heard.append(report(f"{n} "))
            if self.heard[-1]:
                return Ending("interrupted")
        return Ending("length")


@pytest.fixture
def bench():
    return CompletionBench({"mock": mock_writer(chats=True), "own GPT": adapters.byte_level(model())})


def ask(bench, **request):
    """What a view asks for; the rest stands as the view has it at the start."""
    if request.get("do") is None:
        usual = {"do": "write", "writer": "mock", "chat": False, "prompt": "To be", "system": ""}
        request = usual | dataclasses.asdict(Settings()) | request
    bench._answer(bench, {"id": "me/1", **request}, [])
    return bench.shown


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def ended(bench):
    until(lambda: not bench.shown["writing"])
    return bench.shown


# ---- what is written ----------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("prompt", ["To be", "To be, or not to be, that is the question:\n" * 6])
def test_a_text_is_that_of_generate(cache, prompt):
    own = model(context=512)
    bench = CompletionBench({"own": adapters.byte_level(own)})
    text = bench.write(prompt, temperature=0.7, top_p=0.9, length=30, seed=5, cache=cache)
    answer = generate(
        own, [ByteTokenizer().encode(prompt)], 30,
        sampler=Sampler(temperature=0.7, top_p=0.9), generator=torch.Generator().manual_seed(5),
    )[0]  # fmt: skip
    assert text == ByteTokenizer().decode(answer.ids, errors="replace")
    assert bench.run.tokens == 30 and bench.run.ending.reason == "length"


def test_a_request_writes_in_a_thread_and_is_answered_before_the_text_is_there():
    paced = Paced()
    bench = CompletionBench({"paced": paced.writer})
    shown = ask(bench, writer="paced", length=3)
    assert shown["answers"] == "me/1" and shown["writing"] and "it is writing" in shown["sentence"]
    paced.steps.release(3)
    shown = ended(bench)
    assert shown["run"]["text"] == "0 1 2 " and shown["run"]["ended_by"] == "the length asked for"
    assert paced.heard == [False] * 3


def test_stop_ends_it_after_the_token_that_is_being_computed():
    paced = Paced()
    bench = CompletionBench({"paced": paced.writer})
    ask(bench, writer="paced", length=100)
    paced.steps.release(2)
    until(lambda: len(paced.heard) == 2)
    assert ask(bench, do="stop")["answers"] == "me/1"
    paced.steps.release(1)
    assert ended(bench)["run"]["ended_by"] == "an interruption"
    assert paced.heard == [False, False, True] and bench.run.text == "0 1 2 "


@pytest.mark.parametrize("cache", [True, False])
def test_a_stop_is_heard_while_a_long_prompt_is_read(cache):
    read, own = [], model(context=1024)
    own.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[1]))
    ending = adapters.byte_level(own).write(
        [65] * 1000, Settings(length=5, cache=cache), lambda text=None: len(read) == 3
    )
    assert ending.reason == "interrupted" and read == [64] * 3
    assert ending.cached == (3 * 64 if cache else 0)


def test_a_bench_that_is_writing_takes_no_second_text_and_two_benches_write_at_once():
    one, two = Paced(), Paced()
    first, second = CompletionBench({"paced": one.writer}), CompletionBench({"paced": two.writer})
    for bench in (first, second):
        ask(bench, writer="paced", length=2, prompt="mine")
    assert "a text is being written: stop it first" in ask(first, writer="paced", prompt="x")["problem"]
    assert "a text is being written" in ask(first, do="new")["problem"]
    with pytest.raises(ValueError, match="a text is being written"):
        first.write("x")
    two.steps.release(2)
    assert ended(second)["run"]["tokens"] == 2 and first.shown["writing"] and not one.heard
    one.steps.release(2)
    assert ended(first)["asked"]["prompt"] == "mine"


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"length": 5}, "length"),
        ({"length": 500, "temperature": 1.0}, "end"),
        ({"length": 500, "stop": "ab"}, "stop"),
    ],
)
def test_why_a_text_ended(settings, reason):
    letters = Mock(5)

    def write(ids, settings, report):
        answer = generate(
            letters, [ids], settings.length,
            sampler=settings.sampler, generator=torch.Generator().manual_seed(settings.seed),
            end_ids=() if settings.stop else (4,), decode=lambda ids: "".join("abcde"[i] for i in ids),
            stop=[settings.stop] if settings.stop else [], report=lambda _row, _id, text: report(text),
        )[0]  # fmt: skip
        return Ending(answer.reason)

    bench = CompletionBench({"letters": Writer(lambda text: [len(text) % 5], write, 64, 1, 1)})
    text = bench.write("x", seed=3, **settings)
    assert bench.run.ending.reason == reason
    assert "ab" not in text if reason == "stop" else len(text) in (bench.run.tokens, bench.run.tokens - 1)


def test_only_whole_characters_are_shown():
    seen = []

    def write(ids, settings, report):
        model = Mock(256)
        model.table[:] = -100.0
        for i, byte in enumerate("é🦜".encode()):
            model.table[sum(b + 1 for b in [65, *"é🦜".encode()[:i]]) % 256, byte] = 100.0
        tokenizer = ByteTokenizer()
        return Ending(
            generate(
                model, [ids], 6, decode=lambda ids: tokenizer.decode(ids, errors="replace"),
                report=lambda _row, _id, text: (seen.append(text), report(text))[1],
            )[0].reason
        )  # fmt: skip

    bench = CompletionBench({"one": Writer(lambda text: [65], write, 64, 1, 1)})
    assert bench.write("A") == "é🦜"
    assert seen == ["", "é", "", "", "", "🦜"]


# ---- what is measured ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_kv_heads", [None, 2, 1])
def test_the_formula_of_the_cache_gives_the_bytes_of_its_tensors(n_kv_heads):
    bench = CompletionBench({"own": adapters.byte_level(model(n_kv_heads=n_kv_heads))})
    bench.write("To be", length=20)
    ending, writer = bench.run.ending, bench._writers["own"]
    assert ending.cached == 5 + 20 - 1  # the last token was never read
    assert ending.cache_bytes == ending.cached * writer.cache
    assert writer.cache == 2 * 2 * (n_kv_heads or 4) * 8 * 4  # keys and values, layers, heads, width, bytes
    assert bench.rows()[0][-2] == bench.rows()[0][-1]
    bench.write("To be", length=20, cache=False)
    assert bench.run.ending == Ending("length", 0, 0)


def test_a_formula_that_forgets_the_shared_heads_would_show():
    shared = model(n_kv_heads=1)
    wrong = adapters.cache_bytes_per_token(GPTConfig(256, 64, 2, 4, 32), 4)
    bench = CompletionBench({"own": adapters.byte_level(shared)})
    bench.write("To be", length=20)
    assert bench.run.ending.cache_bytes != bench.run.ending.cached * wrong


def test_weights_are_counted_once_though_two_layers_share_them():
    own = model()
    assert adapters.byte_level(own).weights == 4 * sum(
        {p.data_ptr(): p.numel() for p in own.parameters()}.values()
    )


def test_times_are_those_of_the_reports(monkeypatch):
    clock = iter([10.0, 12.0, 12.5, 13.0, 13.5])  # the begin, then each token
    monkeypatch.setattr("course_utils.generation.writing.perf_counter", lambda: next(clock))
    monkeypatch.setattr(CompletionBench, "show", lambda *_: None)

    def write(ids, settings, report):
        for _ in range(4):
            report("x")
        return Ending("length")

    bench = CompletionBench({"timed": Writer(str.encode, write, 9, 1, 1)})
    bench.write("x")
    assert bench.run.seconds_to_first == 2.0 and bench.run.tokens_per_second == 2.0


def test_the_last_run_of_each_kind_is_kept(bench):
    for writer, cache, length in [
        ("mock", True, 3),
        ("mock", False, 4),
        ("own GPT", True, 5),
        ("mock", True, 6),
    ]:
        bench.write("To be", writer, length=length, cache=cache)
    rows = bench.rows()
    assert [row[:4] for row in rows] == [
        ["mock", "on", "5", "6"], ["mock", "off", "5", "4"], ["own GPT", "on", "5", "5"]
    ]  # fmt: skip
    assert all(len(row) == len(bench.fixed["head"]) for row in rows)


def test_texts_with_and_without_the_cache_are_compared(bench):
    bench.write("To be", seed=1, length=20)
    assert "without it" not in bench.describe()
    text = bench.write("To be", seed=1, length=20, cache=False)
    assert f"With the cache and without it, mock wrote the same {len(text)} characters." in bench.describe()
    bench.write("To be", seed=2, length=20, cache=False)
    assert "without it" not in bench.describe()  # it was not asked the same

    def cheat(ids, settings, report):
        report("same ")
        report("on" if settings.cache else "off")
        return Ending("length")

    other = CompletionBench({"cheat": Writer(str.encode, cheat, 9, 1, 1)})
    for cache in (True, False):
        other.write("x", cache=cache)
    assert other.describe().endswith("cheat wrote texts that part at character 7.")


# ---- a conversation -----------------------------------------------------------------------------


def test_a_conversation_is_read_as_a_whole_and_begins_anew():
    heard = []

    def encode(messages):
        heard.append([(message["role"], message["content"]) for message in messages])
        return [1]

    def write(ids, settings, report):
        report(f"answer {len(heard)}")
        return Ending("end")

    bench = CompletionBench({"chatty": Writer(encode, write, 9, 1, 1, chats=True)})
    bench.write("hello", chat=True, system="Be brief.")
    bench.write("and now?", chat=True)
    assert heard[0] == [("system", "Be brief."), ("user", "hello")]
    assert heard[1] == [("user", "hello"), ("assistant", "answer 1"), ("user", "and now?")]
    assert "chatty answers “and now?” with the cache: “answer 2”, 1 token" in bench.describe()
    assert ask(bench, do="new")["messages"] == [] and "nothing is written" in bench.describe()


def test_a_failed_answer_leaves_the_conversation_as_it_was():
    def write(ids, settings, report):
        report("half an ans")
        raise RuntimeError("out of memory")

    bench = CompletionBench({"broken": Writer(lambda _: [1], write, 9, 1, 1, chats=True)})
    ask(bench, writer="broken", chat=True)
    shown = ended(bench)
    assert shown["problem"] == "RuntimeError: out of memory" and shown["messages"] == []
    assert shown["run"]["failed"]
    with pytest.raises(RuntimeError, match="out of memory"):
        bench.write("again", chat=True)


def test_a_writer_that_was_not_trained_to_chat_is_not_asked_to(bench):
    assert "own GPT was not trained to chat" in ask(bench, writer="own GPT", chat=True)["problem"]


# ---- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "🦜" * 5000, "to \ud83d", "</script><b>", "שלום", "\0\n\t", "$a$", " "]
)
@pytest.mark.parametrize("chat", [False, True])
def test_hostile_prompts_are_cropped_with_notice_or_read(bench, text, chat):
    ask(bench, prompt=text, chat=chat, length=3)
    shown = ended(bench)
    assert shown["problem"] == "" and shown["run"]["tokens"] == 3 and not shown["run"]["failed"]
    notice = shown["notice"]
    assert (f"Got {len(text):,} characters; the last {MAX_CHARACTERS:,} are read" in notice) == (
        len(text) > MAX_CHARACTERS
    )
    assert ("lone surrogate" in notice) == ("\ud83d" in text)
    assert ("the last 64 are read, the others left out" in notice) == (len(text) > 1000)
    assert len(json.dumps(shown).encode()) < 200_000
    assert "<script" not in bench._repr_mimebundle_()["text/html"]


def test_a_prompt_that_was_cut_on_its_way_is_told_of(bench):
    ask(bench, prompt="x" * MAX_CHARACTERS, cut=2000, length=1)
    assert "Got 10,000 characters; the last 8,000 are read." in ended(bench)["notice"]


def test_nothing_to_go_on_from(bench):
    for prompt in ("", "\ud83d"):
        assert ask(bench, prompt=prompt)["problem"] == "there is nothing to go on from: type something first"


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"temperature": -1}, "temperature is a number from 0 to 1,000,000; got"),
        ({"temperature": float("nan")}, "temperature is a number from 0 to 1,000,000; got"),
        ({"temperature": None}, "temperature is a number from 0 to 1,000,000; got"),
        ({"top_p": 1.1}, "top_p is a number from 0 to 1; got 1.1"),
        ({"length": 0}, "length is a whole number from 1 to 1,000; got 0"),
        ({"length": 2.5}, "length is a whole number from 1 to 1,000; got 2.5"),
        ({"seed": -1}, "seed is a whole number from 0 to 4,294,967,295; got -1"),
        ({"stop": None}, "stop is a text; got None"),
        ({"cache": "off"}, "cache is true or false; got 'off'"),
        ({"writer": "nobody"}, "writer is one of mock, own GPT; got 'nobody'"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name_and_the_bench_goes_on(bench, settings, says):
    assert says in ask(bench, **settings)["problem"]
    ask(bench, length=2)
    assert ended(bench)["problem"] == ""


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"temperature": -1}, "temperature must be a number of at least 0"),
        ({"length": 0}, "length must be a whole number from 1 to 1,000; got 0"),
        ({"stop": "\ud83d"}, "stop must be a text of whole characters"),
        ({"writer": "nobody"}, "writer is one of mock, own GPT; got 'nobody'"),
    ],
)
def test_a_cell_is_refused_the_same(bench, settings, says):
    with pytest.raises(ValueError, match=says):
        bench.write("To be", **settings)
    assert bench.run is None


@pytest.mark.parametrize("temperature", [0, 1e-5, 100])
def test_odd_temperatures_that_are_allowed(bench, temperature):
    assert len(bench.write("To be", temperature=temperature, top_p=1, length=5)) <= 5


def test_a_writer_that_breaks_its_promise_or_has_nan_logits_says_so():
    broken = model()
    torch.nn.init.constant_(broken.embedding.weight, float("nan"))
    cases = {
        "promise": (
            Writer(str.encode, lambda *_: "done", 9, 1, 1),
            "a writer returns an Ending; got 'done'",
        ),
        "reason": (
            Writer(str.encode, lambda *_: Ending("bored"), 9, 1, 1),
            "reason must be one of end, stop",
        ),
        "number": (
            Writer(str.encode, lambda *_: Ending("length", 3, None), 9, 1, 1),
            "cache_bytes must be a whole number of at least 0; got None",
        ),
        "silent": (Writer(str.encode, lambda *_: 1 / 0, 9, 1, 1), "ZeroDivisionError: division by zero"),
        "NaN": (adapters.byte_level(broken), "the logits contain NaN"),
    }
    bench = CompletionBench({name: writer for name, (writer, _) in cases.items()})
    for name, (_, says) in cases.items():
        ask(bench, writer=name)
        assert says in ended(bench)["problem"]
        assert bench.describe().endswith("ended by an error.")


def test_ctrl_c_ends_a_text_that_a_cell_writes(bench):
    def write(ids, settings, report):
        report("half")
        raise KeyboardInterrupt

    other = CompletionBench({"interrupted": Writer(str.encode, write, 9, 1, 1)})
    assert other.write("x") == "half" and other.run.ending.reason == "interrupted"
    assert not other.writing


@pytest.mark.parametrize("closes", [True, False])
def test_python_ends_although_a_thread_writes(closes):
    script = f"""
        import dataclasses
        import time
        from course_utils.widgets.completion_bench import CompletionBench
        from course_utils.generation.writing import Ending, Settings, Writer

        def write(ids, settings, report):
            while not report("x"):
                time.sleep(0.01)
            print("stopped")
            return Ending("interrupted")

        bench = CompletionBench({{"endless": Writer(str.encode, write, 9, 1, 1)}})
        request = {{"do": "write", "writer": "endless", "chat": False, "prompt": "x", "system": ""}}
        bench.handle(request | dataclasses.asdict(Settings()))
        time.sleep(0.1)
        if {closes}:
            bench.close()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=10 * WAIT
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\n", "")


def test_a_bench_needs_a_writer():
    with pytest.raises(ValueError, match="a bench has one writer at least"):
        CompletionBench({})


# ---- what stays ---------------------------------------------------------------------------------


def test_the_sentence_is_the_repr_and_the_plain_text_and_has_no_times(bench):
    bench.write("To\nbe", "own GPT", temperature=0, length=10)
    sentence, bundle = bench.describe(), bench._repr_mimebundle_()
    assert sentence.startswith("own GPT continues “To⏎be” with the cache: “")
    assert ", 10 tokens, ended by the length asked for. The cache held 14 tokens, 0.01 MB" in sentence
    assert repr(bench) == sentence == bundle["text/plain"] == bench.shown["sentence"]
    assert not re.search(r"\d s\b|tokens/s", sentence)
    assert bundle[WIDGET_VIEW]["model_id"] == bench.model_id and len(json.dumps(bundle)) < 200_000


def test_the_picture_gives_no_warning(bench, recwarn):
    empty = bench.png()
    bench.write("🦜 $a$ שלום", length=200)
    assert bench.png() != empty
    assert not recwarn.list


# ---- the real one -------------------------------------------------------------------------------


def test_smollm2_completes_and_chats_the_same_with_the_cache_and_without():
    bench = CompletionBench({"SmolLM2": adapters.smollm2(pretrained.load("smollm2-135m"))})
    completed = [
        bench.write("The capital of France is", temperature=0, length=6, cache=c) for c in (True, False)
    ]
    assert completed[0] == completed[1] and "Paris" in completed[0]
    assert "wrote the same" in bench.describe()
    answer = bench.write("What is the capital of France?", chat=True, temperature=0, length=40)
    assert "Paris" in answer and "<|" not in answer and bench.run.ending.reason == "end"
    ending = bench.run.ending
    assert ending.cache_bytes == ending.cached * 2 * 30 * 3 * 64 * 4
    assert bench.run.ids[:1] == [1]
