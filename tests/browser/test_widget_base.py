"""The front end's own arithmetic against Python on the same numbers, run in the browser that runs it."""

import numpy as np
import pytest
from matplotlib import colormaps

from course_utils.ngrams import NGramModel
from course_utils.widgets.ngram_explorer import NGramExplorer
from course_utils.widgets.words import ISOLATES, percent, quoted

EXPORTED = "whatIf, cividis, inkOn, requestsTo, visible, spoken, percent"


@pytest.fixture(scope="module")
def call(browser):
    """Call a function of the widget's module in an empty page."""
    page = browser.new_page()
    page.evaluate(
        """async ([source, exported]) => {
          const blob = new Blob([source, `\\nexport { ${exported} };`], { type: 'text/javascript' });
          window.widget = await import(URL.createObjectURL(blob));
        }""",
        [NGramExplorer._esm, EXPORTED],
    )
    yield lambda expression, argument=None: page.evaluate(expression, argument)
    page.close()


def test_what_if_is_what_counting_more_text_gives(call):
    text = np.array([0, 1, 0, 2, 0, 1, 0, 1])
    for smoothing, tolerance in [("mle", 1e-12), ("absolute", 1e-12)]:
        model = NGramModel(1, smoothing).fit(text, 4)
        more = NGramModel(1, smoothing).fit(np.append(text, [1] * 5), 4)
        p = call("([p, n]) => widget.whatIf(p, n, 1, 5)", [model.distribution().tolist(), len(text)])
        assert p == pytest.approx(more.distribution().tolist(), abs=tolerance)
    assert call("() => widget.whatIf([0.5, 0.5], 0, 0, 0)") == [0.5, 0.5]


def test_a_token_called_like_javascripts_own_is_read_as_a_text(call):
    assert call("() => [' ', 'constructor', 'toString', 'a\\n'].map(widget.spoken)") == [
        "blank",
        "constructor",
        "toString",
        "a⏎",
    ]


def test_a_share_is_the_same_on_the_page_and_in_the_sentence(call):
    shares = [0, 1 / 16, 5 / 16, 9 / 16, 0.0001, 0.0005, 0.9995, 0.9999, 1, *np.linspace(0.001, 0.999, 211)]
    assert call("(some) => some.map(widget.percent)", shares) == [percent(share) for share in shares]


def test_cividis_is_matplotlibs(call):
    x = np.linspace(0, 1, 101)
    ours = np.array(call("(xs) => xs.map(widget.cividis)", x.tolist()))
    assert np.abs(ours - 255 * colormaps["cividis"](x)[:, :3]).max() < 8


def test_ink_is_readable_on_every_colour_of_the_scale(call):
    def luminance(rgb):
        c = np.asarray(rgb) / 255
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for x in np.linspace(0, 1, 51):
        rgb, ink = call("(x) => [widget.cividis(x), widget.inkOn(widget.cividis(x))]", float(x))
        light, dark = sorted([luminance(rgb), 1.0 if ink == "#fff" else 0.0], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_latest_request_wins_and_one_is_on_its_way(call):
    sent = call(
        """() => {
          const sent = [], calls = widget.requestsTo({ send: (request) => sent.push(request) }, () => {});
          for (let i = 1; i <= 9; i++) calls.ask({ i });
          const before = sent.map((r) => r.i);
          const strange = calls.answered('someone else');
          const mine = calls.answered(sent[0].id);
          calls.answered(sent[1].id);
          calls.ask({ i: 10 });
          return { before, strange, mine, all: sent.map((r) => r.i) };
        }"""
    )
    assert sent == {"before": [1], "strange": False, "mine": True, "all": [1, 9, 10]}


@pytest.mark.parametrize(
    "text, seen",
    [
        ("a b\n", "a·b⏎"),
        ("", "∅"),
        ("\t\0", "⇥‹00›"),
        ("\u0301", "◌\u0301"),
        ("<b>", "<b>"),
        ("é‹C3›", "é‹C3›"),
        ("a\u202eb\u2069", "a‹202E›b‹2069›"),
    ],
)
def test_no_character_is_invisible(call, text, seen):
    assert call("(text) => widget.visible(text).map((node) => node.textContent).join('')", text) == seen


@pytest.mark.parametrize("token", ["שלום", "abc שלום 12", "مرحبا", "cat"])
def test_quotes_and_numbers_stay_beside_right_to_left_text_where_they_were_written(browser, token):
    """Without the isolates, as a control, the quote or the number goes to the other end of the text."""
    sentence = f"Likeliest: {quoted(token)} 12.5 %, {quoted(token)} 3.0 %."
    page = browser.new_page()

    def order(text):
        """The visible characters of the sentence itself, from left to right, in the page."""
        return page.evaluate(
            """([text, token]) => {
              const line = document.createElement("span");
              line.style.cssText = "white-space: nowrap; font: 20px sans-serif";
              line.textContent = text;
              document.body.replaceChildren(line);
              const left = (at) => {
                const range = document.createRange();
                range.setStart(line.firstChild, at);
                range.setEnd(line.firstChild, at + 1);
                return range.getBoundingClientRect().left;
              };
              const isOwn = ([c]) => /[“”%0-9]/.test(c) && !token.includes(c);
              const places = [...text].map((c, at) => [c, at]).filter(isOwn);
              return places.sort((a, b) => left(a[1]) - left(b[1])).map(([c]) => c).join("");
            }""",
            [text, token],
        )

    written = "".join(c for c in sentence if c in "“”%0123456789" and c not in token)
    assert order(sentence) == written
    if token == "שלום":
        assert order(sentence.translate(dict.fromkeys(map(ord, ISOLATES)))) != written
    page.close()
