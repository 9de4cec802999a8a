"""The learner's own language model: what their answers have put into `my_work/my_llm`.

    tokenizer.py      chapter 3: their `train` and `encode`, with `pair_counts` and `merge`
    tokenizer.json    the merges that their `train` learnt
    block.py          chapter 5: their `block`
    gpt.py            chapter 8: their `gpt`; in gpt.safetensors stand the weights that it runs on
    sampler.py        chapter 9: their `with_temperature`, `top_p` and `write`

`MyLLM(folder).write("VIOLA\n")` writes with all of them.
"""

from collections.abc import Callable
from functools import partial
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
}
# The pieces of GPT-2 as `re` can say them: what it calls a word character is a letter, a digit or _.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+"


def save(folder: Path, file: str, *answers: Callable) -> None:
    """Write answers to the exercises of a file, in their order, into it.

    The file must stand alone: an answer that passes only in its notebook, by a name from another cell, is not
    written. Raises ValueError, naming the exercise.
    """
    checks = [find(exercise) for exercise in ANSWERS[file]]
    imports = dict.fromkeys(line for check in checks for line in check.imports.splitlines())
    parts = ["\n".join(imports), *map(source_of, answers)]
    source = "\n\n\n".join(part.strip() for part in parts) + "\n"
    _functions(source, file)
    folder.mkdir(exist_ok=True)
    write_atomic(folder / file, source)


def load(folder: Path, file: str) -> list[Callable]:
    """The answers in a file of my_llm, each checked anew.

    Raises ValueError if the file is missing, or an answer in it does not pass any more.
    """
    if not (folder / file).exists():
        ids = " and ".join(ANSWERS[file])
        raise ValueError(f"{file} is not in {folder.name} yet: solve {ids}, and run the cell that saves it")
    return _functions((folder / file).read_text(encoding="utf-8"), file)


def _functions(source: str, file: str) -> list[Callable]:
    namespace, answers = {}, []
    try:
        exec(compile(source, file, "exec"), namespace)
    except Exception as error:
        raise ValueError(f"{file} can't be run ({error}): run the cell that saves it again") from None
    for exercise in map(find, ANSWERS[file]):
        answers.append(namespace.get(exercise.reference.__name__))
        verdict = exercise.run(answers[-1])
        if not verdict.passed:
            raise ValueError(
                f"the answer to {exercise.id} in {file} does not pass by itself: solve {exercise.id}, with "
                "its imports and all else that it uses inside the function, and save it again"
            )
    return answers


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


class MyLLM:
    """The model in `my_llm`: it writes with nothing that the learner has not written, but for the layers and
    the decoding of tokens.

    Raises ValueError, naming it, for a part that is missing or that does not pass its check.
    """

    def __init__(self, folder: Path):
        from course_utils.generation.adapters import load_own

        (block,), (gpt,) = load(folder, "block.py"), load(folder, "gpt.py")
        self._heat, self._cut, self._write = load(folder, "sampler.py")
        model, self.tokenizer = load_own(folder)
        self._encode = self.tokenizer.encode
        if isinstance(self.tokenizer, BPETokenizer):  # or the GPT was trained on bytes
            *_, encode = load(folder, "tokenizer.py")
            self._encode = partial(encode, merges=self.tokenizer.merges, pattern=PATTERN)
        self.context, self._logits = model.context, assembled(model, gpt, block)

    def next_logits(self, ids: list[int]) -> np.ndarray:
        """The logits (V,) of the token after ids."""
        import torch

        with torch.inference_mode():
            return self._logits(torch.tensor([ids]))[0, -1].double().numpy()

    def write(self, prompt: str, length: int = 60, T: float = 0.8, p: float = 0.95, seed: int = 0) -> str:
        """What the model writes after a prompt: tokens drawn at the temperature T from the top-p set."""
        ids = self._write(
            self.next_logits,
            list(map(int, self._encode(prompt))),
            np.random.default_rng(seed).random(length),
            lambda logits: self._cut(self._heat(logits, T), p),
            self.context,
            -1,  # no token ends a text
        )
        return self.tokenizer.decode(ids, errors="replace")
