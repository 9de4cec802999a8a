"""Writing and searching with a mock model: equal to the definition, whatever the batch, cache and borders."""

import math
import warnings
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from mocks import Mock

from course_utils.generation import beam_search, beam_searches, generate
from course_utils.generation.speculation import LookupDraft, speculative_generate
from course_utils.gpt import GPT, GPTConfig
from course_utils.sampling import Sampler
from course_utils.tokenizers import ByteTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

PROMPTS = [[3], [1, 2, 0, 4, 4, 1, 2], [5, 5], [0] * 12]


def greedy_by_definition(model, prompt, n):
    text = list(prompt)
    for _ in range(n):
        text.append(model.next_probs(text[-model.context :]).argmax().item())
    return text[len(prompt) :]


def ids(completions):
    return [completion.ids for completion in completions]


def decode(tokens):
    return ByteTokenizer().decode(tokens, errors="replace")


class Scripted(Mock):
    """Writes a given text whatever it reads, byte by byte (the sum of what was read stands for the place)."""

    def __init__(self, text, context=64):
        super().__init__(256, context)
        self.script = text.encode()

    def __call__(self, ids, cache=None, mask=None, last=None):
        super().__call__(ids, cache, mask, last)
        place = len(cache) - 1
        return (
            torch.nn.functional.one_hot(torch.tensor([[self.script[place]]]), 256)
            .float()
            .expand(len(ids), 1, -1)
        )


# Batches, padding and the cache


@pytest.mark.parametrize("use_cache", [True, False])
def test_rows_of_a_batch_are_written_as_if_alone(use_cache):
    model = Mock(6)
    expected = [greedy_by_definition(model, prompt, 9) for prompt in PROMPTS]
    assert ids(generate(model, PROMPTS, 9, use_cache=use_cache)) == expected
    for prompt, one in zip(PROMPTS, expected, strict=True):
        assert ids(generate(model, [prompt], 9, use_cache=use_cache)) == [one]


def test_a_cache_reads_each_token_once():
    model = Mock(6)
    generate(model, [[1, 2, 3]], 10)
    assert (model.calls, model.tokens) == (10, 12)
    model = Mock(6)
    generate(model, [[1, 2, 3]], 10, use_cache=False)
    assert (model.calls, model.tokens) == (10, sum(range(3, 13)))


def test_rows_end_early_and_cost_nothing_more():
    model = Mock(6)
    free = [greedy_by_definition(model, prompt, 12) for prompt in PROMPTS]
    end = free[1][3]
    model.tokens = 0
    got = generate(model, PROMPTS, 12, end_ids=[end])
    lengths = []
    for completion, whole in zip(got, free, strict=True):
        length = whole.index(end) + 1 if end in whole else 12
        assert completion.ids == whole[:length]
        assert completion.reason == ("end" if end in whole else "length")
        lengths.append(length)
    assert len(set(lengths)) > 1
    assert model.tokens == 12 * len(PROMPTS) + sum(length - 1 for length in lengths)


def test_what_each_token_cost_is_measured_before_the_sampler():
    model = Mock(6)
    end = greedy_by_definition(model, PROMPTS[1], 4)[3]
    got = generate(model, PROMPTS, 9, sampler=Sampler(top_k=2, temperature=0), end_ids=[end], measure=True)
    for prompt, row in zip(PROMPTS, got, strict=True):
        probs = [model.next_probs([*prompt, *row.ids[:n]]) for n in range(len(row.ids))]
        assert row.surprise == pytest.approx([-math.log2(p[i]) for p, i in zip(probs, row.ids, strict=True)])
        assert row.entropy == pytest.approx([-(p * p.log2()).sum().item() for p in probs])
    assert len({len(row.ids) for row in got}) > 1
    assert generate(model, PROMPTS, 9)[0].surprise == []


