"""The T5 of chapter 7: verses of old English to modern, and back.

    OMP_NUM_THREADS=1 python -m course_utils.weights.verses_recipe

trains all arms, saves the last as verses.safetensors, and writes verses_log.csv, verses_scores.csv and the
lexicon with which it is used, verses_lexicon.csv. With the names of arms it trains those and leaves them in
build/, so that two processes can share the work. A command that is broken off goes on where it was.

One model does two tasks, told by a prefix, as T5 does all of its own: "modern: " asks for new English of an
old verse, "old: " for old English of a new one (a third, "revise: ", is for training alone). The arms differ
in what comes before the pairs:

    pretrained  span corruption on free text, then the pairs
    same steps  the same steps on the same pairs, and nothing before them
    longer      450 more steps after "same steps"
    longest     2,400 more after "longer"
    with 1901   8,500 more, which also read the American Standard Version of 1901 as old English and write
                it of the King James ("revise: "), at a dropout of 0.25
    with 1901, longer   9,000 more of the same at 0.3: this one is shipped

Free text is what is read without its pair: each Bible's training books, and Shakespeare's plays for training.
The books of validation and test are in no stage, nor in what the tokenizer was made of.

All settings were chosen on validation verses. What was tried, and nats a token of them: plain first weights
had 4.92 after 400 steps, and repeated words without end; with the first weights of `build`, which can copy,
40 steps gave 4.02 at the rate of 0.02, and 4.36 at 0.01. Span corruption, whose targets hold nothing of their
sources, unlearns that copying: 100 steps of pairs after it left 5.49. How much, depends on the rate
(`span_first_recipe`). chrF of 64 validation verses, as "same steps" writes them: greedily 58.3 (it loses its
place, and goes round in circles), without repeating runs of 4 tokens 66.1, and within a window of 6 tokens
round its place 72.9. As the shipped model writes all of them, that help is worth 0.3 from old to new (71.7
without it), and less than 0.1 back. (While runs of 6, not 10, were barred, as in the scores of the arms up to
"longer", it was worth 0.2: some verses do repeat themselves.)

The lexicon is worth 0.28 from old to new (72.0 without, 72.3 with it) and 0.23 back: in the 635 verses 50 and
96 words were exchanged.

What may limit it: the World English Bible is the version of 1901 in newer words, and that one stems from a
revision of the King James. A table of words made for the King James scores 85.3 on validation verses of the
version of 1901; a model of 3,000 steps that read it, 86.5. From the King James the table has 70.9, the
shipped model 72.0. What was revised, an old verse doesn't tell. Verses of Lamentations and Malachi, where the
two old versions differ least, come to 83.2 and 84.8 (table 81.7, 81.3), those of 2 Corinthians to 66.1 (65.6;
with the lexicon 66.6). And the loss still falls where chrF hardly moves: 1.60 and 1.56 nats after the last
two stages, 71.8 and 71.9 (runs of 6 barred).

What else was tried for chrF, on validation verses: the sample among 8 to 32 that agrees most with the others,
or from which the way back is likeliest to write the source; a mean of the probabilities after two trainings;
a source that the model had first revised: none gained more than 0.1. 1,600 steps more with the verse before
in the source: 71.7, with that verse or without. In place of the last two stages one of 15,500 steps from
"longest", with pairs drawn by a seed of its own, a dropout of 0.3 and a tenth of words dropped: 71.9, at 1.54
nats for 1.56 (and 72.0 without words dropped, in two stages: what is shipped). 1,400 steps more of the King
James alone: 71.8, at 1.52 nats for 1.56 of the first task; 2,000 more, half of whose rows are phrases of up
to 8 words that model 1 aligned: 71.6 (these two beside 71.9, runs of 6 barred). In place of the last stage
one as long, in whose verses seldom words were put, in both languages, in place of others (Fadaee et al.
2017): 72.0, and 72.1 with the lexicon; of the words that new verses have at most a tenth as often as old ones
it wrote 21, the shipped model 58. Of another training's weights 300 steps towards the chrF of what they write
(Ranzato et al. 2016): 71.9 for 71.9, back 70.0 for 70.1.

The recorded runs shared two cores with other work: the seconds in their log are no measure of speed. (Alone,
a step of 64 pairs takes about a third of a second on two cores of the EPYC at hand.) "longest" was recorded
later: it began from the weights of "longer" as they were shipped, in float16, as "with 1901" did from those
of "longest"; and the translations of these three are scored in float32, those of the other arms in mixed
precision. The last two stages were recorded with pairs drawn by the seed 5 in both, so that the last read
again what the one before had read, with curved apostrophes, and the 12 verses that the version of 1901
leaves out as empty texts; and their validation nats are those of the first task alone.
"""

