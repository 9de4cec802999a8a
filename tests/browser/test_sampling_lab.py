"""The sampling lab in a real browser: its samplers against Python, and what a learner does with it."""

import json
import math

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from test_sampling import CASES, EDGES

from course_utils import sampling
from course_utils.sampling import ALLOWED, CUTS, PENALTIES, kept, token_counts
from course_utils.widgets.sampling_lab import SETTINGS, SamplingLab, uniform

SETUP = """\
import time
import numpy as np
from course_utils.widgets.sampling_lab import SamplingLab
tokens = [" the", " cat", "</script><script>window.pwned = 1</script>", "🦜", "שלום", "\\udcc3"]
tokens += ["", "a", "a", "\\n", *(f" t{i}" for i in range(40))]
logits = np.linspace(4, -4, 50).astype(np.float32)
def next_logits(prompt):
    if prompt == "broken":
        raise KeyError("no such layer")
    if prompt == "nothing":
        return np.full(50, -np.inf)
    time.sleep(0.1 if prompt.startswith("slow") else 0)
    return np.roll(logits, len(prompt))
prompts = ["x" * 50, "The cat sat on the mat"]
"""
CELL = "SamplingLab(next_logits, tokens, prompts, encode=lambda prompt: [0, 0, 1])"
LARGE = """\
large = 3 * np.random.default_rng(0).standard_normal(49_152, dtype=np.float32)
SamplingLab(lambda prompt: large, [f" t{i}" for i in range(49_152)], ["Any"], temperature=1.0)"""
CELLS, HEIGHT = [SETUP, CELL, LARGE], 1600
LOGITS = torch.linspace(4, -4, 50)


# ---- the arithmetic ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call(browser):
    """Call a function of the widget's module in an empty page."""
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const exported = "\\nexport { SAMPLERS, raceOf, probability, draws, uniform, ALLOWED, stopsOf };";
          const blob = new Blob([source, exported], { type: "text/javascript" });
          window.lab = await import(URL.createObjectURL(blob));
          const floats = (numbers) => Float32Array.from(numbers, (x) => x ?? -Infinity); // JSON has no −∞
          window.race = (logits) => lab.raceOf(floats(logits));
          window.sampled = (steps, rows, counts) => rows.map((row, i) => {
            const times = Uint32Array.from(counts?.[i] ?? []);
            const take = (from, [name, value]) => lab.SAMPLERS[name](from, value, times);
            const after = steps.reduce(take, race(row));
            const all = new Array(row.length).fill([null, 0]);
            for (let at = after.lo; at < after.hi; at++)
              all[after.ids[at]] = [after.logits[at], lab.probability(after, at)];
            return all;
          });
        }""",
        SamplingLab._esm,
    )
    yield lambda expression, argument=None: page.evaluate(expression, argument)
    page.close()


def chain_in_javascript(call, settings, rows, counts=None):
    """The logits and the probabilities that the browser's samplers, in this order, make of rows of logits."""
    plain = [[x if math.isfinite(x) else None for x in row] for row in rows.tolist()]
    times = None if counts is None else counts.tolist()
    # as one text each way, for playwright is slow with many numbers; JSON has no −∞
    given = json.dumps([list(settings.items()), plain, times])
    result = json.loads(call("(given) => JSON.stringify(sampled(...JSON.parse(given)))", given))
    return torch.tensor([[(-math.inf if x is None else x, p) for x, p in row] for row in result]).unbind(-1)


def in_javascript(call, name, value, rows, counts=None):
    """What the sampler of the browser makes of the rows of logits."""
    return chain_in_javascript(call, {name: value}, rows, counts)[0]


def random_logits(generator, i):
    """20 rows: every third time in steps of a half, so that many tie, every fourth with banned tokens."""
    logits = (0.5 + 0.04 * i) * torch.randn(20, 3 + i, generator=generator)
    if i % 3 == 0:
        logits = (2 * logits).round() / 2
    if i % 4 == 1:
        logits[torch.rand(logits.shape, generator=generator) < 0.3] = -math.inf
        logits[:, 0] = 1.0
    return logits


