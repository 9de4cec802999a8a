"""A contest: noise alone is a tie, a real gain is found, and nothing unsigned, changed or too dear counts."""

import csv
import errno
import json
import os
import re
import sys
from unittest.mock import Mock

import numpy as np
import pytest
from scipy.stats import ttest_ind

from course_utils.classroom import overlay
from course_utils.classroom.contest import holding, page, ranking
from course_utils.commands import cli
from course_utils.pretraining import recipes
from course_utils.scaling.plans import read_log

CONTESTS = 2000 if os.environ.get("COURSE_FULL") else 100
RECIPE = (
    "n_layers = 1\nn_heads = 2\nd_model = 16\nvocab_size = 300\nbatch = 2\nsteps = 5\nlearning_rate = 0.01\n"
)
TEXT = "Full fathom five thy father lies; of his bones are coral made.\n"


def measured_noise():
    """The standard deviation between seeds in the contest that was recorded, in bits per byte."""
    return page.scatter(page.read_runs(page.EXAMPLE))


def share_told_apart(told, *gains, noise=None, seeds=5, contests=CONTESTS):
    """The share of contests in which somebody is told from the first. gains: of the recipes, one each."""
    draws, noise = np.random.default_rng(0), measured_noise() if noise is None else noise
    scatter = np.broadcast_to(noise, len(gains))[:, None]
    found = 0
    for _ in range(contests):
        scores = 2.7 - np.array(gains)[:, None] + scatter * draws.standard_normal((len(gains), seeds))
        found += told(dict(enumerate(scores)))
    return found / contests


def ours(scores):
    return not all(place.tied for place in ranking.ranked(scores))


def by_one_run(scores):
    return len({values[0] for values in scores.values()}) > 1


def by_uncorrected_t(scores):
    first = min(scores.values(), key=np.mean)
    return any(
        ttest_ind(first, values, equal_var=False).pvalue < 0.05
        for values in scores.values()
        if values is not first
    )


def test_noise_alone_is_a_tie_in_95_of_100_contests():
    told_apart = share_told_apart(ours, 0, 0)
    print(
        f"of {CONTESTS} contests of two equals {1 - told_apart:.1%} were ties; seeds: {measured_noise():.4f}"
    )
    assert told_apart <= 0.05
    assert share_told_apart(by_one_run, 0, 0, contests=20) == 1  # a single run each: always another "best"


def test_of_six_equals_too_and_a_t_test_without_correction_would_find_differences():
    equals = [0] * 6
    few = CONTESTS // 5
    assert share_told_apart(ours, *equals, contests=few) <= 0.07
    assert share_told_apart(by_uncorrected_t, *equals, contests=few) > 0.15


