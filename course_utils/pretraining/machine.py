"""`course.py make`: all stages, from raw text to a model that chats.

    make(PLANS["laptop"], folder, law)

The folder then holds `model.safetensors` with `tokenizer.json`, which `model.load` reads; in `base` and
`chat` the models before tuning and before the choices; what was read and asked; and the manifest.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer

from course_utils import devices
from course_utils.data import assets
from course_utils.files import write_atomic
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining import (
    card,
    corpus,
    documents,
    evaluate,
    filters,
    manifest,
    model,
    parallel,
    quantise,
    tune,
    vocabulary,
)
from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.quality import quality
from course_utils.pretraining.manifest import Manifest
from course_utils.pretraining.plans import (
    Plan,
    check_memory,
    choose,
    flops_per_token,
    rows_that_fit,
    size,
)
from course_utils.pretraining.pretrain import pretrain, spikes
from course_utils.pretraining.stages import Say, Stage, run
from course_utils.scaling import Law

DOCUMENTS = "documents.jsonl"
COURSE_BYTES = 40.5e6  # of the course's documents, about
HELD_OUT = 16  # of 256 documents of the user's own: those whose sha256 begins with a smaller byte
TRIAL_BYTES = 5  # of text a token that a trial reads, at most


def make(
    plan: Plan,
    folder: Path,
    law: Law,
    texts: Path | None = None,
    resume: bool = False,
    say: Say = print,
    device: str = "auto",
    beside: dict[str, float] | None = None,
    processes: int = 1,
    shard: bool = False,
    merges: Sequence[tuple[int, int]] = (),
    whose: dict[str, str] | None = None,
) -> Manifest:
    """Make a model, or go on with one. `texts` is a folder of the user's own, read in place of the course's;
    `beside`, bits per byte on The Tempest of other models by name, stands on the card, as does `whose` each
    part was when it began. With `merges`, those of `vocabulary.from_merges` are its tokens, whatever the
    trials say. With `processes`, a torchrun of so many pretrains, each on a GPU of its own where there are
    any: by DDP, or with `shard` by FSDP2, which needs a plan with AdamW.

    Raises ValueError as `stages.run` does and for a folder without texts; MemoryError, before anything is
    written, for a plan whose pretraining needs more than there is, or before it trains, if only the larger
    model of a short text does (tuning, on one device and `tune_batch` rows at once, is not asked about);
    KeyboardInterrupt on Ctrl-C, with what was done kept.
    """
    if processes < 1 or plan.batch % processes:
        raise ValueError(
            f"{processes} processes can't share a batch of {plan.batch} rows evenly: ask for a number that "
            "divides it"
        )
    if shard and processes == 1:
        raise ValueError("a model is cut into shards for several processes: ask for 2 or more, or no shards")
    if not plan.trial_flops > 0:
        raise ValueError(
            f"the plan {plan.name!r} has trial_flops={plan.trial_flops:g}, with which its vocabularies are "
            "tried: give it more than 0"
        )
    on = devices.pick(device)
    if on.type == "cuda" and processes > (gpus := torch.cuda.device_count()):
        raise ValueError(
            f"{processes} processes need a GPU each, and this machine has {gpus}: ask for {gpus} or fewer"
        )
    check_memory(plan, law, on, processes, shard, n_bytes=1e15 if texts else COURSE_BYTES)
    begun = manifest.load(folder).plan if (folder / manifest.NAME).exists() else {"whose": whose}
    if nearly(law, begun.get("law", {})):
        law = Law(**begun["law"])
    asked = plan.settings() | {"law": asdict(law), "texts": "the course's"}
    if texts is not None:
        if not texts.is_dir():
            raise ValueError(f"there is no folder {texts}: name one that holds text files")
        if folder.resolve().is_relative_to(texts.resolve()):
            raise ValueError(
                f"the model's folder {folder} lies in the folder of texts {texts}: it would be read; "
                "name a folder outside"
            )
        asked["texts"] = manifest.sha256(texts)
    said = begun.get("whose") or {}  # as it was then: what was learnt since is no reason to begin anew
    if said or merges:
        asked |= {"whose": said, "merges": [[*pair] for pair in merges]}
    machine = Machine(plan, law, texts, on, beside or {}, processes, shard, merges)
    return run(folder, asked, machine.stages(), resume, say)


def nearly(law: Law, other: dict[str, float]) -> bool:
    """Whether the law of a manifest is the same but for rounding: the course's is fitted at each start, and
    ends a little elsewhere on another machine."""
    return all(math.isclose(value, other.get(name, 0), rel_tol=1e-5) for name, value in asdict(law).items())


def is_held_out(document: Document) -> bool:
    """Whether a document of the user's own is kept for questions, and never read."""
    return hashlib.sha256(document.text.encode()).digest()[0] < HELD_OUT


