"""What others trained and published, out of the assets: two tokenizers and an encoder.

They are fetched on first use; where that can't be done, `assets.AssetError` says so in one sentence.
"""

import json
from functools import lru_cache

from course_utils import assets
from course_utils.tokenizers import WordPieceTokenizer


@lru_cache(maxsize=1)
def smollm2_tokenizer():
    """The tokenizer of SmolLM2, a `tokenizers.Tokenizer`: byte-level BPE in which each digit stands alone.

    Allal et al., 2025, "SmolLM2"; tokens and merges as the asset `smollm2-tokenizer` has them.
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


def load(name: str):
    """A model with its published weights: "minilm" is all-MiniLM-L6-v2, a `bert.Bert` of 6 layers.

    It has 12 heads a layer, is 384 wide, reads what `bert_tokenizer` writes, and was made by distilling a
    larger BERT (Wang et al., 2020) and trained on to compare sentences (Reimers & Gurevych, 2019). Raises
    ValueError for another name.
    """
    if name != "minilm":
        raise ValueError(f"the one model so far is 'minilm'; {name!r} came")
    from safetensors.torch import load_file

    from course_utils import bert

    return bert.from_published(load_file(assets.path("minilm")), n_heads=12).eval()
