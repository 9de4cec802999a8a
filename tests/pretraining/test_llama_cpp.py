"""An exported model in llama.cpp itself: it cuts texts into the same tokens and writes the same, greedily."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from small_llama import small_model, small_tokenizer

from course_utils.pretraining.export import gguf
from course_utils.tokenizers.chat import chatml

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(
        not os.environ.get("COURSE_FULL"), reason="compiles llama.cpp: `course.py test --full` does"
    ),
]
# llama.cpp's package for Python is published as a source distribution alone. pip keeps what it compiled, so
# that only the first run takes long: 26 minutes on two cores that others used too.
PACKAGES = "llama-cpp-python==0.3.36", "diskcache==5.6.3"
WITHOUT_IMAGES = "-DLLAVA_BUILD=OFF -DLLAMA_CURL=OFF"
TEXTS = [
    "The quality of mercy",
    "Né 🦜 12?\n\n\n  heaven, it's 1596",
    " x  y\t\tz 3.14 ... “quotes” don't",
    "heaven",
]
SCRIPT = """
import itertools, json, sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], n_ctx=256, n_threads=1, verbose=False)
found, (texts, messages) = [], map(json.loads, sys.argv[2:])
for text in texts:
    llama.reset()
    read = llama.tokenize(text.encode(), add_bos=False)
    found.append([read, [*itertools.islice(llama.generate(read, temp=0), 40)]])  # past an end, too
chat = llama.create_chat_completion(messages, max_tokens=1, temperature=0)
print("RESULT", json.dumps([*found, chat["usage"]["prompt_tokens"]]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    if not (shutil.which("cc") and shutil.which("c++")):
        pytest.skip("there is no compiler for C and C++")
    folder = tmp_path_factory.mktemp("llama_cpp")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", f"--target={folder}", *PACKAGES]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"CMAKE_ARGS": WITHOUT_IMAGES}
    )
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("the network is closed")
    assert not done.returncode, done.stderr
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
    for text, (read, written) in zip(TEXTS, answers, strict=True):
        ids = tokenizer.encode(text).ids
        assert read == ids and len(written) == 40
        with torch.no_grad():
            logits = model(torch.tensor([ids + written]))[0, len(ids) - 1 : -1]
        # With half the bits llama.cpp rounds what flows between them, too: of two equally likely it may take
        # the other. (One place in 160 here; the logits' standard deviation is 1.6.)
        short = logits.amax(-1) - logits[range(40), written]
        assert short.max() <= (0.01 if half else 0)
    assert chat == len(chatml(tokenizer).prompt(messages))
