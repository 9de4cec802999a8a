"""`course.py make`: which plan, which law, which folder; and what went wrong, in a sentence."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from course_utils.classroom import places

say = partial(print, flush=True)


FSDP2 = {"optimiser": "adamw", "learning_rate": 0.002}  # Muon needs whole matrices; the rate was not swept
FORMATS = {"hugging-face": "hugging_face", "gguf": "model.gguf"}  # and where they go in a model's folder


def make(
    plan_name: str,
    folder: Path,
    texts: Path | None,
    resume: bool,
    my_llm: Path,
    processes: int = 1,
    shard: bool = False,
) -> int:
    """Make a model; returns the exit status. Raises ValueError as `machine.make` does."""
    from course_utils.pretraining.machine import make
    from course_utils.pretraining.plans import plan_named
    from course_utils.weights.making_recipe import others

    plan = replace(plan_named(plan_name), **FSDP2 if shard else {})
    among = {"processes": processes, "shard": shard}
    try:
        make(plan, folder, law_of(my_llm), texts, resume, say, beside=others(), **own(my_llm), **among)
    except MemoryError as error:
        raise ValueError(str(error)) from None
    except ArithmeticError as error:  # the loss was no number: the checkpoint before it is kept
        raise ValueError(f"training diverged: {error}") from None
    except KeyboardInterrupt:
        say("Stopped; what is done is kept: the same command with --resume goes on.")
        return 130
    start = "python3 course.py" if places.clone() else places.program()
    say(f'The model is in {folder}: `{start} chat "{folder}"` opens a page to chat with it.')
    return 0


def floors(folder: Path) -> int:
    """Say which floors a finished model holds; 1 if one is missed. Raises ValueError for another folder."""
    from course_utils.pretraining import evaluate

    try:
        scores = json.loads((folder / "scores.json").read_bytes())
        found = evaluate.floors(scores)
    except (OSError, ValueError, LookupError, TypeError):
        raise ValueError(
            f"{folder} holds no scores of a finished model: name the folder of one that `course.py make` made"
        ) from None
    say("\n".join(evaluate.said(found)))
    return 0 if all(floor.holds for floor in found) else 1


def convert(folder: Path, to: str, out: Path | None) -> None:
    """Write a model for other programs: for transformers a folder, for llama.cpp a GGUF file; in the model's
    own folder unless `out` says where. Raises ValueError for a folder without a model."""
    from course_utils.pretraining.export import gguf, hugging_face
    from course_utils.pretraining.model import load

    model, out = load(folder), out or folder / FORMATS[to]
    out.parent.mkdir(parents=True, exist_ok=True)
    {"hugging-face": hugging_face, "gguf": gguf}[to].export(out, *model)
    say(f"Written: {out}")


def own(my_llm: Path) -> dict:
    """What of the learner's own goes into a model, and is said on its card; nothing outside their folder."""
    from course_utils.learner.my_llm import own_merges, whose

    return {"merges": own_merges(my_llm), "whose": whose(my_llm)} if my_llm.exists() else {}


def law_of(my_llm: Path):
    """The learner's own law, `law.json` in my_llm with A, B, E, alpha and beta; else the one that is fitted
    to the course's runs of chapter 11.

    Raises ValueError for a file that holds no law.
    """
    from course_utils.scaling import Law, fit_law
    from course_utils.scaling.plans import read_runs
    from course_utils.weights.scaling_recipe import LOG

    own = my_llm / "law.json"
    if own.exists():
        try:
            law = Law(**{name: float(value) for name, value in json.loads(own.read_text("utf-8")).items()})
            if not all(0 < value < float("inf") for value in vars(law).values()):
                raise ValueError("a number is not above 0")
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{own} holds no law ({error}): it needs A, B, E, alpha and beta, all above 0; write it "
                "again, or remove it and the course's law is taken"
            ) from None
        say("Size and tokens are read off the law that chapter 11 kept in my_llm.")
        return law
    runs = read_runs(LOG)
    return fit_law(*([float(run[key]) for run in runs] for key in ("n", "d", "loss")))
