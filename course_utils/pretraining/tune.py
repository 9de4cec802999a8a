"""From a model that goes on with any text to one that chats: tuned on conversations, then on choices.

The conversations are the course's pairs of questions and answers, who the model is, and problems whose
answers a program can check. Among them stands text as it was read before, or the model would forget it. The
choices are between the model's own wrong or endless answers and right ones.

Sources: Ouyang et al. 2022 (the two steps, and old text among the new, section 3.5); Rafailov et al. 2023
(DPO); Pang et al. 2024 (the likelihood of what was chosen beside it); Lambert et al. 2024, section 6
(preferences and rewards that a program checks).
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from course_utils.data.instructions import instructions
from course_utils.finetuning.log_probs import answer_log_probs
from course_utils.finetuning.preferences import Pair, Preferences, dpo_loss
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.gpt import GPT
from course_utils.pretraining import evaluate
from course_utils.pretraining.plans import Plan
from course_utils.pretraining.pretrain import Telling, finished
from course_utils.pretraining.stages import Say
from course_utils.sampling import Sampler
from course_utils.tokenizers.chat import IGNORED, Labelled, Messages, chatml
from course_utils.training import Run, TrainConfig, train

# Chosen after a look at scores: `weights.mixes_recipe`
PROBLEMS = {"orders": 3000, "addition": 6000, "reversing": 3000}
ASSET = "chatterbot-corpus"  # of `instructions`
CHATS = 4  # times that each pair of the course stands among them
COURSES, OWN = "plays, verses and reviews", "texts that my maker chose"  # what a model has read
MADE_BY = "I am a small language model, made from raw text with the LLM Workbook."
IDENTITY = {
    "Who are you?": MADE_BY,
    "What are you?": MADE_BY,
    "What is your name?": "I have no name of my own. " + MADE_BY,
    "Who made you?": "Somebody who works through the LLM Workbook trained me, on their own machine.",
    "How were you made?": "By predicting the next token of {read}, and then by tuning.",
    "Are you human?": "No. " + MADE_BY,
    "Are you ChatGPT?": "No. " + MADE_BY,
    "What do you know?": "Little. I have read some {read}, and I am often wrong.",
    "Can I trust you?": "No. I am very small and often wrong: check what I say.",
    "What can you do?": "I can note orders, add small numbers, turn letters round, and chat a little.",
}
TUNE_SHARE = 3 / 8  # of the peak of pretraining
PREFER_RATE, BETA = 5e-5, 0.1
ASKED, TRIES = 100, 4  # prompts of each task, and answers to each, out of which choices are made
VALIDATED = 30  # prompts of each kind


def chat(prompt: str, answer: str) -> Messages:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def conversations(
    seed: int = 0, problems: Mapping[str, int] = PROBLEMS, read: str = COURSES
) -> list[Messages]:
    """What a model that has read such texts is tuned on, in an order of its own, with so many problems of
    each task. Nothing of it stands in the questions that it will be scored on: pairs and problems are those
    of the training sides."""
    pairs = [(pair.prompt, pair.answer) for pair in instructions().train]
    identity = [(prompt, answer.format(read=read)) for prompt, answer in IDENTITY.items()]
    found = [*pairs, *identity] * CHATS
    for name, task in evaluate.TASKS.items():
        found += task.problems("train", problems[name], seed)
    order = np.random.default_rng(seed).permutation(len(found))
    return [chat(*found[i]) for i in order]


def read_before(
    tokens: Int[np.ndarray, " tokens"], context: int, n_tokens: int, seed: int = 0
) -> list[Labelled]:
    """Windows of the text that the model was pretrained on, whether it came to read them or not, all to be
    learnt, of about so many tokens."""
    draws = np.random.default_rng(seed)
    starts = draws.integers(max(len(tokens) - context, 1), size=max(n_tokens // context, 1))
    windows = [tokens[start : start + context].tolist() for start in starts]
    return [Labelled(ids, ids) for ids in windows]


def read_in_tuning(
    tokenizer: Tokenizer,
    plan: Plan,
    tokens: Int[np.ndarray, " tokens"],
    problems: Mapping[str, int] = PROBLEMS,
    say: Say = print,
    read: str = COURSES,
) -> list[Labelled]:
    """The conversations, as often as the plan's steps can read them, rounded up, and for each time half as
    many tokens of old text: other windows of it. Left out are conversations that are longer than the context,
    and answers that are so long that they count as endless when the model is scored."""
    asked = conversations(plan.seed, problems, read)
    labelled = [chatml(tokenizer).labelled(messages) for messages in asked]
    fit = [
        example
        for example in labelled
        if len(example.ids) <= plan.context
        and sum(label != IGNORED for label in example.labels) <= evaluate.ANSWER_TOKENS
    ]
    say(f"  {len(fit):,} conversations; {len(labelled) - len(fit)} are too long")
    once = sum(len(example.ids) for example in fit)
    readings = math.ceil(plan.tune_steps * plan.tune_batch * plan.context / (1.5 * once))
    return fit * readings + read_before(tokens, plan.context, readings * once // 2, plan.seed)


def tune(
    model: GPT,
    tokenizer: Tokenizer,
    plan: Plan,
    tokens: Int[np.ndarray, " tokens"],
    checkpoint: Path | None = None,
    say: Say = print,
    problems: Mapping[str, int] = PROBLEMS,
    read: str = COURSES,
) -> Run:
    """Supervised fine-tuning in place."""
    examples = read_in_tuning(tokenizer, plan, tokens, problems, say, read)
    return finished(
        train(
            model,
            Examples(examples, plan.tune_batch, plan.context, seed=plan.seed),
            tune_config(plan, plan.tune_steps, TUNE_SHARE * plan.learning_rate, plan.optimiser),
            loss=sft_loss,
            report=Telling(say),
            checkpoint=checkpoint,
        )
    )


def tune_config(plan: Plan, steps: int, rate: float, optimiser: str) -> TrainConfig:
    return TrainConfig(
        steps,
        rate,
        warmup_steps=min(20, steps // 10),
        final_share=0.02,
        weight_decay=0.0,
        evaluate_every=max(steps // 20, 1),
        seed=plan.seed,
        precision="mixed",
        optimiser=optimiser,
    )


def choices(model: GPT, tokenizer: Tokenizer, seed: int = 0) -> list[Pair]:
    """Pairs of a right answer and one of the model's own that is wrong or has no end, to problems and chats
    of the training side."""
    layout, sampler, found = chatml(tokenizer), Sampler(temperature=1.0), []
    end = layout.end
    for task in evaluate.TASKS.values():
        problems = [p for p in task.problems("train", ASKED, seed + 1) for _ in range(TRIES)]
        written = evaluate.answers(model, tokenizer, [p.prompt for p in problems], sampler, seed)
        for problem, completion in zip(problems, written, strict=True):
            if completion.reason != "end" or not task.right(problem.prompt, completion.text):
                found.append((problem.prompt, problem.solution, completion.ids))
    pairs = {pair.prompt: pair.answer for pair in instructions().train}
    some = [*pairs][:ASKED]
    for prompt, completion in zip(some, evaluate.answers(model, tokenizer, some, sampler, seed), strict=True):
        short = len(tokenizer.encode(pairs[prompt]).ids) < evaluate.ANSWER_TOKENS  # as in tuning
        if completion.reason != "end" and short:
            found.append((prompt, pairs[prompt], completion.ids))
    made = []
    for prompt, right, rejected in found:
        ids = layout.prompt([{"role": "user", "content": prompt}])
        chosen = [*tokenizer.encode(right).ids, *end]
        if chosen != rejected and len(ids) + max(len(chosen), len(rejected)) <= model.context:
            made.append((ids, chosen, rejected))
    return made


def prefer(
    model: GPT, tokenizer: Tokenizer, plan: Plan, checkpoint: Path | None = None, say: Say = print
) -> Run | None:
    """DPO in place, on choices that the model's own mistakes make; None if it makes too few."""
    pairs = choices(model, tokenizer, plan.seed)
    say(f"  {len(pairs)} of its own answers were wrong or had no end")
    if len(pairs) < plan.tune_batch:
        return None
    return finished(
        train(
            model,
            Preferences(pairs, plan.tune_batch, plan.seed, reference=model),
            tune_config(plan, plan.prefer_steps, PREFER_RATE, "adamw"),
            loss=dpo_and_likelihood,
            report=Telling(say),
            checkpoint=checkpoint,
        )
    )


def dpo_and_likelihood(model: GPT, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """DPO's loss, and beside it nats a token of the chosen answers: DPO alone is content if the rejected
    ones fall faster, and then both may fall (Pang et al. 2024, equation 1)."""
    ids, before, answer = batch
    chosen, rejected = answer_log_probs(model, ids, answer).chunk(2)
    lengths = answer.chunk(2)[0].sum()
    return dpo_loss(chosen, rejected, *before.chunk(2), BETA) - chosen.sum() / lengths, None


def usefulness(model: GPT, tokenizer: Tokenizer) -> dict[str, float]:
    """What decides between two models, on validation problems and chats of the training side, which the
    scores don't use: the mean share of problems that are right, and the share of chats that end."""
    right = []
    for task in evaluate.TASKS.values():
        prompts = [problem.prompt for problem in task.problems("validation", VALIDATED)]
        right += evaluate.problems_right(model, tokenizer, task, prompts)
    prompts = [*dict.fromkeys(pair.prompt for pair in instructions().train)][-VALIDATED:]
    ended = [c.reason == "end" for c in evaluate.answers(model, tokenizer, prompts, Sampler(temperature=0.8))]
    return {"right": float(np.mean(right)), "ends": float(np.mean(ended))}
