"""The adapter lab: how much of what full training changed in a matrix an adapter of some rank could hold."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Whole
from course_utils.widgets.words import percent, phrase, signs

ALPHAS = 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0
SAME = 1e-5  # float32 keeps about seven digits, and sums lose some
BYTES_EACH = 12  # of a number that trains: its gradient and AdamW's two averages, 4 bytes each


class Compared(NamedTuple):
    """The largest difference between what the adapter beside its matrix and the merged matrix give, as a
    share of the largest output, and how far the adapter moves the outputs, as a share of their length."""

    difference: float
    moved: float


class AdapterLab(Widget):
    """The spectrum of a change ΔW with an adapter of some rank and alpha laid over it.

        AdapterLab("the first block's queries", before, after, inputs)

    name: what the matrix is called. before, after: the matrix (out, in) before and after training all of its
        numbers. inputs (n, in): what it multiplies. The adapter is the best one of its rank: its ΔW is the
        nearest to the change that a matrix of that rank can be (Eckart & Young 1936), made for alpha =
        `alpha`; another alpha scales it, as it would at use.

    Raises ValueError for matrices of other shapes than each other's, inputs of another width, numbers that
    aren't finite, and matrices that are equal.
    """

    def __init__(
        self,
        name: str,
        before: Float[np.ndarray, "out in"],
        after: Float[np.ndarray, "out in"],
        inputs: Float[np.ndarray, "n in"],
        rank: int = 8,
        alpha: float = 16.0,
    ):
        before, after, inputs = (np.asarray(x, dtype=np.float32) for x in (before, after, inputs))
        if before.ndim != 2 or before.shape != after.shape or inputs.shape[1:] != before.shape[1:]:
            raise ValueError(
                "before and after are two matrices of one shape, and the inputs have as many columns; got "
                f"the shapes {before.shape}, {after.shape} and {inputs.shape}"
            )
        if not all(np.isfinite(x).all() for x in (before, after, inputs)):
            raise ValueError("all numbers are finite; before, after or inputs have NaN or infinity")
        if (before == after).all():
            raise ValueError("training has changed some numbers: these matrices are equal")
        self._name, self._before, self._inputs, self._alpha = name, before, inputs, alpha
        self._left, self._spectrum, self._right = np.linalg.svd(after - before, full_matrices=False)
        self._kept = np.cumsum(self._spectrum**2) / np.sum(self._spectrum**2)
        most = len(self._spectrum)
        super().__init__(rank=Whole(1, most, start=min(rank, most)), alpha=OneOf(ALPHAS, start=alpha))

    def compute(self, state: dict) -> Compared:
        rank, scale = state["rank"], np.float32(state["alpha"] / state["rank"])
        A = self._right[:rank]
        B = self._left[:, :rank] * self._spectrum[:rank] * np.float32(rank / self._alpha)
        plain = self._inputs @ self._before.T
        beside = plain + scale * (self._inputs @ A.T @ B.T)
        merged = self._inputs @ (self._before + scale * B @ A).T
        moved = np.linalg.norm(beside - plain) / np.linalg.norm(plain)
        difference = np.abs(beside - merged).max() / np.abs(merged).max()
        return Compared(float(difference), float(moved))

    def numbers(self) -> tuple[int, int]:
        """How many numbers the adapter has, and the matrix."""
        return self.state["rank"] * sum(self._before.shape), self._before.size

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "name": phrase(self._name),
            "spectrum": self._spectrum.astype(np.float32).tobytes(),
            "kept": self._kept.astype(np.float32).tobytes(),
            "shape": list(self._before.shape),
            "bytes_each": BYTES_EACH,
        }

    def view(self) -> dict:
        return {"moved": self.found.moved, "agreement": agreement(self.found.difference)}

    def describe(self) -> str:
        rank, alpha = self.state["rank"], self.state["alpha"]
        few, many = self.numbers()
        beside = f"Beside {phrase(self._name)}, rank {rank}, alpha {alpha:g}"
        return (
            f"{beside}: B A is multiplied by {alpha / rank:.3g}. The adapter holds "
            f"{percent(self._kept[rank - 1])} of the squared length of the change and has {few:,} numbers "
            f"for {many:,} ({percent(few / many)}); their gradients and averages take "
            f"{megabytes(few)} for {megabytes(many)}. The outputs move by {percent(self.found.moved)} of "
            f"their length. A token costs {many + few:,} multiplications with the adapter beside the matrix "
            f"and {many:,} once it is merged, and the outputs {agreement(self.found.difference)}."
        )

    def picture(self, figure: Figure) -> None:
        rank, places = self.state["rank"], np.arange(1, len(self._spectrum) + 1)
        axes = figure.add_subplot(
            xlabel=f"singular values of what changed in {signs(self._name)[:60]}", ylabel="its size"
        )
        seen = np.where(self._spectrum > 0, self._spectrum, np.nan)
        axes.semilogy(places, seen, color="0.6")
        axes.semilogy(places[:rank], seen[:rank], color="#0072b2", linewidth=3)
        axes.axvline(rank, color="black", linewidth=1)
        few, many = self.numbers()
        held = f"{percent(self._kept[rank - 1])} of the change, {percent(few / many)} of its numbers"
        axes.set_title(f"Rank {rank}: {held}", loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)


def megabytes(numbers: int) -> str:
    return f"{numbers * BYTES_EACH / 1e6:.2f} MB"


def agreement(difference: float) -> str:
    return "are the same to 5 digits" if difference < SAME else f"differ by {difference:.0e} of the largest"
