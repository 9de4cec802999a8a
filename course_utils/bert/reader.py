"""A masked-word model as the masking figure asks it: in numbers and strings, by functions."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from course_utils.bert.masking import MASK, check_vocabulary, mask_tokens, special_tokens
from course_utils.bert.texts import check_fit, encode, padded
from course_utils.devices import without_dropout
from course_utils.ngrams.bidirectional import BidirectionalNGram
from course_utils.tokenizers import WordPieceTokenizer


class MaskedReader:
    """A model that fills gaps with its tokenizer; and n-gram counts of the same tokens, to be asked from the
    left alone.

    tokens: the vocabulary; special: which of it stands for no piece of a word; mask: the id of [MASK];
    longest: how many tokens the model reads at once. Raises ValueError for a tokenizer whose vocabulary is
    not the model's and the counts', or has no [MASK].
    """

    def __init__(self, model: nn.Module, tokenizer: WordPieceTokenizer, counts: BidirectionalNGram):
        check_fit(model, tokenizer)
        check_vocabulary(torch.zeros(1, 1, dtype=torch.int64), tokenizer)
        if counts.vocab_size != tokenizer.vocab_size:
            raise ValueError(
                f"the counts have {counts.vocab_size:,} tokens and this tokenizer {tokenizer.vocab_size:,}: "
                "count the texts as this tokenizer cuts them"
            )
        self._model, self._tokenizer, self._counts = model, tokenizer, counts
        self.tokens: list[str] = tokenizer.tokens
        self.special: Bool[np.ndarray, " vocab"] = special_tokens(tokenizer).numpy()
        self.mask: int = tokenizer.ids[MASK]
        self.longest: int = model.bert.config.max_positions

    def encode(self, text: str) -> Int[np.ndarray, " time"]:
        """The ids of a text between [CLS] and [SEP]. Warns of words that the vocabulary can't make."""
        return padded([encode(text, self._tokenizer)], self._tokenizer)[0][0].numpy()

    def corrupt(
        self, ids: Int[np.ndarray, " time"], n: int
    ) -> tuple[Int[np.ndarray, "n time"], Int[np.ndarray, "n time"]]:
        """What the model reads and what it is asked, in n draws of `mask_tokens`; the same n each time.

        Raises ValueError if nothing can be masked.
        """
        rows = torch.from_numpy(ids).expand(n, -1)
        inputs, labels = mask_tokens(rows, self._tokenizer, generator=torch.Generator().manual_seed(0))
        return inputs.numpy(), labels.numpy()

    @torch.no_grad()
    def fill(
        self, inputs: Int[np.ndarray, " time"], places: Int[np.ndarray, " places"]
    ) -> Float[np.ndarray, "places vocab"]:
        """The model's probabilities of what stood at these places, in their order from left to right."""
        chosen = torch.zeros(1, len(inputs), dtype=torch.bool)
        chosen[0, places] = True
        with without_dropout(self._model):
            return self._model(torch.from_numpy(inputs)[None], chosen=chosen).softmax(-1).numpy()

    def fill_from_left(
        self, inputs: Int[np.ndarray, " time"], places: Int[np.ndarray, " places"]
    ) -> Float[np.ndarray, "places vocab"]:
        """The same by the counts, with all covered on the right: what looks there has no vote."""
        after = np.arange(len(inputs)) > places[:, None]
        rows = np.where(after, self._counts.hidden, inputs)[:, 1:]  # the counts know no [CLS]
        asked = (np.arange(len(inputs)) == places[:, None])[:, 1:]
        return self._counts.distributions(list(rows), list(asked))
