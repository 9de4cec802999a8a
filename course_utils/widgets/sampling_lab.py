"""The sampling lab: what each sampler leaves of a real distribution over the whole vocabulary."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from course_utils.measuring.labels import label
from course_utils.sampling import ALLOWED, PENALTIES, Sampler, kept, token_counts
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, List, Number, Spec, Text, Whole
from course_utils.widgets.words import percent, plural, quoted, shortened, signs, visible

MAX_CHARACTERS = 10_000  # of a prompt
NAMED = 2000  # of the likeliest tokens the names cross with the logits; of others when they are seen
MAX_DRAWS = 10_000
MAX_NAMED = 100  # at a time: more than a page shows
PICTURED = 15  # bars of the still picture


class Setting(NamedTuple):
    """What a sampler is called, what it does, where it begins, and from where to where its slider goes."""

    label: str
    does: str
    value: float
    low: float
    high: float | None  # None: the size of the vocabulary
    log: bool = False


SETTINGS = {
    "repetition_penalty": Setting(
        "repetition penalty", "lower the logits of what stands in the prompt, once", 1.2, 1, 2
    ),
    "frequency_penalty": Setting(
        "frequency penalty", "take this from a logit for each time in the prompt", 0.5, -2, 2
    ),
    "temperature": Setting("temperature", "divide every logit by it", 0.8, 0, 3),
    "top_k": Setting("top-k", "keep the k likeliest", 50, 1, None, log=True),
    "top_p": Setting("top-p", "keep the likeliest, as few as reach p together", 0.95, 0, 1),
    "min_p": Setting(
        "min-p", "keep what is at least p times as likely as the likeliest", 0.05, 0.0001, 1, log=True
    ),
    "typical": Setting("typical", "keep what surprises about as expected, up to this mass", 0.9, 0.01, 0.99),
    "epsilon": Setting("epsilon", "keep what has at least this probability", 0.0003, 1e-6, 0.1, log=True),
    "eta": Setting(
        "eta",
        "as epsilon, with a bar that sinks where many tokens are plausible",
        0.0003,
        1e-6,
        0.1,
        log=True,
    ),
}
START = {"temperature": 0.8, "top_p": 0.95}

Distribution = Float[np.ndarray, " vocab"]


@dataclass(frozen=True)
class Next:
    """What may follow a prompt: logits and probabilities (V,), and how often each token stands in it."""

    prompt: str
    logits: torch.Tensor
    counts: torch.Tensor
    before: Distribution
    notices: list[str]


@dataclass(frozen=True)
class Taken:
    """A chain's last logits and probabilities (V,), and of each of its steps what it left."""

    logits: torch.Tensor
    after: Distribution
    left: list[tuple[str, int, float, float]]  # name with value, tokens, share left (1: all), bits
    notices: list[str]


@dataclass(frozen=True)
class Found:
    now: Next
    taken: Taken


def take(now: Next, steps: list[dict]) -> Taken:
    """Take those of the steps that are on. Raises ValueError for a penalty too strong for float32."""
    logits, p, left = now.logits, now.before, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # top-k tells that it clamps
        for step in steps:
            if not step["on"]:
                continue
            sampler = Sampler(**{step["name"]: step["value"]})
            before, logits = p, Sampler()(sampler(logits, now.counts))
            p, stay = shares(logits), kept(logits).numpy()
            share = before[stay].sum() if stay.sum() < np.count_nonzero(before) else 1.0
            name = f"{SETTINGS[step['name']].label} {step['value']}"
            left.append((name, int(stay.sum()), share, bits(p)))
    return Taken(logits, p, left, [str(warning.message) for warning in caught])


class Chain(Spec):
    """Every sampler once, in any order; one that is off keeps its value."""

    def __init__(self, start: list[dict]):
        self.start = start
        self.names = sorted(step["name"] for step in start)
        self.says = f"a list of {', '.join(self.names)}, each once, as {{name, value, on}}"

    def read(self, name, value):
        if not isinstance(value, list | tuple) or not all(
            isinstance(step, dict) and step.keys() == {"name", "value", "on"} for step in value
        ):
            self.refuse(name, value)
        if sorted(str(step["name"]) for step in value) != self.names:
            self.refuse(name, value)
        return [self._read_step(**step) for step in value]

    def _read_step(self, name: str, value: float, on: bool) -> dict:
        Sampler(**{name: value})  # refuses what is not allowed, of a sampler that is off too
        return {
            "name": name,
            "value": Number(-1e300, 1e300).read(name, value),  # a whole number may be larger than any float
            "on": Flag().read(f"{name}.on", on),
        }


