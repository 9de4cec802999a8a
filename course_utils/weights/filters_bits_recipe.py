"""What is a filter worth? The bits that a model gains by what it removes, beside as much removed at random.

    OMP_NUM_THREADS=1 python -m course_utils.weights.filters_bits_recipe

A small crawl is made whose faults are known: 800 English passages; 200 of them once more, and 600 in another
order of their sentences; school exams in sixteen languages; code, random words and random characters; 100
passages into which an address or a number was put; and 100 of the 400 passages that are the test. For each
filter alone, and for all, a model reads what it keeps; another reads the crawl from which documents were
drawn and removed until as many bytes were gone; a third, the whole crawl. Other draws make other crawls:
three seeds.

Two filters remove good text, with an address or the test in it. What holds the test stands once; of the
passages with an address, a good half stand twice more without it. The control are as many bytes of other good
passages, all of which stand twice: one of the two removed, or both, which is twice as many bytes.

- 5-gram: modified Kneser-Ney on bytes, which counts all that it is given;
- GPT: 2 layers, 64 wide, on bytes; each reads as many bytes whatever is left, so it reads less text more
  often. Only for all filters together. The learning rate is the best of three for each way, by the bits on
  100 other passages, with a seed of its own; it was the largest each time, so a larger may be better still.

Writes filters_bits.csv: bits per byte on the 300 passages of the test that were not in the crawl (`unread`),
and on the 100 that were (`leaked`), where a low number only says that the answer was read. It does not show
what the same would be worth in a real crawl, whose faults are others and have other shares. It takes twelve
minutes of one core.
"""

import functools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from course_utils.data import labelled
from course_utils.gpt import GPT, GPTConfig, bits_per_byte
from course_utils.ngrams import NGramModel
from course_utils.pretraining import filters
from course_utils.pretraining.documents import Document
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Epochs
from course_utils.weights import recording

TABLE = Path(__file__).with_name("filters_bits.csv")
SEEDS, SWEEP_SEED = (0, 1, 2), 10
TRAIN, TEST, LEAKED, VALIDATION = 800, 400, 100, 100  # passages
PERSONAL = (
    "Write to ada.lovelace{}@mail.example.org.",
    "Call +44 20 7946 0{}.",
    "Its address is 8.8.100.{}.",
)
SHAPE = GPTConfig(256, context=128, n_layers=2, n_heads=4, d_model=64)
CONFIG = TrainConfig(
    steps=300, learning_rate=0.03, warmup_steps=15, final_share=0.05, evaluate_every=300, optimiser="muon"
)
RATES, BATCH = (0.015, 0.03, 0.06), 16
NONE, ALL = "none", "all"
GOOD = {"good, one of two": False, "good, both": True}  # whether a good passage's copy goes too
FILTERS = ("exact duplicates", "language", "personal data", "quality", "contamination", "near-duplicates")


class Crawl:
    """The documents of one seed, and the passages that are scored. The test is the same for all seeds."""

    def __init__(self, seed: int):
        texts = [each.text for each in labelled.reordered_passages() if len(each.text) > 200]
        reorderings = {each.text: each.reorderings for each in labelled.reordered_passages()}
        random.Random(0).shuffle(texts)
        self.test, self.validation, rest = (
            texts[:TEST],
            texts[TEST : TEST + VALIDATION],
            texts[TEST + VALIDATION :],
        )
        self.leaked = self.test[:LEAKED]
        drawn = random.Random(seed)
        clean = drawn.sample(rest, TRAIN)
        kinds = labelled.texts_by_kind()
        copies = clean[:200] + [drawn.choice(reorderings[text]) for text in clean[200:]]
        self.twice = [*zip(clean, copies, strict=True)]
        found = [
            *clean,
            *copies,
            *(text for questions in labelled.exams().values() for text in drawn.sample(questions, 60)),
            *(text for kind in ("code", "random words", "random characters") for text in kinds[kind]),
            *(f"{text} {PERSONAL[i % 3].format(100 + i)}" for i, text in enumerate(drawn.sample(rest, 100))),
            *self.leaked,
        ]
        drawn.shuffle(found)
        self.documents = [Document(text, str(i)) for i, text in enumerate(found)]

    def kept(self, name: str) -> list[Document]:
        """What one filter keeps, or all, or none of them."""
        judges = filters.standard([Document(text, "test") for text in self.test])
        chosen = judges if name == ALL else {each: judges[each] for each in judges if each == name}
        return [*filters.run(self.documents, chosen)[0]]

    def at_random(self, n_bytes: int, seed: int) -> list[Document]:
        """The documents but for some at random, as many as have so many bytes or just more."""
        order = random.Random(seed).sample(range(len(self.documents)), len(self.documents))
        gone = set()
        while n_bytes > 0:
            gone.add(i := order.pop())
            n_bytes -= size([self.documents[i]])
        return [document for i, document in enumerate(self.documents) if i not in gone]

    def without_good(self, n_bytes: int, seed: int, both: bool) -> list[Document]:
        """The documents but for good passages at random that have so many bytes or just more; with `both`
        the copy of each, or its reordering, is gone too."""
        gone = Counter()
        for pair in random.Random(seed).sample(self.twice, len(self.twice)):
            if n_bytes <= 0:
                break
            gone.update(pair if both else pair[:1])
            n_bytes -= len(pair[0].encode())
        left = []
        for document in self.documents:
            if gone[document.text]:
                gone[document.text] -= 1
            else:
                left.append(document)
        return left


