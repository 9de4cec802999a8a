"""The tokenizer bench: one text cut by several tokenizers, and how many tokens other languages cost."""

from collections.abc import Callable

from matplotlib.figure import Figure

from course_utils.tokenizers import BPETokenizer, bpe
from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Text
from course_utils.widgets.words import plural, quoted, shortened, signs, text_of

Token = tuple[int, bytes]  # an id, and the bytes that it stands for

MAX_CHARACTERS = 2000  # of a text that are cut up
MAX_CHIPS = 100  # a tokenizer; more can't be taken in at once
# where the slider of merges can stand: each of the first 20, then steps that grow
STOPS = [*range(21), 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000]
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"]


class TokenizerBench(Widget):
    """Tokenizers beside each other on a text of the learner's.

    merges: what our own BPE has learnt, as pairs of ids; a slider says how many of them it may use.
    others: {name: split}, where `split(text)` lists the tokens of a text, (id, bytes) each.
    verses: {language: texts}, the same texts in each; the others are compared with the first language.
    examples: texts on buttons, {what it is: text}; the bench begins with the first.

    Raises ValueError for more than three others, or for languages with unequally many texts.
    """

    def __init__(
        self,
        merges: list[bpe.Pair],
        others: dict[str, Callable[[str], list[Token]]],
        verses: dict[str, list[str]],
        examples: dict[str, str],
    ):
        if len(others) > 3:
            raise ValueError(f"at most 3 tokenizers stand beside our own; got {len(others)}")
        if len({len(texts) for texts in verses.values()}) > 1:
            lengths = {language: len(texts) for language, texts in verses.items()}
            raise ValueError(f"each language has the same texts, and so equally many; got {lengths}")
        self._merges, self._others, self._verses, self._examples = merges, others, verses, examples
        self._own = {}  # number of merges -> tokenizer
        self._costs = {}  # (tokenizer, number of merges) -> tokens a verse, by language
        stops = [stop for stop in STOPS if stop < len(merges)] + [len(merges)]
        super().__init__(
            text=Text(MAX_CHARACTERS, kept="first", start=next(iter(examples.values()))),
            merges=OneOf(stops, start=stops[-1]),
        )

    def compute(self, state: dict) -> dict[str, list[Token]]:
        """The tokens of the text, by tokenizer."""
        others = {name: split(state["text"]) for name, split in self._others.items()}
        return {"own BPE": self._split(state["text"], state["merges"]), **others}

    # ---- what the tokenizers say -----------------------------------------------------------------

    def _split(self, text: str, n_merges: int) -> list[Token]:
        if n_merges not in self._own:
            self._own[n_merges] = BPETokenizer(self._merges[:n_merges])
        own = self._own[n_merges]
        return [(int(i), own.tokens[i]) for i in own.encode(text)]

    def costs(self, name: str) -> dict[str, float]:
        """Tokens that a tokenizer needs for a verse, on average, in each language."""
        n_merges = self.state["merges"] if name == "own BPE" else 0
        if (name, n_merges) not in self._costs:
            split = self._others.get(name) or (lambda text: self._split(text, n_merges))
            self._costs[name, n_merges] = {
                language: sum(len(split(text)) for text in texts) / len(texts)
                for language, texts in self._verses.items()
            }
        return self._costs[name, n_merges]

    # ---- what is seen ----------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"examples": self._examples}

    def view(self) -> dict:
        merges = self.state["merges"]
        table, last = self._own[merges].tokens, self._merges[merges - 1] if merges else ()
        return {
            "bytes": len(self.state["text"].encode()),
            "last": [text_of(table[i]) for i in last],
            "rows": [
                {
                    "name": name,
                    "colour": colour,
                    "count": len(tokens),
                    "tokens": [self._chip(name, *token) for token in tokens[:MAX_CHIPS]],
                    "costs": self.costs(name),
                }
                for (name, tokens), colour in zip(self.found.items(), COLOURS, strict=False)
            ],
        }

    def _chip(self, name: str, i: int, data: bytes) -> dict:
        """A token as the page shows it: its text, bytes, and for our own the two that it was merged from."""
        merged = self._merges[i - 256] if name == "own BPE" and i >= 256 else ()
        return {
            "id": i,
            "text": text_of(data),
            "bytes": data.hex(" ").upper(),
            "from": [text_of(self._own[self.state["merges"]].tokens[part]) for part in merged],
        }

    def describe(self) -> str:
        text, merges = self.state["text"], self.state["merges"]
        counts = [
            f"{plural(len(tokens), 'token')} by {name}"
            + (f" with {plural(merges, 'merge')}" if name == "own BPE" else "")
            for name, tokens in self.found.items()
        ]
        sentence = (
            f"{quoted(shortened(text, 60))} is {plural(len(text), 'character')} and "
            f"{plural(len(text.encode()), 'byte')}: {', '.join(counts)}."
        )
        if len(self._verses) > 1:
            first, *others = self._verses
            dearest = []
            for name in self.found:
                times = self._relative(name)
                language = max(others, key=times.get)
                dearest.append(f"{language} {times[language]:.2f} times by {name}")
            sentence += f" Dearest in tokens, against {first}: {', '.join(dearest)}."
        return sentence

    def _relative(self, name: str) -> dict[str, float]:
        costs = self.costs(name)
        first = next(iter(costs.values()))
        return {language: cost / first for language, cost in costs.items()}

    def picture(self, figure: Figure) -> None:
        left, right = figure.subplots(2, 1, height_ratios=[1, 1.4])
        left.axis("off")
        for i, (name, tokens) in enumerate(self.found.items()):
            pieces = shortened("|".join(signs(text_of(data)) for _, data in tokens), 80)
            y = 0.9 - 0.28 * i
            left.text(0, y, f"{name}: {plural(len(tokens), 'token')}", color="#444444", fontsize=9)
            left.text(0, y - 0.12, pieces, family="monospace", fontsize=9)
        width = 0.8 / len(self.found)
        for i, (name, colour) in enumerate(zip(self.found, COLOURS, strict=False)):
            places = [place + i * width for place in range(len(self._verses))]
            right.bar(
                places, self._relative(name).values() if self._verses else [], width, color=colour, label=name
            )
        right.set_xticks(
            [place + width * (len(self.found) - 1) / 2 for place in range(len(self._verses))], self._verses
        )
        right.tick_params(labelsize=8)
        right.set_ylabel("tokens a verse,\nrelative to the first", fontsize=8)
        right.legend(frameon=False, fontsize=8)
        right.spines[["top", "right"]].set_visible(False)


def byte_tokens(tokenizer) -> Callable[[str], list[Token]]:
    """`split` for a byte-level `tokenizers.Tokenizer`, such as SmolLM2's."""
    byte_of = {character: byte for byte, character in bpe.VISIBLE.items()}

    def split(text: str) -> list[Token]:
        encoded = tokenizer.encode(text, add_special_tokens=False)
        return [
            (i, bytes(byte_of[c] for c in token))
            for i, token in zip(encoded.ids, encoded.tokens, strict=True)
        ]

    return split


def word_piece_tokens(tokenizer) -> Callable[[str], list[Token]]:
    """`split` for our WordPieceTokenizer: of a piece its own spelling counts, "##" and all."""
    return lambda text: [(tokenizer.ids[token], token.encode()) for token in tokenizer.split(text)]