@pytest.mark.parametrize("name", CASES)
def test_what_is_kept_is_what_python_keeps(call, name):
    """Only a token at its turning place, within 1e-6, may differ: both round there as they can."""
    _, near_of, value_of = CASES[name]
    generator = torch.Generator().manual_seed(0)
    differing = wrong = 0
    for i in range(100):
        logits = random_logits(generator, i)
        value = min(value_of(torch.rand((), generator=generator).item()), 3 + i)
        ours = CUTS[name](logits, value)
        differs = kept(in_javascript(call, name, value, logits)) != kept(ours)
        assert not (differs & ~near_of(logits.double(), value)).any()
        differing += differs.any(-1).sum()
        other = in_javascript(call, name, value + 1 if name == "top_k" else 0.98 * value, logits)
        wrong += (kept(other) != kept(ours)).any(-1).sum()
    assert differing <= 2  # of 2,000
    assert wrong > 20  # a value a little lower is noticed


@pytest.mark.parametrize("name", ["temperature", *PENALTIES])
def test_changed_logits_are_pythons(call, name):
    generator = torch.Generator().manual_seed(0)
    for i in range(60):
        logits = random_logits(generator, i)
        counts = token_counts(torch.randint(3 + i, (20, 9), generator=generator), 3 + i)
        value = 0.05 + 2 * torch.rand((), generator=generator).item()
        if name in PENALTIES:
            ours = PENALTIES[name](logits, counts, value)
        else:
            ours = sampling.temperature(logits, value)
        assert torch.equal(in_javascript(call, name, value, logits, counts), ours)


@pytest.mark.parametrize("name, value, probs, expected", EDGES)
def test_the_edges_of_python(call, name, value, probs, expected):
    assert kept(in_javascript(call, name, value, torch.tensor([probs]).log())).int().tolist() == [expected]


# shares that both hold exactly, so that ties are ties and sums are met
EXACT = [
    [1 / 2, 1 / 4, 1 / 4],
    [1 / 4] * 4,
    [1 / 2, 1 / 8, 1 / 8, 1 / 4],
    [1 / 4, 1 / 8, 1 / 8, 1 / 2],
    [1 / 8] * 8,
]


@pytest.mark.parametrize("name", CUTS)
def test_ties_and_sums_that_are_met_exactly(call, name):
    for value in [1, 2, 3] if name == "top_k" else [i / 16 for i in range(17)]:
        for logits in [torch.tensor([probs]).log() for probs in EXACT]:
            if ALLOWED[name][1](value):
                ours = kept(in_javascript(call, name, value, logits))
                assert ours.equal(kept(CUTS[name](logits, value))), (value, logits.exp())


@pytest.mark.parametrize("value", [0, 1e-5, 1e-30, 1e-44, 1e-300, 1e30, 1e39])
@pytest.mark.parametrize("shift", [-1000, 0, 1000])
def test_extreme_temperatures(call, value, shift):
    logits = torch.tensor([[1.0, 3, 2, 3, -0.0, 0.0]]) + shift
    ours = sampling.temperature(logits, value)
    assert torch.equal(in_javascript(call, "temperature", value, logits), ours)


@pytest.mark.filterwarnings("ignore:top_k is a whole number")
@pytest.mark.parametrize("k", [0, 10**6])
def test_k_is_clamped_as_in_python(call, k):
    assert torch.equal(in_javascript(call, "top_k", k, LOGITS[None]), sampling.top_k(LOGITS[None], k))


def test_a_whole_vocabulary(call):
    logits = 3 * torch.randn(1, 49_152, generator=torch.Generator().manual_seed(0)) - 5
    values = {
        "temperature": 0.7,
        "top_k": 50,
        "top_p": 0.9,
        "min_p": 0.05,
        "typical": 0.9,
        "epsilon": 3e-4,
        "eta": 2e-3,
    }
    for name, value in values.items():
        ours, theirs = CUTS[name](logits, value), in_javascript(call, name, value, logits)
        if name in CASES:
            differs = kept(ours) != kept(theirs)
            assert differs.sum() <= 1 and not (differs & ~CASES[name][1](logits.double(), value)).any()
        else:
            assert torch.equal(ours, theirs)


