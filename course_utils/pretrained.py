"""What others trained and published: two tokenizers, MiniLM and SmolLM2 as assets, BERT and T5 from the Hub.

They are fetched on first use; where that fails, `assets.AssetError` says so in one sentence.
"""

import contextlib
import json
from functools import lru_cache

from course_utils.data import assets
from course_utils.tokenizers import WordPieceTokenizer
from course_utils.tokenizers.chat import ChatTemplate, Messages, chatml

SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@lru_cache(maxsize=1)
def smollm2_tokenizer():
    """The tokenizer of SmolLM2, a `tokenizers.Tokenizer`: byte-level BPE with a token for each digit.

    Ben Allal et al., 2025, "SmolLM2"; tokens and merges are those of the asset `smollm2-tokenizer`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    stored = json.loads(assets.path("smollm2-tokenizer").read_text(encoding="utf-8"))
    ids = {token: i for i, token in enumerate(stored["tokens"])}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[tuple(merge) for merge in stored["merges"]]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(stored["special"])
    tokenizer.encode_special_tokens = True  # their names in a text are text, as in our BPETokenizer
    return tokenizer


@lru_cache(maxsize=1)
def bert_tokenizer() -> WordPieceTokenizer:
    """WordPiece with the vocabulary of BERT's uncased models (Devlin et al., 2019)."""
    return WordPieceTokenizer(assets.path("bert-vocabulary").read_text(encoding="utf-8").strip().split("\n"))


@lru_cache(maxsize=1)
def t5_tokenizer():
    """The tokenizer of T5, a `tokenizers.Tokenizer`: 32,000 pieces of words in four languages, and 100
    sentinels, <extra_id_0> to <extra_id_99>. It puts the end after what it encodes. From the Hub."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(
        _from_hub(**T5_SMALL | {"filename": "tokenizer.json"}, instead="a model of your own")
    )


@lru_cache(maxsize=1)
def smollm2_template() -> ChatTemplate:
    """The format in which SmolLM2-Instruct was tuned to chat, with the system message that it had."""
    return chatml(smollm2_tokenizer(), SMOLLM2_SYSTEM)


def smollm2_chat(messages: Messages) -> list[int]:
    """The ids of a conversation, ready for SmolLM2-Instruct to answer, in the format that it was tuned on.

        smollm2_chat([{"role": "user", "content": "Where does the sun set?"}])

    Each message stands between <|im_start|> and <|im_end|>, and the last line opens the answer. A
    conversation without a system message gets the model's usual one. What a user types never becomes a
    special token. Raises ValueError for no message, an unknown role, and content that is not a text.
    """
    return smollm2_template().prompt(messages)


def load(name: str):
    """A model with its published weights, in float32 on the CPU, ready to use.

    "minilm" is all-MiniLM-L6-v2, a `bert.Bert` of 6 layers with 12 heads and width 384; its tokenizer is
    `bert_tokenizer`. It was distilled from a larger BERT (Wang et al., 2020) and trained further to compare
    sentences (Reimers & Gurevych, 2019).

    "smollm2-135m" is SmolLM2-135M-Instruct, a `gpt.GPT` of 30 layers (Ben Allal et al., 2025), from weights
    that were rounded to 4 bits (the embedding's to 8) and are dequantised here. Its tokenizer is
    `smollm2_tokenizer`, and `smollm2_chat` puts a conversation into its format.

    "bert-base-uncased" is BERT base (Devlin et al., 2019), a `bert.BertForMaskedLM` that reads what
    `bert_tokenizer` writes. No package ships it: 440 MB come from the Hugging Face Hub, once.

    "t5-small" is T5's smallest (Raffel et al., 2020), a `seq2seq.T5` that was trained on span corruption and
    on many tasks, each with a prefix, such as "translate English to German: "; its tokenizer is
    `t5_tokenizer`. 242 MB come from the Hub, once.

    Raises ValueError for another name.
    """
    if name not in LOADERS:
        raise ValueError(f"expected one of {', '.join(LOADERS)}; got {name!r}")
    return LOADERS[name]().eval()


def _load_minilm():
    from safetensors.torch import load_file

    from course_utils import bert

    return bert.from_hf(load_file(assets.path("minilm")), n_heads=12)


# The Hub's commit: what is fetched next year is what was meant here.
BERT_BASE = {
    "repo_id": "google-bert/bert-base-uncased",
    "filename": "model.safetensors",
    "revision": "86b5e0934494bd15c9632b12f734a8a67f723594",
}


def _load_bert_base():
    from safetensors.torch import load_file

    from course_utils import bert

    path = _from_hub(**BERT_BASE, instead="the course's own model, course_utils.weights.bert_recipe.load()")
    return bert.from_hf(load_file(path), n_heads=12, kind=bert.BertForMaskedLM)


T5_SMALL = {
    "repo_id": "google-t5/t5-small",
    "filename": "model.safetensors",
    "revision": "df1b051c49625cf57a3d0d8d3863ed4d13564fe4",
}


def _load_t5_small():
    from safetensors.torch import load_file

    from course_utils.seq2seq import t5

    return t5.from_hf(load_file(_from_hub(**T5_SMALL, instead="a model of your own")))


def _from_hub(repo_id: str, instead: str, **file: str) -> str:
    """The path of a file of the Hub, fetched if it isn't in its cache. If it can't be had, AssetError says
    what to go on with instead."""
    import urllib.error
    import urllib.request

    import huggingface_hub

    try:
        return huggingface_hub.hf_hub_download(repo_id, **file, local_files_only=True)
    except OSError:  # not in the cache
        pass
    try:
        request = urllib.request.Request(huggingface_hub.constants.ENDPOINT, method="HEAD")
        with contextlib.suppress(urllib.error.HTTPError):  # an answer, whichever
            urllib.request.urlopen(
                request, timeout=5
            ).close()  # the library asks six times, for half a minute
        return huggingface_hub.hf_hub_download(repo_id, **file)
    except Exception as error:  # what a broken connection raises depends on the library below
        raise assets.AssetError(
            f"{repo_id} could not be fetched from the Hugging Face Hub ({type(error).__name__}): connect to "
            f"the network, or go on with {instead}."
        ) from None


def _load_smollm2():
    from safetensors import safe_open

    from course_utils.gpt import GPT, GPTConfig
    from course_utils.training.checkpoints import fill, without_first_weights

    with safe_open(assets.path("smollm2-135m"), "pt") as file:
        config = json.loads(file.metadata()["notes"])["config"]
        with without_first_weights():
            model = GPT(GPTConfig(**config))
        fill(model, {name: file.get_tensor(name) for name in file.keys()}, "smollm2-135m")  # noqa: SIM118
    return model


LOADERS = {
    "minilm": _load_minilm,
    "smollm2-135m": _load_smollm2,
    "bert-base-uncased": _load_bert_base,
    "t5-small": _load_t5_small,
}
