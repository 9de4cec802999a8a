"""The learner's own language model: what their answers have put into `my_work/my_llm`.

    tokenizer.py      chapter 3: their `train` and `encode`, with `pair_counts` and `merge`
    tokenizer.json    the merges that their `train` learnt
    block.py          chapter 5: their `block`
    gpt.py            chapter 8: their `gpt`; in gpt.safetensors stand the weights that it runs on
    sampler.py        chapter 9: their `with_temperature`, `top_p` and `write`
    planning.py       chapter 11: their `best_size`; in law.json stands the law that it asks, which also
                      `course.py make` reads
    tuning.py         chapter 10: their `lora_forward`, `fresh_adapter` and `chat_labels`; what these made of
                      the weights stands in tuned.safetensors

`MyLLM(folder).write("VIOLA\n")` writes with all of them, and `MyLLM(folder, tuned=True).answer(...)` answers.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from course_utils.files import write_atomic
from course_utils.learner.checks import find
from course_utils.learner.checks.slips import source_of
from course_utils.tokenizers import BPETokenizer

ANSWERS = {
    "tokenizer.py": ["3.2", "3.3", "3.4", "3.5"],
    "block.py": ["5.1"],
    "gpt.py": ["8.4"],
    "sampler.py": ["9.1", "9.2", "9.6"],
    "tuning.py": ["10.1", "10.2", "10.3"],
    "planning.py": ["11.6"],
}
STOOD_IN = "# The course's, where an answer of yours was missing: "  # begins a file, before the exercises
# The pieces of GPT-2 as `re` can say them: what it calls a word character is a letter, a digit or _; or else
# another number, such as ² or Ⅳ, which counts as a letter here: x² is one piece, and two in GPT-2.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+"


def save(folder: Path, file: str, *answers: Callable) -> bool:
    """Write answers to the exercises of a file, in their order, into it; return whether it was written.

    The file must stand alone: an answer that passes only in its notebook, by a name from another cell, is not
    written. Raises ValueError, naming the exercise. Where the course's code stood in for an answer, the file
    says so, and takes the place of none that passes and has more answers of the learner's own.
    """
    checks = [find(exercise) for exercise in ANSWERS[file]]
    ours = [check.id for check, answer in zip(checks, answers, strict=True) if answer is check.reference]
    if ours and _passes(folder, file) and len(_stood_in(folder, file)) < len(ours):
        print(f"{file} keeps your own answers: this time the course's stood in for {', '.join(ours)}.")
        return False
    imports = dict.fromkeys(line for check in checks for line in check.imports.splitlines())
    parts = [f"{STOOD_IN}{', '.join(ours)}"] if ours else []
    parts.append("\n".join(imports))
    for check, answer in zip(checks, answers, strict=True):
        try:
            parts.append(source_of(answer))
        except ValueError as error:
            raise ValueError(f"the answer to {check.id} is not saved, for {error}") from None
    source = "\n\n\n".join(part.strip() for part in parts) + "\n"
    _functions(source, file)
    folder.mkdir(exist_ok=True)
    write_atomic(folder / file, source)
    return True


def load(folder: Path, file: str) -> list[Callable]:
    """The answers in a file of my_llm, each checked anew.

    Raises ValueError if the file is missing, or an answer in it does not pass any more.
    """
    if not (folder / file).exists():
        ids = " and ".join(ANSWERS[file])
        raise ValueError(f"{file} is not in {folder.name} yet: solve {ids}, and run the cell that saves it")
    return _functions((folder / file).read_text(encoding="utf-8"), file)


def _passes(folder: Path, file: str) -> bool:
    try:
        return bool(load(folder, file))
    except ValueError:
        return False


def _stood_in(folder: Path, file: str) -> list[str]:
    """The exercises of a file for which the course's code stands in it."""
    first, *_ = (folder / file).read_text(encoding="utf-8").splitlines() or [""]
    return first.removeprefix(STOOD_IN).split(", ") if first.startswith(STOOD_IN) else []