CHAIN = {
    "repetition_penalty": 1.3,
    "top_k": 20_000,
    "temperature": 1.4,
    "top_p": 0.95,
    "frequency_penalty": -0.7,
    "typical": 0.9,
    "epsilon": 3e-5,
    "eta": 1e-3,
    "min_p": 0.01,
}


def test_a_chain_keeps_what_python_keeps_of_a_whole_vocabulary(call):
    """In both orders; with this seed no token is near its turning place."""
    generator = torch.Generator().manual_seed(4)
    logits = 2.5 * torch.randn(1, 49_152, generator=generator) - 1
    counts = token_counts(torch.randint(49_152, (1, 1000), generator=generator), 49_152)

    def python(settings):
        return sampling.Sampler(**settings)(logits, counts)

    backwards = dict(reversed(CHAIN.items()))
    for settings in (CHAIN, backwards):
        theirs, probabilities = chain_in_javascript(call, settings, logits, counts)
        assert torch.equal(theirs, python(settings))
        assert torch.allclose(probabilities, python(settings).softmax(-1), rtol=1e-5, atol=0)
    assert kept(python(CHAIN)).sum() > 10 * kept(python(backwards)).sum()
    for off in ({"repetition_penalty": 1}, {"frequency_penalty": 0}):
        assert not kept(python(CHAIN | off)).equal(kept(python(CHAIN)))


@pytest.mark.parametrize(
    "name, value", [("temperature", 3), ("temperature", 1e39), ("frequency_penalty", 2**-13)]
)
def test_what_only_now_ties_is_in_the_order_of_its_ids(call, name, value):
    """Of equal tokens at the edge of top-p the later ids stay, also of those that a step made equal."""
    generator = torch.Generator().manual_seed(0)
    logits = 1000 + torch.randperm(500, generator=generator)[None] * 2**-14
    counts = torch.randint(3, (1, 500), generator=generator)
    for at in range(100, 120):
        settings = {name: value, "top_p": (at + 0.5) / 500}
        ours = sampling.Sampler(**settings)(logits, counts)
        assert torch.equal(chain_in_javascript(call, settings, logits, counts)[0], ours)


def test_the_same_values_are_allowed(call):
    values = [-1, -0.0, 0, 1e-300, 0.5, 1, 1.5, 2, 50, 1e300]
    for name, (_, allowed) in ALLOWED.items():
        theirs = call("([name, values]) => values.map((x) => lab.ALLOWED[name](x))", [name, values])
        assert theirs == [bool(allowed(value)) for value in values], name
        assert not any(call("(name) => [NaN, Infinity, -Infinity].map((x) => lab.ALLOWED[name](x))", name))


def test_a_slider_stops_only_at_allowed_values(call):
    lab = SamplingLab(lambda _: np.zeros(49_152), ["x"] * 49_152, ["p"], encode=lambda _: [])
    for name, setting in lab.fixed["settings"].items():
        stops = call("([setting, whole]) => lab.stopsOf(setting, whole)", [setting, name == "top_k"])
        assert 90 < len(stops) <= 201 and stops == sorted(set(stops))
        assert [stops[0], stops[-1]] == [setting["low"], setting["high"]]
        assert all(ALLOWED[name][1](stop) for stop in stops)


def test_draws_are_pythons(call):
    for seed in (0, 1, 2**31, 2**32 - 1):
        numbers = call("(seed) => Array.from({ length: 100 }, (_, i) => lab.uniform(seed, i))", seed)
        assert numbers == uniform(seed, 100).tolist()
    logits = np.round(2 * np.random.default_rng(0).normal(size=500)).astype(np.float32)
    lab = SamplingLab(lambda _: logits, ["x"] * 500, ["p"], temperature=1.0)
    lab.handle({"n": 5000, "seed": 3})
    ids = call(
        """([logits, n, seed]) => {
          const all = race(logits);
          return lab.draws(all, n, seed).map((place) => all.ids[place]);
        }""",
        [logits.tolist(), 5000, 3],
    )
    assert ids == lab.draws().tolist()


