"""Measure the recorded points of the scoreboard again, and fail if one has drifted.

python3 course.py bench scoreboard            compare with what is recorded
python3 course.py bench scoreboard --write    record what was measured
"""

import platform
import sys
import time

from course_utils import corpora, scoreboard
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer, WordTokenizer

COMMAND = "python3 course.py bench scoreboard"


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


def word_point(corpus, order=5, min_count=2):
    """Words: every byte is paid for, the letters of unknown words at 8 bits each."""
    start = time.perf_counter()
    tokenizer = WordTokenizer(corpus.train_text, min_count)
    model = NGramModel(order).fit([tokenizer.encode(p) for p in corpus.train.values()], tokenizer.vocab_size)
    seconds = time.perf_counter() - start
    bits = -model.log2_probs(tokenizer.encode(corpus.test)).sum() + tokenizer.spelling_bits(corpus.test)
    n_bytes = len(corpus.test.encode())
    return point(f"word {order}-gram", "word n-gram", model, bits / n_bytes, seconds, None, corpus)


def main():
    corpus = corpora.shakespeare()
    points = [*byte_points(corpus), word_point(corpus)]
    lines = {name: round(bits, 5) for name, bits in scoreboard.compressors(corpus).items()}
    print(scoreboard.table(points))
    print("  ".join(f"{name} {bits:.3f}" for name, bits in lines.items()))
    if "--write" in sys.argv:
        scoreboard.record(points, lines)
        return
    old_points, old_lines = scoreboard.recorded()
    old = {p.name: p.bits_per_byte for p in old_points} | old_lines
    new = {p.name: p.bits_per_byte for p in points} | lines
    drifted = [name for name in new if abs(new[name] - old.get(name, float("inf"))) > 1e-3]
    if drifted:
        sys.exit(f"drifted from what is recorded: {', '.join(drifted)}")
    print("all as recorded")


if __name__ == "__main__":
    main()
