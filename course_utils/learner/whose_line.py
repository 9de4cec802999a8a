"""Lines by two hands, mixed: who wrote which?"""

from html import escape


class WhoseLine:
    """Numbered lines, and the letter of the hand that wrote each.

    JupyterLab lists them for `guess`; on a page of the book, host.js puts the letters beside each to tap.
    """

    def __init__(self, lines: list[tuple[str, str]]):
        self.lines = lines
        self.truth = "".join(hand for _, hand in lines)

    def guess(self, letters: str) -> str:
        """How many of these letters are right, and the truth; what is missing, unless there is one a line."""
        letters, wanted = letters.upper(), len(self.truth)  # of which ß becomes two
        if len(letters) != wanted:
            hands = " or ".join(sorted({*self.truth}, reverse=True))
            return (
                f"Write your guess between the quotes: {wanted} letters, {hands}; then run this cell again."
            )
        right = sum(guess == hand for guess, hand in zip(letters, self.truth, strict=True))
        return f"{right} of {wanted} right; the truth is {self.truth}"

    def __repr__(self) -> str:
        return "\n".join(f"{number:2}  {line}" for number, (line, _) in enumerate(self.lines, start=1))

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line, _ in self.lines)
        return f'<ol class="course-whose" data-truth="{escape(self.truth)}">{items}</ol>'
