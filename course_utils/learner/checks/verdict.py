"""What a check says, as text and as HTML: the same words in both, and nothing told by colour alone."""

import re
from dataclasses import dataclass
from html import escape

# status: symbol, word, JupyterLab's colour
LOOKS = {
    "passed": ("✓", "passed", "success"),
    "not yet": ("○", "not yet", "info"),
    "mistake": ("✗", "not right yet", "warn"),
    "wrong": ("✗", "not right yet", "warn"),
    "error": ("✗", "stopped by an error", "error"),
}


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    `status` is "passed", "not yet" (nothing written so far), "mistake" (a known wrong answer, or one that
    changes its input), "wrong" (an unknown mistake) or "error" (the answer raised). `sentence` says it in
    words; `facts` are pairs of a label and a text (the smallest input, what it gave, what was expected);
    `help` holds steps of the ladder of help, in Markdown.
    """

    id: str
    title: str
    status: str
    sentence: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    help: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    def __repr__(self) -> str:
        symbol, word, _ = LOOKS[self.status]
        lines = [f"{symbol} {self.id} {self.title}: {word}.", self.sentence]
        lines += [f"  {label + ':':<15} {text}" for label, text in self.facts]
        return "\n".join([*filter(None, lines), *(f"\n{step}" for step in self.help)])

    def _repr_html_(self) -> str:
        symbol, word, colour = LOOKS[self.status]
        facts = "".join(
            f"<dt>{escape(label)}</dt><dd style='margin:0 0 4px 1em'><code>{escape(text)}</code></dd>"
            for label, text in self.facts
        )
        return (
            f"<div role='status' style='border-left:4px solid var(--jp-{colour}-color1);padding:4px 12px;"
            "color:var(--jp-ui-font-color1);background:var(--jp-layout-color1)'>"
            f"<p style='margin:4px 0'><span aria-hidden='true'>{symbol}</span> "
            f"<strong>{escape(self.id)} {escape(self.title)}: {word}.</strong></p>"
            + (f"<p style='margin:4px 0'>{_inline(self.sentence)}</p>" if self.sentence else "")
            + (f"<dl style='margin:4px 0'>{facts}</dl>" if facts else "")
            + "".join(markdown_to_html(step) for step in self.help)
            + "</div>"
        )


def markdown_to_html(text: str) -> str:
    """Render the little Markdown that help uses: paragraphs, `code`, **bold**, and fenced blocks."""
    parts = []
    for i, part in enumerate(re.split(r"```(?:python)?\n?", text)):
        if i % 2:
            parts.append(f"<pre style='overflow-x:auto'>{escape(part)}</pre>")
            continue
        parts += [f"<p>{_inline(text.strip())}</p>" for text in part.split("\n\n") if text.strip()]
    return "".join(parts)


def _inline(text: str) -> str:
    """Render `code`, in which stars are stars, **bold** and *emphasis*; the stars of a product have a blank,
    a word or code on both sides."""
    line = re.sub(r"`([^`]+)`", lambda code: f"<code>{code[1].replace('*', '&#42;')}</code>", escape(text))
    line = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", line)
    return re.sub(r"(?<![\w>])\*([\w<][^*]*[\w>])\*(?![\w<])", r"<em>\1</em>", line)


@dataclass(frozen=True)
class Help:
    """A step of help that shows itself; `text` is Markdown."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text
