"""A detector of machine text, tried on texts whose authors are known (chapter 9).

    python -m course_utils.weights.detector_recipe

lets SmolLM2 go on from 50 passages of Twelfth Night in three ways, the last with three seeds, reads these
texts and what people wrote, and writes detector_scores.csv beside this file: of each text its tokens, and in
bits the sums of surprise, entropy, and variance of the surprise. The score of a text is (surprise - entropy)
/ sqrt(variance): by how many standard deviations its tokens were dearer than draws, which score 0 in the mean
(Fast-DetectGPT, Bao et al. 2024, with the other sign, and the model as its own judge).
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch

from course_utils import pretrained
from course_utils.data import corpora
from course_utils.data.reviews import reviews
from course_utils.generation import generate, unbroken
from course_utils.generation.fast_decode import optimise_for_decoding
from course_utils.sampling import Sampler
from course_utils.weights import recording

SCORES = Path(__file__).parent / "detector_scores.csv"
TEXTS, START, LENGTH = 50, 32, 64  # texts of a kind, tokens of the passage before each, tokens of each
WAYS = {  # how a text is drawn, and with which seed
    "greedy": (Sampler(temperature=0), 0),
    "top-p 0.95": (Sampler(top_p=0.95), 0),
    "drawn, T = 1": (Sampler(), 0),
    "drawn, seed 1": (Sampler(), 1),
    "drawn, seed 2": (Sampler(), 2),
}
# What people list and recite, a text a line. All of it is known by heart, or from a table that many print.
LISTS = """\
A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z.
Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.
January, February, March, April, May, June, July, August, September, October, November, December.
Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune.
One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen.
Alpha, Bravo, Charlie, Delta, Echo, Foxtrot, Golf, Hotel, India, Juliett, Kilo, Lima, Mike, November, Oscar.
Alpha, beta, gamma, delta, epsilon, zeta, eta, theta, iota, kappa, lambda, mu, nu, xi, omicron, pi, rho.
Hydrogen, helium, lithium, beryllium, boron, carbon, nitrogen, oxygen, fluorine, neon, sodium, magnesium.
Aries, Taurus, Gemini, Cancer, Leo, Virgo, Libra, Scorpio, Sagittarius, Capricorn, Aquarius, Pisces.
Red, orange, yellow, green, blue, indigo, violet: the colours of the rainbow.
Genesis, Exodus, Leviticus, Numbers, Deuteronomy, Joshua, Judges, Ruth, 1 Samuel, 2 Samuel, 1 Kings, 2 Kings.
Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Georgia, Hawaii.
Washington, Adams, Jefferson, Madison, Monroe, Adams, Jackson, Van Buren, Harrison, Tyler, Polk, Taylor.
2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97.
1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225.
I, II, III, IV, V, VI, VII, VIII, IX, X, XI, XII, XIII, XIV, XV, XVI, XVII, XVIII, XIX, XX.
Europe, Asia, Africa, North America, South America, Australia, Antarctica.
Albania, Andorra, Austria, Belarus, Belgium, Bosnia and Herzegovina, Bulgaria, Croatia, Cyprus.
Athens, Beijing, Berlin, Cairo, Dublin, Helsinki, Lisbon, London, Madrid, Moscow, Oslo, Paris, Prague, Rome.
King, queen, rook, bishop, knight, pawn: the pieces of chess.
Twinkle, twinkle, little star, how I wonder what you are! Up above the world so high.
Mary had a little lamb, its fleece was white as snow, and everywhere that Mary went the lamb was sure to go.
Humpty Dumpty sat on a wall, Humpty Dumpty had a great fall. All the king's horses and all the king's men.
Four score and seven years ago our fathers brought forth on this continent a new nation, conceived in liberty.
We the People of the United States, in Order to form a more perfect Union, establish Justice.
"""


def passages(text: str, encode) -> list[list[int]]:
    """The first tokens of `TEXTS` evenly spaced passages of a text."""
    starts = [text.index(" ", i * (len(text) - 2000) // TEXTS) + 1 for i in range(TEXTS)]
    return [encode(text[start:][:1500])[: START + LENGTH] for start in starts]


def film_reviews(encode) -> list[list[int]]:
    """The first tokens of `TEXTS` whole reviews, out of the part that no model of the course learns from."""
    long = [r.text for r in reviews().test if r.source == "imdb" and len(r.text) > 1200]
    return [encode(text[:1500])[: START + LENGTH] for text in long[:TEXTS]]


@torch.inference_mode()
def sums(model, ids: list[int], start: int) -> dict:
    """Of the tokens from `start` on: how many, and the sums of surprise, entropy and variance, in bits."""
    logits = model(torch.tensor([ids]), last=len(ids) - start + 1)[0, :-1]
    log_p = logits.log_softmax(-1).double() / math.log(2)
    surprise = -log_p.gather(1, torch.tensor(ids[start:])[:, None])[:, 0]
    entropy = -(log_p.exp2() * log_p).sum(-1)
    variance = (log_p.exp2() * log_p.square()).sum(-1) - entropy.square()
    found = {"surprise": surprise, "entropy": entropy, "variance": variance}
    return {"tokens": len(surprise)} | {name: f"{x.sum().item():.2f}" for name, x in found.items()}


def record() -> list[dict]:
    """Write and read all texts; a row a text."""
    tokenizer, plays = pretrained.smollm2_tokenizer(), corpora.shakespeare()
    model = optimise_for_decoding(pretrained.load("smollm2-135m"))

    def encode(text):
        return tokenizer.encode(text).ids

    people = passages(plays.validation, encode)
    texts = {
        "Twelfth Night": people,
        "Luke, 1769": passages(" ".join(corpora.verses_by_language()["English, 1769"]), encode),
        "film reviews": film_reviews(encode),
    }
    for name, (sampler, seed) in WAYS.items():
        generator = torch.Generator().manual_seed(seed)
        written = generate(
            model, [ids[:START] for ids in people], LENGTH, sampler=sampler, generator=generator
        )
        texts[name] = [ids[:START] + text.ids for ids, text in zip(people, unbroken(written), strict=True)]
        print(name, "written", flush=True)
    rows = [{"kind": kind} | sums(model, ids, START) for kind, all_ids in texts.items() for ids in all_ids]
    lists = [encode("\n" + line) for line in LISTS.splitlines()]
    return rows + [{"kind": "lists"} | sums(model, ids, 1) for ids in lists]


def recorded() -> dict[str, np.ndarray]:
    """The table: for each kind of text a row (tokens, surprise, entropy, variance) a text."""
    found = {}
    for row in recording.read_table(SCORES):
        found.setdefault(row["kind"], []).append(
            [float(row[x]) for x in ("tokens", "surprise", "entropy", "variance")]
        )
    return {kind: np.array(rows) for kind, rows in found.items()}


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit("this command has no options")
    recording.write_table(SCORES, record())
