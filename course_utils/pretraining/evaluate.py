"""What a model will be asked, written down before it is trained; and how it answers.

`fixed` makes the questions out of texts that no model of the course reads, and they go into a file whose
sha256 the manifest keeps. `score` asks them. Every share has the level that guessing reaches, and an
interval. Who decides by such scores has no clean test left; so there are `fresh` ones, asked when all was
decided.

Sources: Zellers et al. 2019 (which line comes next, by likelihood); Brown et al. 2020, section 2.4
(likelihood over length); Chen et al. 2021 (pass@1); Holtzman et al. 2020 (repetition).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer

from course_utils.data import corpora, reviews, verses
from course_utils.data.instructions import instructions
from course_utils.finetuning.answering import Answerer
from course_utils.finetuning.log_probs import log_probs_of, with_answers
from course_utils.finetuning.orders import NEW_NAMES, orders
from course_utils.finetuning.tasks import Share, Task, addition, reversing, wilson
from course_utils.generation import Completion, generate, unbroken
from course_utils.gpt import GPT
from course_utils.ngrams import NGramModel
from course_utils.pretraining.stages import Say
from course_utils.pretraining.vocabulary import bits
from course_utils.sampling import Sampler
from course_utils.tokenizers import ByteTokenizer
from course_utils.tokenizers.chat import END_OF_TEXT, chatml, end_ids

TASKS = {task.name: task for task in (orders(), addition(2), reversing(3))}
RENAMED = replace(orders(names=NEW_NAMES), name="orders for new names")
ASKED_LATER = TASKS | {RENAMED.name: RENAMED}
TYPED = Path(__file__).with_name("typed_prompts.txt")
TEXT_BYTES, VALIDATION_BYTES = 100_000, 12_000  # of each held-out text
CHOICES, OPTIONS = 240, 4
CONTEXT_BYTES = 300  # before the line that is to be found
LENGTHS = range(25, 200)  # characters of a line
PROBLEMS, PROMPTS = 60, 100
FRESH_PROBLEMS, DRAWN_BEFORE = 40, 400  # the test's first 400 problems of a task may have been looked at
ANSWER_TOKENS = 120  # an answer that is longer did not stop by itself
NGRAM_ORDER, NGRAM_BYTES = 5, 64_000_000
STOPS = 0.95  # the least share of prompts whose answers end
CHATTING = {"temperature": 0.8, "top_p": 0.95}  # with which answers to prompts are drawn
RUN = 4  # words that are a repetition when they come again


def fixed(own: str = "", seed: int = 0) -> dict:
    """All questions, as JSON holds them. own: a held-out part of the user's texts, if there is one.

    texts: three held-out ones, and "your own texts". validation: what decides on the way; never scored.
    choices: a context, four lines, and which comes next. problems: prompts by task. prompts: to chat.
    """
    plays, films, bible = corpora.shakespeare(), reviews.reviews(), verses.verses()
    texts = {
        corpora.TEST: plays.test,
        "film reviews": _joined(review.text for review in films.test),
        "Bible, new English": _joined((verse.new for verse in bible.test), "\n"),
    }
    validation = [
        plays.validation[:VALIDATION_BYTES],
        _joined((review.text for review in films.validation), size=VALIDATION_BYTES),
        _joined((verse.new for verse in bible.validation), "\n", VALIDATION_BYTES),
    ]
    if own:
        half = len(own) // 2
        texts["your own texts"], validation = own[:half][:TEXT_BYTES], [own[half:][:TEXT_BYTES]]
    draws = np.random.default_rng(seed)
    asked = dict.fromkeys(pair.prompt for pair in instructions().test)
    return {
        "texts": texts,
        "validation": "\n\n".join(validation),
        "choices": [
            choice
            for name, text in texts.items()
            for choice in _choices(name, text, CHOICES // len(texts), draws)
        ],
        "problems": {
            name: [p.prompt for p in task.problems("test", PROBLEMS)] for name, task in TASKS.items()
        },
        "prompts": [*asked][:PROMPTS],
    }


def fresh() -> dict:
    """Problems and prompts that decided nothing of the plans: they were first asked when these were settled.

    problems: others of each task, and orders for names that tuning never had. prompts: the rest of those kept
    back, and what people might type, made up for this (typed_prompts.txt).
    """
    ends = {name: DRAWN_BEFORE + FRESH_PROBLEMS for name in TASKS} | {RENAMED.name: FRESH_PROBLEMS}
    kept_back = dict.fromkeys(pair.prompt for pair in instructions().test)
    return {
        "problems": {
            name: [p.prompt for p in task.problems("test", ends[name])[-FRESH_PROBLEMS:]]
            for name, task in ASKED_LATER.items()
        },
        "prompts": [*[*kept_back][PROMPTS:], *TYPED.read_text("utf-8").splitlines()],
    }


def digest(questions: dict) -> str:
    """The sha256 of questions as `course.py make` writes them to a file."""
    return hashlib.sha256((json.dumps(questions, indent=1) + "\n").encode()).hexdigest()


def _joined(texts: Iterable[str], between: str = "\n\n", size: int = TEXT_BYTES) -> str:
    """Whole texts until they have `size` bytes."""
    found, n_bytes = [], 0
    for text in texts:
        if n_bytes >= size:
            break
        found.append(text)
        n_bytes += len((text + between).encode())
    return between.join(found) + "\n"


def _choices(name: str, text: str, n: int, draws: np.random.Generator) -> list[dict]:
    """Places of a text with the line that comes next, among three others that are about as long.

    Of the four, ordered by length, the right one is each as often: who goes by length only guesses. A text of
    fewer than four such lines has none.
    """
    lines = re.findall(r"[^\n]*?(?:(?<=[.!?]) |\n)|[^\n]+", text)  # joined again, they are the text
    bare = [line.strip() for line in lines]
    by_length = sorted({line for line in bare if len(line) in LENGTHS}, key=lambda line: (len(line), line))
    if len(by_length) < OPTIONS:
        return []
    places = [i for i in range(4, len(lines)) if len(bare[i]) in LENGTHS]
    found = []
    for i in sorted(draws.choice(places, min(n, len(places)), replace=False).tolist()):
        first = by_length.index(bare[i]) - int(draws.integers(OPTIONS))
        first = min(max(first, 0), len(by_length) - OPTIONS)
        options = draws.permutation(by_length[first : first + OPTIONS]).tolist()
        context = "".join(lines[:i])[-CONTEXT_BYTES:]
        choice = {"text": name, "context": context, "options": options, "right": options.index(bare[i])}
        found.append(choice)
    return found


def share(right: Sequence[bool]) -> Share:
    """A share with its 95 % interval, Wilson's: resampling would give none to 0 of 40 or 60 of 60."""
    return Share(float(np.mean(right)), *wilson(sum(right), len(right)))


