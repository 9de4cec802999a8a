"""Count all n-grams of a text, for any vocabulary, in numpy.

N-grams are numbered order by order: an n-gram's key is the id of its first n - 1 tokens times the vocabulary
size plus its last token, and its id is its key's rank among the distinct keys. So the followers of one
context lie side by side, and a lookup is a binary search.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass
class NGramTable:
    """All distinct n-grams of one n, by id. `contexts` and `suffixes` are ids in the table below."""

    vocab_size: int
    keys: Int[np.ndarray, " ngrams"]  # ascending
    counts: Int[np.ndarray, " ngrams"]
    contexts: Int[np.ndarray, " ngrams"]  # the n-gram without its last token
    suffixes: Int[np.ndarray, " ngrams"]  # the n-gram without its first token
    n_contexts: int

    def per_context(self, values: Float[np.ndarray, " ngrams"]) -> Float[np.ndarray, " contexts"]:
        """The sum of a value over the n-grams of each context."""
        return np.bincount(self.contexts, weights=values, minlength=self.n_contexts)

    def find(self, context: int, token: int) -> int:
        """The id of the n-gram that a token makes with its context; -1 if it was never counted."""
        key = context * self.vocab_size + token
        place = int(self.keys.searchsorted(key))
        return place if context >= 0 and place < len(self.keys) and self.keys[place] == key else -1

    def followers(self, context: int) -> tuple[Int[np.ndarray, " followers"], slice]:
        """The tokens that were counted after a context, and the ids of those n-grams."""
        first = context * self.vocab_size
        low, high = self.keys.searchsorted([first, first + self.vocab_size])
        return self.keys[low:high] - first, slice(low, high)


def count_ngrams(texts: list[Int[np.ndarray, " tokens"]], order: int, vocab_size: int) -> list[NGramTable]:
    """The tables of the 1-grams to the n-grams of `order`. No n-gram joins two texts."""
    tokens = np.concatenate([*texts, np.zeros(order + 1, dtype=np.int64)])  # room to look ahead
    tokens = tokens.astype(np.min_scalar_type(vocab_size - 1))
    # how many tokens are left in its own text, from each place on: no n-gram may need more
    left = np.concatenate([np.minimum(np.arange(len(t), 0, -1), order).astype(np.int8) for t in texts])
    starts = _sorted_starts(tokens, len(left), order)
    ids = np.zeros(len(left), dtype=np.int32)  # of the (n-1)-grams, in the order of `starts`: ascending
    id_at = np.zeros(len(left) + 1, dtype=np.int32)  # the same ids, by place in the text
    tables, n_contexts = [], 1
    for n in range(1, order + 1):
        fits = left[starts] >= n
        starts, ids = starts[fits], ids[fits]
        last = tokens[n - 1 :][starts]
        is_new = np.append(True, (ids[1:] != ids[:-1]) | (last[1:] != last[:-1]))
        firsts = np.flatnonzero(is_new)
        counts = np.diff(firsts, append=len(starts))
        contexts, suffixes = ids[firsts], id_at[starts[firsts] + 1]
        keys = contexts * np.int64(vocab_size) + last[firsts]
        tables.append(NGramTable(vocab_size, keys, counts, contexts, suffixes, n_contexts))
        ids = np.cumsum(is_new, dtype=np.int32) - 1
        id_at[starts] = ids
        n_contexts = len(keys)
    return tables


def _sorted_starts(tokens: np.ndarray, n_starts: int, order: int) -> np.ndarray:
    """Where each n-gram starts, in the alphabetical order of the n-grams.

    One radix sort, least significant token first, serves all orders at once: places sorted by their first 8
    tokens are sorted by their first 3 as well. `np.unique` order by order gives the same numbers; its
    sort with indices took ten times as long. Types of 8 and 16 bits sort in linear time, so of bytes it takes
    two at once; a byte beyond the order does no harm.
    """
    at_once = 1
    if tokens.dtype == np.uint8:
        tokens, at_once = tokens[:-1].astype(np.uint16) << 8 | tokens[1:], 2
    starts = np.arange(n_starts)  # of 64 bits, as numpy would copy others to that at each look-up
    for offset in reversed(range(0, order, at_once)):
        starts = starts[np.argsort(tokens[offset:][starts], kind="stable")]
    return starts


def look_up(
    tables: list[NGramTable], tokens: Int[np.ndarray, " tokens"]
) -> Iterator[tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " tokens"]]]:
    """From order 1 up, for each token: the id of its context and of the n-gram that ends with it.

    -1 stands for what was never counted, and for a context that would begin before the first token.
    """
    grams = np.zeros(len(tokens), dtype=np.int64)  # the empty n-gram has id 0 everywhere
    for n, table in enumerate(tables, start=1):
        contexts = np.concatenate([[0 if n == 1 else -1], grams[:-1]])
        keys = contexts * table.vocab_size + tokens
        places = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
        grams = np.where((contexts >= 0) & (table.keys[places] == keys), places, -1)
        yield contexts, grams


def ending_ids(tables: list[NGramTable], tokens: Int[np.ndarray, " tokens"]) -> list[int]:
    """The ids of the last 0, 1, 2, ... of some tokens; -1 for what was never counted."""
    ids = [0]
    for token in tokens.tolist():
        ids = [0, *(table.find(prefix, token) for table, prefix in zip(tables, ids, strict=False))]
    return ids