# ---- the lab ---------------------------------------------------------------------------------------


def begin(opened, i=0, **settings):
    """The first prompt, nothing drawn, and only these samplers on."""
    widget = opened.widget(i)
    widget.scroll_into_view_if_needed()
    widget.locator("select").first.select_option("0")
    widget.get_by_role("button", name="Clear").click()
    for name, setting in SETTINGS.items():
        switch = widget.get_by_role("checkbox", name=setting.label, exact=True)
        if switch.count():
            if name in settings:
                type_in(widget, name, str(settings[name]))
            switch.set_checked(name in settings)
    widget.get_by_role("combobox").last.select_option("before")
    opened.settled(widget)
    return widget


def type_in(widget, name, text):
    box = widget.get_by_role("textbox", name=f"{SETTINGS[name].label}, as a number")
    box.fill(text)
    box.press("Tab")


def step(widget, name):
    return widget.locator(".sa-step").filter(has_text=SETTINGS[name].label).first


def order(widget):
    return widget.locator(".sa-switch").all_inner_texts()


def handle(widget, name):
    return widget.get_by_role("button", name=f"Move {SETTINGS[name].label}, step")


def row(widget, i):
    return widget.locator(".sa-bars tbody tr:visible").nth(i)


def width(widget, i, kind):
    return row(widget, i).locator(f"i.sa-{kind}").evaluate("(bar) => bar.getBoundingClientRect().width")


def sentence(widget):
    return widget.locator(".cw-sentence")


def percents(p):
    return [f"{100 * x:.1f} %" for x in p]


def test_bars_show_the_whole_distribution_and_an_honest_rest(opened):
    widget = begin(opened, temperature=0.5)
    before, after = LOGITS.softmax(-1), (2 * LOGITS).softmax(-1)
    cells = row(widget, 0).locator("td").all_inner_texts()
    assert cells[1:3] == percents([before[0], after[0]])
    expect(row(widget, 20)).to_contain_text("the other 30 tokens")
    rest = row(widget, 20).locator("td").all_inner_texts()
    assert rest[1:3] == percents([before[20:].sum(), after[20:].sum()])
    assert width(widget, 20, "before") / width(widget, 0, "before") == pytest.approx(
        float(before[20:].sum() / before[0]), rel=0.05
    )
    assert width(widget, 1, "after") / width(widget, 0, "after") == pytest.approx(
        float(after[1] / after[0]), rel=0.05
    )
    entropies = widget.locator(".sa-plain").first.inner_text().split()
    assert (
        f"{-(before * before.log2()).sum():.2f}" in entropies
        and f"{-(after * after.log2()).sum():.2f}" in entropies
    )


def test_dragging_a_slider_repaints_before_the_kernel_hears_of_it(opened):
    widget = begin(opened, top_k=10)
    said = sentence(widget).inner_text()
    slider = widget.get_by_role("slider", name="top-k", exact=True)
    bars = widget.locator(".sa-bars").screenshot()
    slider.evaluate("(slider) => { slider.value = 30; slider.dispatchEvent(new Event('input')); }")
    expect(step(widget, "top_k")).not_to_contain_text("10 tokens left")
    assert widget.locator(".sa-bars").screenshot() != bars
    assert sentence(widget).inner_text() == said and widget.get_attribute("data-state") == "idle"
    slider.evaluate("(slider) => slider.dispatchEvent(new Event('change'))")
    opened.settled(widget)
    assert sentence(widget).inner_text() != said