import itertools
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_utils.attention.positions import relative_buckets
from course_utils.data import corpora
from course_utils.data.verses import Verse, train_verses_of_1901, verses
from course_utils.measuring.translation import bleu, chrf, chrf_lead
from course_utils.seq2seq import T5, Marks, Pairs, T5Config, padded, pair_loss, substitution
from course_utils.seq2seq.corrupted import CorruptedWindows
from course_utils.seq2seq.flops import encoder_decoder_flops
from course_utils.tokenizers import BPETokenizer
from course_utils.training import Run, TrainConfig, checkpoints, train
from course_utils.transformer import Decoder, Encoder
from course_utils.weights import recording
from course_utils.weights.verses_translating import LEXICON, PREFIXES, translate

FOLDER = Path(__file__).parent
WEIGHTS, TOKENIZER = FOLDER / "verses.safetensors", FOLDER / "verses_tokenizer.json"
LOG, SCORES = FOLDER / "verses_log.csv", FOLDER / "verses_scores.csv"
COMMAND = "python -m course_utils.weights.verses_recipe"

VOCABULARY, N_SENTINELS = 4096, 64
SENTINELS = range(VOCABULARY - N_SENTINELS, VOCABULARY)  # in the order in which a text's spans take them
PAD, END = SENTINELS[0] - 2, SENTINELS[0] - 1
MARKS = Marks(PAD, PAD, END)  # as in T5, a target starts after its padding
SPECIAL = ["<pad>", "<end>", *(f"<extra_id_{i}>" for i in range(N_SENTINELS))]
SHAPE = T5Config(VOCABULARY, d_model=256, n_layers=3, n_heads=8, d_ff=512, d_head=32, marks=MARKS)

# Of the first weights: a head's bias on one place, the share of the past, how sharply what is alike is found,
# how strongly what follows is written, and what is left of the other branches.
SURE, PAST, MATCH, COPY, SMALL = 8.0, 0.5, 3.0, 5.0, 0.1
ROWS, POOL = 64, 16  # pairs a batch, and how many batches are sorted by length together
WINDOWS, WINDOW = 64, 96  # windows of free text a batch, and the tokens of each
CONFIG = TrainConfig(
    steps=600,
    learning_rate=0.02,
    warmup_steps=30,
    final_share=0.02,
    weight_decay=0.01,
    evaluate_every=100,
    precision="mixed",
    optimiser="muon",
    momentum=0.95,
)


FREE_TEXT, PAIRS, WITH_1901 = "free text", "pairs", "pairs, with 1901"  # what is read


@dataclass(frozen=True)
class Stage:
    """A stretch of training: the stage that it goes on from, what it reads, and how."""

    after: str | None
    reads: str
    config: TrainConfig
    dropout: float = 0.0


LONG = replace(CONFIG, warmup_steps=50, evaluate_every=500)
STAGES = {
    "free text": Stage(None, FREE_TEXT, replace(CONFIG, steps=120, final_share=1.0, evaluate_every=60)),
    "pretrained": Stage("free text", PAIRS, CONFIG),
    "same steps": Stage(None, PAIRS, CONFIG),
    "longer": Stage("same steps", PAIRS, replace(CONFIG, steps=450, warmup_steps=10, seed=1)),
    "longest": Stage("longer", PAIRS, replace(CONFIG, steps=2400, seed=2, evaluate_every=200)),
    "with 1901": Stage("longest", WITH_1901, replace(LONG, steps=8500, seed=3), dropout=0.25),
    "with 1901, longer": Stage("with 1901", WITH_1901, replace(LONG, steps=9000, seed=4), dropout=0.3),
}
ARMS = tuple(name for name, stage in STAGES.items() if stage.reads != FREE_TEXT)
SHIPPED = ARMS[-1]
WITH_LEXICON = f"{SHIPPED}, lexicon"  # the way in which it is used, and has its row of the scores

COUNTED = 50  # batches of a stage whose tokens and FLOPs are counted
SAMPLE = 12  # each so many-th test verse is scored again by a test
# what is tried for word substitution
ITERATIONS, THRESHOLDS, SELDOM = (2, 5, 15), (0.2, 0.3, 0.4, 0.5), (1, 5, 20)


