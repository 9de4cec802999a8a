"""The token tree: what may follow a prompt, opened token by token, and beam search through it by steps."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from math import exp, isfinite, log

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.generation.beams import Beam, BeamStep, beam_steps, top_indices
from course_utils.widgets.base import Widget
from course_utils.widgets.state import List, Number, OneOf, Row, Whole
from course_utils.widgets.words import (
    error_in_words,
    percent,
    plural,
    quoted,
    shortened,
    signed,
    signs,
    visible,
)

CHILDREN = 5  # likeliest tokens that a node shows at first; all others share a row
LONGEST = 20  # tokens that the search writes at most
MAX_WIDTH = 8
MAX_PENALTY = 2
MAX_DEPTH = 200  # tokens of a path that is opened by hand
MAX_WANTED = 2000  # nodes that are opened or closed by hand
MAX_SHOWN = 10**6  # tokens below a node: more than any vocabulary has
ROWS = 70  # of the tree on the page at a time: with more, and the table, it would pass 2,000 DOM nodes
IN_PICTURE = 16  # rows of the tree in the static picture
MAX_ANSWERS = 256  # of the model that are kept: those of the widest search, and some more
TAIL = 60  # characters of a long text that are shown: its end, where texts differ
OFF = 1e-3  # how far from 1 the sum of float32 probabilities may be; that of logits is far further off

ROOT = Beam([], 0.0, 0.0)
SHAPES = {"beam": "●", "finished": "■", "pruned": "✕", "greedy": "◆", "best": "★"}

Path = tuple[int, ...]  # the ids after the prompt, down to a node


class Model:
    """What the tree asks: checked answers, which are kept, and what the tokens are."""

    def __init__(self, next_log_probs: Callable, tokens: Sequence[str], end_ids: Collection[int]):
        self._next_log_probs, self.tokens, self.end_ids = next_log_probs, tokens, frozenset(end_ids)
        self.after = lru_cache(maxsize=MAX_ANSWERS)(self._ask)

    def _ask(self, path: Path) -> Float[np.ndarray, " V"]:
        log_p = np.array(self._next_log_probs(list(path)))  # a copy: it is kept
        if log_p.shape != (len(self.tokens),):
            raise ValueError(
                f"there are {len(self.tokens):,} tokens, and each has its log-probability; got an array of "
                f"shape {log_p.shape}"
            )
        if missing := int(np.isnan(log_p).sum()):
            raise ValueError(f"{missing:,} of the {len(log_p):,} log-probabilities are NaN, no numbers")
        with np.errstate(over="ignore"):
            total = np.exp(log_p).sum()
        if not abs(total - 1) < OFF:
            raise ValueError(
                f"the probabilities of all tokens sum to 1; these sum to {total:.4g}: if they come from "
                "logits, log_softmax makes log-probabilities of them"
            )
        return log_p

    def ended(self, ids: Sequence[int]) -> bool:
        return bool(ids) and ids[-1] in self.end_ids

    def written(self, ids: Sequence[int]) -> str:
        return "".join(self.tokens[i] for i in ids)


class Tree:
    """The rows of the tree for a state, and the texts that are compared.

    steps: what the search has found so far. searched: whether it has just been changed; what it finds is
    then shown, also where the learner had closed a node, and is in sight. The state is settled: what is
    chosen is one of the rows.
    """

    def __init__(
        self,
        model: Model,
        prompt: str,
        state: dict,
        steps: list[BeamStep],
        searched: bool,
        notices: list[str],
    ):
        self._model, self._prompt, self._state = model, prompt, state
        self.steps, self.notices = steps, notices
        self.step = steps[-1] if steps else None  # the last that was taken
        self._find_paths()
        if searched:
            state["wanted"] = [[path, n] for path, n in state["wanted"] if n or tuple(path) not in self._ways]
        self._wanted = {tuple(path): n for path, n in state["wanted"]}
        self.rows = list(self._rows_from(ROOT, place=(1, 1)))
        self._settle(searched)

    def _settle(self, searched: bool) -> None:
        """See that the chosen row is one of the rows, and which row is to be in sight."""
        state, places = self._state, [(row["kind"], row["path"]) for row in self.rows]
        while ("node", state["chosen"]) not in places:  # a branch was closed above it
            state["chosen"] = state["chosen"][:-1]
        if (state["at"], state["chosen"]) not in places:
            below = [path for kind, path in places if kind == "node" and path[:-1] == state["chosen"] != path]
            if state["at"] == "rest" and below:  # the last of the rest was shown
                state["chosen"] = below[-1]
            state["at"] = "node"
        if chosen := state["chosen"]:
            self.texts["yours"] = self._text(len(chosen), lambda _, i: chosen[i])
        found = ("node", self.texts["best"].ids) if searched and self.step else None
        self.place = places.index(found if found in places else (state["at"], chosen))

    def _find_paths(self) -> None:
        """The texts to compare, by name, and what the tree has to show of them and of the search."""
        step, n = self.step, len(self.steps)
        self.texts = {}
        if step:
            self.texts["greedy"] = self._text(n, lambda log_p, _: int(top_indices(log_p, 1)[0]))
            self.texts["best"] = step.best(1)[0]
        self._parents = {()} if n < 2 else {tuple(beam.ids) for beam in self.steps[-2].active}
        found = [*step.active, *step.finished, *step.pruned] if step else []
        self._ways = {}  # path -> the tokens to show below it
        for ids in [self._state["chosen"], *(beam.ids for beam in [*self.texts.values(), *found])]:
            for i, token in enumerate(ids):
                self._ways.setdefault(tuple(ids[:i]), set()).add(token)

    def _text(self, n: int, next_token: Callable[[np.ndarray, int], int]) -> Beam:
        """A text of n tokens, or down to an end; `next_token` sees the log-probabilities and the place."""
        beam = ROOT
        try:
            while len(beam.ids) < n and not self._model.ended(beam.ids):
                log_p = self._model.after(tuple(beam.ids))
                beam = self._child(beam, next_token(log_p, len(beam.ids)), log_p)
        except Exception as error:
            self.notices.append(
                f"No answer after {quoted(self._model.written(beam.ids))}: {error_in_words(error)}"
            )
        return beam

    def _child(self, beam: Beam, token: int, log_p: Float[np.ndarray, " V"]) -> Beam:
        return beam.extended(token, float(log_p[token]), self._state["length_penalty"])

    # ---- the rows of the tree ----------------------------------------------------------------------

    def _rows_from(self, node: Beam, **its) -> Iterator[dict]:
        """The row of a node, with what its parent says of it, and those below if it is open.

        A node that only the search has opened shows nothing but the search's own way, and `hidden` says how
        many tokens that leaves out, with how much probability.
        """
        path = tuple(node.ids)
        likeliest = self._wanted.get(path, CHILDREN if path in self._parents else 0)
        on_way = self._ways.get(path, set()) if likeliest or path not in self._wanted else set()
        leaf = self._model.ended(path)
        row = {
            "kind": "node",
            "path": node.ids,
            "token": visible(self._model.tokens[path[-1]]) if path else _tail(visible(self._prompt)),
            "log_p": _finite(node.log_p),
            "open": None if leaf else bool(likeliest or on_way),
            "more": CHILDREN,  # how many likeliest tokens to ask for, to see more
            "marks": self._marks(node) if path else [],
            **its,
        }
        if not row["open"]:
            yield row
            return
        try:
            log_p = self._model.after(path)
        except Exception as error:
            problem = f"No answer here: {error_in_words(error)}"
            yield from (row, {"kind": "problem", "path": node.ids, "token": problem, "place": (1, 1)})
            return
        tokens = on_way.union(map(int, top_indices(log_p, likeliest)))
        tokens = sorted(tokens, key=lambda token: (-log_p[token], token))
        others, mass = len(log_p) - len(tokens), max(0.0, 1 - float(np.exp(log_p[tokens]).sum()))
        siblings = len(tokens) + (others > 0)
        yield row if likeliest else row | {"hidden": [others, mass]}
        for i, token in enumerate(tokens, 1):
            rank = 1 + int((log_p > log_p[token]).sum() + (log_p[:token] == log_p[token]).sum())
            child = self._child(node, token, log_p)
            yield from self._rows_from(child, p=exp(log_p[token]), rank=rank, place=(i, siblings))
        if likeliest and others:
            yield {
                "kind": "rest",
                "path": node.ids,
                "token": f"the other {plural(others, 'token')}",
                "p": mass,
                "more": likeliest + CHILDREN,
                "place": (siblings, siblings),
            }

    def _marks(self, node: Beam) -> list[tuple[str, str]]:
        """What there is to say of a node: its kind, which has a shape, and words."""
        marks = []
        if step := self.step:
            going, finished = [beam.ids for beam in step.active], [beam.ids for beam in step.finished]
            if node.ids in going:
                marks.append(("beam", f"in the beam, {going.index(node.ids) + 1}"))
            elif node.ids in finished:
                marks.append(("finished", "finished"))
            elif tuple(node.ids[:-1]) in self._parents:
                full = self._model.ended(node.ids) and len(finished) == self._state["width"]
                kept = step.finished if full or not going else step.active
                last = f", the last one kept has {_number(kept[-1].score)}"
                marks.append(("pruned", f"pruned: {_number(node.score)}{last}"))
        if not marks and self._model.ended(node.ids):
            marks.append(("finished", "ends the text"))
        for name, words in [("greedy", "greedy"), ("best", "best so far")]:
            if name in self.texts and self.texts[name].ids[: len(node.ids)] == node.ids:
                marks.append((name, words))
        return marks


class TokenTree(Widget):
    """A tree of continuations, and a beam search that goes through it one token at a time.

    next_log_probs: natural-log probabilities (V,) of the token that follows the prompt and these ids.
    tokens: the V tokens as texts; prompt: as shown.
    end_ids: tokens that end a text.

    The search is that of `course_utils.generation.beam_search`, for at most 20 tokens. Opening a node asks
    next_log_probs once, a step of the search once for each text of the beam; answers are kept. An error of
    next_log_probs, and an answer that is no distribution, is shown in words where it happened. Raises
    ValueError for an end_id that is no token, and for no tokens.
    """

    def __init__(
        self,
        next_log_probs: Callable[[list[int]], Float[np.ndarray, " V"]],
        tokens: Sequence[str],
        prompt: str,
        end_ids: Collection[int] = (),
    ):
        if not len(tokens):
            raise ValueError("tokens are the texts of the vocabulary, one at least; got none")
        for i in end_ids:
            if i not in range(len(tokens)):
                raise ValueError(f"end_ids are ids of tokens, 0 to {len(tokens) - 1}; got {i!r}")
        self._model, self._prompt = Model(next_log_probs, tokens, end_ids), prompt
        self._settings, self._steps, self._search = None, [], iter(())
        path = List(Whole(0, len(tokens) - 1), MAX_DEPTH)
        super().__init__(
            # how many likeliest tokens to show below a node; 0 closes it
            wanted=List(Row(path, Whole(0, MAX_SHOWN)), MAX_WANTED),
            # the learner's path; and whether on its last node, or on what stands below that
            chosen=path,
            at=OneOf(["node", "rest", "problem"]),
            width=Whole(1, MAX_WIDTH, start=3),
            length_penalty=Number(0, MAX_PENALTY, start=1.0),
            steps=Whole(0, LONGEST),
        )

    def compute(self, state: dict) -> Tree:
        searched = any(state[name] != self.state[name] for name in ("width", "length_penalty", "steps"))
        steps, notices = self._take_steps(state)
        state["steps"] = len(steps)
        return Tree(self._model, self._prompt, state, steps, searched, notices)

    def _take_steps(self, state: dict) -> tuple[list[BeamStep], list[str]]:
        """Search until as many steps are taken as were asked for, or as many as there are.

        The search that was begun last is kept, with its settings, and goes on where it stands.
        """
        settings, notices = (state["width"], state["length_penalty"]), []
        if self._settings != settings:
            self._settings, self._steps = settings, []
            self._search = beam_steps(
                lambda texts: np.stack([self._model.after(tuple(text)) for text in texts]),
                LONGEST,
                settings[0],
                length_penalty=settings[1],
                end_ids=self._model.end_ids,
            )
        try:
            while len(self._steps) < state["steps"] and not (self._steps and self._steps[-1].last):
                self._steps.append(next(self._search))
        except Exception as error:
            done = plural(len(self._steps), "step")
            notices.append(f"The search stops after {done}: {error_in_words(error)}")
            self._settings = None  # so that the next try begins anew
        return self._steps[: state["steps"]], notices

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"shapes": SHAPES}

    def view(self) -> dict:
        rows, step = self.found.rows, self.found.step
        start = max(0, min(self.found.place - ROWS // 2, len(rows) - ROWS))
        ranked = {"beam": step.active, "finished": step.finished, "pruned": step.pruned} if step else {}
        return {
            "rows": rows[start : start + ROWS],
            "above": start,
            "below": max(0, len(rows) - start - ROWS),
            "over": bool(step and step.last),
            "ranking": [self._shown(kind, beam) for kind, beams in ranked.items() for beam in beams],
            "texts": [self._shown(name, beam) for name, beam in self.found.texts.items()],
        }

    def _shown(self, kind: str, beam: Beam) -> dict:
        return {
            "kind": kind,
            "text": _tail(signs(self._model.written(beam.ids))),
            "n": len(beam.ids),
            "log_p": _finite(beam.log_p),
            "score": _finite(beam.score),
        }

    def notices(self) -> list[str]:
        empty = [] if self._prompt else ["The prompt is empty: these are tokens that begin a text."]
        return [f"{visible(notice).removesuffix('.')}." for notice in empty + self.found.notices]

    def describe(self) -> str:
        sentences = [f"After {quoted(_tail(self._prompt))}: {self._first()}."]
        if "yours" in self.found.texts:
            sentences.append(f"Your path is {self._in_words('yours')}.")
        if self.found.step:
            sentences += [
                f"Beam search of width {self.state['width']} with length penalty "
                f"{self.state['length_penalty']:g}, {plural(self.state['steps'], 'step')}: best so far "
                f"{self._in_words('best')}; greedy {self._in_words('greedy')}.",
                self._verdict(),
            ]
        return " ".join(sentences + self.notices())

    def _first(self) -> str:
        """What comes first after the prompt, or why there is nothing."""
        if len(self.found.rows) == 1:
            return "nothing is open"
        row = self.found.rows[1]  # the likeliest, which an open node always shows
        if row["kind"] == "problem":
            return row["token"]
        of_all = plural(len(self._model.tokens), "token")
        return f"the likeliest of {of_all} is {quoted(row['token'])}, {percent(row['p'])}"

    def _in_words(self, name: str) -> str:
        beam = self.found.texts[name]
        text, n = quoted(_tail(self._model.written(beam.ids))), len(beam.ids)
        mean = _number(beam.log_p / max(n, 1))
        return f"{text}, {plural(n, 'token')}, log p {_number(beam.log_p)} nats, {mean} a token"

    def _verdict(self) -> str:
        """Whether the search has found a likelier text than taking the likeliest token each time."""
        best, greedy = self.found.texts["best"], self.found.texts["greedy"]
        if best.ids == greedy.ids:
            return "They are the same text."
        if len(best.ids) != len(greedy.ids):
            return "They differ in length: compare the log-probability a token."
        gain = best.log_p - greedy.log_p
        times = f"{exp(gain):.3g}" if abs(gain) < log(1000) else f"e^{_number(gain)}"
        return f"The text of the search is {times} times as likely as the greedy one, of the same length."

    def picture(self, figure: Figure) -> None:
        axes = figure.add_subplot(xlim=(0, 100), ylim=(IN_PICTURE + 5, -1))
        axes.axis("off")
        for x, name, side in [(52, "p", "right"), (61, "log p, nats", "right"), (63, "marks", "left")]:
            axes.text(x, -0.5, name, color="#444444", fontsize=8, ha=side)
        for y, row in enumerate(self.found.rows[:IN_PICTURE]):
            node = row["kind"] == "node"
            look = {"y": y + 0.3, "fontsize": 8, "color": "black" if node else "#555555"}
            token = signs(row["token"]) or "∅" if node else row["token"]
            axes.text(1.2 * (len(row["path"]) + (not node)), s=token[:TAIL], family="monospace", **look)
            if "p" in row:
                axes.barh(y, 10 * row["p"], left=34, height=0.6, color="#0072b2" if node else "#bbbbbb")
                axes.text(52, s=percent(row["p"]), ha="right", **look)
            if node and row["path"]:
                axes.text(61, s=_number(row["log_p"]), ha="right", **look)
                marks = [f"{SHAPES[kind]} {words}" for kind, words in row["marks"]]
                axes.text(63, s="   ".join(marks), **look)
        look = {"fontsize": 8, "color": "#555555"}
        if len(self.found.rows) > IN_PICTURE:
            axes.text(
                0, IN_PICTURE + 0.3, f"and {plural(len(self.found.rows) - IN_PICTURE, 'more row')}", **look
            )
        for y, name in enumerate(self.found.texts, IN_PICTURE + 2):
            axes.text(0, y, f"{SHAPES.get(name, '▸')} {name}: {self._in_words(name)}", **look)


def _number(x: float | None) -> str:
    """With two decimals and a true minus; None is minus infinity."""
    return "−∞" if x is None or not isfinite(x) else signed(x)


def _finite(x: float) -> float | None:
    """JSON has no minus infinity, the log-probability of what can't come."""
    return x if isfinite(x) else None


def _tail(text: str) -> str:
    return shortened(text, TAIL, end=True)