def test_what_the_page_says_is_what_python_says(opened):
    widget = begin(opened, temperature=1.7, top_p=0.9, min_p=0.1, typical=0.8, eta=0.01)
    for name in ("top_p", "min_p", "typical", "eta"):
        caption = step(widget, name).locator(".sa-leaves").inner_text()
        label = f"{SETTINGS[name].label} "
        said = next(part for part in sentence(widget).inner_text().split("then ") if part.startswith(label))
        left = caption.split()[0] if "tokens left" in caption else "all"
        assert f"leaves {left}" in said
        if "tokens left" in caption:
            assert caption.split("with ")[1].split(" of")[0] in said


def test_each_cut_is_marked_on_the_curve(opened):
    widget = begin(opened, top_k=10)
    area = widget.locator(".sa-area")
    (edge,) = area.locator(".sa-edge").evaluate_all(
        "(lines) => lines.map((line) => parseFloat(line.style.left))"
    )
    assert edge == pytest.approx(100 * math.log(11) / math.log(51), abs=0.1)
    expect(area.locator(".sa-left")).to_have_text("10 left")
    expect(widget.locator(".sa-levels")).to_contain_text("top-k 10")
    picture = area.screenshot()
    begin(opened, top_k=10, typical=0.3)  # takes the likeliest away: two edges
    assert area.locator(".sa-edge").count() == 3 and area.screenshot() != picture


def test_the_order_is_changed_by_keyboard_and_counts(opened):
    widget = begin(opened, temperature=3, top_p=0.8)
    assert order(widget)[2:5] == ["temperature", "top-k", "top-p"]
    many = step(widget, "top_p").locator(".sa-leaves").inner_text()
    handle(widget, "top_p").focus()
    for _ in range(2):
        opened.page.keyboard.press("ArrowUp")
    opened.settled(widget)
    assert order(widget)[2:5] == ["top-p", "temperature", "top-k"]
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "Move top-p, step 3 of 9"
    )
    assert int(step(widget, "top_p").locator(".sa-leaves").inner_text().split()[0]) < int(many.split()[0])
    text = sentence(widget).inner_text()
    assert text.index("Top-p 0.8") < text.index("then temperature 3")
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowUp")
    assert order(widget)[0] == "top-p"
    opened.page.keyboard.press("End")
    assert order(widget)[8] == "top-p"
    for _ in range(4):
        opened.page.keyboard.press("ArrowUp")
    opened.settled(widget)
    assert order(widget)[2:5] == ["temperature", "top-k", "top-p"]


def test_the_order_is_changed_by_dragging(opened):
    widget = begin(opened, temperature=3, top_p=0.8)
    mouse, before = opened.page.mouse, order(widget)

    def drag(name, onto):
        start, end = handle(widget, name).bounding_box(), step(widget, onto).bounding_box()
        mouse.move(start["x"] + 10, start["y"] + 10)
        mouse.down()
        for part in range(1, 11):
            y = (
                start["y"]
                + 10
                + (end["y"] + end["height"] / 2 + 3 * (-1) ** (end["y"] < start["y"]) - start["y"] - 10)
                * part
                / 10
            )
            mouse.move(start["x"] + 10, y)
        mouse.up()
        opened.settled(widget)

    drag("top_p", "temperature")
    assert order(widget)[2:5] == ["top-p", "temperature", "top-k"]
    text = sentence(widget).inner_text()
    assert text.index("Top-p 0.8") < text.index("then temperature 3")
    drag("top_p", "top_k")
    assert order(widget) == before


