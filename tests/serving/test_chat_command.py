"""`course.py chat`: which models it offers, and how it begins and ends."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import asdict

import pytest
from small_llama import small_model, small_tokenizer

from course_utils.commands import cli
from course_utils.generation import generate
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining import model as models
from course_utils.serving.offers import SMOLLM2, on_offer
from course_utils.tokenizers.chat import end_ids
from course_utils.training.checkpoints import save_model

pytestmark = pytest.mark.usefixtures("one_thread")
HELLO = [{"role": "user", "content": "Is mercy strained?"}]


def make(folder):
    tokenizer = small_tokenizer()
    models.save(folder, model := small_model(tokenizer.get_vocab_size()), tokenizer)
    return model, tokenizer


@pytest.fixture
def own(tmp_path):
    """A GPT of bytes, as chapter 8 leaves it."""
    config = GPTConfig(vocab_size=256, context=32, n_layers=1, n_heads=2, d_model=16, ngrams=2, ngram_rows=31)
    (tmp_path / "my_llm").mkdir()
    save_model(tmp_path / "my_llm" / "gpt.safetensors", GPT(config), {"config": asdict(config)})
    return tmp_path / "my_llm"


def test_the_models_at_hand_are_offered_and_the_one_named_first(tmp_path, own):
    make(tmp_path / "models" / "made")
    make(tmp_path / "elsewhere" / "best")
    assert on_offer(tmp_path).names == ["made", "my_llm", SMOLLM2]
    assert on_offer(tmp_path, tmp_path / "elsewhere" / "best").names == ["best", "made", "my_llm", SMOLLM2]
    assert on_offer(tmp_path, own).names == ["my_llm", "made", SMOLLM2]
    assert on_offer(tmp_path / "nowhere").names == [SMOLLM2]
    shipped = [tmp_path / "elsewhere" / "best"]
    assert on_offer(tmp_path, shipped=shipped).names == ["made", "my_llm", "best", SMOLLM2]


def test_a_made_model_answers_in_its_own_format(tmp_path):
    model, tokenizer = make(tmp_path / "models" / "made")
    chat = on_offer(tmp_path).load("made")
    ids = chat.encode(HELLO)
    assert tokenizer.decode(ids, skip_special_tokens=False) == (
        "<|im_start|>user\nIs mercy strained?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert generate(chat.model, [ids], 8)[0].ids == generate(model, [ids], 8)[0].ids
    assert chat.end_ids == end_ids(tokenizer) and chat.decode(tokenizer.encode("Né").ids) == "Né"


def test_the_learners_gpt_continues_what_was_said(own):
    chat = on_offer(own.parent).load("my_llm")
    said = [*HELLO, {"role": "assistant", "content": "It droppeth."}]
    assert bytes(chat.encode(said)) == b"Is mercy strained?\nIt droppeth.\n" and chat.context == 32
    assert chat.decode([0xC3, 0xA9, 0xC3]) == "é\N{REPLACEMENT CHARACTER}"


def test_a_folder_without_a_model_is_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"model\.safetensors is not in .*: name the folder of a finished"):
        cli.main(["chat", str(tmp_path), "--no-browser"])


def test_a_port_that_is_taken_is_a_sentence():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SystemExit, match=f"port {taken.getsockname()[1]} can't be used"),
    ):
        cli.main(["chat", "--no-browser", "--port", str(taken.getsockname()[1])])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_it_says_where_it_is_answers_and_stops_on_ctrl_c(tmp_path):
    make(tmp_path / "made")
    command = [sys.executable, "-P", "-m", "course_utils.commands.cli", "chat", str(tmp_path / "made")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    # whoever runs the tests in the background has told them, and so their children, to ignore Ctrl-C
    signals = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen([*command, "--no-browser"], **pipes, **signals) as process:
        try:
            page, programs = process.stdout.readline(), process.stdout.readline()
            port = int(re.search(r"Chat with made or .* on http://127\.0\.0\.1:(\d+)/; Ctrl-C", page)[1])
            assert f"http://127.0.0.1:{port}/v1, with any key" in programs
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/v1/models")
            assert json.loads(connection.getresponse().read())["data"][0]["id"] == "made"
            connection.close()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()