@functools.lru_cache(maxsize=2)
def crawl(seed: int) -> Crawl:
    return Crawl(seed)


def size(documents: Sequence[Document]) -> int:
    """Bytes of UTF-8."""
    return sum(len(document.text.encode()) for document in documents)


def tokens(texts: Sequence[str]) -> np.ndarray:
    return np.frombuffer("\n\n".join(texts).encode(), np.uint8).astype(np.int64)


def remaining(name: str, how: str, seed: int) -> list[Document]:
    """What is read: how is "filter", or "random" or one of GOOD, which remove as many bytes as it does, or
    twice as many."""
    found = crawl(seed)
    kept = found.kept(name)
    n_bytes = size(found.documents) - size(kept)
    if how in GOOD:
        return found.without_good(n_bytes, seed, GOOD[how])
    return kept if how == "filter" else found.at_random(n_bytes, seed)


def row(name: str, how: str, seed: int, fit: Callable[[np.ndarray], Callable[[np.ndarray], float]]) -> dict:
    found, read = crawl(seed), remaining(name, how, seed)
    bits = fit(tokens([document.text for document in read]))
    return {
        "documents": len(read),
        "bytes": size(read),
        "bytes_removed": size(found.documents) - size(read),
        "unread": f"{bits(tokens(found.test[LEAKED:])):.4f}",
        "leaked": f"{bits(tokens(found.leaked)):.4f}",
    }


def five_gram(text: np.ndarray) -> Callable[[np.ndarray], float]:
    return NGramModel(5).fit(text, 256).bits_per_byte


def gpt(text: np.ndarray, rate: float, seed: int) -> Callable[[np.ndarray], float]:
    torch.manual_seed(seed)
    model = GPT(SHAPE)
    config = replace(CONFIG, learning_rate=rate, seed=seed)
    recording.finished(train(model, Epochs(text, 256, BATCH, SHAPE.context, seed), config))
    return functools.partial(bits_per_byte, model.eval())


def best_rate(name: str, how: str) -> float:
    """The rate of the three that leaves the fewest bits on the validation passages."""
    text = tokens([document.text for document in remaining(name, how, SWEEP_SEED)])
    validation = tokens(crawl(SWEEP_SEED).validation)
    return min(RATES, key=lambda rate: gpt(text, rate, SWEEP_SEED)(validation))


def gains(rows: list[dict[str, str]]) -> dict[tuple[str, str], list[float]]:
    """What a filter gains on removal at random, for each (model, filter): by seed, the bits per byte that it
    saves on passages that were not in the crawl, for each million bytes that it removes."""
    found = {(row["model"], row["removed"], row["how"], row["seed"]): row for row in rows}
    gained: dict[tuple[str, str], list[float]] = {}
    for (model, name, how, seed), row in found.items():
        if how == "random":
            by_filter = found[model, name, "filter", seed]
            saved = float(row["unread"]) - float(by_filter["unread"])
            gained.setdefault((model, name), []).append(saved / int(by_filter["bytes_removed"]) * 1e6)
    return gained


