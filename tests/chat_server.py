"""For tests: a chat server in a thread of this process, and models for it that need no files."""

import asyncio
import contextlib
import socket
import threading
import time

import torch
from small_llama import small_model, small_tokenizer

from course_utils.gpt import GPT
from course_utils.serving.offers import ChatModel, Offers
from course_utils.serving.server import serve
from course_utils.tokenizers.chat import chatml

CONTEXT = 200


class Watched(GPT):
    """Counts its steps, sleeps in each, and after `broken_after` of them gives logits that are no numbers."""

    pause, steps, broken_after = 0.0, 0, None

    def forward(self, ids, *arguments, **named):
        self.steps += 1
        time.sleep(self.pause)
        logits = super().forward(ids, *arguments, **named)
        return logits if self.broken_after is None or self.steps <= self.broken_after else logits * torch.nan


def chat_model(**settings) -> ChatModel:
    tokenizer = small_tokenizer()
    model = small_model(tokenizer.get_vocab_size(), context=CONTEXT)
    model.__class__ = Watched
    for name, value in settings.items():
        setattr(model, name, value)
    # never an end token, whatever the random weights say: tests say how long an answer is
    return ChatModel(model, chatml(tokenizer).prompt, tokenizer.decode, ())


def unloadable() -> ChatModel:
    raise ValueError("model.safetensors is damaged")


@contextlib.contextmanager
def running(**chat_models: ChatModel):
    """The port of a server that offers these, and "broken", which can't be loaded."""
    loaders = {name: lambda model=model: model for name, model in chat_models.items()}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    started, loop = threading.Event(), asyncio.new_event_loop()
    task = loop.create_task(serve(Offers(loaders | {"broken": unloadable}), port, started.set))

    def run():
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        loop.close()
