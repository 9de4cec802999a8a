"""Our byte-pair encoding beside `tokenizers` (Rust) and `lexibyte` (plain Python), in one run, as ratios.

python3 course.py bench tokenizers
"""

import importlib.util
import json
import sys
import time

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from course_utils.data import corpora
from course_utils.tokenizers import BPETokenizer

SMALL, LARGE = 512, 2048  # lexibyte recounts every pair after each merge: the small vocabulary is enough
PLAIN_PEER = importlib.util.find_spec("lexibyte")


def seconds(action):
    """How long an action takes, and what it returns."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def train_rust(plays, vocab_size):
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    peer.train_from_iterator(plays, trainer)
    return peer


def train_plain(text, vocab_size):
    from lexibyte import LexiByteTokenizer

    peer = LexiByteTokenizer()
    peer.train(text, vocab_size)
    return peer


def merges_of(peer):
    return json.loads(peer.to_str())["model"]["merges"]


def training(plays):
    rows = []
    for vocab_size in (SMALL, LARGE):
        took = {}
        took["ours"], tokenizer = seconds(lambda size=vocab_size: BPETokenizer.train(plays, size))
        took["tokenizers"], peer = seconds(lambda size=vocab_size: train_rust(plays, size))
        assert merges_of(peer) == merges_of(tokenizer.fast())
        if PLAIN_PEER and vocab_size == SMALL:
            took["lexibyte"], _ = seconds(lambda: train_plain("\n".join(plays), SMALL))
        rows.append((f"{vocab_size:,} tokens", took))
    table("train, seconds", rows, lambda ours, theirs: theirs / ours)
    return tokenizer


def encoding(plays, tokenizer):
    """All use the same merges. The second time each of them has met every word before."""
    megabytes = sum(len(play.encode()) for play in plays) / 1e6
    rust = tokenizer.fast()
    encoders = {
        "ours": BPETokenizer(tokenizer.merges).encode,
        "tokenizers": lambda play: rust.encode(play).ids,
    }
    if PLAIN_PEER:
        from lexibyte import LexiByteTokenizer

        plain = LexiByteTokenizer()
        plain.merges = {pair: 256 + k for k, pair in enumerate(tokenizer.merges)}
        encoders["lexibyte"] = plain.encode
    expected = [tokenizer.encode(play).tolist() for play in plays]
    rows = []
    for time_around in ("cold", "again"):
        speed = {}
        for name, encode in encoders.items():
            took, ids = seconds(lambda encode=encode: [encode(play) for play in plays])
            assert [list(play) for play in ids] == expected, name
            speed[name] = megabytes / took
        rows.append((f"training text, {time_around}", speed))
    table("encode, MB/s", rows, lambda ours, theirs: ours / theirs)


def table(title, rows, ratio):
    """Print a row of figures for each measurement, and below it how many times as fast ours is."""
    print(f"{title:24}" + "".join(f"{name:>12}" for name in ("ours", "tokenizers", "lexibyte")))
    for name, figures in rows:
        print(f"  {name:22}" + "".join(f"{figure:12.2f}" for figure in figures.values()))
        ours, *others = figures.values()
        print(f"  {'  ours, times as fast':34}" + "".join(f"{ratio(ours, x):12.2f}" for x in others))


def main():
    plays = list(corpora.shakespeare().train.values())
    if not PLAIN_PEER:
        print(f"without lexibyte: `{sys.executable} -m pip install lexibyte` adds the peer in plain Python")
    encoding(plays, training(plays))


if __name__ == "__main__":
    main()
