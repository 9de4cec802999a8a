"""Training and encoding with a BERT of MiniLM's sizes beside transformers, each in its fastest type.

python3 course.py bench bert

Training: a whole step (forward, backward, AdamW) on 16 rows of 128 tokens, 15 % of them masked. Encoding: one
vector a token for 32 texts of 16 to 128 tokens, padded to one batch. Embedding: one vector a text for 256 of
them, ours by `search.embed_rows`, theirs as SBERT's library does, sorted by length in batches of 32.
"""

import platform
import sys
from functools import partial
from pathlib import Path

import torch
import transformers

from course_utils.bert import Bert, BertForMaskedLM
from course_utils.bert.masking import IGNORED, masked_loss
from course_utils.bert.search import embed_rows, mean_pooled
from course_utils.bert.texts import padded
from course_utils.pretrained import bert_tokenizer
from course_utils.training.optimisers import adamw
from course_utils.weights.bert_recipe import MINILM

sys.path.append(str(Path(__file__).parent))
from _steps import DEVICE, compare, training_step, types

MASK_ID = 103


def peer(kind):
    sizes = MINILM
    return kind(
        transformers.BertConfig(
            vocab_size=sizes.vocab_size,
            hidden_size=sizes.d_model,
            num_hidden_layers=sizes.n_layers,
            num_attention_heads=sizes.n_heads,
            intermediate_size=sizes.d_ff,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",
        )
    ).to(DEVICE)


def masked_batch():
    ids = torch.randint(1000, MINILM.vocab_size, (16, 128))
    chosen = torch.rand(ids.shape) < 0.15
    batch = ids.masked_fill(chosen, MASK_ID), torch.full((16,), 128), ids.masked_fill(~chosen, IGNORED)
    return tuple(x.to(DEVICE) for x in batch)


def random_texts(n):
    """A function that gives n other texts each time, and the same as another such function."""
    draws = torch.Generator().manual_seed(0)

    def texts():
        lengths = torch.randint(16, 129, (n,), generator=draws).tolist()
        ids = torch.randint(1000, MINILM.vocab_size, (sum(lengths) - 2 * n,), generator=draws)
        return [text.numpy() for text in ids.split([length - 2 for length in lengths])]

    return texts


def encoders():
    """Ours and theirs in each type, for inference: ours takes ids and lengths, and so does theirs here."""
    for type_name, half in types():
        dtype = torch.bfloat16 if half else torch.float32
        mine, other = (m.to(dtype).eval() for m in (Bert(MINILM).to(DEVICE), peer(transformers.BertModel)))

        def theirs(ids, lengths, model=other):
            real = torch.arange(ids.shape[1], device=DEVICE) < lengths[:, None]
            return model(ids, real.long()).last_hidden_state

        yield type_name, mine, theirs


def training_steps():
    def ours(model, batch):
        return masked_loss(model, batch, None)[0]

    def theirs(model, batch):
        inputs, _, labels = batch
        return model(inputs, labels=labels).loss

    def step(model, optimiser, loss, mixed):
        training_step(model, optimiser, loss, masked_batch(), mixed).item()
        return 16 * 128

    steps = {}
    for type_name, mixed in types():
        mine, other = BertForMaskedLM(MINILM).to(DEVICE), peer(transformers.BertForMaskedLM)
        moves = adamw(mine, 0.01)
        fused = torch.optim.AdamW(other.parameters(), lr=1e-4, fused=True)
        steps["ours", type_name] = lambda m=mine, o=moves, x=mixed: step(m.train(), o, ours, x)
        steps["transformers", type_name] = lambda m=other, o=fused, x=mixed: step(m.train(), o, theirs, x)
    return steps


def encodings():
    def encode(model, texts):
        ids, lengths = (x.to(DEVICE) for x in padded(texts(), bert_tokenizer()))
        with torch.inference_mode():
            model(ids, lengths).sum().item()
        return int(lengths.sum())

    steps = {}
    for type_name, mine, theirs in encoders():
        steps["ours", type_name] = partial(encode, mine, random_texts(32))
        steps["transformers", type_name] = partial(encode, theirs, random_texts(32))
    return steps


def embeddings():
    def ours(model, texts):
        texts = texts()
        embed_rows(model, bert_tokenizer(), texts)
        return sum(len(text) + 2 for text in texts)

    @torch.inference_mode()
    def theirs(model, texts):
        texts = sorted(texts(), key=len, reverse=True)
        for first in range(0, len(texts), 32):
            ids, lengths = (x.to(DEVICE) for x in padded(texts[first : first + 32], bert_tokenizer()))
            mean_pooled(model(ids, lengths).float(), lengths).cpu()
        return sum(len(text) + 2 for text in texts)

    steps = {}
    for type_name, mine, other in encoders():
        steps["ours", type_name] = partial(ours, mine, random_texts(256))
        steps["transformers", type_name] = partial(theirs, other, random_texts(256))
    return steps


if __name__ == "__main__":
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {DEVICE}, torch {torch.__version__}")
    compare("training", training_steps())
    compare("encoding", encodings())
    compare("embedding", embeddings())
