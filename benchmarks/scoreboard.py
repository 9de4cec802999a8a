"""Make the points of the scoreboard again, and fail if one has drifted, is new or is gone.

The n-grams and the live GPT are trained here, and scored; the recorded LSTM and GPT, and SmolLM2, are scored.
The other networks of chapter 2 and the masked model's bound are read from the tables of their recipes, which
alone make them again: of these it is only seen that scoreboard and table agree.

python3 course.py bench scoreboard            compare with what is recorded
python3 course.py bench scoreboard --write    record what was measured
"""

import platform
import sys
import time
from dataclasses import asdict

import numpy as np
from scipy import stats

from course_utils import pretrained
from course_utils.data import corpora
from course_utils.gpt import log2_probs
from course_utils.measuring import scoreboard
from course_utils.ngrams import NGramModel, reading_on
from course_utils.tokenizers import ByteTokenizer, WordTokenizer
from course_utils.training import checkpoints
from course_utils.weights import diffusion_recipe, gpt_recipe, lstm_recipe, recording

COMMAND = "python3 course.py bench scoreboard"
# bits a byte by which a point may differ; the live GPT is trained again, and two seeds differ by as much
ALLOWED = {"GPT, live": 0.03}


def point(name, family, model, bits, seconds, context, corpus):
    return scoreboard.Point(
        name=name,
        family=family,
        bits_per_byte=round(bits, 5),
        train_bytes=sum(len(play.encode()) for play in corpus.train.values()),
        parameters=sum(model.entries),
        megabytes=round(model.megabytes, 1),
        train_seconds=round(seconds, 2),
        train_flops=None,
        context_bytes=context,
        weights="int32 and float64 tables",
        has_read_test="no",
        how="recorded",
        machine=f"{platform.machine()}, 2 cores, no GPU",
        command=COMMAND,
        test_sha256=corpus.test_sha256,
    )


def byte_points(corpus):
    """Modified Kneser-Ney of every order: the n-grams' place on the course's chart."""
    tokenizer = ByteTokenizer()
    train = [tokenizer.encode(play) for play in corpus.train.values()]
    test = tokenizer.encode(corpus.test)
    for order in range(1, 9):
        start = time.perf_counter()
        model = NGramModel(order, "modified_kneser_ney").fit(train, 256)
        seconds = time.perf_counter() - start
        yield point(f"{order}-gram", "n-gram", model, model.bits_per_byte(test), seconds, order - 1, corpus)


def reading_on_point(corpus, order=8):
    """The order that is best on Twelfth Night, counting The Tempest while it is scored on it."""
    tokenizer = ByteTokenizer()
    start = time.perf_counter()
    model = NGramModel(order).fit([tokenizer.encode(play) for play in corpus.train.values()], 256)
    seconds = time.perf_counter() - start
    bits = float(-np.log2(reading_on.scores(model, tokenizer.encode(corpus.test))).mean())
    return point(f"{order}-gram, reads on", "adaptive n-gram", model, bits, seconds, None, corpus)


def word_point(corpus, order=5, min_count=2):
    """Words: every byte is paid for, the letters of unknown words at 8 bits each."""
    start = time.perf_counter()
    tokenizer = WordTokenizer(corpus.train_text, min_count)
    model = NGramModel(order).fit([tokenizer.encode(p) for p in corpus.train.values()], tokenizer.vocab_size)
    seconds = time.perf_counter() - start
    bits = -model.log2_probs(tokenizer.encode(corpus.test)).sum() + tokenizer.spelling_bits(corpus.test)
    n_bytes = len(corpus.test.encode())
    return point(f"word {order}-gram", "word n-gram", model, bits / n_bytes, seconds, None, corpus)


def neural_points(corpus):
    """The networks of chapter 2: the recorded LSTM is scored again; the others would train for minutes, and
    come from the table of their runs, with seed 0."""
    names = {"feed-forward": "feed-forward", "rnn": "RNN", "live": "LSTM, live", "bpe": "LSTM on BPE"}
    runs = [run for run in recording.read_table(lstm_recipe.SEEDS) if run["seed"] == "0"]
    for run in (run for run in runs if run["name"] in names):
        yield neural_point(
            names[run["name"]],
            float(run[corpora.TEST]),
            run,
            corpus,
            how="live" if run["name"] == "live" else "recorded",
            context_bytes=lstm_recipe.RECIPES[run["name"]].sizes.get("context"),
            command=f"{lstm_recipe.COMMAND} seeds",
        )
    model, (_, run) = lstm_recipe.load(), checkpoints.load(lstm_recipe.WEIGHTS)
    run["flops"] = lstm_recipe.train_flops(model, run["bytes"])
    bits = lstm_recipe.bits(model, corpus.test)
    command = f"{lstm_recipe.COMMAND} recorded"
    yield neural_point("LSTM, recorded", bits, run, corpus, weights="float16", command=command)