def free_text() -> str:
    """What the model is pretrained on: the training books of each Bible, a verse a line, and the plays."""
    train_verses = verses().train
    bibles = ["\n".join(getattr(verse, side) for verse in train_verses) for side in ("old", "new")]
    return "\n".join([*bibles, corpora.shakespeare().train_text])


@lru_cache(maxsize=1)
def tokenizer() -> BPETokenizer:
    """The tokenizer of the recorded model, of the merges of the free text."""
    if not TOKENIZER.exists():
        BPETokenizer.train(free_text().splitlines(), VOCABULARY, SPECIAL).save(TOKENIZER)
    return BPETokenizer.load(TOKENIZER)


def sides(some: list[Verse], prefix: str) -> tuple[list[str], list[str]]:
    """What is read of verses, and what is to be written, in the task of a prefix."""
    read, written = PREFIXES[prefix]
    return [getattr(verse, read) for verse in some], [getattr(verse, written) for verse in some]


def as_ids(prefix: str, read: list[str], written: list[str]) -> tuple[list[list[int]], list[list[int]]]:
    """What is read and what is written in a task, as ids; a source has its prefix before it, and an end."""
    sources = [[*tokenizer().encode(prefix + text).tolist(), END] for text in read]
    return sources, [tokenizer().encode(text).tolist() for text in written]


def pairs(some: list[Verse], seed: int = 0) -> Pairs:
    """Both tasks of verses, in random batches."""
    return _mixed([(prefix, *sides(some, prefix)) for prefix in PREFIXES], seed)


def pairs_with_1901(seed: int) -> Pairs:
    """Both tasks of the training verses, from old to new twice as often, and two for the version of 1901: to
    read it as old English, and to write it of the King James. Verses that it leaves out are left out."""
    between = zip(verses().train, train_verses_of_1901(), strict=True)
    old, mid, new = zip(*[(verse.old, text, verse.new) for verse, text in between if text], strict=True)
    tasks = [("modern: ", old, new)] * 2 + [("modern: ", mid, new), ("old: ", new, old)]
    return _mixed([*tasks, ("revise: ", old, mid)], seed)


def _mixed(tasks: list[tuple], seed: int) -> Pairs:
    """Tasks, each as a prefix, what is read and what is written, in random batches."""
    rows = [as_ids(*task) for task in tasks]
    sources, targets = ([*itertools.chain(*side)] for side in zip(*rows, strict=True))
    return Pairs(sources, targets, ROWS, seed, POOL, marks=MARKS)


def in_order(some: list[Verse], prefix: str) -> list[tuple]:
    """One task of verses in batches, each verse once, those of similar length together."""
    rows = sorted(zip(*as_ids(prefix, *sides(some, prefix)), strict=True), key=lambda row: len(row[1]))
    batches = []
    for first in range(0, len(rows), ROWS):
        sources, targets = zip(*rows[first : first + ROWS], strict=True)
        source, lengths = padded(sources, PAD)
        batches.append((source, lengths, padded([[PAD, *target, END] for target in targets], PAD)[0]))
    return batches


def windows(seed: int = 0) -> CorruptedWindows:
    """Free text, of which spans are taken out."""
    return CorruptedWindows(tokenizer().encode(free_text()), SENTINELS, WINDOWS, WINDOW, seed, marks=MARKS)


@torch.no_grad()
def build(seed: int = 0) -> T5:
    """The model before training, with first weights that can copy: most new words are old ones.

    Which numbers a head reads and writes is random, but they fit together (after Trockman & Kolter 2023, who
    let self-attention begin by attending to its like). Half of the heads of the encoder's first block fetch
    the token that follows. In every self-attention half of the heads add a share of the token before: so
    tokens with alike pasts are alike. The last cross-attention looks for the token of the source that is most
    like the last one written, and writes the token that followed. Every other branch starts small.
    """
    torch.manual_seed(seed)
    model, half = T5(SHAPE), SHAPE.n_heads // 2
    heads = half * SHAPE.d_head
    encoder = [block.attention for block in model.encoder.blocks]
    decoder = [block.attention for block in model.decoder.blocks]
    _look(model.encoder, 1, slice(half))
    _look(model.encoder, -1, slice(half, None))
    _look(model.decoder, -1, slice(half, None))
    past = encoder[0].value.weight[heads:].clone() * PAST
    for block in (*model.encoder.blocks, *model.decoder.blocks):
        block.feed_forward.down.weight *= SMALL
    for attention in (*encoder[1:], *decoder, *model.cross_attentions[:-1]):
        attention.output.weight *= SMALL
    for attention in (*encoder, *decoder):
        attention.value.weight[heads:], attention.output.weight[:, heads:] = past, past.T
    cross = model.cross_attentions[-1]
    cross.query.weight.copy_(cross.key.weight * MATCH * SHAPE.d_head**-0.5)
    cross.value.weight[:heads] = encoder[0].output.weight[:, :heads].T * COPY
    cross.output.weight[:, :heads] = encoder[0].value.weight[:heads].T * COPY
    cross.output.weight[:, heads:] *= SMALL
    return model


