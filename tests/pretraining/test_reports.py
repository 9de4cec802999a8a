"""What a model scored, number by number, and the card that is made of it."""

import json

import pytest

from course_utils.pretraining import card, evaluate
from course_utils.pretraining.reports import BEFORE, CHATS, COUNTED, REPEATS, reports
from course_utils.weights.making_recipe import OURS

TEXTS = {"The Tempest": 2.5, "film reviews": 2.0}


def share(value, low, high, **more):
    return {"value": value, "low": low, "high": high, **more}


@pytest.fixture
def folder(tmp_path):
    line = share(0.26, 0.21, 0.32, chance=0.25)
    tasks = {
        "orders": share(1.0, 0.94, 1.0, chance=0.0, wrong=[]),
        "addition": share(0.05, 0.0, 0.1, chance=0.004, wrong=[["1+2=", "4"]]),
    }
    renamed = {evaluate.RENAMED.name: share(0.5, 0.35, 0.65, chance=0.0, wrong=[["Anna", "Tom"]])}
    later = {"addition": share(0.1, 0.0, 0.2, chance=0.004, wrong=[["5+5=", "11"]])}
    fresh = {"prompts": 90, "tasks": later | renamed, "stops": share(0.9, 0.8, 0.95)}
    chat = {"bits_per_byte": TEXTS, "next line": line, "tasks": tasks, "stops": share(0.97, 0.93, 1.0)}
    chat["fresh"] = fresh
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
        *["which line comes next", "task: orders", "task: addition", "task: addition, fresh"],
        "task: orders for new names, fresh",
        *["stops by itself", "stops by itself, fresh", REPEATS, leaks],
    ]
    assert [*before] == [*[*chats][:3], leaks] and [*counted] == [*chats][:2]
    line = chats["which line comes next"]
    assert (line.value, line.low, line.high, line.chance, line.n) == (0.26, 0.21, 0.32, 0.25, 240)
    assert chats["stops by itself"].n == 100 and chats["task: addition"].n == 60
    assert chats["stops by itself, fresh"].n == 90 and chats["task: orders for new names, fresh"].n == 40
    assert chats[leaks].value == 0.004 and "4 of 1,000 documents" in chats[leaks].comes
    assert "5-gram of bytes" in counted["bits per byte of The Tempest"].comes
    for number in [*chats.values(), *counted.values()]:
        assert number.comes.endswith(".") and number.not_said.endswith(".")


def test_failures_are_what_chance_and_the_5_gram_are_not_beaten_in(folder):
    assert reports(folder)[CHATS].failures == [
        "Which line comes next it can't tell better than a guesser, as far as these questions show.",
        "Of 60 problems of addition it gets 57 wrong. To “1+2=” it says “4”.",
        "Of 40 fresh problems of addition it gets 36 wrong. To “5+5=” it says “11”.",
        "Of 40 fresh problems of orders for new names it gets 20 wrong. To “Anna” it says “Tom”.",
        "To fresh prompts 10% of its answers have no end.",
        "As it chats, it predicts worse than a 5-gram: film reviews.",
        "It makes facts up, and nothing was done to keep it from rude or harmful text.",
    ]


def test_scores_of_an_older_course_are_asked_again(folder):
    scores = json.loads((folder / "scores.json").read_bytes())
    del scores["chat"]["fresh"]
    (folder / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(ValueError, match="is of an older course, which asked no fresh questions: delete it"):
        reports(folder)


def test_the_card_has_the_same_numbers_and_a_text_in_it_is_no_markup(folder):
    made, scores = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("manifest", "scores"))
    text = card.markdown([card._asked(made, reports(folder)), card._examples(scores)])
    assert "task: orders, as it chats | 100% of 60 | 94% to 100% | 0.0%" in text
    assert "which line comes next, before tuning | 26% of 240 | 21% to 32% | 25.0%" in text
    assert "Of the runs of four words in its answers 12.5% had stood" in text
    assert "*Explained in: chapter 12, section 4" in text
    assert "a\\|b | &lt;b&gt;x&lt;/b&gt; and more" in text


def test_the_card_counts_minutes_and_watt_hours_by_the_threads_of_each_stage():
    notes = {"flops": 2e13, "tokens": 3_080_192}
    stages = {"tokens": {"seconds": 0, "notes": {"parameters": 950_912}}}
    stages |= {"pretrain": {"seconds": 360, "threads": 2, "notes": notes}, "tune": {"seconds": 1440}}
    made = {"stages": stages, "made_with": {"threads": 1, "machine": "Linux"}}
    section = card._cost(made, {"spikes": [], "evaluations": [[1, 2.0]]})
    took, flops, spikes = section.paragraphs
    assert took.startswith("24.0 minutes on 1 thread and 6.0 minutes on 2 threads (Linux), by the clock.")
    assert took.endswith(" 6 watt-hours.") and section.table[2] == ["pretrain", "360", "2"]
    stages |= {name: stages["pretrain"] for name in ("tokenizer", "tune", "prefer", "scores")}
    stages["pretrain"]["notes"] |= {"gpus": 8, "gpu": "H100"}
    took = card._cost(made, {"spikes": [], "evaluations": []}).paragraphs[0]  # 8 for 6 minutes, one for 24
    said = (
        " Beside them 8 x H100 worked: at 700 watts each, the most that an H100 takes, 840 watt-hours more."
    )
    assert took.endswith(said)
    assert "6 x 0.95 million parameters x 3.08 million tokens are 1.8e+13 FLOPs" in flops
    assert flops.endswith("attention makes it 2e+13.") and spikes.endswith(": none.")


def test_the_card_says_how_many_problems_of_each_task_it_was_tuned_on_or_that_nobody_noted_it():
    ran = {"right": 0.5, "ends": 1.0}
    plan, notes = {"tune_steps": 900, "tune_batch": 8, "context": 256}, {"problems": {"sums": 6000}}
    for noted, said in ((notes, "problems (6,000 of sums)"), ({}, "problems (how many of each task was not")):
        made = {"plan": plan, "stages": {"tune": {"notes": noted}}}
        learnt, preferred = card._tuning(made, {"before": ran, "after": ran, "kept": "after"}).paragraphs
        assert said in learnt and learnt.endswith(": 900 steps of 8 rows of 256 tokens.")
        assert preferred.endswith("their sum did not fall, and it was kept.")


def test_no_amount_of_text_is_shown_as_nothing():
    assert card._amount({"documents": 8, "bytes": 7916}) == ["8", "8 kB"]
    assert card._amount({"documents": 12_461, "bytes": 15_958_396}) == ["12,461", "16.0 MB"]


def test_what_is_lost_to_fewer_bits_has_no_minus_before_nothing():
    costs = [{"name": name, "bits_per_byte": bits, "megabytes": 1.0, "tokens_per_second": 50.0}
             for name, bits in (("float32", 2.09287), ("int8", 2.09276))]  # fmt: skip
    assert [row[2] for row in card._quantised(costs).table[1:]] == ["0.000", "0.000"]


def test_a_notebook_shows_the_written_card_its_sections_folded():
    page, text = (OURS / "card.html").read_text("utf-8"), (OURS / "card.md").read_text("utf-8")
    shown = card.Card(OURS)
    assert repr(shown) == text
    assert "<code>course.py make --plan laptop</code>" in page and "`" in text and "`" not in page
    html = shown._repr_html_()
    assert html.count("<details>") == html.count("</details>") == page.count("<h2>") == text.count("\n## ")
    assert "<h2>" not in html and "</h2>" not in html and "<html" not in html and html.count("<table>") > 5
