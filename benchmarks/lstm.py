"""The course's training loop beside a bare torch.nn.LSTM loop: same model and batches, in turns, in one run.

python3 course.py bench lstm
"""

import statistics
import time

import torch
from torch import nn
from torch.nn import functional

from course_utils.data import corpora
from course_utils.recurrent import RecurrentLM
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import TrainConfig, recurrent_loss, train
from course_utils.training.batches import Streams

ROUNDS, STEPS = 5, 20
# embedding, hidden, rows, chunk
SIZES = {"live model": (16, 256, 32, 32), "recorded model": (64, 512, 64, 64)}


def bare(tokens, d_embedding, d_hidden, rows, chunk):
    """Tokens/s of what one would write in five minutes: no schedule, no checks, no checkpoints."""
    torch.manual_seed(0)
    embedding, lstm = nn.Embedding(256, d_embedding), nn.LSTM(d_embedding, d_hidden, batch_first=True)
    head = nn.Linear(d_hidden, 256)
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
    length = len(tokens) // rows
    text, state = torch.from_numpy(tokens[: rows * length].reshape(rows, length)), None
    start = time.perf_counter()
    for here in range(0, STEPS * chunk, chunk):
        output, state = lstm(embedding(text[:, here : here + chunk]), state)
        targets = text[:, here + 1 : here + chunk + 1]
        loss = functional.cross_entropy(head(output).flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        loss.item()
        state = tuple(part.detach() for part in state)
    return STEPS * rows * chunk / (time.perf_counter() - start)


def ours(tokens, d_embedding, d_hidden, rows, chunk):
    """Tokens/s of the course's loop."""
    torch.manual_seed(0)
    model, batches = RecurrentLM(256, d_embedding, d_hidden), Streams(tokens, 256, rows, chunk)
    run = train(model, batches, TrainConfig(STEPS, learning_rate=1e-3), loss=recurrent_loss)
    return run.tokens / run.seconds


def main():
    tokens = ByteTokenizer().encode(corpora.shakespeare().train_text)
    threads = torch.get_num_threads()
    print(f"tokens/s, median of {ROUNDS} rounds of {STEPS} steps in turns, {threads} threads")
    print(f"{'':16}{'bare loop':>12}{'ours':>12}{'ours/bare':>12}{'range':>16}")
    for name, size in SIZES.items():
        bare(tokens, *size)  # the first run of a size also sets up the kernels
        pairs = [(bare(tokens, *size), ours(tokens, *size)) for _ in range(ROUNDS)]
        theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = sorted(own / other for other, own in pairs)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"{name:16}{theirs:12,.0f}{mine:12,.0f}{statistics.median(ratios):12.2f}{spread:>16}")


if __name__ == "__main__":
    main()