def mean_bits(rows: list[dict[str, str]], model: str, name: str, how: str = "filter") -> float:
    """Bits per byte of the passages that were not in the crawl, the mean of the crawls."""
    some = [row for row in rows if (row["model"], row["removed"], row["how"]) == (model, name, how)]
    return float(np.mean([float(row["unread"]) for row in some]))


def worth() -> tuple[str, str, str]:
    """The recorded table as lines of text: what each filter removes, and what it saves beside the crawl as it
    was and beside as much removed at random, means of the crawls; the latter crawl by crawl for each megabyte
    that it removes; and what the 5-gram pays for passages that were in the crawl, with and without the filter
    for them."""
    rows = recording.read_table(TABLE)
    heads = f"{'MB removed':>12}{'beside the crawl':>18}{'beside random':>15}"
    gained = [f"{'bits a byte saved':24}{heads}"]
    crawls = [f"{'beside random, a MB':24}" + "".join(f"{f'crawl {seed + 1}':>10}" for seed in SEEDS)]
    for (model, name), a_megabyte in gains(rows).items():
        some = [row for row in rows if (row["model"], row["removed"], row["how"]) == (model, name, "filter")]
        removed = np.mean([int(row["bytes_removed"]) / 1e6 for row in some])
        bits = mean_bits(rows, model, name)
        crawl, random_ = mean_bits(rows, model, NONE) - bits, mean_bits(rows, model, name, "random") - bits
        gained.append(f"{model:8}{name:16}{removed:12.2f}{crawl:+18.3f}{random_:+15.3f}")
        crawls.append(f"{model:8}{name:16}" + "".join(f"{bits:+10.3f}" for bits in a_megabyte))
    leaks = ["the 5-gram's bits a byte        passages of the test in the crawl   others"]
    for name in (NONE, "contamination"):
        some = [
            row for row in rows if (row["model"], row["removed"], row["how"]) == ("5-gram", name, "filter")
        ]
        leaked, unread = (np.mean([float(row[column]) for row in some]) for column in ("leaked", "unread"))
        leaks.append(f"  removed: {name:20}{leaked:24.2f}{unread:21.2f}")
    return "\n".join(gained), "\n".join(crawls), "\n".join(leaks)


def cost_of_good() -> str:
    """What it costs to remove good text, as lines: by the two filters that do, and as much of other passages,
    one of the two places where each stands or both; means of the crawls, and beside the crawl as it was."""
    rows = recording.read_table(TABLE)
    hows = {"filter": "the filter", "good, one of two": "one of two copies", "good, both": "both copies"}
    lines = [f"{'bits a byte lost to':20}" + "".join(f"{head:>20}" for head in hows.values())]
    for name in ("personal data", "contamination"):
        lost = (mean_bits(rows, "5-gram", name, how) - mean_bits(rows, "5-gram", NONE) for how in hows)
        lines.append(f"{name:20}" + "".join(f"{bits:20.3f}" for bits in lost))
    return "\n".join(lines)


def main() -> None:
    table = recording.Table(TABLE)
    for name in (NONE, *FILTERS, ALL):
        for how in ("filter",) if name == NONE else ("filter", "random"):
            for seed in SEEDS:
                make = functools.partial(row, name, how, seed, five_gram)
                table.row(make, model="5-gram", removed=name, how=how, seed=seed, learning_rate="")
    for name, how in ((NONE, "filter"), (ALL, "filter"), (ALL, "random")):
        rate = best_rate(name, how)
        for seed in SEEDS:
            fit = functools.partial(gpt, rate=rate, seed=seed)
            make = functools.partial(row, name, how, seed, fit)
            table.row(make, model="GPT", removed=name, how=how, seed=seed, learning_rate=rate)
    for name in ("personal data", "contamination"):
        for how in GOOD:
            for seed in SEEDS:
                make = functools.partial(row, name, how, seed, five_gram)
                table.row(make, model="5-gram", removed=name, how=how, seed=seed, learning_rate="")
    for (model, name), values in gains(table.rows).items():
        print(f"{model}, {name}: {', '.join(f'{value:+.3f}' for value in values)} bits a megabyte removed")


if __name__ == "__main__":
    main()
