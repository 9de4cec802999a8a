"""The QKV stepper in a real JupyterLab, and its arithmetic beside Python's."""

import numpy as np
import pytest
from playwright.sync_api import expect

from course_utils.widgets.qkv_stepper import MADE, QKVStepper, attention_steps, written

CELL = """\
import numpy as np
from course_utils.widgets.qkv_stepper import QKVStepper, attention_steps
x = np.array([[1, 0, 0.5], [0, 2, 0.5], [1, 1, -1], [-1, 0.5, 1]])
W_q = np.array([[1, 0], [0, 1], [0.5, -1]])
W_k = np.array([[0, 1], [1, 0], [1, 0.5]])
W_v = np.array([[1, 0], [0.5, 1], [0, -1]])
def mine(x, W_q, W_k, W_v, allowed):
    steps = attention_steps(x, W_q, W_k, W_v, allowed)
    return steps | {"scaled": steps["scores"] / 2}
"""
PLAIN = CELL + 'QKVStepper(["the", "cat", "sat", "down"], x, W_q, W_k, W_v)'
YOURS = CELL + 'QKVStepper(["</script>", "", "שלום", "🦜"], x, W_q, W_k, W_v, causal=False, yours=mine)'
# a plain stepper, one with hostile tokens and a learner's function, and one for the keys
CELLS, HEIGHT = [PLAIN, YOURS, PLAIN], 1400