def _functions(source: str, file: str) -> list[Callable]:
    namespace, answers = {}, []
    try:
        exec(compile(source, file, "exec"), namespace)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{file} can't be run ({error!r}): run the cell that saves it again") from None
    for exercise in map(find, ANSWERS[file]):
        answers.append(namespace.get(exercise.reference.__name__))
        verdict = exercise.run(answers[-1])
        if not verdict.passed:
            raise ValueError(
                f"the answer to {exercise.id} in {file} does not pass by itself: solve {exercise.id}, with "
                "its imports and all else that it uses inside the function, and save it again"
            )
    return answers


def whose(folder: Path) -> dict[str, str]:
    """Of each part of what `course.py make` makes whose it is, for the card. The tokenizer and the law of the
    learner go into the model; what else passes is said, though the course's, which is faster, runs."""
    parts = {
        file.removesuffix(".py"): "its maker's own passes; the course's, which is faster, trains and chats"
        for file in ANSWERS
    }
    parts |= {"tokenizer": "its maker's own", "law": "its maker's own"}
    for part in parts:
        if not _is_makers(folder, part):
            parts[part] = "the course's: its maker's is not there, or does not pass its check"
    return parts


def _is_makers(folder: Path, part: str) -> bool:
    if part == "law":
        return (folder / "law.json").exists()
    own = _passes(folder, f"{part}.py") and not _stood_in(folder, f"{part}.py")
    return own and (part != "tokenizer" or bool(own_merges(folder)))


def in_words(parts: dict[str, str]) -> str:
    """What `whose` says, once for all parts of which it says the same."""
    said: dict[str, list[str]] = {}
    for part, of in parts.items():
        said.setdefault(of, []).append(part)
    return "\n".join(f"{', '.join(some)}\n  {of}" for of, some in said.items())


def own_merges(folder: Path) -> list[tuple[int, int]]:
    """What the learner's `train` of chapter 3 learnt; nothing if it isn't there, or does not pass."""
    try:
        load(folder, "tokenizer.py")
        return BPETokenizer.load(folder / "tokenizer.json").merges
    except (ValueError, OSError):
        return []


def assembled(model, gpt: Callable, block: Callable) -> Callable:
    """The logits (B, T, V) that a `course_utils.gpt.GPT` gives for ids (B, T), computed by a learner's `gpt`,
    whose blocks run as their `block` says.

    Norms, attention and feed-forward layers are the model's. Its attention counts positions by itself.
    """
    import torch

    def as_learnt(part):
        def run(x, _positions, mask):
            def attention(x):
                return part.attention(part.shifted(x), mask=torch.as_tensor(mask, device=x.device).bool())[0]

            def feed_forward(x):
                return part.feed_forward(part.shifted(x))

            return block(x, part.attention_norm, attention, part.feed_forward_norm, feed_forward)

        return run

    def logits(ids):
        blocks = list(map(as_learnt, model.decoder.blocks))
        if model.ngrams is not None:  # one thing more that adds to the stream, before all others
            blocks.insert(0, lambda x, *_: x + model.ngrams(ids))
        return gpt(ids, model.embedding.weight, blocks, model.decoder.norm)

    return logits


def save_gpt(folder: Path, model, merges: list[tuple[int, int]], gpt: Callable) -> None:
    """Keep a GPT with the merges of its tokenizer (none if it reads bytes), and the answer to 8.4 beside it.
    If that can't stand alone, it is said, and the weights are kept all the same."""
    from course_utils.training import checkpoints

    folder.mkdir(exist_ok=True)
    notes = {"config": asdict(model.config), "merges": merges}
    checkpoints.save_model(folder / "gpt.safetensors", model, notes)
    try:
        save(folder, "gpt.py", gpt)
    except ValueError as error:
        print(error)


def tune(model, tokenizer, problems, lora_forward: Callable, *answers: Callable, **options):
    """`finetuning.own_functions.tune` with answers to 10.1, 10.2 and 10.3. If the first doesn't run on
    torch's tensors with gradients, the course's stands in, and that is said."""
    import torch

    from course_utils.finetuning import own_functions

    one = torch.ones(1, 1, requires_grad=True)
    try:
        lora_forward(one, one, one, one, 2.0).backward()
    except Exception as error:  # whatever NumPy says to a tensor
        print(f"Ours stands in for 10.1: on tensors yours stops ({error}).")
        lora_forward = find("10.1").reference
    return own_functions.tune(model, tokenizer, problems, lora_forward, *answers, **options)