@pytest.mark.parametrize("what", [{}, {"token_shift": True}, {"ngrams": 3, "ngram_rows": 31}], ids=str)
def test_a_real_model_in_a_ragged_batch(what):
    torch.manual_seed(0)
    model = GPT(GPTConfig(50, 64, 2, 4, 32, n_kv_heads=2, **what)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    prompts = [[1], [5, 9, 40, 2, 7], [3, 3]]
    together = ids(generate(model, prompts, 20))
    assert together == [ids(generate(model, [prompt], 20))[0] for prompt in prompts]
    assert together == ids(generate(model, prompts, 20, use_cache=False))


def test_a_model_in_training_writes_without_its_dropout_and_goes_on_training():
    torch.manual_seed(0)
    model = GPT(GPTConfig(50, 64, 2, 4, 32, dropout=0.5))
    expected = ids(generate(model.eval(), [[1]], 20))
    assert ids(generate(model.train(), [[1]], 20)) == expected
    assert [beam_search(model, [1], 20, 1)[0].ids] == expected
    assert speculative_generate(model, [1], 20, LookupDraft(1)).ids == expected[0]
    assert model.training and next(model.parameters()).requires_grad


def test_a_real_model_writes_what_transformers_does():
    from test_gpt import as_llama

    torch.manual_seed(1)
    model = GPT(GPTConfig(50, 64, 2, 4, 32, n_kv_heads=2)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    prompt, llama = [4, 8, 15, 16, 23, 42], as_llama(model)
    theirs = llama.generate(torch.tensor([prompt]), max_new_tokens=30, do_sample=False, eos_token_id=None)
    assert generate(model, [prompt], 30)[0].ids == theirs[0, 6:].tolist()
    for beams, penalty in [(3, 1.0), (4, 0.0), (2, 2.0)]:
        theirs = llama.generate(
            torch.tensor([prompt]),
            max_new_tokens=8,
            num_beams=beams,
            do_sample=False,
            length_penalty=penalty,
            eos_token_id=7,
            pad_token_id=0,
            early_stopping="never",
        )
        ours = beam_search(model, prompt, 8, beams, length_penalty=penalty, end_ids=[7])[0].ids
        assert ours == theirs[0, 6 : 6 + len(ours)].tolist()


# The window


def test_a_long_prompt_is_cropped_with_notice():
    model = Mock(6, context=10)
    prompt = [i % 6 for i in range(10_000)]
    with pytest.warns(
        UserWarning, match=r"10,000 tokens and there is room for 10: .* first 9,990 are left out"
    ) as caught:
        got = generate(model, [prompt], 1)
    assert caught[0].filename == __file__  # it points at the call
    assert got[0].ids == greedy_by_definition(model, prompt[-10:], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, [prompt[-10:]], 1)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_text_that_outgrows_the_window_goes_on_with_its_last_half(use_cache):
    model, text, window = Mock(6, context=8), [1, 2, 3], [1, 2, 3]
    for _ in range(30):
        window.append(model.next_probs(window).argmax().item())
        text.append(window[-1])
        if len(window) > 8:
            window = window[-4:]
    assert generate(model, [[1, 2, 3]], 30, use_cache=use_cache)[0].ids == text[3:]


def test_a_row_of_a_batch_that_outgrows_the_window_is_cropped_and_the_others_are_not():
    torch.manual_seed(0)
    model = GPT(GPTConfig(48, 16, n_layers=2, n_heads=2, d_model=16)).eval()
    prompts = torch.randint(48, (3, 12)).tolist()
    prompts = [prompts[0], prompts[1][:5], prompts[2][:1]]
    for n in (10, 30):
        together = generate(model, prompts, n)
        assert ids(together) == [ids(generate(model, [prompt], n))[0] for prompt in prompts]


# Sampling


def test_samples_follow_the_seed_and_the_sampler():
    model = Mock(6)
    runs = [
        ids(generate(model, [[1]] * 3, 20, sampler=Sampler(), generator=torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert runs[0][0] != runs[0][1]
    text = [1, *generate(model, [[1]], 40, sampler=Sampler(top_k=2), generator=torch.Generator())[0].ids]
    for i in range(1, len(text)):
        assert text[i] in model.next_probs(text[:i]).topk(2).indices


def test_penalties_count_prompt_and_text_but_no_padding():
    model = Mock(6)
    never_twice = Sampler(frequency_penalty=1000.0, temperature=0)
    short, long = ids(generate(model, [[0], [3, 1, 2]], 3, sampler=never_twice))
    assert len({0, *short}) == 4 and sorted([3, 1, 2, *long]) == [0, 1, 2, 3, 4, 5]
    assert [short, long] == [
        ids(generate(model, [prompt], 3, sampler=never_twice))[0] for prompt in ([0], [3, 1, 2])
    ]


# Stop strings and streaming


@pytest.mark.parametrize(
    "text, stop, expected, length",
    [
        ("one two three", ["two"], "one ", 7),  # across the borders of tokens: each is a byte
        ("aab", ["ab"], "a", 3),
        ("one\n\ntwo", ["\n\n", "e\n"], "on", 4),  # the one that is complete first
        ("né 🦜!", ["🦜"], "né ", 8),
        ("stop", ["stop"], "", 4),
    ],
)
def test_stop_strings(text, stop, expected, length):
    completion = generate(
        Scripted(text + "....."),
        [[0]],
        20 if len(text) > 20 else len(text.encode()),
        decode=decode,
        stop=stop,
    )[0]
    assert (completion.text, completion.reason, len(completion.ids)) == (expected, "stop", length)


@pytest.mark.parametrize("text", ["one stop or st, sto", "né 🦜 🦜", "x \ufffd y", "sssstopped"])
@pytest.mark.parametrize("stop", [[], ["stop"], ["stopp", "tor"]])
def test_a_stream_never_takes_back_and_ends_as_the_text(text, stop):
    pieces = []
    n = len(text.encode())
    completion = generate(
        Scripted(text),
        [[0]],
        n,
        decode=decode,
        stop=stop,
        report=lambda row, token, piece: pieces.append(piece),
    )[0]
    assert "".join(pieces) == completion.text
    assert completion.text == text[: min((text.find(each) for each in stop if each in text), default=None)]
    assert len(pieces) == len(completion.ids)


def test_a_stream_of_several_rows():
    heard = {0: "", 1: ""}

    def report(row, token, piece):
        heard[row] += piece

    got = generate(
        Mock(256), [[1], [2, 3]], 10, decode=lambda tokens: "".join(map(chr, tokens)), report=report
    )
    assert [heard[0], heard[1]] == [completion.text for completion in got]


@pytest.mark.parametrize("ctrl_c", [True, False])
def test_what_was_written_before_an_interruption_is_kept(ctrl_c):
    def report(row, token, piece):
        if len(heard) == 5:
            if ctrl_c:
                raise KeyboardInterrupt
            return True
        heard.append(token)

    heard, model = [], Mock(6)
    got = generate(model, [[1], [2]], 50, decode=str, report=report)
    assert [len(completion.ids) for completion in got] == [3, 3]
    assert all(completion.reason == "interrupted" for completion in got)
    assert ids(generate(model, [[1]], 3)) == [got[0].ids]  # and the model goes on as before


@pytest.mark.parametrize("use_cache", [True, False])
def test_it_can_be_told_to_stop_between_steps_and_between_pieces_of_a_prompt(use_cache):
    prompt, whole = [1, 2, 0, 4] * 40, greedy_by_definition(Mock(6, context=200), [1, 2, 0, 4] * 40, 5)
    for asked in range(1, 8):
        read, stops = [], iter([False] * asked + [True])

        class Read(Mock):
            def __call__(self, ids, *rest, read=read, **settings):
                read.append(ids.shape[1])
                return super().__call__(ids, *rest, **settings)

        [got] = generate(
            Read(6, context=200), [prompt], 5, use_cache=use_cache, should_stop=partial(next, stops)
        )
        if use_cache:
            assert read == [64, 64, 32, 1, 1, 1, 1][:asked] and got.cached == sum(read)
            assert got.ids == whole[: max(asked - 2, 0)]
            assert got.reason == ("length" if asked == 7 else "interrupted")
        else:  # each token reads all before it, in three pieces
            assert read == [64, 64, 32, 64, 64, 33, 64][:asked] and got.cached == 0
            assert got.ids == whole[: asked // 3] and got.reason == "interrupted"


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_ragged_batch_that_is_read_in_pieces(use_cache):
    torch.manual_seed(0)
    model = GPT(GPTConfig(50, 256, 2, 4, 32, n_kv_heads=2, token_shift=True, ngrams=3, ngram_rows=31)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    prompts = [torch.randint(50, (n,)).tolist() for n in (1, 60, 150)]
    expected = ids(generate(model, prompts, 9))
    got = generate(model, prompts, 9, use_cache=use_cache, should_stop=lambda: False)
    assert ids(got) == expected


def test_a_completion_says_what_the_cache_took():
    model = GPT(GPTConfig(50, 64, 2, 4, 32, n_kv_heads=2)).eval()
    with_cache, without = (generate(model, [[1, 2], [3]], 9, use_cache=cache) for cache in (True, False))
    for completion in with_cache:  # keys and values, layers, heads, width, rows, bytes
        assert (completion.cached, completion.cache_bytes) == (10, 10 * 2 * 2 * 2 * 8 * 2 * 4)
    assert all((completion.cached, completion.cache_bytes) == (0, 0) for completion in without)


def test_an_interruption_in_the_middle_of_a_call_keeps_what_was_written():
    class Interrupted(Mock):
        def __call__(self, *args, **settings):
            logits = super().__call__(*args, **settings)
            if self.calls == 4:
                raise KeyboardInterrupt
            return logits

    whole = [greedy_by_definition(Mock(6), prompt, 50) for prompt in PROMPTS]
    end = whole[0][1]
    got = generate(Interrupted(6), PROMPTS, 50, end_ids=[end])
    for completion, text in zip(got, whole, strict=True):
        ended = end in text[:3]
        assert completion.ids == text[: text.index(end) + 1 if ended else 3]
        assert completion.reason == ("end" if ended else "interrupted")
    assert {completion.reason for completion in got} == {"end", "interrupted"}


# Beam search


def all_continuations(model, prompt, n):
    """Every text of n tokens with its log-probability."""
    for text in product(range(model.vocab_size), repeat=n):
        whole = [*prompt, *text]
        yield (
            list(text),
            sum(
                model.next_probs(whole[: len(prompt) + i])[token].log().item() for i, token in enumerate(text)
            ),
        )


def test_enough_beams_find_the_best_of_all():
    model = Mock(4, seed=3)
    best = sorted(all_continuations(model, [1, 2], 4), key=lambda pair: -pair[1])
    found = beam_search(model, [1, 2], 4, beams=64)
    assert found[0].ids == best[0][0]
    assert [beam.log_p for beam in found] == pytest.approx([log_p for _, log_p in best[:64]], abs=1e-5)
    assert found[0].score == pytest.approx(best[0][1] / 4, abs=1e-6)


def test_one_beam_is_greedy_and_more_find_likelier_texts():
    likelier = 0
    for seed in range(10):
        model = Mock(6, seed=seed, spread=1.0)
        one, many = (beam_search(model, [1], 8, beams)[0] for beams in (1, 8))
        assert one.ids == greedy_by_definition(model, [1], 8)
        assert many.log_p >= one.log_p - 1e-9
        likelier += many.log_p > one.log_p + 1e-6
    assert likelier > 3


def test_the_length_penalty_decides_between_short_and_long():
    model = Mock(5, seed=1)
    lengths = [
        len(beam_search(model, [1], 10, beams=20, length_penalty=penalty, end_ids=[0])[0].ids)
        for penalty in (0.0, 0.5, 1.0, 3.0)
    ]
    assert all(short <= long for short, long in pairwise(lengths)) and lengths[0] < lengths[-1]


@pytest.mark.parametrize("penalty", [-1.0, 0.0, 0.7, 2.0])
def test_stopping_early_loses_nothing(penalty):
    """With as many beams as there are texts, the best of all that end, or are cut, is found."""
    model, n = Mock(3, seed=2), 5
    best = -math.inf
    for length in range(1, n + 1):
        for text, log_p in all_continuations(model, [1], length):
            if 0 not in text[:-1] and (text[-1] == 0 or length == n):
                best = max(best, log_p / length**penalty)
    found = beam_search(model, [1], n, beams=100, length_penalty=penalty, end_ids=[0])
    assert found[0].score == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("prompts", [PROMPTS, [[1, 2], [3, 4], [5, 5]]], ids=["ragged", "even"])
@pytest.mark.parametrize("end_ids", [(), (0, 3)])
def test_several_searches_in_a_batch_find_what_each_finds_alone(prompts, end_ids):
    model = Mock(6)
    alone = [beam_search(model, prompt, 9, 3, length_penalty=0.5, end_ids=end_ids) for prompt in prompts]
    calls, model.calls = model.calls, 0
    assert beam_searches(model, prompts, 9, 3, length_penalty=0.5, end_ids=end_ids) == alone
    assert model.calls <= 9 < calls


# Bad input


@pytest.mark.parametrize(
    "prompts, settings, words",
    [
        ([[]], {}, "at least one token"),
        ([], {}, "a list of prompts"),
        ([1, 2], {}, "a list of prompts"),
        ("text", {}, "a list of prompts"),
        ([[6]], {}, "between 0 and 5; got 6"),
        ([[1], [-1]], {}, "between 0 and 5; got -1"),
        ([[1], 5], {}, "a list of prompts"),
        ([["a"]], {}, "each a whole number; got 'a'"),
        ([[1] * 1000 + [None]], {}, "each a whole number; got None"),
        ([None], {}, "each a whole number; got None"),
        ([[1.9]], {}, r"each a whole number; got 1\.9"),
        ([torch.tensor([1.0])], {}, r"each a whole number; got tensor\(1\.\)"),
        ([torch.tensor([[1, 2]])], {}, r"each a whole number; got tensor\(\[1, 2\]\)"),
        ([[[1] * 1000]], {}, r"each a whole number; got \[1, 1, 1, 1, 1, 1, \.\.\.\]"),
        ([[1]], {"max_new": -1}, "max_new"),
        ([[1]], {"max_new": 2.5}, "got 2.5"),
        ([[1]], {"stop": ["x"]}, "need decode"),
        ([[1]], {"stop": [""], "decode": str}, r"such as \['END'\]; got \[''\]"),
        ([[1]], {"stop": "END", "decode": str}, r"a list of strings .* got 'END'"),
    ],
)
def test_input_that_is_refused_before_the_model_runs(prompts, settings, words):
    model = Mock(6)
    with pytest.raises(ValueError, match=words):
        generate(model, prompts, **{"max_new": 3} | settings)
    assert model.calls == 0


@pytest.mark.parametrize("kind", [tuple, np.array, torch.tensor])
def test_ids_may_be_numbers_of_numpy_and_torch(kind):
    model, prompt = Mock(6), [1, 2, 0, 4]
    expected = greedy_by_definition(model, prompt, 5)
    for form in (kind(prompt), list(kind(prompt))):
        assert ids(generate(model, [form], 5)) == [expected]
        assert beam_search(model, form, 5, 1)[0].ids == expected


def test_logits_that_are_no_numbers_are_refused_and_the_model_is_usable_afterwards():
    model = Mock(6)
    table = model.table.clone()
    model.table[:] = math.nan
    with pytest.raises(ValueError, match="the logits contain NaN"):
        generate(model, [[1]], 3)
    model.table = table
    assert ids(generate(model, [[1]], 3)) == [greedy_by_definition(model, [1], 3)]


def test_nothing_to_write():
    assert ids(generate(Mock(6), [[1]], 0)) == [[]]
    assert generate(Mock(6), [[1]], 0)[0].reason == "length"


@pytest.mark.parametrize("beams", [0, -1, 2.0])
def test_beams_that_are_refused(beams):
    with pytest.raises(ValueError, match="beams must be a whole number"):
        beam_search(Mock(6), [1], 3, beams)


def test_a_search_that_does_not_fit():
    with pytest.raises(ValueError, match="max_new must be below the model's context of 10 tokens; got 10"):
        beam_search(Mock(6, context=10), [1], 10)
    for search in (
        lambda model, prompt: beam_search(model, prompt, 3),
        lambda model, prompt: speculative_generate(model, prompt, 3, LookupDraft(1)),
    ):
        with pytest.warns(UserWarning, match="there is room for 7") as caught:
            search(Mock(6, context=10), [1] * 9)
        assert caught[0].filename == __file__
