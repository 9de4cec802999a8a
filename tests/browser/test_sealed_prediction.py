"""A sealed prediction in a real JupyterLab: a run takes its time, and a second press starts no second one."""

from playwright.sync_api import expect

# the first run diverges, the second comes to 2.12, a third would come to 2.13
CELL = """\
import math
import time
from course_utils.learner.sealed_prediction import SealedPrediction
runs = []
def run():
    time.sleep(1)
    runs.append(len(runs))
    return 2.1 + 0.01 * len(runs) if len(runs) > 1 else math.inf
SealedPrediction("sealed.twice", "What will it lose?", [2.0, 2.1, 2.2], run)"""


def test_a_second_press_starts_no_second_run(opened):
    widget = opened.widget()
    run, problem = widget.locator(".sp-run"), widget.locator(":scope > .cw-problem")

    def press_twice():
        run.focus()
        opened.page.keyboard.press("Enter")
        opened.page.keyboard.press("Enter")

    widget.get_by_role("button", name="Spread the rest evenly").click()
    widget.get_by_role("button", name="Place the bet").click()
    opened.settled(widget)
    press_twice()
    expect(problem).to_contain_text("it diverged, and nothing is settled")
    opened.settled(widget)
    expect(run).to_have_text("Run it")
    press_twice()
    expect(run).to_have_text("Run and settled")
    opened.settled(widget)
    expect(widget).to_contain_text("The run came to 2.120.")
    expect(problem).not_to_be_visible()
