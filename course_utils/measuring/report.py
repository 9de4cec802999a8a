"""Measurements in a notebook that can be compared from machine to machine.

A value may differ a little on every machine, so the notebook tests blank it; its usual range, and whether it
is in there, are compared. The range comes from several seeds and includes both its ends; a value that is not
a number is outside.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from IPython.display import display

# What differs from machine to machine in a measurement, shown as text and as HTML: the value, and nothing
# else. tests/notebooks/sanitise.cfg gives nbval the same expressions.
NUMBER = r"(-?[\d,]+(\.\d+)?(e[-+]\d+)?|nan|-?inf)"
VALUE_IN_TEXT = re.compile(rf"(?<=: ){NUMBER}(?=[^:(\n]* \((OUTSIDE the )?usual range [^()\n]*\))")
VALUE_IN_HTML = re.compile(rf'(?<=<strong class="measured">){NUMBER}(?=</strong>)')

QUIET = "color:var(--jp-ui-font-color2);font-size:90%"
LEFT = "style='text-align:left'"
ALARM = "padding:1px 6px;border-radius:4px;background:#b34700;color:#fff;font-weight:bold"


def measured(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Display a measured value and its usual range, from `low` to `high`:

        validation loss: 1.234 nats (usual range 1.20 to 1.28)

    Raises ValueError for a range that is none, or for a name or unit that would blur where the value stands.
    """
    display(_Measurement(name, value, low, high, unit))


def measured_table(rows: Mapping[str, tuple | Mapping[str, tuple]], unit: str = "") -> None:
    """Display several measurements as a table.

    rows: {name: (value, low, high)}, or with several columns {name: {column: (value, low, high)}};
    the unit is that of all values. Raises ValueError as `measured` does, before anything is displayed.
    """
    table = {}
    for name, row in rows.items():
        columns = row if isinstance(row, Mapping) else {"": row}
        table[name] = {
            column: _Measurement(f"{name}, {column}" if column else name, *cell, unit)
            for column, cell in columns.items()
        }
    display(_Table(table))


@dataclass(frozen=True)
class _Measurement:
    name: str
    value: float  # a number of Python, NumPy or torch
    low: float
    high: float
    unit: str

    def __post_init__(self):
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(
                f"measured {self.name!r}: got the range {self.low} to {self.high}; "
                "give two finite ends, the lower first"
            )
        if "\n" in self.name or re.search(r"[:(\n]", self.unit):
            raise ValueError(
                f"measured {self.name!r} in {self.unit!r}: "
                "neither may hold a line break, nor the unit a ':' or '('"
            )

    @property
    def is_usual(self) -> bool:
        return self.low <= float(self.value) <= self.high

    @property
    def number(self) -> str:
        """A count as it is, any other value with one decimal more than its range, up to seven."""
        value = self.value.item() if hasattr(self.value, "item") else self.value
        return f"{value:,}" if isinstance(value, int) else _display(value, self._decimals + 1)

    @property
    def range(self) -> str:
        return f"{_display(self.low, self._decimals)} to {_display(self.high, self._decimals)}"

    @property
    def _decimals(self) -> int:
        return max(_decimals(self.low), _decimals(self.high))

    def __repr__(self) -> str:
        verdict = "" if self.is_usual else "OUTSIDE the "
        return f"{self.name}: {self.number}{self.unit and ' '}{self.unit} ({verdict}usual range {self.range})"

    def _repr_html_(self) -> str:
        return f"<div>{escape(self.name)}: {self.html('usual range ')}</div>"

    def html(self, words: str = "") -> str:
        """The value and its usual range, which is quiet, after some words, unless the value is outside."""
        value = f'<strong class="measured">{self.number}</strong>{self.unit and " "}{escape(self.unit)}'
        if self.is_usual:
            return f"{value} <span style='{QUIET}'>({words}{self.range})</span>"
        return f"{value} <span style='{ALARM}'>OUTSIDE the usual range {self.range}</span>"


class _Table:
    """Measurements by row and column; as text, a line each."""

    def __init__(self, rows: dict[str, dict[str, _Measurement]]):
        self.rows = rows
        self.columns = list(dict.fromkeys(column for row in rows.values() for column in row))

    def __repr__(self) -> str:
        return "\n".join(repr(measurement) for row in self.rows.values() for measurement in row.values())

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col' {LEFT}>{escape(column)}</th>" for column in self.columns)
        body = "".join(
            f"<tr><th scope='row' {LEFT}>{escape(name)}</th>{self._cells(row)}</tr>"
            for name, row in self.rows.items()
        )
        return (
            f"<table style='margin:4px 0'><thead><tr><td style='{QUIET}'>value (usual range)</td>{head}</tr>"
            f"</thead><tbody>{body}</tbody></table>"
        )

    def _cells(self, row: dict[str, _Measurement]) -> str:
        return "".join(
            f"<td {LEFT}>{row[column].html() if column in row else ''}</td>" for column in self.columns
        )


def _decimals(x: float) -> int:
    """The decimals that x is written with: 1.28 has two, 300.0 none."""
    return max(0, -Decimal(repr(float(x))).normalize().as_tuple().exponent)


def _display(x: float, decimals: int) -> str:
    """Fixed point; in the form 1.2e-09 where that would be mostly zeros."""
    return f"{x:,.{decimals}f}" if decimals <= 7 else f"{x:.3g}"