def told(found: Iterable[Document], say: Say, every: int = 2000) -> Iterator[Document]:
    """The same documents; how many there were so far is said now and then."""
    for number, document in enumerate(found, 1):
        if number % every == 0:
            say(f"  {number:,} documents read")
        yield document


def write_json(path: Path, content: dict | list) -> None:
    write_atomic(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path):
    return json.loads(path.read_bytes())


class Machine:
    """The stages of a plan, each a method that reads and writes files of the folder."""

    def __init__(
        self,
        plan: Plan,
        law: Law,
        texts: Path | None,
        device: torch.device,
        beside: dict,
        processes: int,
        shard: bool,
        merges: Sequence[tuple[int, int]] = (),
    ):
        self.plan, self.law, self.texts, self.device = plan, law, texts, device
        self.beside, self.processes, self.shard, self.merges = beside, processes, shard, merges

    def stages(self) -> list[Stage]:
        weights = model.WEIGHTS, model.TOKENIZER
        base, chat = ([f"{name}/{file}" for file in weights] for name in ("base", "chat"))
        tokens = "tokens.bin", "size.json"
        return [
            Stage("questions", self.questions, ("evaluation.json",)),
            Stage("documents", self.documents, (DOCUMENTS,), ("evaluation.json",)),
            Stage(
                "tokenizer",
                self.tokenizer,
                (model.TOKENIZER, "vocabulary.json"),
                ("evaluation.json", DOCUMENTS),
                ("trials.json",),
            ),
            Stage("tokens", self.tokens, tokens, (model.TOKENIZER, "vocabulary.json", DOCUMENTS)),
            Stage(
                "pretrain",
                self.pretrain,
                (*base, "pretrain_log.json"),
                (model.TOKENIZER, "evaluation.json", *tokens),
                (parallel.WHOLE, parallel.SHARDS),
            ),
            Stage("tune", self.tune, (*chat,), (*base, "tokens.bin"), ("tune.safetensors",)),
            Stage("prefer", self.prefer, (model.WEIGHTS, "choices.json"), (*chat,), ("prefer.safetensors",)),
            Stage(
                "scores",
                self.scores,
                ("scores.json",),
                ("evaluation.json", DOCUMENTS, *base, *weights),
            ),
            Stage("quantise", self.quantise, ("quantised.json",), ("evaluation.json", *weights)),
            Stage(
                "card",
                self.card,
                ("card.md", "card.html"),
                (
                    "scores.json",
                    "quantised.json",
                    "choices.json",
                    "size.json",
                    "vocabulary.json",
                    "pretrain_log.json",
                ),
            ),
        ]

    # ---- reading -----------------------------------------------------------------------------------

    def questions(self, folder: Path, say: Say) -> dict:
        own = ""
        if self.texts:
            for document in filter(is_held_out, documents.from_folder(self.texts, tell=say)):
                own += document.text + "\n\n"
                if len(own) >= 2 * evaluate.TEXT_BYTES:
                    break
            if not own:
                say("  the texts are too few to keep one back: the model is scored on the course's alone")
        asked = evaluate.fixed(own, self.plan.seed)
        write_json(folder / "evaluation.json", asked)
        return {name: len(asked[name]) for name in ("texts", "choices", "problems", "prompts")}

    def documents(self, folder: Path, say: Say) -> dict:
        """What the filters keep of the texts. Whoever brings texts of their own has chosen their language."""
        asked = read_json(folder / "evaluation.json")["texts"]
        scored_on = [*documents.held_out(), *(Document(text, name) for name, text in asked.items())]
        judges = filters.standard(scored_on)
        if self.texts:
            judges.pop("language")
            judges["quality"] = partial(quality, english=False)
        kept, tally = filters.run(told(self._sample(say), say), judges)
        corpus.write_documents(folder / DOCUMENTS, kept)
        say(f"  {tally}")
        removed = {name: vars(amount) for name, amount in tally.removed.items()}
        noted = vars(tally.kept) | {"read": vars(tally.read), "removed": removed}
        if not self.texts:
            noted["assets"] = {name: assets.manifest()[name].sha256 for name in documents.ASSETS}
        return noted

    def _sample(self, say: Say) -> Iterator[Document]:
        """The documents, or a sample of them as large as the plan says, the same each time."""
        if self.texts is None:
            n_bytes, found = COURSE_BYTES, documents.course_documents()
        else:
            readable = documents.from_folder(self.texts, tell=lambda said: None)  # pictures don't count
            n_bytes = sum(len(document.text.encode()) for document in readable)
            found = documents.from_folder(self.texts, tell=say)
        share = self.plan.text_bytes / max(n_bytes, 1)
        if share < 1:
            megabytes = f"{self.plan.text_bytes / 1e6:,.0f} of {n_bytes / 1e6:,.0f} MB"
            say(f"  the plan {self.plan.name} reads a sample, about {megabytes}")
        for document in found:
            digest = hashlib.sha256(document.text.encode()).digest()
            held_out = self.texts is not None and is_held_out(document)
            if int.from_bytes(digest[1:5]) < share * 2**32 and not held_out:
                yield document

    # ---- choosing ----------------------------------------------------------------------------------

    def tokenizer(self, folder: Path, say: Say) -> dict:
        """Compare the plan's vocabularies, and the maker's own if there is one, which is then taken; what a
        kill leaves is one row for each that was done."""
        path, validation = folder / "trials.json", read_json(folder / "evaluation.json")["validation"]
        rows = read_json(path) if path.exists() else []
        own = [None] if self.merges else []
        for vocab_size in [*self.plan.vocabularies, *own][len(rows) :]:
            tokenizer = self._tokenizer(folder, vocab_size)
            texts = [*self._read(folder, self._one_in(folder, tokenizer.get_vocab_size()))]
            row = vocabulary.compare(tokenizer, self.plan, texts, validation, self.device)
            write_json(path, rows := [*rows, row])
            bits, length = row["bits_per_byte"], row["bytes_a_token"]
            say(f"  {row['vocab_size']:,} tokens of {length:.2f} bytes: {bits:.3f} bits per byte")
        chosen = rows[-1] if own else vocabulary.best(rows)
        tokenizer = self._tokenizer(folder, None if own else chosen["vocab_size"])
        write_atomic(folder / model.TOKENIZER, tokenizer.to_str())
        write_json(folder / "vocabulary.json", {"trials": rows, "chosen": chosen})
        return {"vocab_size": chosen["vocab_size"]}

    def _tokenizer(self, folder: Path, vocab_size: int | None) -> Tokenizer:
        """One of so many tokens, or the maker's own."""
        if vocab_size is None:
            return vocabulary.from_merges(self.merges)
        return vocabulary.train_tokenizer(self._read(folder), vocab_size)

    def _read(self, folder: Path, one_in: int = 1) -> Iterator[str]:
        return corpus.read_documents(folder / DOCUMENTS, one_in)

    def _one_in(self, folder: Path, vocab_size: int) -> int:
        """Of so many documents one is enough for a trial: they are from all over the corpus."""
        config = vocabulary.trial_shape(self.plan, vocab_size)
        n_bytes = TRIAL_BYTES * self.plan.trial_flops / flops_per_token(config)
        return max(int((folder / DOCUMENTS).stat().st_size / n_bytes), 1)

    def tokens(self, folder: Path, say: Say) -> dict:
        n = corpus.write_tokens(folder / "tokens.bin", self._read(folder), model.read_tokenizer(folder))
        chosen = read_json(folder / "vocabulary.json")["chosen"]
        choice = choose(self.plan, self.law, chosen["vocab_size"], chosen["bytes_a_token"], n)
        parameters = size(choice.config)
        wanted = (
            f"{choice.law_n / 1e6:.2f} million parameters and {choice.law_tokens / 1e6:.1f} million tokens"
        )
        taken = f"{choice.config.n_layers} layers of {choice.config.d_model}, {parameters / 1e6:.2f} million"
        say(f"  the law asks for {wanted}")
        say(f"  taken: {taken}; {choice.steps:,} steps read the text {choice.epochs:.2f} times")
        # a short text made it larger than the law does; and all ranks, now and later, have to cut alike
        rows = rows_that_fit(self.plan, choice.config, self.device, self.processes, self.shard)
        if rows < (share := self.plan.batch // self.processes):
            say(f"  each process computes its {share} rows of a batch {rows} at a time: memory holds no more")
        found = {"tokens": n, "parameters": parameters, "micro_batch": rows}
        write_json(folder / "size.json", asdict(choice) | found)
        return {"tokens": n, "parameters": parameters}

    # ---- training ----------------------------------------------------------------------------------

    def pretrain(self, folder: Path, say: Say) -> dict:
        choice, tokenizer = read_json(folder / "size.json"), model.read_tokenizer(folder)
        config = GPTConfig(**choice["config"])
        validation = read_json(folder / "evaluation.json")["validation"]
        if self.processes > 1:
            parallel.launch(folder, self.processes, self.shard, self.device.type)  # below it is loaded
        trained, done = pretrain(
            config,
            self.plan,
            choice["steps"],
            corpus.read_tokens(folder / "tokens.bin"),
            device=self.device,
            micro_batch=choice.get("micro_batch"),  # a folder that is older has none
            evaluate=lambda model: vocabulary.bits(model, tokenizer, validation),
            checkpoint=parallel.Sharded(folder / parallel.SHARDS) if self.shard else folder / parallel.WHOLE,
            say=say,
        )
        model.save(folder / "base", trained, tokenizer)
        found = [asdict(spike) for spike in spikes(done.losses)]
        log = {"losses": [round(x, 4) for x in done.losses], "spikes": found}
        log["evaluations"] = [[step, round(value, 4)] for step, _, value in done.evaluations]
        write_json(folder / "pretrain_log.json", log)
        flops = flops_per_token(config) * done.tokens
        noted = {"seconds": round(done.seconds, 1), "tokens": done.tokens, "flops": flops}
        on_gpus = self.device.type == "cuda"
        return noted | (
            {"gpus": self.processes, "gpu": torch.cuda.get_device_name(self.device)} if on_gpus else {}
        )

    def tune(self, folder: Path, say: Say) -> dict:
        trained, tokenizer = self._loaded(folder / "base")
        tokens = corpus.read_tokens(folder / "tokens.bin")
        read = tune.OWN if self.texts else tune.COURSES
        done = tune.tune(trained, tokenizer, self.plan, tokens, folder / "tune.safetensors", say, read=read)
        model.save(folder / "chat", trained, tokenizer)
        noted = {"problems": tune.PROBLEMS, "longest_answer": evaluate.ANSWER_TOKENS}
        noted["assets"] = {tune.ASSET: assets.manifest()[tune.ASSET].sha256}
        return {"seconds": round(done.seconds, 1), "tokens": done.tokens} | noted

    def prefer(self, folder: Path, say: Say) -> dict:
        """Keep what learning from choices made of the model, unless it answers worse than before."""
        before, tokenizer = self._loaded(folder / "chat")
        after, _ = self._loaded(folder / "chat")
        tune.prefer(after, tokenizer, self.plan, folder / "prefer.safetensors", say)
        useful = {name: tune.usefulness(m, tokenizer) for name, m in (("before", before), ("after", after))}
        kept = "after" if sum(useful["after"].values()) >= sum(useful["before"].values()) else "before"
        say(f"  on validation, right and ended: {useful}; kept: {kept}")
        model.save(folder, {"before": before, "after": after}[kept], tokenizer)
        write_json(folder / "choices.json", useful | {"kept": kept})
        return {"kept": kept}

    def _loaded(self, folder: Path) -> tuple[GPT, Tokenizer]:
        trained, tokenizer = model.load(folder)
        return trained.to(self.device), tokenizer

    # ---- asking ------------------------------------------------------------------------------------

    def scores(self, folder: Path, say: Say) -> dict:
        asked, found = read_json(folder / "evaluation.json"), {}
        for name, at, chats in [("base", folder / "base", False), ("chat", folder, True)]:
            say(f"  {name}:")
            found[name] = evaluate.score(*self._loaded(at), asked, say, chats)
        say("  chat, fresh problems and prompts:")
        fresh = evaluate.fresh()
        answered = evaluate.answered(*self._loaded(folder), fresh, say)
        found["chat"]["fresh"] = {"prompts": len(fresh["prompts"])} | {
            name: answered[name] for name in ("tasks", "stops")
        }
        found["5-gram"] = evaluate.ngram_bits(self._read(folder), asked)
        say(
            "  a 5-gram on the kept text: "
            + ", ".join(f"{name} {b:.3f}" for name, b in found["5-gram"].items())
        )
        write_json(folder / "scores.json", found)
        for line in evaluate.said(evaluate.floors(found)):
            say(f"  {line}")
        return {"fresh": evaluate.digest(fresh)}

    def quantise(self, folder: Path, say: Say) -> dict:
        """What fewer bits a weight cost, on the text on which all else was chosen."""
        trained, tokenizer = model.load(folder)
        text = read_json(folder / "evaluation.json")["validation"]
        costs = quantise.compare(trained, tokenizer, text)
        for cost in costs:
            say(
                f"  {cost.name}: {cost.bits_per_byte:.3f} bits per byte, {cost.megabytes:.1f} MB, "
                f"{cost.tokens_per_second:.0f} tokens/s"
            )
        write_json(folder / "quantised.json", [cost._asdict() for cost in costs])
        return {}

    def card(self, folder: Path, say: Say) -> None:
        card.write(folder, self.beside)
