"""Training and encoding with a BERT of MiniLM's sizes beside transformers, each in its fastest type.

python3 course.py bench bert

Training: a whole step (forward, backward, AdamW) on 16 rows of 128 tokens, 15 % of them masked. Encoding: one
vector a token for 32 texts of 16 to 128 tokens, padded.
"""

import platform
import sys
from pathlib import Path

import torch
import transformers

from course_utils.bert import Bert, BertForMaskedLM
from course_utils.bert.masking import IGNORED, masked_loss
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


def padded_texts():
    lengths = torch.randint(16, 129, (32,))
    ids = torch.randint(1000, MINILM.vocab_size, (32, int(lengths.max())))
    return ids.to(DEVICE), lengths.to(DEVICE)


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
    steps = {}
    for type_name, half in types():
        dtype = torch.bfloat16 if half else torch.float32
        mine, other = (m.to(dtype).eval() for m in (Bert(MINILM).to(DEVICE), peer(transformers.BertModel)))

        @torch.inference_mode()
        def ours(model=mine):
            ids, lengths = padded_texts()
            model(ids, lengths).sum().item()
            return int(lengths.sum())

        @torch.inference_mode()
        def theirs(model=other):
            ids, lengths = padded_texts()
            real = torch.arange(ids.shape[1], device=DEVICE) < lengths[:, None]
            model(ids, real.long()).last_hidden_state.sum().item()
            return int(lengths.sum())

        steps |= {("ours", type_name): ours, ("transformers", type_name): theirs}
    return steps


if __name__ == "__main__":
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {DEVICE}, torch {torch.__version__}")
    compare("training", training_steps())
    compare("encoding", encodings())
