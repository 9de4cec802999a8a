"""Short texts in everyday English: what people do and what follows, fables, passages of Wikipedia, puzzles.

They come with OpenAI's evals, where they ask questions of a model: situations (Social IQa: Sap et al. 2019),
causes and effects (QuaRTz: Tafjord et al. 2019), things done step by step (CREPE: Zhang et al. 2023), fables,
passages of SQuAD 2.0 (Rajpurkar, Jia & Liang 2018), of LogiQA 1 and 2 (Liu et al. 2020, 2023), and of ReClor
(Yu et al. 2020). Here they are only read: of a question with choices the right one completes the text.
"""

import re
from collections.abc import Callable

from course_utils.data import assets
from course_utils.data.corpora import read_json_lines


def everyday_texts() -> list[str]:
    """11,374 texts, 11,230 of them different: the asset `everyday-texts`, fetched on first use."""
    folder, texts = assets.path("everyday-texts"), []
    for name, read in READERS.items():
        asked = [(row["input"][-1]["content"], row["ideal"]) for row in read_json_lines(folder / name)]
        texts += dict.fromkeys(read(asked))
    return texts


def _completed(asked: list[tuple[str, str]]) -> list[str]:
    """What stands before the choices, with the right one."""
    texts = []
    for question, letter in asked:
        start, choices = re.match(r"(.*?)\s*( A: .*)", question, re.DOTALL).groups()
        right = re.search(rf"{letter}:\s*(.*?)(?:;|\n|$|\.? [A-E]:)", choices)[1]
        texts.append(f"{start} {right.strip(' .;')}.")
    return texts


def _longest(asked: list[tuple[str, str]]) -> list[str]:
    """Of each thing that is done, the question that tells most of its steps, and the step it asks about."""
    texts = {}
    for question, _ in asked:
        steps = question.split(" At this point")[0]
        step = re.search(r"how will '(.*?)' change", question)
        text = f"{steps} Then I {step[1]}." if step else steps
        texts[steps.split(".")[0]] = max(texts.get(steps.split(".")[0], ""), text, key=len)
    return list(texts.values())


def _before(mark: str) -> Callable[[list[tuple[str, str]]], list[str]]:
    """A reader of what stands before the question that begins with the mark."""
    return lambda asked: [text.split(mark)[0].removeprefix("\nPassage:").strip() for text, _ in asked]


def _after_question(asked: list[tuple[str, str]]) -> list[str]:
    return [text.split("Context:")[-1].strip() for text, _ in asked]


PUZZLES = (
    "logiqa/logiqa",
    "logiqa-logical-reasoning-plus/logiqa-logical-reasoning-plus",
    "logiqa-logical-reasoning-plus/logiqav2-logical-reasoning-plus",
    "logiqa-logical-reasoning-plus/reclor-logical-reasoning-plus",
)
READERS = {
    "theory_of_mind/socialiqa/test.jsonl": _completed,
    "quartz/samples.jsonl": _completed,
    "crepe/samples.jsonl": _longest,
    "parable-to-moral-match/parable-to-moral-match-en.jsonl": _before("\nWhich moral"),
    "unsolvable_questions/samples.jsonl": _after_question,
} | {f"{name}.jsonl": _before("Question:") for name in PUZZLES}
