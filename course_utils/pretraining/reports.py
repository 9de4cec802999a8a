"""What a finished model scored, number by number: where each comes from, and what it does not say.

    reports(folder)["as it chats"].numbers

It is read from the files of the model's folder. The card is made of it, and the widget that shows it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from course_utils.finetuning.orders import NEW_NAMES
from course_utils.pretraining import evaluate
from course_utils.pretraining.filters.contamination import LENGTH

BEFORE, CHATS, COUNTED = "before tuning", "as it chats", "a 5-gram on the kept text"
REPEATS, LATER = "repeats itself", ", fresh"
TUNED = (
    "It was tuned on prompts of just this form: chapter 12 asks for orders in other words, and for new names."
)
RENAMED = f"They are {len(NEW_NAMES)} names: it does not say how others fare."
# True of every model that is tuned by the course's plans
CHOSEN = "How models are tuned was changed after a look at earlier ones' scores, these among them."
LOOKED = (
    "But these questions were looked at: what a model is tuned on, and for how many steps, was changed after "
    "first models had their scores, and so was how a blank before a line is read. Those called fresh were "
    "first asked when the course's plans were settled; most of the fresh prompts are made up by its authors, "
    "and that orders for three new names fail was known."
)


class Number(NamedTuple):
    """A measure's value in a unit, "bits" per byte or "share"; the ends of its 95 % interval, what guessing
    reaches and n, None where there is no such thing; and a sentence or two on each of two questions."""

    measure: str
    value: float
    unit: str
    comes: str
    not_said: str
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    n: int | None = None


class Report(NamedTuple):
    """The numbers of a model, what it is known to fail in, and [what it was asked, what it answered]."""

    numbers: list[Number]
    failures: Sequence[str] = ()
    examples: Sequence[Sequence[str]] = ()


def reports(folder: Path, prefix: str = "") -> dict[str, Report]:
    """Of a made model before and after its tuning, and of the 5-gram beside it, by name; the prefix tells
    several models apart. Raises ValueError for scores of an older course, which asked less."""
    scores, made = (json.loads((folder / name).read_bytes()) for name in ("scores.json", "manifest.json"))
    if "fresh" not in scores["chat"]:
        raise ValueError(
            f"scores.json in {folder} is of an older course, which asked no fresh questions: delete it, and "
            "`course.py make --resume` asks the model again"
        )
    asked, documents = (made["stages"][stage]["notes"] for stage in ("questions", "documents"))
    removed = documents["removed"].get("contamination")
    leaks = [_leaks(removed["documents"], documents["read"]["documents"])] if removed else []
    base, chat = scores["base"], scores["chat"]
    found = {
        BEFORE: Report([*_bits(base["bits_per_byte"]), _next_line(base, asked), *leaks]),
        CHATS: Report(
            [
                *_bits(chat["bits_per_byte"], chosen=CHOSEN),
                _next_line(chat, asked),
                *_answered(chat, asked),
                *leaks,
            ],
            failures(scores),
            [[example["prompt"], example["answer"]] for example in chat["examples"]],
        ),
        COUNTED: Report(_bits(scores["5-gram"], counted=True)),
    }
    return {f"{prefix}{name}": report for name, report in found.items()}


def _bits(texts: dict[str, float], counted: bool = False, chosen: str = "") -> list[Number]:
    how = "-log2 p of all its tokens, over its bytes"
    if counted:
        how = (
            f"-log2 p a byte of a {evaluate.NGRAM_ORDER}-gram of bytes with modified Kneser-Ney smoothing, "
            "counted on what the model read"
        )
    return [
        Number(
            f"bits per byte of {text}",
            bits,
            "bits",
            f"{how}, on the first {evaluate.TEXT_BYTES / 1000:.0f} kB or so of a text that was kept back "
            "(scores.json). Fewer are better.",
            "It is one text and one training run, so there is no interval. It does not say whether what the "
            f"model writes is true or of use. {chosen}".strip(),
        )
        for text, bits in texts.items()
    ]


def _share(measure: str, share: dict, n: int, comes: str, not_said: str) -> Number:
    at, low, high = (share[key] for key in ("value", "low", "high"))
    return Number(measure, at, "share", comes, not_said, low, high, share.get("chance"), n)


def _next_line(scores: dict, asked: dict) -> Number:
    n = asked["choices"]
    return _share(
        "which line comes next",
        scores["next line"],
        n,
        f"{n} places of texts that were kept back, fixed before training (evaluation.json): of "
        f"{evaluate.OPTIONS} lines about as long, the one with the largest log p a byte is its answer.",
        "It does not say what the model would write there. A line may be told by its style or its names. How "
        "a blank before a line is read was changed after a look at earlier models' scores.",
    )


def _answered(chat: dict, asked: dict) -> list[Number]:
    """What a model that chats made of tasks and prompts, the fixed and the fresh."""
    drawn = "drawn at temperature {temperature} with top-p {top_p}".format(**evaluate.CHATTING)
    prompts, fresh = asked["prompts"], chat["fresh"]
    sampled = f"the answers to {prompts} prompts that were kept back, {drawn}"
    typed = f"the answers to {fresh['prompts']} others, most of them made up as people might type, {drawn}"
    return [
        *_tasks(chat["tasks"], "", evaluate.PROBLEMS, LOOKED),
        *_tasks(fresh["tasks"], LATER, evaluate.FRESH_PROBLEMS, ""),
        _stops(chat["stops"], "", prompts, sampled, CHOSEN),
        _stops(fresh["stops"], LATER, fresh["prompts"], typed, ""),
        Number(
            REPEATS,
            chat["repetition"],
            "share",
            f"In {sampled}, the mean share of runs of {evaluate.RUN} words that the answer had before.",
            "Short answers can hardly repeat themselves, whoever gives them. There is no interval.",
            n=prompts,
        ),
    ]


def _tasks(shares: dict, mark: str, n: int, looked: str) -> list[Number]:
    return [
        _share(
            f"task: {name}{mark}",
            share,
            n,
            f"{n} problems whose prompts training never draws; right if a program finds the whole answer "
            "right, and it ends. Each token is the likeliest one. By chance: a guesser who draws evenly from "
            "all answers of the right form.",
            RENAMED if name == evaluate.RENAMED.name else f"{TUNED} {looked}".strip(),
        )
        for name, share in shares.items()
    ]


def _stops(share: dict, mark: str, n: int, answers: str, chosen: str) -> Number:
    return _share(
        f"stops by itself{mark}",
        share,
        n,
        f"Of {answers}, those that end within {evaluate.ANSWER_TOKENS} tokens.",
        f"It does not say that the answer is right, or that it is one. {chosen}".strip(),
    )


def _leaks(removed: int, read: int) -> Number:
    return Number(
        "contaminated documents",
        removed / read,
        "share",
        f"{removed} of {read:,} documents hold {LENGTH} words in a row of a text that the model is scored "
        "on; they were removed before training (manifest.json).",
        "What says the same in other words, or in fewer, was not found and was read. All documents are "
        "counted: there is no interval.",
        n=read,
    )


def failures(scores: dict) -> list[str]:
    """In which a model that chats is known to fail, by its scores."""
    chat, known = scores["chat"], []
    if chat["next line"]["low"] <= chat["next line"]["chance"]:
        known.append(
            "Which line comes next it can't tell better than a guesser, as far as these questions show."
        )
    for asked, n, kind in ((chat, evaluate.PROBLEMS, ""), (chat["fresh"], evaluate.FRESH_PROBLEMS, "fresh ")):
        for name, share in asked["tasks"].items():
            for prompt, answer in share["wrong"]:
                wrong = f"Of {n} {kind}problems of {name} it gets {n - round(n * share['value'])} wrong."
                known.append(f"{wrong} To “{prompt}” it says “{answer}”.")
        if asked["stops"]["value"] < evaluate.STOPS:
            known.append(f"To {kind}prompts {1 - asked['stops']['value']:.0%} of its answers have no end.")
    worse = [text for text, bits in chat["bits_per_byte"].items() if bits > scores["5-gram"][text]]
    if worse:
        known.append(f"As it chats, it predicts worse than a 5-gram: {', '.join(worse)}.")
    known.append("It makes facts up, and nothing was done to keep it from rude or harmful text.")
    return known
