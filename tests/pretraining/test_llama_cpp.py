"""An exported model in llama.cpp itself: it cuts texts into the same tokens and writes the same, greedily."""

import json
import os
import subprocess
import sys

import pytest
from small_llama import small_model, small_tokenizer

from course_utils.generation import generate
from course_utils.pretraining.export import gguf
from course_utils.tokenizers.chat import chatml, end_ids

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not os.environ.get("COURSE_FULL"), reason="34 MB; `course.py test --full` runs it"),
]
PACKAGE = "xllamacpp==2026.10.11549"  # llama.cpp built, in a wheel: its own takes half an hour of compiling
TEXTS = [
    "The quality of mercy",
    "Né 🦜 12?\n\n\n  heaven, it's 1596",
    " x  y\t\tz 3.14 ... “quotes” don't",
    "heaven",
]
SCRIPT = """
import json, sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.warmup = sys.argv[1], 256, 1, False
server = xllamacpp.Server(params)
greedy = {"temperature": 0, "cache_prompt": False}
texts, messages = map(json.loads, sys.argv[2:])
answers = [server.handle_completions({"prompt": text, "n_predict": 40} | greedy) for text in texts]
chat = server.handle_chat_completions({"messages": messages, "max_tokens": 1} | greedy)
found = [[answer["usage"]["prompt_tokens"], answer["choices"][0]["text"]] for answer in answers]
print("RESULT", json.dumps([*found, chat["usage"]["prompt_tokens"]]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama_cpp")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, f"--target={folder}", PACKAGE], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{PACKAGE} has no wheel for this machine, or the network is closed")
    return folder


@pytest.mark.parametrize("half", [False, True])
def test_llama_cpp_writes_the_same(half, packages, tmp_path):
    tokenizer = small_tokenizer()
    model = small_model(tokenizer.get_vocab_size(), context=256)
    gguf.export(tmp_path / "model.gguf", model, tokenizer, half=half)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Né 🦜 12?"}]
    arguments = [str(tmp_path / "model.gguf"), json.dumps(TEXTS), json.dumps(messages)]
    environment = os.environ | {"PYTHONPATH": str(packages)}
    out = subprocess.check_output([sys.executable, "-c", SCRIPT, *arguments], env=environment, text=True)
    *answers, chat = json.loads(out.split("RESULT")[1].splitlines()[0])
    for text, (n_tokens, answer) in zip(TEXTS, answers, strict=True):
        ids = tokenizer.encode(text).ids
        ours = generate(model, [ids], 40, end_ids=end_ids(tokenizer), decode=tokenizer.decode)[0]
        assert (n_tokens, answer) == (len(ids), ours.text)
    assert chat == len(chatml(tokenizer).prompt(messages))
