"""The tokenizer bench: one text cut by several tokenizers, and how many tokens other languages cost."""

from collections.abc import Callable

from matplotlib.figure import Figure

from course_utils.tokenizers import BPETokenizer, bpe, whole_characters
from course_utils.widgets.base import Widget
from course_utils.widgets.words import SIGNS, plural, quoted, text_of, visible

Token = tuple[int, bytes]  # an id, and the bytes that it stands for

KEPT = 2000  # characters of a text that are cut up
SHOWN = 100  # chips a tokenizer; more can't be taken in at once
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
        super().__init__()
        if len(others) > 3:
            raise ValueError(f"at most 3 tokenizers stand beside our own; {len(others)} came")
        if len({len(texts) for texts in verses.values()}) > 1:
            lengths = {language: len(texts) for language, texts in verses.items()}
            raise ValueError(f"each language has the same texts, and so equally many; {lengths} came")
        self._merges, self._others, self._verses, self._examples = merges, others, verses, examples
        self._stops = [stop for stop in STOPS if stop < len(merges)] + [len(merges)]
        self._own = {}  # number of merges -> tokenizer
        self._costs = {}  # (tokenizer, number of merges) -> tokens a verse, by language
        self.asked = {"text": next(iter(examples.values())), "merges": self._stops[-1]}
        self.handle({})
        self.show()

    def handle(self, request: dict) -> None:
        """text: what is cut up; merges: how many our own BPE may use."""
        asked = self.asked | {name: request[name] for name in self.asked if name in request}
        if asked["merges"] not in self._stops:
            raise ValueError(f"merges is one of {', '.join(map(str, self._stops))}; {asked['merges']!r} came")
        notices = []
        if len(asked["text"]) > KEPT:
            notices.append(f"{len(asked['text']):,} characters came; the first {KEPT:,} are cut up.")
            asked["text"] = asked["text"][:KEPT]
        whole, left_out = whole_characters(asked["text"])
        self.tokens = {
            "own BPE": self._split(whole, asked["merges"]),
            **{name: split(whole) for name, split in self._others.items()},
        }
        self.asked, self.notice = asked | {"text": whole}, " ".join(notices + left_out)

    # ---- what the tokenizers say -----------------------------------------------------------------

    def _split(self, text: str, n_merges: int) -> list[Token]:
        if n_merges not in self._own:
            self._own[n_merges] = BPETokenizer(self._merges[:n_merges])
        own = self._own[n_merges]
        return [(int(i), own.tokens[i]) for i in own.encode(text)]

    def costs(self, name: str) -> dict[str, float]:
        """Tokens that a tokenizer needs for a verse, on average, in each language."""
        n_merges = self.asked["merges"] if name == "own BPE" else 0
        if (name, n_merges) not in self._costs:
            split = self._others.get(name) or (lambda text: self._split(text, n_merges))
            self._costs[name, n_merges] = {
                language: sum(len(split(text)) for text in texts) / len(texts)
                for language, texts in self._verses.items()
            }
        return self._costs[name, n_merges]

    # ---- what is seen ----------------------------------------------------------------------------

    def view(self) -> dict:
        first, second = self._merges[self.asked["merges"] - 1] if self.asked["merges"] else (0, 0)
        table = self._own[self.asked["merges"]].tokens
        return self.asked | {
            "notice": self.notice,
            "stops": self._stops,
            "examples": self._examples,
            "bytes": len(self.asked["text"].encode()),
            "characters": len(self.asked["text"]),
            "last": [text_of(table[first]), text_of(table[second])] if self.asked["merges"] else [],
            "rows": [
                {
                    "name": name,
                    "colour": colour,
                    "count": len(tokens),
                    "tokens": [self._chip(name, *token) for token in tokens[:SHOWN]],
                    "costs": self.costs(name),
                }
                for (name, tokens), colour in zip(self.tokens.items(), COLOURS, strict=False)
            ],
        }

    def _chip(self, name: str, i: int, data: bytes) -> dict:
        """A token as the page shows it: its text, bytes, and for our own the two that it was merged from."""
        merged = self._merges[i - 256] if name == "own BPE" and i >= 256 else ()
        return {
            "id": i,
            "text": text_of(data),
            "bytes": data.hex(" ").upper(),
            "from": [text_of(self._own[self.asked["merges"]].tokens[part]) for part in merged],
        }

    def describe(self) -> str:
        text, merges = self.asked["text"], self.asked["merges"]
        shown = text if len(text) <= 60 else text[:59] + "…"
        counts = [
            f"{plural(len(tokens), 'token')} by {name}"
            + (f" with {plural(merges, 'merge')}" if name == "own BPE" else "")
            for name, tokens in self.tokens.items()
        ]
        sentence = (
            f"{quoted(shown)} is {plural(len(text), 'character')} and "
            f"{plural(len(text.encode()), 'byte')}: {', '.join(counts)}."
        )
        if len(self._verses) > 1:
            first, *others = self._verses
            dearest = []
            for name in self.tokens:
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
        for i, (name, tokens) in enumerate(self.tokens.items()):
            pieces = "|".join(visible(text_of(data)).translate(SIGNS) for _, data in tokens)
            pieces = pieces if len(pieces) <= 80 else pieces[:79] + "…"
            y = 0.9 - 0.28 * i
            left.text(0, y, f"{name}: {plural(len(tokens), 'token')}", color="#444444", fontsize=9)
            left.text(0, y - 0.12, pieces, family="monospace", fontsize=9)
        width = 0.8 / len(self.tokens)
        for i, (name, colour) in enumerate(zip(self.tokens, COLOURS, strict=False)):
            places = [place + i * width for place in range(len(self._verses))]
            right.bar(
                places, self._relative(name).values() if self._verses else [], width, color=colour, label=name
            )
        right.set_xticks(
            [place + width * (len(self.tokens) - 1) / 2 for place in range(len(self._verses))], self._verses
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
