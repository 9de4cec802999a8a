"""A text of a gigabyte in one file: the stages that read it keep of each document some hashes in memory."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from course_utils.data import corpora
from course_utils.pretraining import model as models
from course_utils.pretraining import vocabulary
from course_utils.pretraining.corpus import read_documents, write_documents
from course_utils.pretraining.documents import PIECE, Document
from course_utils.pretraining.machine import DOCUMENTS

SHORT, LONG = 10, 1000  # MB
SPARE = 30  # MB by which the same run may differ
A_DOCUMENT = 6e-3  # MB: NearDuplicates keeps some 5 KB of each
ENCODED = 100  # MB of the long text: all of it would take five minutes

# From a process that is small itself: a child begins with the most that its parent's memory ever held.
MEASURING = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""
A_MEGABYTE = 1e6 if sys.platform == "darwin" else 1e3

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("COURSE_FULL"), reason="ten minutes: `course.py test --full` runs it"
    ),
    pytest.mark.skipif(os.name == "nt", reason="Windows has no getrusage"),
]


def write_text(folder: Path, megabytes: int) -> Path:
    """Words of Shakespeare in an order that is drawn: ten a line, and an empty line after each tenth."""
    texts, draws = folder / "texts", random.Random(0)
    texts.mkdir(parents=True)
    words = sorted({word for word in corpora.shakespeare().test.split() if word.isalpha()})
    with (texts / "one.txt").open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            lines = (" ".join(draws.choices(words, k=10)) for _ in range(2000))
            file.writelines(line + (".\n" if i % 10 else ".\n\n") for i, line in enumerate(lines, 1))
    return texts


def run(stage: str, folder: Path, texts: Path) -> tuple[float, str]:
    """The most megabytes that a stage's process held, and what it said."""
    at = Path(__file__).with_name("one_stage.py")
    asked = [sys.executable, "-c", MEASURING, sys.executable, str(at), stage, str(folder), str(texts)]
    done = subprocess.run(asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, _, peak = done.stdout.strip().rpartition("\n")
    return int(peak) / A_MEGABYTE, said


def cut(folder: Path, megabytes: int) -> None:
    """Keep so much of the documents."""
    some = islice(read_documents(folder / DOCUMENTS), int(megabytes * 1e6 / PIECE))
    write_documents(folder / DOCUMENTS, [Document(text, "") for text in some])


def test_a_text_of_a_gigabyte_takes_more_memory_than_one_of_ten_megabytes_by_its_hashes(tmp_path):
    peaks = {"questions": [], "documents": [], "tokens": []}
    for megabytes in (SHORT, LONG):
        folder, began = tmp_path / str(megabytes), time.monotonic()
        texts = write_text(folder, megabytes)
        for stage in ("questions", "documents"):
            peak, said = run(stage, folder, texts)
            peaks[stage].append(peak)
        shutil.rmtree(texts)
        n_documents = int(re.search(r"1 of 1 files, cut into ([\d,]+) documents", said)[1].replace(",", ""))
        assert n_documents > megabytes * 1e6 / PIECE and "kept" in said.splitlines()[-1]
        cut(folder, ENCODED)
        tokenizer = vocabulary.train_tokenizer(read_documents(folder / DOCUMENTS, one_in=10), 2048)
        (folder / models.TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
        chosen = {"vocab_size": 2048, "bytes_a_token": 4.0}
        (folder / "vocabulary.json").write_text(json.dumps({"chosen": chosen}), encoding="utf-8")
        peaks["tokens"].append(run("tokens", folder, texts)[0])
        print(f"{megabytes} MB: {time.monotonic() - began:.0f} s")
    print(", ".join(f"{stage}: {short:.0f} and {long:.0f} MB" for stage, (short, long) in peaks.items()))
    more = {stage: long - short for stage, (short, long) in peaks.items()}
    assert more["questions"] < SPARE and more["tokens"] < SPARE
    assert more["documents"] < SPARE + A_DOCUMENT * n_documents
    assert max(map(max, peaks.values())) < 0.9 * LONG