def test_draws_stand_over_theory_and_a_seed_repeats_them(opened):
    widget = begin(opened, temperature=1)
    theory = widget.locator(".sa-bars").screenshot()
    widget.get_by_role("button", name="Draw 1,000").click()
    opened.settled(widget)
    assert widget.locator(".sa-bars").screenshot() != theory
    counts = widget.locator(".sa-bars tbody tr:visible td:nth-child(5)").all_inner_texts()
    assert sum(int(count.split(" / ")[0].replace(",", "")) for count in counts) == 1000
    p = LOGITS.softmax(-1)
    assert counts[0].endswith(f" / {1000 * p[0]:.1f}")
    expect(sentence(widget)).to_contain_text(
        "1,000 draws with seed 0: “·the” " + counts[0].split()[0] + " times"
    )
    seed = widget.get_by_role("textbox", name="Seed of the draws")
    seed.fill("5")
    assert widget.locator(".sa-bars tbody tr:visible td:nth-child(5)").all_inner_texts() != counts
    seed.fill("0")
    seed.press("Tab")
    assert widget.locator(".sa-bars tbody tr:visible td:nth-child(5)").all_inner_texts() == counts
    seed.fill("-1")
    expect(
        widget.get_by_text("a seed is a whole number from 0 to 4294967295; got “-1”, 0 stays")
    ).to_be_visible()
    seed.fill("0")
    for name in ("Clear", "Draw 1", "Draw 100"):
        widget.get_by_role("button", name=name, exact=True).click()
    expect(widget.locator(".cw-quiet").filter(has_text="101 draws with seed 0")).to_be_visible()
    expect(sentence(widget)).to_contain_text("101 draws with seed 0")  # the kernel says so too
    for _ in range(11):
        widget.get_by_role("button", name="Draw 1,000").click()
    expect(widget.get_by_text("10,000 draws with seed 0, the most there are")).to_be_visible()
    opened.settled(widget)


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("temperature", "0", "greedy, the likeliest alone is left, however often you draw"),
        ("temperature", "1e-5", "all 50 stay, entropy 4.06 → 0.00 bits"),
        ("temperature", "-1", "temperature is a number of at least 0 (greedy); got “-1”, 0.8 stays"),
        ("temperature", "nan", "temperature is a number of at least 0 (greedy); got “nan”, 0.8 stays"),
        ("temperature", "", "temperature is a number of at least 0 (greedy); got nothing, 0.8 stays"),
        ("top_k", "0", "k is from 1 to 50; got 0: 1 is used; 1 token left"),
        ("top_k", "1000000", "k is from 1 to 50; got 1000000: 50 is used; all 50 stay"),
        ("top_k", "2.5", "top-k is a whole number from 1 to the size of the vocabulary; got “2.5”, 5 stays"),
        ("top_p", "1.1", "top-p is between 0 and 1; got “1.1”, 0.9 stays"),
        ("typical", "1", "typical is above 0 and below 1; got “1”, 0.5 stays"),
        (
            "repetition_penalty",
            "1e-40",
            "this makes a logit infinite, so the step is left out; take a weaker penalty",
        ),
    ],
)
def test_values_at_the_edge_and_beyond_are_answered_in_words(opened, name, text, says):
    begin(opened)
    start = {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "typical": 0.5, "repetition_penalty": 1.2}
    widget = begin(opened, **{name: start[name]})
    type_in(widget, name, text)
    expect(step(widget, name)).to_contain_text(says)
    opened.settled(widget)
    widget.get_by_role("button", name="Draw 1", exact=True).click()
    opened.settled(widget)
    expect(widget.locator(".sa-bars")).to_be_visible()


def test_another_prompt_is_typed_or_chosen_and_the_latest_wins(opened):
    widget = begin(opened, temperature=1)
    area = widget.locator("textarea")
    expect(sentence(widget)).to_contain_text(": “·the” ")
    for text in ("slow 1", "slow 12", "slow 123", "slow 1234", "abc"):
        area.fill(text)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("After “abc”: “🦜” ")
    expect(row(widget, 0)).to_contain_text("🦜")
    assert area.input_value() == "abc"
    widget.locator("select").first.select_option(label="The cat sat on the mat")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("After “The·cat·sat·on·the·mat”: “·t12” ")


def test_a_prompt_that_fails_is_told_in_words_and_the_lab_goes_on(opened):
    widget = begin(opened, temperature=1)
    for text, says in [
        ("broken", "KeyError: 'no such layer'"),
        ("nothing", "all logits of a row are -inf"),
        ("", "type a prompt of at least one character; got none"),
    ]:
        widget.locator("textarea").fill(text)
        opened.settled(widget)
        expect(widget.locator(".cw-problem")).to_contain_text(says)
        expect(widget.locator(".sa-bars")).to_contain_text("the other 30 tokens")
    type_in(widget, "temperature", "2")
    expect(sentence(widget)).to_contain_text("Temperature 2 leaves all")
    widget.locator("textarea").fill("fine")
    opened.settled(widget)
    expect(widget.locator(".cw-problem")).to_be_hidden()


