"""What a model scored, number by number, and the card that is made of it."""

import json

import pytest

from course_utils.pretraining import card
from course_utils.pretraining.reports import BEFORE, CHATS, COUNTED, REPEATS, reports

TEXTS = {"The Tempest": 2.5, "film reviews": 2.0}


def share(value, low, high, **more):
    return {"value": value, "low": low, "high": high, **more}


@pytest.fixture
def folder(tmp_path):
    line = share(0.26, 0.21, 0.32, chance=0.25)
    tasks = {"orders": share(1.0, 0.94, 1.0, chance=0.0), "addition": share(0.05, 0.0, 0.1, chance=0.004)}
    chat = {"bits_per_byte": TEXTS, "next line": line, "tasks": tasks, "stops": share(0.97, 0.93, 1.0)}
    chat |= {"repetition": 0.125, "examples": [{"prompt": "a|b", "answer": "<b>x</b>\nand more"}]}
    counted = {"The Tempest": 2.6, "film reviews": 1.9}
    scores = {"base": {"bits_per_byte": TEXTS, "next line": line}, "chat": chat, "5-gram": counted}
    documents = {"read": {"documents": 1000}, "removed": {"contamination": {"documents": 4}}}
    asked = {"notes": {"choices": 240, "prompts": 100}, "writes": {"evaluation.json": "abc"}}
    made = {"stages": {"questions": asked, "documents": {"notes": documents}}}
    for name, content in {"scores": scores, "manifest": made}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def by_measure(report):
    return {number.measure: number for number in report.numbers}


def test_each_number_has_its_n_chance_and_interval_and_says_where_it_comes_from(folder):
    found = reports(folder, "mine: ")
    assert [*found] == [f"mine: {name}" for name in (BEFORE, CHATS, COUNTED)]
    before, chats, counted = map(by_measure, found.values())
    leaks = "contaminated documents"
    assert [*chats] == [
        *[f"bits per byte of {text}" for text in TEXTS],
        *["which line comes next", "task: orders", "task: addition", "stops by itself", REPEATS, leaks],
    ]
    assert [*before] == [*[*chats][:3], leaks] and [*counted] == [*chats][:2]
    line = chats["which line comes next"]
    assert (line.value, line.low, line.high, line.chance, line.n) == (0.26, 0.21, 0.32, 0.25, 240)
    assert chats["stops by itself"].n == 100 and chats["task: addition"].n == 60
    assert chats[leaks].value == 0.004 and "4 of 1,000 documents" in chats[leaks].comes
    assert "5-gram of bytes" in counted["bits per byte of The Tempest"].comes
    for number in [*chats.values(), *counted.values()]:
        assert number.comes.endswith(".") and number.not_said.endswith(".")


def test_failures_are_what_chance_and_the_5_gram_are_not_beaten_in(folder):
    assert reports(folder)[CHATS].failures == [
        "Which line comes next it can't tell better than a guesser, as far as these questions show.",
        "Of addition it gets 95% wrong.",
        "As it chats, it predicts worse than a 5-gram: film reviews.",
        "It makes facts up, and nothing was done to keep it from rude or harmful text.",
    ]


def test_the_card_has_the_same_numbers_and_a_text_in_it_is_no_markup(folder):
    made, scores = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("manifest", "scores"))
    text = card.markdown([card._asked(made, reports(folder)), card._examples(scores)])
    assert "task: orders, as it chats | 100% of 60 | 94% to 100% | 0.0%" in text
    assert "which line comes next, before tuning | 26% of 240 | 21% to 32% | 25.0%" in text
    assert "It repeats 12.5% of its runs" in text
    assert "a\\|b | &lt;b&gt;x&lt;/b&gt; and more" in text


def test_the_card_counts_minutes_and_watt_hours_by_the_threads_of_each_stage():
    stages = {"pretrain": {"seconds": 360, "threads": 2, "notes": {"flops": 2e13}}, "tune": {"seconds": 1440}}
    made = {"stages": stages, "made_with": {"threads": 1, "machine": "Linux"}}
    section = card._cost(made, {"spikes": [], "evaluations": [[1, 2.0]]})
    assert section.paragraphs[0].startswith(
        "6.0 minutes on 2 threads and 24.0 minutes on 1 thread (Linux); 2e+13"
    )
    assert section.paragraphs[0].endswith(" 6 watt-hours.") and section.table[1] == ["pretrain", "360", "2"]
