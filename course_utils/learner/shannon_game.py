"""Shannon's game: guess the next letter of an unseen passage, beside n-grams that read the same letters."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.learner import progress
from course_utils.learner.passages import GameText, Passage, course_texts
from course_utils.learner.progress import Change, ProgressFile, Snapshot
from course_utils.measuring.entropy import (
    Bounds,
    Interval,
    bootstrap_interval,
    corrected_bounds,
    make_monotone,
    miller_madow,
    rank_counts,
)
from course_utils.measuring.labels import label
from course_utils.ngrams import NGramModel
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, List, OneOf, Text, Whole, complete
from course_utils.widgets.words import plural, visible

ENOUGH = 100  # guessed characters; with fewer, chance alone puts bounds below the truth
ENTRY = "shannon game"  # in the progress file


@dataclass
class Played:
    """What was played of one passage: guesses each character took, wrong ones at the next, how many were
    shown on request, and whether the player knew the passage."""

    ranks: list[int] = field(default_factory=list)
    wrong: str = ""
    shown: int = 0
    known: bool = False

    @property
    def how_far(self) -> tuple[bool, int, int]:
        return self.known, len(self.ranks), len(self.wrong)

    @classmethod
    def from_json(cls, entry, passage: Passage, alphabet: str) -> "Played | None":
        """A passage's entry in the progress file, or None if it can't be one."""
        try:
            ranks = [int(rank) for rank in entry["guesses"].split()]
            record = cls(ranks, str(entry["wrong"]), entry["shown"], entry["known"] is True)
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
        tried = set(record.wrong)
        is_right = (
            len(ranks) <= len(passage.hidden)
            and all(1 <= rank <= len(alphabet) for rank in ranks)
            and tried <= set(alphabet)
            and len(tried) == len(record.wrong)
            and passage.hidden[len(ranks) : len(ranks) + 1] not in tried
            and type(record.shown) is int
            and 0 <= record.shown <= len(ranks)
        )
        return record if is_right else None

    def to_json(self) -> dict:
        return {
            "guesses": " ".join(map(str, self.ranks)),
            "wrong": self.wrong,
            "shown": self.shown,
            "known": self.known,
        }


@dataclass(frozen=True)
class Result:
    """A player's place beside the models: an interval, bounds.lower to bounds.upper, in bits a character.

    `interval` says how far chance may have moved either end (95 %). Both are None under 100 guessed
    characters. `models` has the bits a character of each model on the same characters.
    """

    text: str
    guessed: int
    first_try: int
    shown: int
    discarded: int
    bounds: Bounds | None
    interval: Interval | None
    models: dict[str, float]


class ShannonGame(Widget):
    """Guess the next character until it is right; the numbers of guesses bound how uncertain it is.

    texts: {name: GameText}; the player chooses one, and the models play the same.
    file: where the guesses are kept; the default is the learner's progress file.
    seed: which passages come first.

    "Show me" lets the commonest untried characters be tried in the player's place, and each one counts: a
    character that was given up is never cheaper than guessing on. "I know this one" takes all guesses of a
    passage out of the statistics. Raises ValueError without a text, and for models' bits of another shape.
    """

    def __init__(self, texts: dict[str, GameText], file: ProgressFile | None = None, seed: int = 1):
        if not texts:
            raise ValueError("the game needs {name: GameText}, at least one text; got none")
        self._texts, self._file, self._seed, self._bits = texts, file or progress.current(), seed, {}
        self._records: dict[str, dict[str, Played]] = {}
        self.text = next(iter(texts))
        snapshot = self._file.read()
        unread = self._load(snapshot)
        left_out = f"Left out of the progress file: {plural(unread, 'passage')} cut short or edited."
        self.notice = f"{snapshot.problem} {left_out * bool(unread)}".strip()
        self._choose_passage()
        self._evaluate()
        super().__init__()

    # ---- the play ------------------------------------------------------------------------------

    def handle(self, request: dict) -> None:
        """text, passage: what is played; ranks, wrong, shown, known: how far; go: "next" or a text, or ""."""
        specs = {
            "text": OneOf(self._texts),
            "passage": Text(1000),
            "ranks": List(Whole(0, 1000), 1000),
            "wrong": Text(1000),
            "shown": Whole(0, 1000),
            "known": Flag(),
            "go": OneOf(["", "next", *self._texts]),
        }
        played, _ = complete(specs, request)
        before = self.text, self.passage, self._result
        try:
            if played["passage"]:
                self._note(played, self._texts[played["text"]])
            if played["go"] in self._texts:
                self.text = played["go"]
            if played["go"]:
                self._choose_passage()
            self._evaluate()
        except Exception:
            self.text, self.passage, self._result = before
            raise

    def _note(self, played: dict, text: GameText) -> None:
        """Keep what was played of a passage, if it is one and was begun."""
        passage, guesses = text.passage(played["passage"]), " ".join(map(str, played["ranks"]))
        record = passage and Played.from_json({**played, "guesses": guesses}, passage, text.alphabet)
        if record is None:
            raise ValueError("The page holds another game than the kernel: run this cell again.")
        if record != Played():
            with self._file.change() as change:
                self._save(change, played["text"], passage.key, record)
            self.notice = change.problem

    def _save(self, change: Change, name: str, key: str, record: Played) -> None:
        """Another game on the same file may have come further in this passage: the furthest stays."""
        self._load(change)
        records = self._records[name]
        if key not in records or record.how_far > records[key].how_far:
            records[key] = record
            entries = change.state
            for level in (ENTRY, name):
                if not isinstance(entries.get(level), dict):  # not there yet, or edited
                    entries[level] = {}
                entries = entries[level]
            entries[key] = record.to_json()

    def _load(self, snapshot: Snapshot) -> int:
        """Take what the progress file holds of this game; how many passages of it can't be read."""
        unread = 0
        games = snapshot.state.get(ENTRY)
        for name, text in self._texts.items():
            entries = games.get(name) if isinstance(games, dict) else None
            entries = entries if isinstance(entries, dict) else {}
            played = [p for p in text.passages if p.key in entries]
            found = {p.key: Played.from_json(entries[p.key], p, text.alphabet) for p in played}
            self._records[name] = {key: record for key, record in found.items() if record}
            unread += len(found) - len(self._records[name])
        return unread

    def _choose_passage(self) -> None:
        """The passage that was begun, else the next that was played on no text; None when all were."""
        passages = self._texts[self.text].passages
        in_order = [passages[i] for i in np.random.default_rng(self._seed).permutation(len(passages))]
        records = self._records[self.text]
        begun = [p for p in in_order if p.key in records and self._is_open(p)]
        fresh = [p for p in in_order if not any(p.key in played for played in self._records.values())]
        self.passage = next(iter(begun + fresh), None)

    def _is_open(self, passage: Passage) -> bool:
        record = self._records[self.text][passage.key]
        return not record.known and len(record.ranks) < len(passage.hidden)

    def _model_bits(self, passage: Passage) -> Float[np.ndarray, "models hidden"]:
        text = self._texts[self.text]
        if (self.text, passage.key) not in self._bits:
            bits = np.asarray(text.model_bits(passage.context, passage.hidden), dtype=np.float32)
            if bits.shape != (len(text.models), len(passage.hidden)):
                raise ValueError(
                    f"model_bits must give one number for each of {len(text.models)} models and each of "
                    f"{len(passage.hidden)} hidden characters; got an array of shape {bits.shape}"
                )
            self._bits[self.text, passage.key] = bits
        return self._bits[self.text, passage.key]

    # ---- the numbers ---------------------------------------------------------------------------

    def _counted(self) -> list[tuple[Passage, Played]]:
        records = self._records[self.text]
        return [
            (p, records[p.key])
            for p in self._texts[self.text].passages
            if p.key in records and not records[p.key].known and records[p.key].ranks
        ]

    def _ranks(self) -> list[int]:
        return [rank for _, record in self._counted() for rank in record.ranks]

    def _model_sums(self, without: Passage | None = None) -> Float[np.ndarray, " models"]:
        """Bits of each model for all characters that were guessed."""
        sums = np.zeros(len(self._texts[self.text].models))
        for passage, record in self._counted():
            if passage != without:
                sums += self._model_bits(passage)[:, : len(record.ranks)].sum(axis=1, dtype=np.float64)
        return sums

    def result(self) -> Result:
        """The player's point for the scoreboard, of the text that is being played."""
        records, ranks, names = self._records[self.text], self._ranks(), self._texts[self.text].models
        enough = len(ranks) >= ENOUGH
        return Result(
            text=self.text,
            guessed=len(ranks),
            first_try=ranks.count(1),
            shown=sum(record.shown for _, record in self._counted()),
            discarded=sum(record.known for record in records.values()),
            bounds=corrected_bounds(ranks) if enough else None,
            interval=bootstrap_interval(ranks, np.random.default_rng(0)) if enough else None,
            models=dict(zip(names, (self._model_sums() / len(ranks)).tolist(), strict=True)) if ranks else {},
        )

    # ---- what is seen --------------------------------------------------------------------------

    def _evaluate(self) -> None:
        """The bootstrap runs once for the view and the sentence, and the models before either is drawn."""
        self._result = self.result()
        if self.passage:
            self._model_bits(self.passage)

    def notices(self) -> list[str]:
        return [self.notice] * bool(self.notice)

    def constants(self) -> dict:
        return {"texts": list(self._texts), "enough": ENOUGH}

    def view(self) -> dict:
        text, result, passage = self._texts[self.text], self._result, self.passage
        record = self._records[self.text].get(passage.key, Played()) if passage else Played()
        ranks = self._ranks()
        counts = rank_counts(ranks) if ranks else np.zeros(0)
        return {
            "text": self.text,
            "alphabet": text.alphabet,
            "passage": {
                "key": passage.key,
                "place": passage.place,
                "context": passage.context,
                "hidden": passage.hidden,
            }
            if passage
            else None,
            "ranks": record.ranks,
            "wrong": record.wrong,
            "shownHere": record.shown,
            "models": text.models,
            "bits": self._model_bits(passage).tobytes() if passage else b"",  # float32, model by model
            "before": {"n": len(ranks) - len(record.ranks), "sums": self._model_sums(passage).tolist()},
            "human": {
                "n": result.guessed,
                "bounds": result.bounds,
                "interval": result.interval,
                "added": miller_madow(counts),
                "pooled": make_monotone(counts).pooled,
            }
            if result.bounds
            else None,
            "counts": counts.astype(int).tolist(),
        }

    def describe(self) -> str:
        result = self._result
        sentence = f"{plural(result.guessed, 'character')} guessed, {result.first_try} at the first try"
        if result.bounds:
            (lower, upper), (low, high) = result.bounds, result.interval
            sentence += (
                f"; between {lower:.2f} ({low[0]:.2f} to {low[1]:.2f}) and {upper:.2f} "
                f"({high[0]:.2f} to {high[1]:.2f}) bits a character, with 95 % intervals"
            )
        else:
            sentence += f"; too few for bounds: {result.guessed} of {ENOUGH}"
        if result.models:
            best = min(result.models, key=result.models.get)
            sentence += (
                f"; best on the same characters is the {best} with {result.models[best]:.2f} bits each"
            )
        if result.shown:
            sentence += f"; {result.shown} shown on request"
        if result.discarded:
            sentence += f"; {plural(result.discarded, 'passage')} discarded"
        return sentence + "."

    def picture(self, figure: Figure) -> None:
        result = self._result
        axes = figure.add_subplot()
        names = [*self._texts[self.text].models, "you"]
        at = {name: y for y, name in enumerate(names)}
        axes.set_yticks(range(len(names)), list(map(visible, names)))
        axes.set(xlim=(0, 6), ylim=(len(names) - 0.5, -0.5))
        axes.set_xlabel(f"bits a character on the {result.guessed} characters that were guessed")
        axes.set_title(f"Shannon's game. {visible(self.text)}", loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        points = [(f"{bits:.2f}", bits, at[name]) for name, bits in result.models.items()]
        for _, bits, y in points:
            axes.plot(bits, y, "o", color="#0072b2")
        if result.bounds:
            (lower, upper), (low, high) = result.bounds, result.interval
            axes.plot([low[0], high[1]], [at["you"]] * 2, color="#e69f00", linewidth=1)
            axes.plot([lower, upper], [at["you"]] * 2, color="#e69f00", linewidth=8, solid_capstyle="butt")
            points.append((f"{lower:.2f} to {upper:.2f}", high[1], at["you"]))
        else:
            axes.text(0.1, at["you"], f"too few: {result.guessed} of {ENOUGH}", va="center")
        label(axes, points, fontsize=10)


def shannon_game(
    models: dict[int, NGramModel] | None = None, file: ProgressFile | None = None, seed: int = 1
) -> ShannonGame:
    """The game on The Tempest.

    models: {order: fitted byte model} that play on the scoreboard's bytes; by default 1- to 7-grams are
    fitted. Those of the 27-letter text are fitted when the player first chooses it.
    """
    return ShannonGame(course_texts(models), file, seed)
