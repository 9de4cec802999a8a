"""The quizzes: five questions a chapter, one TOML file each, with an explanation for every choice."""

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Choice:
    """One choice and why it is right, or why it tempts and is wrong."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """One question. Its id is "chapter.word"; `section` is in the heading of the section that answers it."""

    id: str
    section: str
    ask: str
    choices: tuple[Choice, ...]

    @property
    def chapter(self) -> str:
        return self.id.partition(".")[0]

    @property
    def right(self) -> str:
        """The text of the right choice."""
        return next(choice.text for choice in self.choices if choice.right)


@functools.cache
def all_questions() -> dict[str, tuple[Question, ...]]:
    """The questions of each chapter that has some, by the chapter's number ("0", "1", ...)."""
    found = {}
    for file in resources.files(__name__).iterdir():
        if not file.name.endswith(".toml"):
            continue
        stored = tomllib.loads(file.read_text(encoding="utf-8"))
        found[stored["chapter"]] = tuple(
            Question(**{**question, "choices": tuple(Choice(**choice) for choice in question["choices"])})
            for question in stored["questions"]
        )
    return found


def questions(chapter: str) -> tuple[Question, ...]:
    """The questions of one chapter. Raises ValueError, naming those that exist, for another."""
    if chapter not in all_questions():
        raise ValueError(
            f"there is no quiz of chapter {chapter!r}; there is one of {', '.join(sorted(all_questions()))}"
        )
    return all_questions()[chapter]
