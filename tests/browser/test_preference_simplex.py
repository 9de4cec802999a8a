"""The simplex of preferences in a real browser: its arithmetic against Python, and what a learner does."""

import numpy as np
import pytest
from playwright.sync_api import expect

from course_utils.finetuning import simplex
from course_utils.widgets.preference_simplex import PreferenceSimplex

CELL = """\
from course_utils.widgets.preference_simplex import PreferenceSimplex
PreferenceSimplex(["helpful", "short", "</script>"])"""


@pytest.fixture(scope="module")
def arithmetic(browser):
    page = browser.new_page()
    names = "optimum, objective, winsOf, dpoPath, groupPath, policyAt, rewardsAt"
    page.evaluate(
        """async ([source, names]) => {
          const blob = new Blob([source, `\\nexport { ${names} };`], { type: "text/javascript" });
          window.simplex = await import(URL.createObjectURL(blob));
        }""",
        [PreferenceSimplex._esm, names],
    )
    yield lambda name, *given: page.evaluate(f"(given) => simplex.{name}(...given)", list(given))
    page.close()


def worlds():
    draws = np.random.default_rng(0)
    for _ in range(6):
        yield draws.dirichlet([2, 2, 2]), draws.uniform(-3, 3, 3).round(1), float(draws.choice([0.1, 0.5, 3]))


def test_javascript_finds_the_optimum_and_what_it_is_worth(arithmetic):
    for reference, rewards, beta in worlds():
        best = simplex.optimum(reference, rewards, beta)
        given = reference.tolist(), rewards.tolist(), beta
        np.testing.assert_allclose(arithmetic("optimum", *given), best, rtol=1e-9, atol=1e-300)
        worth = simplex.objective(best, reference, rewards, beta)
        assert arithmetic("objective", best.tolist(), *given) == pytest.approx(worth)


def test_javascript_goes_where_python_goes(arithmetic):
    draws = np.random.default_rng(0)
    asked, chances = draws.permuted(np.tile([0, 1, 2], (30, 1)), axis=1)[:, :2], draws.random(30, np.float32)
    for reference, rewards, beta in worlds():
        of = reference.tolist(), rewards.tolist()
        for wins, given in (
            (simplex.expected_wins(rewards), [None]),
            (simplex.drawn_wins(rewards, asked, chances), [asked.tolist(), chances.tolist()]),
        ):
            found = arithmetic("winsOf", of[1], *given)
            np.testing.assert_allclose(found, wins, atol=1e-12)
            path = simplex.dpo_path(reference, wins, beta, 50)
            np.testing.assert_allclose(arithmetic("dpoPath", of[0], found, beta, 50), path, atol=1e-9)
        for divide, exact in ((True, False), (False, False), (False, True)):
            path = simplex.group_path(reference, rewards, beta, 50, 8, divide, exact)
            found = arithmetic("groupPath", *of, beta, 50, 8, divide, exact)
            np.testing.assert_allclose(found, path, atol=1e-9)


def test_a_point_of_the_triangle_is_a_policy_and_back(arithmetic):
    for policy in ([0.2, 0.3, 0.5], [0.8, 0.1, 0.1], [1 / 3, 1 / 3, 1 / 3]):
        x, y = policy[1] + policy[2] / 2, 1 - policy[2]
        np.testing.assert_allclose(arithmetic("policyAt", x, y), policy, atol=1e-12)
        rewards = np.array(arithmetic("rewardsAt", policy, 3))
        np.testing.assert_allclose(simplex.softmax(rewards), policy, atol=0.03)
    assert min(arithmetic("policyAt", -1, 2)) >= 0
    assert max(arithmetic("rewardsAt", [1, 0, 0], 3)) == 3


def begin(opened, rewards=(1, 0, -1)):
    widget = opened.widget()
    for name, reward in zip(("helpful", "short", "</script>"), rewards, strict=True):
        widget.get_by_role("slider", name=f"reward of {name}").fill(str(reward))
    widget.get_by_role("slider", name="steps gone").fill("400")
    opened.settled(widget)
    return widget


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_the_table_says_what_the_sentence_says(opened):
    widget = begin(opened, (2, 0, -1))
    expect(sentence(widget)).to_contain_text("With rewards “helpful” 2.0, “short” 0.0, “</script>” −1.0")
    cells = widget.locator(".cw-scroll tbody tr").last.locator("td").all_inner_texts()
    assert " / ".join(cells[1:4]) in sentence(widget).inner_text()
    expect(widget.locator(".cw-scroll tbody tr")).to_have_count(6)


def test_dragging_the_preferences_moves_rewards_and_paths(opened):
    widget = begin(opened)
    plot = widget.locator(".sp-plot")
    box, before = plot.bounding_box(), plot.locator("polyline").nth(1).get_attribute("points")
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"]  # near the top: the third answer
    opened.page.mouse.move(x, y + 40)
    opened.page.mouse.down()
    opened.page.mouse.move(x, y)
    assert plot.locator("polyline").nth(1).get_attribute("points") != before  # before it is let go
    opened.page.mouse.up()
    expect(sentence(widget)).to_contain_text("“</script>” 1.")
    reward = widget.get_by_role("slider", name="reward of </script>").input_value()
    assert float(reward) == pytest.approx(1.4, abs=0.15)


def test_steps_show_the_methods_going_and_boxes_hide_them(opened):
    widget = begin(opened)
    widget.get_by_role("slider", name="steps gone").fill("0")
    expect(sentence(widget)).to_contain_text("after 0 steps DPO on endless pairs at 20.0 % / 30.0 % / 50.0 %")
    places = {dot.get_attribute("style").split(" --")[0] for dot in widget.locator(".sp-end").all()}
    assert len(places) == 1
    widget.get_by_role("slider", name="steps gone").fill("400")
    widget.get_by_role("checkbox", name="DPO").uncheck()
    expect(widget.locator(".sp-plot polyline")).to_have_count(3)
    widget.get_by_role("checkbox", name="DPO").check()
    expect(widget.locator(".sp-plot polyline")).to_have_count(4)


def test_keys_then_touch(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    widget.get_by_role("slider", name="beta").focus()
    press("Home")
    expect(sentence(widget)).to_contain_text("and beta 0.1 the optimum")
    widget.get_by_role("slider", name="pairs").focus()
    press("Home")
    expect(sentence(widget)).to_contain_text("DPO on 1 pair at")
    box = widget.locator(".sp-plot").bounding_box()
    opened.page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.95 * box["height"])
    expect(sentence(widget)).to_contain_text("“short” 1.")