# ---- asking ----------------------------------------------------------------------------------------


def text_bits(model: GPT, tokenizer: Tokenizer, asked: dict) -> dict[str, float]:
    """Bits per byte of each held-out text."""
    return {name: bits(model, tokenizer, text) for name, text in asked["texts"].items()}


def ngram_bits(texts: Iterable[str], asked: dict) -> dict[str, float]:
    """The same of a 5-gram of bytes with modified Kneser-Ney smoothing, counted on the training texts; of
    more than NGRAM_BYTES only the first, which take 2.5 GB."""
    read, n_bytes = [], 0
    for text in texts:
        read.append(ByteTokenizer().encode(text + "\n\n").astype(np.uint8))
        if (n_bytes := n_bytes + len(read[-1])) >= NGRAM_BYTES:
            break
    model = NGramModel(NGRAM_ORDER).fit(np.concatenate(read), ByteTokenizer.vocab_size)
    return {name: model.bits_per_byte(ByteTokenizer().encode(text)) for name, text in asked["texts"].items()}


def as_read(choice: dict) -> tuple[str, list[str]]:
    """A choice's context without its last blank, and its options behind that blank: so tokens are cut as in
    texts that a model has read, where most words have one before them."""
    context = choice["context"].removesuffix(" ")
    return context, [choice["context"][len(context) :] + option for option in choice["options"]]