def save_tuned(folder: Path, model, tokenizer, *answers: Callable) -> None:
    """Keep a tuned GPT, with the answers to 10.1, 10.2 and 10.3 beside it: so `MyLLM(folder, tuned=True)`
    answers. Raises ValueError as `save` does, and then keeps nothing."""
    from course_utils.generation.adapters import TUNED
    from course_utils.training import checkpoints

    if not save(folder, "tuning.py", *answers):
        return
    notes = {"config": asdict(model.config), "merges": getattr(tokenizer, "merges", [])}
    checkpoints.save_model(folder / TUNED, model, notes)


def save_law(folder: Path, law, best_size: Callable) -> None:
    """Keep a `scaling.Law`, of nats a byte, with the answer to 11.6 beside it: `course.py make` reads size
    and tokens off it. Raises ValueError as `save` does, and then keeps nothing."""
    if save(folder, "planning.py", best_size):
        write_atomic(folder / "law.json", json.dumps(asdict(law), indent=1) + "\n")


class MyLLM:
    """The model in `my_llm`: it writes with nothing that the learner has not written, but for the layers and
    the decoding of tokens. `tuned` as in chapter 10 it can answer, too.

    Raises ValueError, naming it, for a part that is missing or that does not pass its check.
    """

    def __init__(self, folder: Path, tuned: bool = False):
        from course_utils.generation.adapters import load_own

        (block,), (gpt,) = load(folder, "block.py"), load(folder, "gpt.py")
        self._heat, self._cut, self._write = load(folder, "sampler.py")
        model, self.tokenizer = load_own(folder, tuned)
        self._lay_out = load(folder, "tuning.py")[2] if tuned else None
        self._encode = self.tokenizer.encode
        if isinstance(self.tokenizer, BPETokenizer):  # or the GPT was trained on bytes
            (*_, encode), merges = load(folder, "tokenizer.py"), self.tokenizer.merges
            self._encode = lambda text: encode(text, merges, PATTERN)  # whose names may be others than ours
        self.context, self._logits = model.context, assembled(model, gpt, block)

    def next_logits(self, ids: list[int]) -> np.ndarray:
        """The logits (V,) of the token after ids."""
        import torch

        with torch.inference_mode():
            return self._logits(torch.tensor([ids]))[0, -1].double().numpy()

    def write(self, prompt: str, length: int = 60, T: float = 0.8, p: float = 0.95, seed: int = 0) -> str:
        """What the model writes after a prompt: tokens drawn at the temperature T from the top-p set.

        Raises ValueError for an empty prompt.
        """
        ids = list(map(int, self._encode(prompt)))
        if not ids:
            raise ValueError("a prompt has one character at least; got none")
        return self._go_on(ids, length, T, p, seed, end=-1)  # no token ends a text

    def answer(self, question: str, length: int = 60, T: float = 0.0, p: float = 1.0, seed: int = 0) -> str:
        """What it answers to a question, to its end or for `length` tokens; the likeliest, where T is 0.

        Raises ValueError if it isn't `tuned`.
        """
        from course_utils.finetuning.own_functions import END, opening

        if self._lay_out is None:
            raise ValueError(
                "only a tuned model answers: MyLLM(folder, tuned=True); write(...) goes on with a text"
            )
        ids = opening(self._lay_out, self._encode(question))
        return self._go_on(ids, length, T, p, seed, END).removesuffix(chr(END))

    def _go_on(self, ids: list[int], length: int, T: float, p: float, seed: int, end: int) -> str:
        new = self._write(
            self.next_logits,
            ids,
            np.random.default_rng(seed).random(length),
            lambda logits: self._cut(self._heat(logits, T), p),
            self.context,
            end,
        )
        return self.tokenizer.decode(new, errors="replace")
