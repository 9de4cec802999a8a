"""A vocabulary of whole symbols, such as letters or phonemes, for models that turn one sequence into another.

Three ids have a meaning of their own: 0 pads, 1 starts, 2 ends; the symbols follow.
"""

from collections.abc import Iterable

PAD, START, END = 0, 1, 2


class Symbols:
    """Symbols and their ids, which begin after the three that have a meaning of their own. Raises ValueError
    for a symbol that stands twice."""

    def __init__(self, symbols: Iterable[str]):
        self.symbols = ("", "<s>", "</s>", *symbols)
        self._id = {symbol: i for i, symbol in enumerate(self.symbols) if i > END}
        if len(self._id) < len(self.symbols) - 3:
            raise ValueError(f"each symbol stands once; got {self.symbols[3:]}")

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """The ids of symbols, such as the letters of a word. Raises ValueError for one that is unknown."""
        try:
            return [self._id[symbol] for symbol in symbols]
        except KeyError as error:
            known = " ".join(self._id)
            raise ValueError(f"{error.args[0]!r} is unknown; the symbols are {known}") from None

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """The symbols before the first END, without padding and START. Raises ValueError for an id that no
        symbol has."""
        symbols = []
        for i in ids:
            if i == END:
                break
            if not 0 <= i < len(self):
                raise ValueError(f"ids of symbols must be between 0 and {len(self) - 1}; got {i}")
            if i > END:
                symbols.append(self.symbols[i])
        return tuple(symbols)