# ---- the arithmetic --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call(browser):
    """Call a function of the widget's module in an empty page."""
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { attention, equation, sources, written };"],
                                { type: "text/javascript" });
          window.qkv = await import(URL.createObjectURL(blob));
        }""",
        QKVStepper._esm,
    )
    yield lambda expression, argument=None: page.evaluate(expression, argument)
    page.close()


@pytest.fixture(scope="module")
def numbers():
    generator = np.random.default_rng(0)
    shapes = {"x": (5, 6), "W_q": (6, 4), "W_k": (6, 4), "W_v": (6, 3)}
    return {name: np.round(generator.normal(0, 2, size=shape), 1) for name, shape in shapes.items()}


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("scale", [0, 1, 30])
def test_every_matrix_is_pythons(call, numbers, causal, scale):
    numbers = numbers | {"x": numbers["x"] * scale}
    allowed = np.tri(5, dtype=bool) if causal else np.ones((5, 5), dtype=bool)
    theirs = attention_steps(*numbers.values(), allowed)
    ours = call(
        """([{ x, ...matrices }, causal]) => Object.fromEntries(Object.entries(
          qkv.attention(x, matrices, causal)).map(([name, m]) => [name, m.map((row) => row.map(String))]))""",
        [{name: matrix.tolist() for name, matrix in numbers.items()}, causal],
    )
    for name in MADE:
        came = np.array([[float(x.replace("Infinity", "inf")) for x in row] for row in ours[name]])
        assert came == pytest.approx(theirs[name], rel=1e-12, abs=1e-12)


def test_every_equation_ends_in_its_cell_and_its_sources_make_it(call, numbers):
    """The numbers of an equation, put together as Python does, give what stands in the cell."""
    values = numbers | attention_steps(*numbers.values(), np.tri(5, dtype=bool))
    equations = call(
        """({ x, ...matrices }) => {
          const m = qkv.attention(x, matrices, true);
          return Object.entries(m).flatMap(([name, rows]) => rows.flatMap((row, i) => row.map((_, j) =>
            [name, i, j]))).map((cell) =>
              ({ cell, ...qkv.equation(cell, m, true), from: qkv.sources(cell, m) }));
        }""",
        {name: matrix.tolist() for name, matrix in numbers.items()},
    )
    assert len(equations) == sum(matrix.size for matrix in values.values())
    for equation in equations:
        name, i, j = equation["cell"]
        assert equation["at"] == f"{name}[{i}, {j}]"
        last = equation["numbers"][-1].split(" ", 1)[1].replace("−", "-").replace("∞", "inf")
        assert float(last) == pytest.approx(values[name][i, j], abs=6e-4)
        from_ = [values[n][r, c] for n, r, c in equation["from"]]
        half = len(from_) // 2
        if name in ("q", "k", "v", "scores", "output"):
            assert np.dot(from_[:half], from_[half:]) == pytest.approx(values[name][i, j])
            written_out = equation["numbers"][0].replace("−", "-").replace("×", "*").removeprefix("= ")
            assert eval(written_out) == pytest.approx(values[name][i, j], abs=0.05)
            assert written_out.count("*") == half
        elif name == "weights":
            assert from_ == values["masked"][i].tolist()
            assert equation["numbers"][0].count("exp(") == 6


@pytest.mark.parametrize("number", [0.5, -0.25, 0.0625, -0.00001, 12, 100, 2 / 3, -1e-20, 0.1235, 1.0005])
def test_numbers_are_written_as_python_writes_them(call, number):
    assert call("(x) => qkv.written(x)", number) == written(number)


# ---- the stepper -----------------------------------------------------------------------------------


def begin(opened, i=0, step=0):
    widget = opened.widget(i)
    widget.get_by_role("button", name="Reset the numbers").click()
    widget.get_by_role("tab").nth(step).click()
    opened.settled(widget)
    return widget


def cell(widget, name, i, j):
    return (
        widget.get_by_role("grid", name=name, exact=True)
        .locator("tr")
        .nth(i + 1)
        .get_by_role("gridcell")
        .nth(j)
    )


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_step_forward_and_back_keeps_the_query(opened):
    widget = begin(opened)
    cell(widget, "x", 1, 0).click()
    seen = []
    for _ in range(6):
        widget.get_by_role("button", name="Next").click()
        opened.settled(widget)
        seen.append(sentence(widget).inner_text().split(" is ")[0])
    assert seen == [
        "Step 2 of 7, queries, keys, values: q[1, 0] of “cat”",
        "Step 3 of 7, scores: scores[1, 0] of query “cat” and key “the”",
        "Step 4 of 7, scaled: scaled[1, 0] of query “cat” and key “the”",
        "Step 5 of 7, masked: masked[1, 0] of query “cat” and key “the”",
        "Step 6 of 7, weights: weights[1, 0] of query “cat” and key “the”",
        "Step 7 of 7, output: output[1, 0] of “cat”",
    ]
    expect(widget.get_by_role("button", name="Next")).to_be_disabled()
    expect(widget.get_by_role("button", name="Next")).to_be_focused()  # the keyboard stays
    widget.get_by_role("button", name="Back").click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 6 of 7")


def test_a_cell_has_its_sum_written_out_and_its_sources_marked(opened):
    widget = begin(opened, step=2)
    cell(widget, "scores", 1, 0).click()
    lines = widget.locator(".qs-sum p")
    expect(lines).to_have_text(["scores[1, 0] = q[1] · k[0]", "= 0.25 × 0.5 + 1.5 × 1.25", "= 2"])
    marked = widget.locator(".qs-from").evaluate_all("(cells) => cells.map((cell) => cell.ariaLabel)")
    assert marked == ["q[1, 0], cat, 0.25", "q[1, 1], cat, 1.5", "k[0, 0], the, 0.5", "k[0, 1], the, 1.25"]
    cell(widget, "q", 1, 1).click()
    expect(lines.nth(1)).to_have_text("= 0 × 0 + 2 × 1 + 0.5 × (−1)")
    widget.get_by_role("tab", name="5 masked").click()
    cell(widget, "masked", 0, 2).click()
    expect(lines.first).to_have_text("masked[0, 2] = hidden: key 2 comes after query 0")
    widget.get_by_role("tab", name="6 weights").click()
    cell(widget, "weights", 1, 0).click()
    expect(lines.nth(1)).to_have_text("= exp(1.414) / (exp(1.414) + exp(0.707) + exp(−∞) + exp(−∞))")
    expect(lines.nth(3)).to_have_text("≈ 0.67")


def test_an_edited_number_changes_what_follows_before_the_kernel_answers(opened):
    widget = begin(opened)
    cell(widget, "x", 0, 2).click()
    widget.get_by_role("tab", name="6 weights").click()
    cell(widget, "weights", 1, 0).click()
    opened.settled(widget)
    before = widget.locator(".qs-scene").screenshot()
    at_once = widget.get_by_role("spinbutton").evaluate(
        """(field) => {
          field.value = "-3";
          field.dispatchEvent(new Event("input", { bubbles: true }));
          return field.closest(".course-widget").querySelectorAll("[role=gridcell]")[20].ariaLabel;
        }"""
    )
    x = np.array([[1, 0, -3], [0, 2, 0.5], [1, 1, -1], [-1, 0.5, 1]])
    W_q, W_k = np.array([[1, 0], [0, 1], [0.5, -1]]), np.array([[0, 1], [1, 0], [1, 0.5]])
    weights = attention_steps(x, W_q, W_k, W_q, np.tri(4, dtype=bool))["weights"]
    assert at_once == f"weights[1, 0], query cat, key the, {written(weights[1, 0])}"
    opened.settled(widget)
    assert widget.locator(".qs-scene").screenshot() != before
    expect(sentence(widget)).to_contain_text(f"“cat” mixes with the weights {weights[1, 0]:.2f} for “the”")
    widget.get_by_role("button", name="Reset the numbers").click()
    opened.settled(widget)
    assert widget.locator(".qs-scene").screenshot() == before


def test_a_number_between_the_steps_of_the_arrow_keys_is_taken(opened):
    widget = begin(opened)
    cell(widget, "x", 0, 2).click()
    field = widget.get_by_role("spinbutton")
    field.fill("0.25")
    expect(sentence(widget)).to_contain_text("x[0, 2] of “the” is 0.25")
    assert field.evaluate("(field) => field.validity.valid")
    field.fill("0.3")
    field.press("ArrowUp")
    expect(sentence(widget)).to_contain_text("x[0, 2] of “the” is 0.4")


@pytest.mark.parametrize("typed", ["", "11", "-"])
def test_a_number_that_is_not_allowed_changes_nothing(opened, typed):
    widget = begin(opened, step=1)
    before = sentence(widget).inner_text()
    field = widget.get_by_role("spinbutton")
    field.press("Control+a")
    if typed == "-":
        field.press_sequentially(typed)  # on the way to a number, and none yet
    else:
        field.fill(typed)
    opened.settled(widget)
    assert sentence(widget).inner_text() == before
    expect(widget.locator(".cw-problem")).to_be_hidden()


def test_the_first_step_that_differs_is_marked_and_can_be_gone_to(opened):
    widget = begin(opened, 1)
    expect(widget.get_by_role("tab").nth(3)).to_have_text("4 scaled ✗")
    assert widget.locator("[role=tab][data-wrong]").count() == 1
    widget.get_by_role("button", name="Go to where your function differs first: scaled[0, 1]").click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("at scaled[0, 1]: got 1.5, expected 2.121.")
    expect(widget.locator(".qs-sum p").last).to_have_text("✗ your function: 1.5")
    assert widget.locator("[role=gridcell][data-wrong]").count() == 1
    assert opened.widget(0).get_by_role("button", name="Go to where").count() == 0


def test_hostile_tokens_and_no_mask(opened):
    widget = begin(opened, 1, step=4)
    assert widget.get_by_text("−∞").count() == 0
    expect(sentence(widget)).to_contain_text("“</script>”")
    heads = widget.get_by_role("grid", name="masked").locator("th[scope=row]").all_inner_texts()
    assert [head.replace("\u2009", " ") for head in heads] == ["0 </script>", "1 ∅", "2 שלום", "3 🦜"]


def test_the_tables_are_the_matrices_of_the_step(opened):
    widget = begin(opened, step=1)
    widget.get_by_role("button", name="Show as table").click()
    captions = widget.locator(".cw-tables caption").all_inner_texts()
    assert captions == ["x", "W_q", "q", "W_k", "k", "W_v", "v"]
    widget.get_by_role("button", name="Hide table").click()


def test_keys_then_touch(opened):
    press, widget = opened.page.keyboard.press, opened.widget(2)
    widget.get_by_role("tablist").focus()
    for key in ("End", "ArrowLeft", "Home", "ArrowRight", "ArrowRight"):
        press(key)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 3 of 7, scores: scores[3, 0]")
    opened.tab_to("[aria-label=scores]")
    for key in ("ArrowUp", "End", "ArrowLeft", "ArrowUp", "ArrowDown", "ArrowDown", "ArrowDown"):
        press(key)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("scores[3, 2] of query “down” and key “sat”")
    for _ in range(3):  # past k and q
        press("Shift+Tab")
    expect(widget.get_by_role("tablist")).to_be_focused()
    press("Home")
    opened.tab_to("[aria-label=x]")
    press("ArrowUp")
    press("Enter")
    assert opened.page.evaluate("document.activeElement.matches('[type=number]')")
    press("ArrowUp")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("x[2, 2] of “sat” is −0.9")
    press("Escape")

    widget.get_by_role("tab", name="7 output").tap()
    cell(widget, "output", 1, 1).tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("output[1, 1] of “cat”")
