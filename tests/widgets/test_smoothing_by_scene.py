"""What chapter 1 says of modified Kneser-Ney on The Tempest, scene by scene, and where interpolation wins.

A scene is a pair of costs on the same bytes, so that hard and easy scenes compare fairly.
"""

import re

import numpy as np
import pytest

from course_utils.data import corpora
from course_utils.ngrams import NGramModel
from course_utils.ngrams.counting import count_ngrams
from course_utils.tokenizers import ByteTokenizer

ORDERS = range(3, 9)
RIVALS = {"add_k": {"k": 0.01}, "absolute": {}, "kneser_ney": {}, "interpolated": {}}


@pytest.fixture(scope="module")
def saved():
    """Bits that modified Kneser-Ney saves on each byte of the play: {(rival, n): array}."""
    corpus, encode = corpora.shakespeare(), ByteTokenizer().encode
    tables = count_ngrams([encode(text) for text in corpus.train.values()], max(ORDERS), 256)
    held_out, test = encode(corpus.validation), encode(corpus.test)

    def log2_probs(n, smoothing, **settings):
        return NGramModel(n, smoothing, **settings).fit_tables(tables, held_out).log2_probs(test)

    gains = {}
    for n in ORDERS:
        best = log2_probs(n, "modified_kneser_ney")
        for rival, settings in RIVALS.items():
            gains[rival, n] = best - log2_probs(n, rival, **settings)
    return gains


def scenes_won(gain):
    """In how many scenes is the mean gain above 0? What stands before the first scene is none."""
    lengths = [len(scene.encode()) for scene in corpora.scenes(corpora.shakespeare().test)]
    before, *scenes = np.split(gain, np.cumsum(lengths)[:-1])
    assert len(scenes) == 9 and len(before) < 1000
    return sum(scene.mean() > 0 for scene in scenes)


@pytest.mark.parametrize("n", ORDERS)
@pytest.mark.parametrize("rival", ["add_k", "absolute", "kneser_ney"])
def test_ahead_of_the_older_rules_in_every_scene(saved, rival, n):
    assert scenes_won(saved[rival, n]) == 9


@pytest.mark.parametrize("n", range(5, 9))
def test_ahead_of_interpolation_in_nearly_every_scene_from_5_on(saved, n):
    assert scenes_won(saved["interpolated", n]) >= 8


@pytest.mark.parametrize("n", [3, 4])
def test_below_5_interpolation_wins_by_the_names_of_speakers(saved, n):
    gain = saved["interpolated", n]
    is_name = np.zeros(len(gain), dtype=bool)
    for match in re.finditer(rb"(?m)^[A-Z]{3,}[A-Z ]*\n", corpora.shakespeare().test.encode()):
        is_name[match.start() : match.end()] = True
    assert gain.mean() < 0 < gain[~is_name].mean()
    assert gain[is_name].mean() < 0
