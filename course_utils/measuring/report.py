"""Measurements in a notebook that can be compared from machine to machine."""

import math
import re
from decimal import Decimal

# What differs from machine to machine in a line of `measured`: the value, and nothing else of the line.
# tests/notebooks/sanitise.cfg gives nbval the same expression.
MEASURED_VALUE = re.compile(
    r"(?<=: )(-?[\d,]+(\.\d+)?(e[-+]\d+)?|nan|-?inf)(?=[^:·\n]* · expected [^·\n]* · (holds|OUTSIDE)\b)"
)


def measured(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Print a measured value, the band it is expected in, and whether it holds.

        validation loss: 1.234 nats · expected 1.20 to 1.28 · holds

    The value may differ a little on every machine, so the notebook tests blank it; the band and the verdict
    ("holds" or "OUTSIDE") are compared. The band includes both its ends, comes from several seeds, and a
    value that is not a number is outside. Raises ValueError for a band that is no band, or for a name or
    unit that would blur where the value stands.
    """
    value, low, high = float(value), float(low), float(high)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(
            f"measured {name!r}: the band is {low} to {high}; give two finite ends, the lower first"
        )
    if re.search(r"[·\n]", name + unit) or ":" in unit:
        raise ValueError(
            f"measured {name!r} in {unit!r}: neither may hold '·' or a line break, the unit no ':'"
        )
    decimals = max(_decimals(low), _decimals(high))
    band = f"expected {_display(low, decimals)} to {_display(high, decimals)}"
    verdict = "holds" if low <= value <= high else "OUTSIDE"
    print(f"{name}: {_display(value, decimals + 1)}{unit and ' '}{unit} · {band} · {verdict}")


def _decimals(x: float) -> int:
    """The decimals that x is written with: 1.28 has two, 300.0 none."""
    return max(0, -Decimal(repr(x)).normalize().as_tuple().exponent)


def _display(x: float, decimals: int) -> str:
    """Fixed point with the band's decimals; in the form 1.2e-09 where that would be mostly zeros."""
    return f"{x:,.{decimals}f}" if decimals <= 7 else f"{x:.3g}"
