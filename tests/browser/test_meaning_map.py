"""The meaning map in a real JupyterLab: points are picked by press, key and touch."""

import numpy as np
from playwright.sync_api import expect

CELL = """\
import numpy as np
from course_utils.widgets.meaning_map import MeaningMap
flat = np.tile([0.0, 0, 1], (6, 1))
heaps = np.array([[-3.0, 0, 9], [-3, 1, 9], [-3, -1, 9], [3, 0, 9], [3, 1.1, 9], [3, -1.2, 9]])
sentences = [f"{i} by the bank we swam" for i in range(3)] + [f"{i} at the bank we paid" for i in range(3, 6)]
MeaningMap([flat, heaps], [(sentence, 9, 13) for sentence in sentences], ["river"] * 3 + ["money"] * 3)"""


def begin(opened, layer=1, chosen=0):
    widget = opened.widget()
    widget.get_by_role("slider", name="layer").fill(str(layer))
    widget.locator("[role=option]").nth(chosen).click()
    opened.settled(widget)
    return widget


def sentence(widget):
    return widget.locator(".cw-sentence")


def middles(widget):
    """Where the dots stand on the map, in px."""
    plot = widget.locator(".mm-plot").bounding_box()
    settled = "(dot) => Promise.all(dot.getAnimations().map((each) => each.finished))"
    boxes = [(dot.evaluate(settled), dot.bounding_box())[1] for dot in widget.locator(".mm-dot").all()]
    return [
        (box["x"] + box["width"] / 2 - plot["x"], box["y"] + box["height"] / 2 - plot["y"]) for box in boxes
    ]


def press(widget, x, y):
    widget.locator(".mm-plot").click(position={"x": x, "y": y})


def test_the_map_shows_the_heaps_and_a_press_reads_the_sentence(opened):
    widget = begin(opened)
    points = np.array(middles(widget))
    left, right = sorted([points[:3, 0], points[3:, 0]], key=np.mean)
    assert left.max() < right.min() - 100
    press(widget, *points[4])
    expect(widget.locator(".mm-sentence")).to_have_text("4 at the bank we paid ■ money")
    expect(widget.locator(".mm-sentence mark")).to_have_text("bank")
    expect(sentence(widget)).to_contain_text(
        "Chosen: “4 at the bank we paid”, “money”; its nearest is “3 at the"
    )
    expect(widget.locator("[role=option]").nth(4)).to_have_attribute("aria-selected", "true")
    expect(widget.locator(".cw-body")).to_contain_text("100.0 % have a nearest neighbour of their own label")


def test_where_points_coincide_each_press_takes_the_next(opened):
    widget = begin(opened, layer=0)
    expect(widget.locator(".cw-body")).to_contain_text("5 others lie on the chosen point")
    points = middles(widget)
    assert np.ptp(points, axis=0).max() < 1
    seen = set()
    for _ in range(6):
        press(widget, *points[0])
        seen.add(widget.locator(".mm-sentence").inner_text())
    assert len(seen) == 6


def test_keys_go_across_and_up(opened):
    widget = begin(opened)
    points = np.array(middles(widget))
    widget.locator(".mm-plot").focus()
    chosen = widget.get_by_role("listbox")
    for axis, keys in ((0, ["Home", "ArrowRight"]), (1, ["ArrowDown", "ArrowUp"])):
        opened.page.keyboard.press("End")
        for _ in range(6):
            opened.page.keyboard.press(keys[0])
        places = []
        for _ in range(6):
            at = chosen.get_attribute("aria-activedescendant")
            items = [item.get_attribute("id") for item in widget.locator("[role=option]").all()]
            places.append(points[items.index(at)][axis])
            opened.page.keyboard.press(keys[1])
        assert len({round(p, 3) for p in places}) >= 3
        assert places == sorted(places, reverse=axis == 1)


def test_the_scale_can_be_the_layers_own(opened):
    widget = begin(opened)
    before = np.ptp(middles(widget), axis=0)
    widget.get_by_role("combobox").select_option("this layer's own")
    opened.settled(widget)
    assert (np.ptp(middles(widget), axis=0) >= before - 1).all()
    widget.get_by_role("combobox").select_option("one for all layers")


def test_there_are_two_tables(opened):
    widget = begin(opened)
    widget.get_by_role("button", name="Show as table").click()
    rows = widget.locator(".cw-tables table").nth(1).locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("040.0 %50.0 %40.0 %40.0 % to 40.0 %")
    expect(rows.nth(1)).to_contain_text("1100.0 %50.0 %")
    widget.get_by_role("button", name="Hide table").click()


def test_touch(opened):
    widget = begin(opened)
    x, y = middles(widget)[5]
    box = widget.locator(".mm-plot").bounding_box()
    opened.page.touchscreen.tap(box["x"] + x, box["y"] + y)
    expect(sentence(widget)).to_contain_text("Chosen: “5 at the bank we paid”")