def test_a_recipe_that_scatters_more_than_the_others_makes_no_difference():
    noise = measured_noise()
    assert share_told_apart(ours, 0, 0, 0, noise=[noise, noise, 4 * noise], contests=CONTESTS // 5) <= 0.07


def test_a_gain_of_known_size_is_found_as_often_as_the_page_says():
    noise = measured_noise()
    gain = ranking.found_in(0.8, noise, 5, 2)
    found = share_told_apart(ours, 0, gain)
    print(f"a gain of {gain:.4f} bits per byte was found in {found:.0%} of {CONTESTS} contests of two")
    assert found == pytest.approx(0.8, abs=0.05)
    assert share_told_apart(ours, 0, 2 * gain, contests=20) >= 0.95
    assert ranking.power(0, noise, 5, 2) == pytest.approx(0.025, abs=1e-6)  # half of .05: the right side


def test_places_by_hand():
    first, second, last = [2.0, 2.1, 2.2], [2.1, 2.2, 2.0], [3.0, 3.1, 3.2]
    places = ranking.ranked({"last": last, "second": second, "first": first})
    assert [(place.name, place.rank, place.tied) for place in places] == [
        ("first", 1, True),
        ("second", 1, True),
        ("last", 3, False),
    ]
    assert places[2].mean == pytest.approx(3.1) and places[2].error == pytest.approx(0.1 / 3**0.5)
    assert ranking.difference(first, last, 2) == pytest.approx(ttest_ind(first, last, equal_var=False).pvalue)
    assert ranking.difference(first, last, 9) > ranking.difference(first, last, 2)
    assert ranking.difference([2.0] * 3, [2.0] * 3, 2) == 1
    with pytest.raises(ValueError, match="last needs 3 scores or more"):
        ranking.ranked({"first": first, "last": last[:2]})


# ---- holding one ---------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch):
    """The runs that were made, of models whose loss is their name's and the seed's; `stop` is when Ctrl-C
    comes."""

    class Made(list):
        stop = None

    made = Made()

    def run(name, tokens, seed, checkpoint, recipe):
        if len(made) == made.stop:
            raise KeyboardInterrupt
        made.append((name, seed))
        if name == "wild":
            raise ArithmeticError("the loss is nan")
        loss = 2.5 + 0.1 * len(name) + 1e-3 * (seed % 7)
        return {"n": 4000, "d": tokens, "flops": 1e6, "loss": loss, "seconds": 0.1}

    monkeypatch.setattr(recipes, "run", run)
    monkeypatch.setattr(recipes, "lay_out", lambda folder, vocab_size: None)
    return made


class Class:
    """A class with three recipes in the folder `first`."""

    def __init__(self, folder):
        self.recipes, self.said = folder / "first", []
        self.recipes.mkdir()
        overlay.new(folder / "class")
        self.overlay = overlay.Overlay(folder / "class")
        self.folder = folder / "class" / "contests" / "first"
        for name in ("a", "bb", "wild"):
            self.hand_in(name)

    def hand_in(self, name, content=RECIPE):
        (self.recipes / f"{name}.toml").write_text(content, encoding="utf-8")

    def hold(self, seeds=3, flops=1e9, text=TEXT):
        """The contest and what came of it."""
        contest = holding.Contest(self.overlay, "first", seeds, flops, text)
        return contest, contest.hold(self.recipes, say=self.said.append)


@pytest.fixture
def room(tmp_path):
    return Class(tmp_path)


def test_each_recipe_is_run_once_with_each_seed_of_the_class(room, trained):
    _, found = room.hold()
    assert {name: len(scores) for name, scores in found.scores.items()} == {"a": 3, "bb": 3}
    assert len(trained) == len({seed for _, seed in trained}) == 9
    assert re.fullmatch(r"1 of 9: a-\d+-\d+, loss [\d.]+", room.said[0]), "a name, and no hash"
    assert found.left_out["wild"].startswith("not ranked: 3 of 3 runs failed: wild-")
    assert room.hold()[1] == found and len(trained) == 9
    room.hand_in("a", RECIPE.replace("0.01", "0.02"))  # a new version, on the same seeds
    room.hold()
    assert trained[9:] == trained[:3]


def test_a_contest_that_was_stopped_goes_on(room, trained):
    trained.stop = 4
    with pytest.raises(KeyboardInterrupt):
        room.hold()
    trained.stop = None
    log = room.folder / holding.LOG
    log.write_bytes(log.read_bytes()[:-30])  # the machine stopped while it wrote a line
    room.hold()
    assert len(trained) == 10 and len(set(trained)) == len(read_log(log).lines) == 9


def test_a_changed_log_is_refused(room, trained):
    room.hold()
    log = room.folder / holding.LOG
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first = lines[0]
    for changed in (
        first | {"loss": first["loss"] - 0.1},
        first | {"run": first["run"].replace("a-", "bb-", 1)},
        first | {"signature": "0" * 64},
        first | {"more": 1},
        {key: value for key, value in first.items() if key != "signature"},
    ):
        log.write_text("".join(json.dumps(line) + "\n" for line in [changed, *lines[1:]]))
        with pytest.raises(ValueError, match="not what this class signed"):
            room.hold()
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    room.hold()
    assert len(trained) == 9


def test_another_contests_lines_are_refused(room, trained):
    room.hold()
    (room.folder / holding.SETTINGS).unlink()  # else the other text is
    with pytest.raises(ValueError, match="not what this class signed"):
        room.hold(text="Another text.\n")


def test_what_was_fixed_stays(room, trained):
    room.hold()
    for other in ({"seeds": 4}, {"flops": 2e9}, {"text": "Another text.\n"}):
        with pytest.raises(ValueError, match=r"the contest first was begun with .* and that is fixed"):
            room.hold(**other)
    settings = room.folder / holding.SETTINGS
    for content in (settings.read_text().replace("3", "4", 1), "[]", "{", "{}"):
        settings.write_text(content)
        with pytest.raises(ValueError, match="contest"):
            room.hold()
    assert len(trained) == 9


def test_settings_that_cannot_be(room):
    for bad, said in (({"seeds": 2}, "3 seeds or more"), ({"flops": 0}, "above 0"), ({"text": " "}, "empty")):
        with pytest.raises(ValueError, match=said):
            room.hold(**bad)


def test_who_overspends_is_refused_before_anything_runs(room, trained):
    room.hand_in("a", RECIPE.replace("steps = 5", "steps = 50000"))
    room.hand_in("with blank")
    (room.recipes / "link.toml").symlink_to(room.recipes / "bb.toml")
    _, found = room.hold()
    assert {name for name, _ in trained} == {"bb", "wild"}
    assert "they pay for" in found.left_out["a"] and "link" in found.left_out["link"]
    assert sum("refused" in line for line in room.said) == 3
    with pytest.raises(ValueError, match="there are no recipes in"):
        room.hold()[0].hold(room.folder / "nowhere")


def test_no_file_of_one_student_costs_the_others_their_leaderboard(room, trained):
    room.hand_in("deep", RECIPE + "clip" + ".a" * 4800 + " = 1")
    room.hand_in("_ada")
    latin_1 = {"M\udcfcller": r"M\udcfcller"} if sys.platform != "darwin" else {}  # which refuses such a name
    for name in ("Eve.TOML", "eve.toml.txt", ".hidden.toml", *(f"{name}.toml" for name in latin_1)):
        (room.recipes / name).write_text(RECIPE)
    (room.recipes / "eve_1234").mkdir()
    held, found = room.hold()
    page.write(held, found)
    rows = [*csv.DictReader((room.folder / "leaderboard.csv").read_text("utf-8").splitlines())]
    assert [row["recipe"] for row in rows if row["rank"]] == ["a", "bb"]
    assert {row["recipe"]: row["left out"].split(":")[0] for row in rows if not row["rank"]} == {
        "deep": "refused",
        "_ada": "refused",
        **dict.fromkeys(latin_1.values(), "refused"),
        "Eve.TOML": "passed over",
        "eve.toml.txt": "passed over",
        "eve_1234": "passed over",
        "wild": "not ranked",
    }
    assert "begins with a letter or digit" in found.left_out["_ada"]


def test_a_mistyped_folder_begins_no_contest(room, tmp_path):
    with pytest.raises(SystemExit, match="there are no recipes in"):
        cli.main(["contest", str(tmp_path / "frist"), "--overlay", str(room.overlay.folder)])
    assert not (room.overlay.folder / "contests").exists()


def test_a_mark_of_windows_is_no_text_and_a_full_disk_is_a_sentence(room, trained, monkeypatch, tmp_path):
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    words = ["contest", str(room.recipes), "--held-out", str(tmp_path / "text.txt"), "--seeds", "3"]
    words += ["--overlay", str(room.overlay.folder)]
    full = OSError(errno.ENOSPC, "No space left on device")
    for module, name, said in (
        (holding, "sweep", r"Stopped \(.*No space left.*\); what is done is kept"),
        (page, "write_atomic", r": .*No space left"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, Mock(side_effect=full))
            with pytest.raises(SystemExit, match=said):
                cli.main(words)
    assert (room.folder / "held_out.txt").read_bytes() == TEXT.encode()


def test_the_command_writes_table_and_page(room, trained, capsys, tmp_path):
    room.hand_in("odd", "<b>")
    (tmp_path / "text.txt").write_text(TEXT)
    words = ["--seeds", "3", "--flops", "1e9", "--overlay", str(room.overlay.folder)]
    assert cli.main(["contest", str(room.recipes), "--held-out", str(tmp_path / "text.txt"), *words]) == 0
    out = capsys.readouterr().out
    assert "1  a " in out and "behind, p = " in out and "scatter by" in out
    rows = [*csv.DictReader((room.folder / "leaderboard.csv").read_text().splitlines())]
    assert [(row["recipe"], row["rank"]) for row in rows] == [
        ("a", "1"),
        ("bb", "2"),
        ("odd", ""),
        ("wild", ""),
    ]
    assert float(rows[0]["bits per byte"]) == pytest.approx(
        np.mean([float(rows[0][f"run {i}"]) for i in (1, 2, 3)]), abs=1e-5
    )
    text = (room.folder / "leaderboard.html").read_text()
    assert "default-src 'none'" in text and "<b>" not in text and "wild is not ranked" in text
    trained.stop = len(trained)
    room.hand_in("late")
    with pytest.raises(SystemExit, match="goes on where it was"):
        cli.main(["contest", str(room.recipes), "--held-out", str(tmp_path / "text.txt"), *words])
    with pytest.raises(SystemExit, match="there is no file"):
        cli.main(["contest", str(room.recipes), "--held-out", str(tmp_path / "nowhere"), *words])


@pytest.mark.parametrize(
    "p, said", [(0.04999, "0.049"), (0.05, "0.05"), (0.5, "0.5"), (1.5e-7, "1.5e-07"), (0.0, "0")]
)
def test_a_p_below_the_level_never_reads_as_the_level(p, said):
    place = ranking.Place(1 if p >= ranking.LEVEL else 2, "a", 2, 0.1, p)
    assert page._beside(place).endswith(f" p = {said}")


def test_one_recipe_is_compared_with_none(room, trained):
    for name in ("bb", "wild"):
        (room.recipes / f"{name}.toml").unlink()
    assert page.write(*room.hold())[-1] == "With fewer than two recipes nothing is compared."
