"""How the T5 of verses is used: it writes old English as new, or new as old, with help.

Source of the lexicon: Luong et al. 2015, "Addressing the rare word problem", section 3.
"""

import itertools
import warnings
from functools import lru_cache
from pathlib import Path

from course_utils.generation.translating import unknown_characters
from course_utils.seq2seq import T5, substitution
from course_utils.seq2seq.local_attention import local_greedy
from course_utils.tokenizers import BPETokenizer
from course_utils.weights import recording

PREFIXES = {"modern: ": ("old", "new"), "old: ": ("new", "old")}  # what is read, and what is written
LEXICON = Path(__file__).with_name("verses_lexicon.csv")
LONGEST = 128  # tokens that the model reads at once: few verses have more
SENTENCE_ENDS = b".", b"!", b"?", b";", b":", b'."', b'!"', b'?"'
# cross-attention within so many tokens, and no run of so many twice
WIDTH, NO_REPEAT = 3, 10


@lru_cache(maxsize=1)
def lexicon() -> dict[str, dict[str, str]]:
    """For each task words that no training verse of the language written has, and what stands for them."""
    found = {prefix: {} for prefix in PREFIXES}
    for row in recording.read_table(LEXICON):
        found[f"{row['task']}: "][row["word"]] = row["substitute"]
    return found


def translate(
    model: T5, tokenizer: BPETokenizer, texts: list[str], batch_size: int = 64, exchange: bool = True
) -> list[str]:
    """What the model writes for texts that begin with a prefix, always taking the likeliest token.

    Its cross-attention is held near the place where it last looked, and it can't go round in a circle.
    Words that no training verse of the language written has are exchanged by the `lexicon`, unless `exchange`
    is False.

    A text of more than `LONGEST` tokens is cut after a sentence, or where it must be, and a warning says so,
    as of characters that the tokenizer has no tokens for.
    Raises ValueError for a text that is empty or begins with none of `PREFIXES`.
    """
    sources, tasks, owners = [], [], []
    for text in texts:
        prefix = next((prefix for prefix in PREFIXES if text.startswith(prefix)), None)
        if prefix is None:
            raise ValueError(
                f"a text has to begin with one of the prefixes {', '.join(map(repr, PREFIXES))}; got the "
                f"text {text[:30]!r}: put one of them before it"
            )
        if not (body := text.removeprefix(prefix).strip()):
            raise ValueError(f"there is nothing to translate after {prefix!r}: give a text")
        if unread := tokenizer.unmerged(body):
            warnings.warn(unknown_characters(unread), stacklevel=2)
        before = tokenizer.encode(prefix.strip()).tolist()
        pieces = cut(tokenizer.encode(" " + body).tolist(), tokenizer, LONGEST - len(before) - 1)
        if len(pieces) > 1:
            warnings.warn(
                f"a text is longer than the {LONGEST} tokens that the model reads: it was cut into "
                f"{len(pieces)} pieces, each translated for itself",
                stacklevel=2,
            )
        sources += [[*before, *piece, model.marks.end] for piece in pieces]
        tasks += [prefix] * len(pieces)
        owners.append(len(pieces))
    if not sources:
        return []
    # not in mixed precision: in another batch bfloat16 rounds otherwise, and other tokens are the likeliest
    written = local_greedy(model, sources, WIDTH, 2 * LONGEST, batch_size, NO_REPEAT, start=2)
    rows = [tokenizer.decode(ids, errors="replace").strip() for ids in written]
    if exchange:
        rows = [
            substitution.substitute(row, lexicon()[prefix]) for row, prefix in zip(rows, tasks, strict=True)
        ]
    rows = iter(rows)
    return [" ".join(itertools.islice(rows, n)) for n in owners]


def cut(ids: list[int], tokenizer: BPETokenizer, longest: int) -> list[list[int]]:
    """Ids in pieces of at most so many: as many sentences as fit, or else words, or else tokens."""
    pieces = []
    while len(ids) > longest:
        tokens = [tokenizer.tokens[i] for i in ids[: longest + 1]]
        words = [i for i in range(1, longest + 1) if tokens[i].startswith(b" ")]
        sentences = [i for i in words if tokens[i - 1].endswith(SENTENCE_ENDS)]
        end = (sentences or words or [longest])[-1]
        pieces.append(ids[:end])
        ids = ids[end:]
    return [*pieces, ids]
