"""Does the rest of a text add to what the gap says? Words ranked by the texts that they make, beside words
ranked by their probability in the gap.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2 python -m course_utils.weights.by_text_recipe

Sentences of 6 to 20 tokens are drawn from the reviews, one word of each is hidden, and our BERT's 30
likeliest candidates are ranked by log p(candidate in the gap) + w * (the sum of the logs of all other
tokens): w = 0 is the usual way, and 1 the pseudo-log-likelihood of the text. Hidden are words beyond the 150
commonest tokens ("content"), or any token. The weight is the best by first guesses at content words of the
validation reviews; then the test reviews were asked, once, mostly the same sentences for both kinds, and the
everyday sentences. (Of these there had been one look before, with w = 1, when 250 other validation sentences
had said that it helps.) `gained` and `lost` are the gaps whose first guess, or first five, became right or
wrong. Writes by_text.csv. It does not show what a better model would gain, nor longer texts.
"""

from pathlib import Path

import numpy as np

from course_utils import pretrained
from course_utils.bert.by_text import CANDIDATES, evidence
from course_utils.bert.masking import MASK
from course_utils.bert.texts import Ids, encode
from course_utils.data.evaluations import everyday_sentences
from course_utils.weights import bert_recipe, recording

TABLE = Path(__file__).with_name("by_text.csv")
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
GAPS = {("validation", "content"): 400, ("test", "content"): 600, ("test", "any"): 400}
COMMON, SHORTEST, LONGEST, SEED = 150, 6, 20, 0
Gap = tuple[Ids, set[int]]  # a sentence with [MASK], and the tokens that are right


def sentences(part: str) -> list[Ids]:
    tokenizer, found = pretrained.bert_tokenizer(), []
    ends = [tokenizer.ids[end] for end in ".!?"]
    for text in bert_recipe.encoded(part):
        stops = np.flatnonzero(np.isin(text, ends)) + 1
        found += [s for s in np.split(text, stops) if SHORTEST <= len(s) <= LONGEST]
    return found


def gaps(part: str, kind: str, n: int) -> list[Gap]:
    """n sentences of a part, in each of which one whole word of a kind is hidden."""
    tokenizer, draws, found = pretrained.bert_tokenizer(), np.random.default_rng(SEED), []
    counts = np.bincount(np.concatenate(bert_recipe.encoded("train")), minlength=tokenizer.vocab_size)
    common = np.argsort(-counts, kind="stable")[:COMMON]
    is_piece = np.array([token.startswith("##") for token in tokenizer.tokens])
    texts = sentences(part)
    for i in draws.permutation(len(texts)):
        text = texts[i]
        whole = ~is_piece[text] & ~np.append(is_piece[text[1:]], False)
        if kind == "content":
            whole &= ~np.isin(text, common)
        if whole.any():
            place = int(draws.choice(np.flatnonzero(whole)))
            hidden = text.copy()
            hidden[place] = tokenizer.ids[MASK]
            found.append((hidden, {int(text[place])}))
        if len(found) == n:
            break
    return found


def everyday() -> list[Gap]:
    tokenizer = pretrained.bert_tokenizer()
    return [
        (encode(cloze.sentence, tokenizer), {tokenizer.ids[word] for word in cloze.accepted})
        for cloze in everyday_sentences()
    ]


def ranks(some: list[Gap], weights: tuple[float, ...]) -> dict[float, np.ndarray]:
    """By each weight the rank, from 0, of the best right token of each gap; CANDIDATES if none is there."""
    model, tokenizer = bert_recipe.load(), pretrained.bert_tokenizer()
    found = {weight: [] for weight in weights}
    for ids, right in some:
        with recording.mixed_precision():
            tokens, at_gap, around = evidence(model, tokenizer, ids, CANDIDATES)
        for weight in weights:
            order = tokens[np.argsort(-(at_gap + weight * around), kind="stable")]
            places = np.flatnonzero(np.isin(order, [*right]))
            found[weight].append(places[0] if len(places) else CANDIDATES)
    return {weight: np.array(one) for weight, one in found.items()}


def rows(part: str, kind: str, some: list[Gap], weights: tuple[float, ...]) -> list[dict]:
    by_weight, found = ranks(some, weights), []
    for weight, one in by_weight.items():
        row = {"part": part, "words": kind, "weight": weight, "gaps": len(some)}
        for name, n in {"first": 1, "five": 5}.items():
            now, usual = one < n, by_weight[0.0] < n
            row |= {name: f"{now.mean():.4f}", f"{name}_gained": int((now & ~usual).sum())}
            row |= {f"{name}_lost": int((usual & ~now).sum())}
        found.append(row)
    return found


def main() -> None:
    table, weights = [], WEIGHTS
    for (part, kind), n in GAPS.items():
        table += rows(part, kind, gaps(part, kind, n), weights)
        if part == "validation":
            best = max(table, key=lambda row: float(row["first"]))["weight"]
            weights = 0.0, best
    table += rows("everyday", "sentences", everyday(), weights)
    recording.write_table(TABLE, table)
    for row in table:
        print(*row.values())


if __name__ == "__main__":
    main()
