import random

import numpy as np
import pytest

from course_utils.data import corpora
from course_utils.ngrams import NGramModel, arithmetic_coding


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> NGramModel:
    return NGramModel(4).fit(as_bytes(corpora.shakespeare().validation), vocab_size=256)


def ideal_bytes(symbols, distributions) -> float:
    return -sum(np.log2(p[s]) for s, p in zip(symbols, distributions, strict=True)) / 8


@pytest.mark.parametrize("vocab_size", [1, 2, 3, 256, 50_000])
@pytest.mark.parametrize("concentration", [1e-3, 0.1, 10.0])
def test_symbols_come_back_and_take_their_bits(vocab_size, concentration):
    generator = np.random.default_rng(vocab_size)
    n = 100 if vocab_size > 1000 else 2000
    distributions = generator.dirichlet(np.full(vocab_size, concentration), size=n)
    symbols = [int(generator.choice(vocab_size, p=p)) for p in distributions]
    code = arithmetic_coding.encode(symbols, distributions)
    assert arithmetic_coding.decode(code, n, lambda so_far: distributions[len(so_far)]) == symbols
    ideal = ideal_bytes(symbols, distributions)
    assert ideal - 0.1 <= len(code) <= ideal + 1.1


def test_unlikely_and_impossible_symbols_come_back():
    distributions = [np.array([1 - 1e-12, 1e-12, 0.0]), np.array([0.0, 0.0, 1.0])] * 50
    symbols = [1, 0, 2, 1, 2, 2, 0, 0, 0, 2] * 10
    code = arithmetic_coding.encode(symbols, distributions)
    assert arithmetic_coding.decode(code, 100, lambda so_far: distributions[len(so_far)]) == symbols


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_long_stay_in_the_middle_stays_undecided(last):
    p = np.array([0.25, 0.5, 0.25])
    symbols = [1] * 5000 + [last] + [1] * 70
    code = arithmetic_coding.encode(symbols, [p] * len(symbols))
    assert arithmetic_coding.decode(code, len(symbols), lambda so_far: p) == symbols
    assert len(code) <= ideal_bytes(symbols, [p] * len(symbols)) + 1.1


@pytest.mark.parametrize("p", [[0, 0, 1], [1, 0, 0], [1e-300, 1 - 1e-13, 1e-300], [1 / 3] * 3, [0.1] * 10])
def test_every_symbol_owns_a_share(p):
    bounds = arithmetic_coding.bounds(np.array(p))
    assert bounds[0] == 0 and bounds[-1] == arithmetic_coding.TOTAL
    shares = np.diff(bounds)
    assert shares.min() >= 1
    assert np.abs(shares - np.array(p) * arithmetic_coding.TOTAL).max() <= len(p) + 1


@pytest.mark.parametrize(
    "p", [[0.5, 0.4], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [[0.5, 0.5]], [], [float("inf"), 0.0]]
)
def test_what_is_no_distribution_is_refused(p):
    with pytest.raises(ValueError, match="sums to 1"):
        arithmetic_coding.bounds(np.array(p))


@pytest.mark.parametrize("symbol", [-1, 2])
def test_a_symbol_outside_its_distribution_is_refused(symbol):
    with pytest.raises(ValueError, match=f"from 0 to 1; got {symbol}"):
        arithmetic_coding.encode([symbol], [np.array([0.5, 0.5])])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"a",
        b"To be, or not to be",
        b"\xff" * 500,
        random.Random(1).randbytes(3000),
        bytes(range(256)),
    ],
    ids=["empty", "zero", "one", "quotation", "same", "random", "every"],
)
def test_any_bytes_come_back(model, data):
    assert arithmetic_coding.decompress(arithmetic_coding.compress(data, model), model) == data


@pytest.mark.parametrize("n", [127, 128, 129, 16383, 16384])
def test_the_number_of_bytes_comes_back(n):
    model = NGramModel(1).fit(np.zeros(1000, dtype=np.uint8), vocab_size=256)
    blob = arithmetic_coding.compress(bytes(n), model)
    assert arithmetic_coding.decompress(blob, model) == bytes(n)


def test_two_acts_come_back_and_take_the_bits_of_the_scoreboard(model):
    data = corpora.shakespeare().test.encode()[:35_000]
    blob = arithmetic_coding.compress(data, model)
    assert arithmetic_coding.decompress(blob, model) == data
    ideal = model.bits_per_byte(np.frombuffer(data, dtype=np.uint8)) * len(data) / 8
    assert ideal < len(blob) <= ideal + 4


def test_a_file_that_is_cut_off_is_refused(model):
    blob = arithmetic_coding.compress(
        b"Now would I give a thousand furlongs of sea for an acre of barren ground", model
    )
    for kept in (len(blob) - 2, len(blob) // 2, 1):
        with pytest.raises(ValueError, match="cut off"):
            arithmetic_coding.decompress(blob[:kept], model)
    for blob in (b"", b"\x80", b"\xff\xff"):
        with pytest.raises(ValueError, match="too few to say how long"):
            arithmetic_coding.decompress(blob, model)


def test_random_bytes_for_a_file_end_soon(model):
    with pytest.raises(ValueError, match="cut off, damaged"):
        arithmetic_coding.decompress(b"\xff" * 9 + b"\x01" + random.Random(2).randbytes(200), model)


def test_only_a_model_of_bytes_fits():
    words = NGramModel(1).fit(np.arange(10), vocab_size=10)
    for call in (arithmetic_coding.compress, arithmetic_coding.decompress):
        with pytest.raises(ValueError, match="expected a model of 256 bytes; got one of 10 tokens"):
            call(b"abc", words)