def choices_right(
    model: GPT, tokenizer: Tokenizer, asked: dict, read: Callable[[dict], tuple[str, list[str]]] = as_read
) -> list[bool]:
    """For each choice whether the line that comes next has the largest log p a byte. read: cuts a choice into
    its context and its options."""
    before = tokenizer.token_to_id(END_OF_TEXT)
    prompts, answers, lengths = [], [], []
    for context, options in map(read, asked["choices"]):
        for option in options:
            answer = tokenizer.encode(option).ids[: model.context // 2]
            prompts.append([before, *tokenizer.encode(context).ids][-(model.context - len(answer)) :])
            answers.append(answer)
            lengths.append(len(tokenizer.decode(answer).encode()))
    ids, answer = with_answers(prompts, answers)
    per_byte = log_probs_of(model, ids, answer, rows=32) / torch.tensor(lengths)
    found = per_byte.view(-1, OPTIONS).argmax(1).tolist()
    return [at == choice["right"] for at, choice in zip(found, asked["choices"], strict=True)]


def answers(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    sampler: Sampler | None = None,
    seed: int = 0,
) -> list[Completion]:
    """What the model answers to each prompt, as the user's message; greedy without a sampler. Raises
    KeyboardInterrupt on Ctrl-C."""
    chat = chatml(tokenizer)
    asked = [chat.prompt([{"role": "user", "content": prompt}]) for prompt in prompts]
    written = generate(
        model,
        asked,
        ANSWER_TOKENS,
        sampler=sampler or Sampler(temperature=0),
        generator=torch.Generator().manual_seed(seed),
        end_ids=end_ids(tokenizer),
        decode=tokenizer.decode,
    )
    return unbroken(written)


def ended(model: GPT, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[bool]:
    """For each prompt whether an answer, drawn as in a chat, has an end."""
    return [each.reason == "end" for each in answers(model, tokenizer, prompts, Sampler(**CHATTING))]


def answerer(model: GPT, tokenizer: Tokenizer) -> Answerer:
    """A model that chats, for the widget that shows two side by side; with one tokenizer they share ids."""
    template = chatml(tokenizer)
    return Answerer(
        model,
        encode=lambda text: tokenizer.encode(text).ids,
        decode=tokenizer.decode,
        tokens=tokenizer.to_str(),
        prompt=lambda text: template.prompt([{"role": "user", "content": text}]),
        end_ids=end_ids(tokenizer),
    )


def problems_right(model: GPT, tokenizer: Tokenizer, task: Task, prompts: Sequence[str]) -> list[bool]:
    """For each prompt whether the likeliest answer, token by token, is right and has an end."""
    written = answers(model, tokenizer, prompts)
    return [marked(task, *each) for each in zip(prompts, written, strict=True)]


def marked(task: Task, prompt: str, written: Completion) -> bool:
    """Whether an answer is right, and has an end."""
    return written.reason == "end" and task.right(prompt, written.text)


def chance(task: Task, prompts: Sequence[str], guesses: int = 100) -> float:
    """The share of right answers of a guesser who knows their form."""
    draws = np.random.default_rng(0)
    return float(np.mean([task.right(p, task.guess(draws, p)) for p in prompts for _ in range(guesses)]))


def repetition(text: str) -> float:
    """The share of a text's runs of 4 words that it had before; 0 for a text of fewer words."""
    words = text.split()
    runs = [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def score(
    model: GPT,
    tokenizer: Tokenizer,
    asked: dict,
    say: Say = print,
    chats: bool = True,
) -> dict:
    """All of it. A model that was not tuned to chat is asked no problems and no prompts."""
    scores = {"bits_per_byte": text_bits(model, tokenizer, asked)}
    say("  bits per byte: " + ", ".join(f"{name} {b:.3f}" for name, b in scores["bits_per_byte"].items()))
    scores["next line"] = share(choices_right(model, tokenizer, asked))._asdict() | {"chance": 1 / OPTIONS}
    say(
        "  which line comes next: {value:.2f} right ({low:.2f} to {high:.2f}; by chance .25)".format(
            **scores["next line"]
        )
    )
    return scores | answered(model, tokenizer, asked, say) if chats else scores


def answered(model: GPT, tokenizer: Tokenizer, asked: dict, say: Say = print) -> dict:
    """What a model that chats makes of problems and prompts; of each task a wrong answer, if there is one."""
    scores = {"tasks": {}}
    for name, prompts in asked["problems"].items():
        task, written = ASKED_LATER[name], answers(model, tokenizer, prompts)
        right = [marked(task, *each) for each in zip(prompts, written, strict=True)]
        wrong = [[p, w.text] for p, w, r in zip(prompts, written, right, strict=True) if not r]
        scores["tasks"][name] = share(right)._asdict() | {"chance": chance(task, prompts), "wrong": wrong[:1]}
        say("  {}: {value:.2f} right; by chance {chance:.4f}".format(name, **scores["tasks"][name]))
    written = answers(model, tokenizer, asked["prompts"], Sampler(**CHATTING))
    scores["stops"] = share([completion.reason == "end" for completion in written])._asdict()
    texts = [completion.text for completion in written]
    scores["repetition"] = float(np.mean([repetition(text) for text in texts]))
    scores["examples"] = [{"prompt": p, "answer": t} for p, t in zip(asked["prompts"], texts, strict=True)]
    say(f"  stops by itself: {scores['stops']['value']:.2f}; repeats itself: {scores['repetition']:.3f}")
    return scores


class Floor(NamedTuple):
    """What a model that chats has to reach, what it reached, and whether that holds."""

    name: str
    needed: str
    reached: str
    holds: bool


def floors(scores: dict) -> list[Floor]:
    """The floors, by the scores of a finished model: fewer bits than the 5-gram on each held-out text, each
    task above chance by more than its interval, and answers that stop by themselves."""
    chat, found = scores["chat"], []
    for text, counted in scores["5-gram"].items():
        reached = chat["bits_per_byte"][text]
        name = f"bits per byte of {text}"
        found.append(Floor(name, f"under the 5-gram's {counted:.3f}", f"{reached:.3f}", reached < counted))
    for task, right in chat["tasks"].items():
        reached = f"{right['value']:.1%}, at least {right['low']:.1%}"
        found.append(
            Floor(task, f"over chance, {right['chance']:.1%}", reached, right["low"] > right["chance"])
        )
    stops = chat["stops"]["value"]
    return [*found, Floor("answers that stop", f"{STOPS:.0%}", f"{stops:.0%}", stops >= STOPS)]


def said(floors: Sequence[Floor]) -> list[str]:
    """A line each."""
    return [f"{'holds ' if f.holds else 'MISSED'}  {f.name}: {f.reached} ({f.needed})" for f in floors]
