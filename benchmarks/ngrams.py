"""N-gram models beside nltk.lm, in one run on the same 200 KB, as ratios; then our own fit on the whole text,
and beside KenLM's where its `lmplz` and `query` are on the PATH (built with -DKENLM_MAX_ORDER=7).

python3 course.py bench ngrams
"""

import math
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from nltk.lm import MLE, KneserNeyInterpolated, Vocabulary
from nltk.util import everygrams

from course_utils.data import corpora
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer

ORDER, TRAIN_BYTES, MLE_BYTES, KN_BYTES = 5, 200_000, 20_000, 40
BUFFERS = "256M", "1G"  # of KenLM; with 8 GB it took more than twice as long


def seconds(action, repeat=1):
    """The fastest of some runs, and what the last one returned."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - start)
    return min(times), result


def beside_nltk():
    tokens = ByteTokenizer().encode(corpora.shakespeare().train_text)[:TRAIN_BYTES]
    test = ByteTokenizer().encode(corpora.shakespeare().test)[:MLE_BYTES]
    words = [str(token) for token in tokens]  # nltk looks up strings only
    print(
        f"order {ORDER}, {TRAIN_BYTES:,} bytes of training text; seconds, fastest run of ours, one of nltk's"
    )

    def fit_nltk(kind, **settings):
        model = kind(order=ORDER, vocabulary=Vocabulary(map(str, range(256))), **settings)
        model.fit([list(everygrams(words, max_len=ORDER))])
        return model

    theirs_fit, mle_theirs = seconds(lambda: fit_nltk(MLE))
    kn_theirs = fit_nltk(KneserNeyInterpolated, discount=0.75)
    ours_fit, kn_ours = seconds(
        lambda: NGramModel(ORDER, "kneser_ney", discount=0.75, base=None).fit(tokens, 256), 3
    )
    mle_ours = NGramModel(ORDER, "mle").fit(tokens, 256)

    def score_nltk(model, n):
        text = [str(token) for token in test[:n]]
        return [model.score(text[i], tuple(text[i - ORDER + 1 : i])) for i in range(ORDER, n)]

    # the time of one byte: nltk's Kneser-Ney is too slow for more than a few dozen
    mle_nltk, expected_mle = seconds(lambda: score_nltk(mle_theirs, MLE_BYTES))
    kn_nltk, expected_kn = seconds(lambda: score_nltk(kn_theirs, KN_BYTES))
    mle_us, got_mle = seconds(lambda: mle_ours.scores(test), 5)
    kn_us, got_kn = seconds(lambda: kn_ours.scores(test), 5)
    np.testing.assert_allclose(got_mle[ORDER:], expected_mle, atol=1e-9)
    np.testing.assert_allclose(got_kn[ORDER:KN_BYTES], expected_kn, atol=1e-9)

    rows = [
        ("fit", theirs_fit, ours_fit),
        ("score a byte, MLE", mle_nltk / (MLE_BYTES - ORDER), mle_us / MLE_BYTES),
        ("score a byte, Kneser-Ney", kn_nltk / (KN_BYTES - ORDER), kn_us / MLE_BYTES),
    ]
    print(f"{'':26}{'nltk':>12}{'ours':>12}{'ratio':>10}")
    for name, theirs, ours in rows:
        print(f"{name:26}{theirs:12.3g}{ours:12.3g}{theirs / ours:10,.0f}")


def whole_text():
    """Seconds and memory on all the training text, each order in a fresh process."""
    print("\nmodified Kneser-Ney on the whole training text, each order in its own process")
    print(f"{'order':>5}{'fit s':>8}{'score MB/s':>12}{'peak MB':>9}")
    for order in (5, 7, 8):
        out = subprocess.run(
            [sys.executable, __file__, str(order)], capture_output=True, text=True, check=True
        )
        fit, score, peak = map(float, out.stdout.split())
        print(f"{order:5}{fit:8.2f}{score:12.2f}{peak:9.0f}")


def one_order(order):
    text = corpora.shakespeare()
    train = [ByteTokenizer().encode(play) for play in text.train.values()]
    test = ByteTokenizer().encode(text.test)
    model = NGramModel(order)  # one model, fitted again: two at once would count twice in the peak
    fit, _ = seconds(lambda: model.fit(train, 256), 3)
    score, _ = seconds(lambda: model.bits_per_byte(test), 3)
    unit = 1e6 if sys.platform == "darwin" else 1e3  # macOS counts bytes, Linux kilobytes
    print(fit, len(test) / score / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def beside_kenlm():
    """Seconds of fits in turns, and bits a byte. Bytes are KenLM's words and plays its lines; its seconds are
    those of the faster of two sizes of its buffers, and include reading the text and writing its file, ours
    neither. It scores an end of line too."""
    text = corpora.shakespeare()
    train = [ByteTokenizer().encode(play) for play in text.train.values()]
    test = ByteTokenizer().encode(text.test)
    print("\nmodified Kneser-Ney on the whole training text, beside KenLM, in turns; medians of five")
    print(f"{'order':>5}{'ours s':>8}{'KenLM s':>9}{'ratio':>7}{'ours bits':>11}{'KenLM bits':>12}")
    with tempfile.TemporaryDirectory() as folder:
        lines = [" ".join(map(str, play.tolist())) for play in (*train, test)]
        Path(folder, "train").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
        kenlm = partial(subprocess.run, cwd=folder, capture_output=True, text=True, check=True)
        for order in (5, 7):
            model, ours, theirs = NGramModel(order), [], {memory: [] for memory in BUFFERS}
            for _ in range(5):
                ours.append(seconds(partial(model.fit, train, 256))[0])
                for memory, times in theirs.items():
                    command = ["lmplz", "-o", str(order), "-S", memory, "-T", folder, "--discount_fallback"]
                    command += ["--text", "train", "--arpa", "arpa"]
                    times.append(seconds(partial(kenlm, command))[0])
            said = kenlm(["query", "-v", "summary", "arpa"], input=lines[-1] + "\n").stdout
            perplexity = float(re.search(r"including OOVs:\s*(\S+)", said)[1])
            a, b = statistics.median(ours), min(map(statistics.median, theirs.values()))
            print(
                f"{order:5}{a:8.2f}{b:9.2f}{b / a:7.2f}{model.bits_per_byte(test):11.4f}"
                f"{math.log2(perplexity):12.4f}"
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one_order(int(sys.argv[1]))
    else:
        beside_nltk()
        whole_text()
        if shutil.which("lmplz") and shutil.which("query"):
            beside_kenlm()