def gpt_points(corpus):
    """The GPTs of chapter 8: the live one trains here, its seconds are those of the table of changes; the
    recorded one is scored again."""
    model, run = gpt_recipe.run(gpt_recipe.LIVE, device="cpu")
    table = [row for row in recording.read_table(gpt_recipe.ABLATION) if row["used"] == "yes"]
    run.seconds = float(table[-1]["seconds"])
    settings = {"family": "transformer", "context_bytes": model.context, "command": COMMAND}
    bits = gpt_recipe.bits(model, corpus.test)
    yield neural_point("GPT, live", bits, gpt_recipe.cost(model, run), corpus, how="live", **settings)
    model, (_, run) = gpt_recipe.load(), checkpoints.load(gpt_recipe.WEIGHTS)
    bits = gpt_recipe.bits(model, corpus.test)
    settings |= {"context_bytes": model.context, "command": f"{gpt_recipe.COMMAND} recorded"}
    yield neural_point("GPT, recorded", bits, run, corpus, weights="float16", **settings)


def bound_points(corpus):
    """The masked model of chapter 6, of which a bound is known: its run with seed 0. (Its table leaves the
    first 32 bytes of the play out, and at most 31 at its end.)"""
    rows = recording.read_table(diffusion_recipe.TABLE)
    (run,) = (row for row in rows if row["model"] == "masked" and row["tempest"] and row["seed"] == "0")
    run["machine"] = f"{platform.machine()}, 1 threads, no GPU"
    exact = neural_point(
        "masked, a bound",
        float(run["tempest"]),
        run,
        corpus,
        family="masked",
        context_bytes=diffusion_recipe.SHAPE.context,
        command="python -m course_utils.weights.diffusion_recipe",
    )
    spread = stats.t.ppf(0.975, diffusion_recipe.DRAWS - 1) * float(run["tempest_error"])
    low, high = (round(exact.bits_per_byte + sign * float(spread), 4) for sign in (-1, 1))
    yield scoreboard.BoundPoint(**asdict(exact), low=low, high=high)


def smollm2_point(corpus, window=1024):
    """A published model, an upper bound: one way to cut the text into tokens is scored. 2e12 training tokens
    (Ben Allal et al. 2025) at 6 operations a token and weight."""
    model, tokenizer = pretrained.load("smollm2-135m"), pretrained.smollm2_tokenizer()
    tokens, n_bytes = tokenizer.encode(corpus.test).ids, len(corpus.test.encode())
    start = tokenizer.token_to_id("<|endoftext|>")
    log2_p = log2_probs(model, tokens, window, start)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return scoreboard.Point(
        name="SmolLM2-135M-Instruct, 4 bits",
        family="instruct, 4 bits",
        bits_per_byte=round(-log2_p.sum() / n_bytes, 4),
        train_bytes=None,
        parameters=parameters,
        megabytes=round(parameters * 4 / 1e6, 1),
        train_seconds=None,
        train_flops=6.0 * parameters * 2e12,
        context_bytes=round(window * n_bytes / len(tokens)),
        weights="4 bits, dequantised to float32",
        has_read_test="probably",
        how="recorded",
        machine="not published",
        command=COMMAND,
        test_sha256=corpus.test_sha256,
    )


def neural_point(
    name,
    bits,
    run,
    corpus,
    weights="float32",
    how="recorded",
    context_bytes=None,
    family="recurrent",
    *,
    command,
):
    return scoreboard.Point(
        name=name,
        family=family,
        bits_per_byte=round(bits, 4),
        train_bytes=int(run["bytes"]),
        parameters=int(run["parameters"]),
        megabytes=round(int(run["parameters"]) * {"float32": 4, "float16": 2}[weights] / 1e6, 1),
        train_seconds=float(run["seconds"]),
        train_flops=float(run["flops"]),
        context_bytes=context_bytes,
        weights=weights,
        has_read_test="no",
        how=how,
        machine=run["machine"],
        command=command,
        test_sha256=corpus.test_sha256,
    )


def drifted(old, new):
    """The names of {name: bits a byte} that only one of both has, or that differ by more than is allowed."""
    both = old.keys() & new.keys()
    moved = {name for name in both if abs(old[name] - new[name]) > ALLOWED.get(name, 1e-3)}
    return sorted(old.keys() ^ new.keys() | moved)


def main():
    corpus = corpora.shakespeare()
    points = [
        *byte_points(corpus),
        word_point(corpus),
        reading_on_point(corpus),
        *neural_points(corpus),
        *gpt_points(corpus),
    ]
    points.append(smollm2_point(corpus))
    bounds = [*bound_points(corpus)]
    lines = {name: round(bits, 5) for name, bits in scoreboard.compressors(corpus).items()}
    print(scoreboard.table(points))
    print("  ".join(f"{name} {bits:.3f}" for name, bits in lines.items()))
    if "--write" in sys.argv:
        scoreboard.record(points, lines, bounds)
        return
    old_points, old_lines = scoreboard.recorded()
    old = {p.name: p.bits_per_byte for p in [*old_points, *scoreboard.recorded_bounds()]} | old_lines
    new = {p.name: p.bits_per_byte for p in [*points, *bounds]} | lines
    if names := drifted(old, new):
        sys.exit(f"drifted from what is recorded: {'; '.join(names)}")
    print("all as recorded")


if __name__ == "__main__":
    main()