def _look(stack: Encoder | Decoder, distance: int, heads: slice) -> None:
    """Let heads of a stack begin by attending to the token at one distance."""
    relative = stack.relative
    bucket = relative_buckets(torch.tensor(distance), relative.buckets, relative.farthest, relative.both_ways)
    relative.table.weight[bucket, heads] = SURE


def nats(model: T5, batches: list[tuple]) -> float:
    """Mean nats a token of the targets of some batches."""
    with torch.no_grad(), recording.mixed_precision():
        losses = [float(pair_loss(model, batch, None)[0]) for batch in batches]
    tokens = [int((batch[2][:, 1:] != PAD).sum()) for batch in batches]
    return float(np.average(losses, weights=tokens))


def read_in(stage: Stage, seed: int) -> Pairs | CorruptedWindows:
    """What a stage reads, in random batches."""
    if stage.reads == FREE_TEXT:
        return windows(seed)
    if stage.reads == WITH_1901:
        return pairs_with_1901(seed)
    return pairs(verses().train, seed)


@lru_cache
def a_step(name: str) -> tuple[float, float]:
    """Tokens and FLOPs of a step of a stage, by its first COUNTED batches, without padding."""
    shape = {size: getattr(SHAPE, size) for size in ("n_layers", "d_model", "d_ff", "vocab_size")}
    batches, tokens, flops = read_in(STAGES[name], STAGES[name].config.seed), 0, 0
    for _ in range(COUNTED):
        _, sources, target = batches.next()
        for source, written in zip(sources.tolist(), (target[:, 1:] != PAD).sum(1).tolist(), strict=True):
            tokens += source + written
            flops += 3 * encoder_decoder_flops(source, written, **shape)
    return tokens / COUNTED, flops / COUNTED


def run(name: str, seed: int = 0, rate: float | None = None) -> tuple[T5, dict[str, Run]]:
    """Train to the end of a stage, from where its checkpoints stand: the model, and the run of each stage.
    The seed is added to that of each stage; a learning rate takes the place of each stage's."""
    stage = STAGES[name]
    config = replace(stage.config, seed=stage.config.seed + seed)
    if rate:
        config = replace(config, learning_rate=rate)
    kept = f"verses_{name.replace(' ', '_')}" + f"_{seed}" * bool(seed) + f"_at_{rate}" * bool(rate)
    model, runs = run(stage.after, seed, rate) if stage.after else (build(seed), {})
    batches = read_in(stage, config.seed)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = stage.dropout
    drawn = pairs(verses().validation, seed=1)
    held_out = [drawn.next() for _ in range(16)]
    print(name, flush=True)
    runs[name] = train(
        model,
        batches,
        config,
        loss=pair_loss,
        evaluate=lambda model: nats(model, held_out),
        report=recording.show,
        checkpoint=recording.checkpoint(kept),
    )
    recording.finished(runs[name])
    return model, runs


def load() -> tuple[T5, BPETokenizer]:
    """The recorded model, trained, and its tokenizer. Raises ValueError if a file is damaged."""
    model = build()
    checkpoints.load_into(WEIGHTS, model)
    return model.eval(), tokenizer()


@lru_cache(maxsize=2)
def word_substitutes(prefix: str) -> dict[str, str]:
    """The words that stand for each other in a task, by IBM model 1 of the training pairs; how long it
    counts, and which words are replaced, is what scores best on the validation verses."""
    read, written = sides(verses().train, prefix)
    pairs = [*zip(map(substitution.words, read), map(substitution.words, written), strict=True)]
    read, written = sides(verses().validation, prefix)
    best = {}
    for iterations in ITERATIONS:
        model = substitution.fit(pairs, iterations)
        for threshold, seldom in itertools.product(THRESHOLDS, SELDOM):
            found = model.substitutes(threshold, seldom)
            score = chrf([substitution.substitute(text, found) for text in read], written, 0).value
            best[score] = found
            print(prefix, iterations, threshold, seldom, f"{score:.2f}", flush=True)
    return best[max(best)]