def test_hostile_tokens_are_text(opened):
    widget = begin(opened, temperature=1)
    names = widget.locator(".sa-bars tbody th").all_inner_texts()
    assert names[2].startswith("</script>") and names[3:10] == ["🦜", "שלום", "‹C3›", "∅", "a", "a", "⏎"]


def test_a_token_of_the_tail_is_named_when_it_is_drawn(opened):
    widget = begin(opened, 1, temperature=3)
    widget.get_by_role("button", name="Draw 1", exact=True).click()
    opened.settled(widget)
    expect(widget.get_by_text("1 draw with seed 0: 1 different token. The last: ·t")).to_be_visible()
    name = widget.locator(".cw-mono").last.inner_text()
    expect(sentence(widget)).to_contain_text(f"1 draw with seed 0: “{name}” 1 time")
    expect(row(widget, 20)).to_contain_text("the other 49,132 tokens")
    assert widget.evaluate("(node) => node.querySelectorAll('*').length") < 800
    widget.get_by_role("combobox").last.select_option("after")
    begin(opened, 1, temperature=1, typical=0.05)
    widget.get_by_role("combobox").last.select_option("after")
    opened.settled(widget)
    assert all(
        name.startswith("·t")
        for name in widget.locator(".sa-bars tbody tr:not(.sa-others):visible th").all_inner_texts()
    )


def test_the_tables_have_the_tokens_and_the_steps(opened):
    widget = begin(opened, temperature=1.5, top_k=30, top_p=0.9)
    widget.get_by_role("button", name="Show as table").click()
    table = widget.locator(".cw-tables table")
    assert table.first.locator("tbody tr").count() == 21 and table.nth(1).locator("tbody tr").count() == 9
    first = table.first.locator("tbody tr").first.locator("td").all_inner_texts()
    assert first[:4] == ["1", "·the", "0", f"{LOGITS.softmax(-1)[0]:.6f}"]
    widget.get_by_role("button", name="Hide table").click()


def test_keys_then_touch(opened):
    begin(opened, top_k=50)
    widget, press = begin(opened), opened.page.keyboard.press
    handle(widget, "repetition_penalty").focus()
    press("ArrowDown")
    opened.tab_to("[type=checkbox]")
    press("Space")
    opened.tab_to("[aria-label='repetition penalty']")
    press("End")
    opened.settled(widget)
    assert order(widget)[:2] == ["frequency penalty", "repetition penalty"]
    expect(sentence(widget)).to_contain_text("Repetition penalty 2 leaves all")
    opened.tab_to(".cw-number")
    press("Control+a")
    opened.page.keyboard.type("1.5")
    press("Enter")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Repetition penalty 1.5 leaves all")

    widget.get_by_role("button", name="Draw 100", exact=True).tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("100 draws with seed 0")
    widget.get_by_role("checkbox", name="top-k").tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("top-k 50 leaves all")
    before = order(widget)
    finger = opened.page.context.new_cdp_session(opened.page)
    handle(widget, "top_k").scroll_into_view_if_needed()
    start, below = handle(widget, "top_k").bounding_box(), step(widget, "top_p").bounding_box()
    far = below["y"] + below["height"] / 2 + 5 - start["y"] - 10
    for kind, down in [("Start", 0), *(("Move", far * i / 8) for i in range(1, 9)), ("End", 0)]:
        at = {"x": start["x"] + 10, "y": start["y"] + 10 + down}
        finger.send(
            "Input.dispatchTouchEvent",
            {"type": f"touch{kind}", "touchPoints": [] if kind == "End" else [at]},
        )
    opened.settled(widget)
    swapped = [*before]
    at = before.index("top-k")
    swapped[at : at + 2] = reversed(before[at : at + 2])
    assert order(widget) == swapped