class SamplingLab(Widget):
    """From the logits of the next token to a draw: every sampler, in any order, on the whole vocabulary.

    next_logits(prompt): the logits (V,) of the token that comes after a prompt. What it raises is shown to
        the learner in words, and so is what it warns of.
    tokens: the V tokens as they are shown, leading blanks kept.
    prompts: to choose from; the lab begins with the first, and the learner may type another.
    encode(prompt): the ids of a prompt; with it the lab offers the two penalties.
    settings: the samplers that are on at the beginning, in their order, as `sampling.Sampler` takes them;
        by default temperature=0.8, top_p=0.95.

    The logits cross to the browser once a prompt, as float32; all that follows from them is computed there.
    Raises ValueError for settings that are not allowed, no prompt, and logits that are no distribution.
    """

    scripts = ("sampling", "sampling_parts")
    fresh = traitlets.Dict().tag(sync=True)  # the logits after the prompt; crosses again with each new one

    def __init__(
        self,
        next_logits: Callable[[str], Distribution],
        tokens: Sequence[str],
        prompts: Sequence[str],
        *,
        encode: Callable[[str], Sequence[int]] | None = None,
        **settings: float,
    ):
        if not prompts:
            raise ValueError("the lab needs a prompt to begin with; got none")
        self._next_logits, self._tokens, self._encode = next_logits, list(tokens), encode
        self._prompts = list(prompts)
        on = Sampler(**(settings or START)).settings
        self._offered = [name for name in SETTINGS if encode or name not in PENALTIES]
        if missing := [name for name in on if name not in self._offered]:
            raise ValueError(f"{missing[0]} needs encode, which gives the ids of a prompt; got none")
        in_order = iter(on)
        order = [next(in_order) if name in on else name for name in self._offered]
        values = {name: SETTINGS[name].value for name in self._offered} | on
        super().__init__(
            prompt=Text(MAX_CHARACTERS, start=prompts[0]),
            steps=Chain([{"name": name, "value": values[name], "on": name in on} for name in order]),
            n=Whole(0, MAX_DRAWS),
            seed=Whole(0, 2**32 - 1),
            names=List(Whole(0, len(self._tokens) - 1), MAX_NAMED),  # ids of tokens to be named
        )

    # ---- what is found ---------------------------------------------------------------------------

    def compute(self, state: dict) -> Found:
        now = self.found and self.found.now
        if now is None or state["prompt"] != now.prompt:
            now = self._read(state["prompt"])
        return Found(now, take(now, state["steps"]))

    def _read(self, prompt: str) -> Next:
        """What comes next after a prompt."""
        if not prompt:
            raise ValueError("type a prompt of at least one character; got none")
        size = len(self._tokens)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            logits = np.array(self._next_logits(prompt), dtype=np.float32)
            ids = torch.tensor(list(self._encode(prompt)) if self._encode else [], dtype=torch.long)
        if logits.shape != (size,):
            raise ValueError(
                f"next_logits returns one logit for each of the {size:,} tokens; got the shape "
                f"{list(logits.shape)}"
            )
        logits = Sampler()(torch.from_numpy(logits))  # refuses what is no distribution
        notices = [str(warning.message) for warning in caught]
        return Next(prompt, logits, token_counts(ids, size), shares(logits), notices)

    # ---- what crosses ----------------------------------------------------------------------------

    def constants(self) -> dict:
        size = len(self._tokens)
        return {
            "size": size,
            "prompts": list(self._prompts),
            "settings": {
                name: SETTINGS[name]._asdict()
                | {"allowed": ALLOWED[name][0], "high": SETTINGS[name].high or size}
                for name in self._offered
            },
        }

    @traitlets.default("fresh")
    def _crossing(self) -> dict:
        now = self.found.now
        return {
            "prompt": now.prompt,
            "logits": now.logits.numpy().astype("<f4").tobytes(),
            "counts": [[i, int(now.counts[i])] for i in now.counts.nonzero().flatten().tolist()],
            "names": self._named(_likeliest(now.before, NAMED)),
        }

    def _named(self, ids: list[int]) -> list[tuple[int, str]]:
        return [(i, visible(self._tokens[i])) for i in ids]

    def show(self, request_id: str = "", problem: str = "") -> None:
        with self.hold_sync():
            if self.fresh["prompt"] != self.found.now.prompt:
                self.fresh = self._crossing()
            super().show(request_id, problem)

    def view(self) -> dict:
        return {"named": self._named(self.state["names"])}

    def notices(self) -> list[str]:
        return self.found.now.notices + self.found.taken.notices

    # ---- words -----------------------------------------------------------------------------------

    def draws(self) -> Int[np.ndarray, " n"]:
        """The ids of the n tokens drawn with the seed; JavaScript draws the same."""
        taken = self.found.taken
        rising = taken.logits.sort(stable=True).indices.numpy()
        sums = taken.after[rising].cumsum()
        return rising[np.searchsorted(sums, uniform(self.state["seed"], self.state["n"]) * sums[-1], "right")]

    def describe(self) -> str:
        before, after = self.found.now.before, self.found.taken.after
        sentence = f"After {quoted(shortened(self.state['prompt'], end=True))}: {self._in_words(before)}."
        steps = [
            f"{name} leaves {plural(left, 'token')} with {percent(share)}"
            if share < 1
            else f"{name} leaves all, with {of_bits:.2f} bits"
            for name, left, share, of_bits in self.found.taken.left
        ]
        if steps:
            chain = "; then ".join(steps)
            sentence += f" {chain[0].upper()}{chain[1:]}. So: {self._in_words(after)}."
        else:
            sentence += " No sampler is on."
        if n := self.state["n"]:
            ids, times = np.unique(self.draws(), return_counts=True)
            most = int(times.argmax())
            sentence += (
                f" {plural(n, 'draw')} with seed {self.state['seed']}: {quoted(self._tokens[ids[most]])} "
                f"{plural(times[most], 'time')}, {n * after[ids[most]]:,.1f} expected."
            )
        return sentence

    def _in_words(self, p: Distribution) -> str:
        """The likeliest tokens, all others together, and how wide the distribution is."""
        best = [i for i in _likeliest(p, 3) if p[i] > 0]
        said = [f"{quoted(self._tokens[i])} {percent(p[i])}" for i in best]
        if others := np.count_nonzero(p) - len(best):
            said.append(f"the other {plural(others, 'token')} {percent(1 - p[best].sum())}")
        return f"{', '.join(said)}; entropy {bits(p):.2f} bits, perplexity {2 ** bits(p):,.1f}"

    def picture(self, figure: Figure) -> None:
        before, after = self.found.now.before, self.found.taken.after
        bars, curve = figure.subplots(1, 2)
        best = _likeliest(before, PICTURED)
        names = [shortened(signs(self._tokens[i]), 14, end=True) for i in best]
        lengths = [p[best] for p in (before, after)]
        if others := len(before) - len(best):
            names.append(f"other {others:,}")
            lengths = [np.append(p, max(0.0, 1 - p.sum())) for p in lengths]
        bars.barh(names_at := range(len(names)), lengths[1], color="#0072b2", label="after")
        bars.barh(names_at, lengths[0], color="none", edgecolor="black", label="before")
        bars.set_yticks(names_at, names)
        bars.invert_yaxis()
        bars.set_xlabel(
            f"probability after {shortened(quoted(self.state['prompt']), 32, end=True)}", fontsize=8
        )
        bars.legend(frameon=False, fontsize=8, loc="center right")
        for p, style in [(before, {"color": "black", "linestyle": "--"}), (after, {"color": "#0072b2"})]:
            falling = -np.sort(-p[p > 0])
            curve.loglog(range(1, len(falling) + 1), falling, marker="." if len(falling) < 3 else "", **style)
        falling = -np.sort(-before[before > 0])
        cuts = [(f"{name}: {left:,}", left) for name, left, share, _ in self.found.taken.left if share < 1]
        for _, left in cuts:
            curve.axvline(left, color="#b35c00", linewidth=1)
        curve.set_xlabel("rank (dashed: before)", fontsize=8)
        for axis in (curve.xaxis, curve.yaxis):  # for `label`, which measures; what is drawn is the base's
            axis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
        for axes in (bars, curve):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
        label(curve, [(name, left, falling[min(left, len(falling)) - 1]) for name, left in cuts])


def bits(p: Distribution) -> float:
    """The entropy of probabilities in bits."""
    p = p[p > 0]
    return max(0.0, -(p * np.log2(p)).sum())


def shares(logits: torch.Tensor) -> Distribution:
    return logits.double().softmax(-1).numpy()


def uniform(seed: int, n: int) -> Float[np.ndarray, " n"]:
    """The first n numbers from 0 to 1 of a seed, as sampling.js makes them: a browser has no NumPy."""
    return mixed(mixed(seed) + np.arange(1, n + 1) * 0x9E3779B9) / 2**32


def mixed(x: Int[np.ndarray, " n"] | int) -> Int[np.ndarray, " n"]:
    """The low 32 bits, well mixed: the finaliser of MurmurHash3 (Appleby, 2011)."""
    x = np.atleast_1d(x).astype(np.uint32)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return (x ^ (x >> 16)).astype(np.int64)


def _likeliest(p: Distribution, n: int) -> list[int]:
    """The ids of the n likeliest, of equals the lower first; sorting the whole vocabulary takes longer."""
    least = np.partition(p, -n)[-n] if n < len(p) else -np.inf
    enough = np.flatnonzero(p >= least)
    return enough[np.argsort(-p[enough], kind="stable")[:n]].tolist()