def only_read(prefix: str) -> dict[str, str]:
    """Of the words that have a substitute in a task those that no training verse of what it writes has. What
    stands for a word is no mark, and has a capital if the word has."""
    written = sides(verses().train, prefix)[1]
    known = {word for text in written for word in substitution.words(text)}
    return {
        word: other
        for word, other in word_substitutes(prefix).items()
        if word not in known
        and word[0].isalnum()
        and other[0].isalnum()
        and word[0].isupper() == other[0].isupper()
    }


def word_for_word(prefix: str) -> list[str]:
    """The test verses with each word exchanged that has a substitute."""
    found = word_substitutes(prefix)
    return [substitution.substitute(text, found) for text in sides(verses().test, prefix)[0]]


def score_row(way: str, prefix: str, written: list[str], nats_a_token: float | None = None) -> dict:
    """A row of the table: how near what a way wrote for the test verses is to what the translators wrote, and
    how much nearer in chrF than what is written word for word."""
    references = sides(verses().test, prefix)[1]
    row = {"way": way, "task": prefix.strip(" :")}
    scored = {"chrf": chrf(written, references), "bleu": bleu(written, references)}
    scored["chrf_lead"] = chrf_lead(written, word_for_word(prefix), references)
    for metric, score in scored.items():
        row |= {f"{metric}_{name}".removesuffix("_value"): f"{x:.2f}" for name, x in score._asdict().items()}
    row["sample_chrf"] = f"{chrf(written[::SAMPLE], references[::SAMPLE], 0).value:.2f}"
    return row | {"nats": "" if nats_a_token is None else f"{nats_a_token:.4f}"}


def baselines() -> list[dict]:
    """The ways without a model on all test verses: copied, and word by word."""
    rows = []
    for prefix in PREFIXES:
        rows.append(score_row("copy", prefix, sides(verses().test, prefix)[0]))
        rows.append(score_row("words", prefix, word_for_word(prefix)))
    return rows


def scores(name: str, model: T5, exchange: bool = False) -> list[dict]:
    """A model on all test verses, in both tasks."""
    rows = []
    for prefix in PREFIXES:
        read, _ = sides(verses().test, prefix)
        written = translate(model, tokenizer(), [prefix + text for text in read], exchange=exchange)
        rows.append(score_row(name, prefix, written, nats(model, in_order(verses().test, prefix))))
    return rows


def log(runs: dict[str, Run]) -> list[dict]:
    """A row for each evaluation of each stage: its seconds so far, the tokens of its targets, its FLOPs, nats
    a token in training (the mean since the row before) and on validation pairs."""
    rows = []
    for name, run in runs.items():
        before = 0
        for step, seconds, value in run.evaluations:
            rows.append({"stage": name, "after": STAGES[name].after or "", "step": step})
            rows[-1] |= {"seconds": f"{seconds:.1f}", "tokens": round(run.tokens * step / run.step)}
            rows[-1]["flops"] = f"{step * a_step(name)[1]:.3g}"
            rows[-1] |= {"train_nats": f"{np.mean(run.losses[before:step]):.4f}"}
            rows[-1] |= {"validation_nats": f"{value:.4f}"}
            before = step
    return rows


def record() -> None:
    """Train all arms, save the last, and write the log and the table of scores."""
    models, runs = {}, {}
    for name in ARMS:
        models[name], its_runs = run(name)
        runs |= its_runs
    shipped = models[SHIPPED]
    notes = {"arm": SHIPPED, "parameters": recording.n_parameters(shipped), "command": COMMAND}
    checkpoints.save_model(WEIGHTS, shipped, notes, half=True)
    recording.write_table(LOG, log(runs))
    models[SHIPPED] = load()[0]  # what the chapter loads is scored
    found = {prefix: only_read(prefix) for prefix in PREFIXES}
    recording.write_table(
        LEXICON,
        [
            {"task": prefix.strip(" :"), "word": word, "substitute": other}
            for prefix, words in found.items()
            for word, other in sorted(words.items())
        ],
    )
    rows = baselines() + [row for name, model in models.items() for row in scores(name, model.eval())]
    rows += scores(WITH_LEXICON, models[SHIPPED], exchange=True)
    recording.write_table(SCORES, sorted(rows, key=lambda row: row["task"]))


if __name__ == "__main__":
    if unknown := {*sys.argv[1:]} - {*ARMS}:
        sys.exit(f"{min(unknown)!r} is no arm: {COMMAND} [{'|'.join(map(repr, ARMS))} ...]")
    for arm in sys.argv[1:]:
        run(arm)
    if not sys.argv[1:]:
        record()
