"""What a table's cells mean: numbers with uncertainties, intervals, notes.

Belongs here: reading the text that `text.py` writes, so that the page can sort and export tables. Does not belong here:
writing it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jec_assets.reports.report import NOTHING

if TYPE_CHECKING:
    from jec_assets.reports.report import Table

Kind = Literal["number", "interval", "text"]

_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?[kM]?"
_QUANTITY = re.compile(rf"(?P<value>{_NUMBER})(?: ± (?P<uncertainty>{_NUMBER}))?(?: \((?P<note>.+)\))?")
_BETWEEN = re.compile(rf"(?P<low>{_NUMBER})–(?P<high>{_NUMBER})")
_FROM = re.compile(rf"[≥>] ?(?P<low>{_NUMBER})")
_UP_TO = re.compile(rf"[≤<] ?(?P<high>{_NUMBER})")
_SUFFIXES = {"k": "e3", "M": "e6"}


@dataclass(frozen=True)
class Cell:
    """A cell as people read it, and its parts as decimal text for sorting and export; None where it has none.

    value: of a number, with its uncertainty. low, high: of an interval, open where None. note: what is said instead of
    a number, or about it.
    """

    text: str
    value: str | None = None
    uncertainty: str | None = None
    low: str | None = None
    high: str | None = None
    note: str | None = None

    @property
    def kind(self) -> Kind:
        """What the cell is of itself."""
        if self.value is not None:
            return "number"
        return "interval" if self.low is not None or self.high is not None else "text"

    @property
    def parts(self) -> dict[str, str]:
        """The parts that there are, by name."""
        parts = {"value": self.value, "uncertainty": self.uncertainty, "low": self.low, "high": self.high}
        return {name: part for name, part in (*parts.items(), ("note", self.note)) if part is not None}


@dataclass(frozen=True)
class Column:
    """A column's title and kind: that of most of its cells, text apart; text only where all cells are."""

    title: str
    kind: Kind


def parse_cell(text: str) -> Cell:
    """Read `1.234 ± 0.005`, `12,345`, `355.45k`, `−0.3`, `0.9 (n = 1)`, `30–100`, `≥ 1000`, `< 30`; else a note."""
    plain = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-").strip()
    if plain in ("", NOTHING):
        return Cell(text)
    if match := _QUANTITY.fullmatch(plain):
        return Cell(text, _decimal(match["value"]), _decimal(match["uncertainty"]), note=match["note"])
    if match := _BETWEEN.fullmatch(plain):
        return Cell(text, low=_decimal(match["low"]), high=_decimal(match["high"]))
    if match := _FROM.fullmatch(plain):
        return Cell(text, low=_decimal(match["low"]))
    if match := _UP_TO.fullmatch(plain):
        return Cell(text, high=_decimal(match["high"]))
    return Cell(text, note=plain)


def _decimal(number: str | None) -> str | None:
    """A number that any program reads: without separators of thousands, `k` and `M` as powers of ten."""
    if number is None:
        return None
    plain = number.replace(",", "")
    return plain[:-1] + _SUFFIXES[plain[-1]] if plain[-1] in _SUFFIXES else plain


def parse_table(table: Table) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """A table's columns and its cells, row by row."""
    rows = tuple(tuple(parse_cell(text) for text in row) for row in table.rows)
    columns = tuple(
        Column(title, _kind([row[place].kind for row in rows])) for place, title in enumerate(table.columns)
    )
    return columns, rows


def _kind(kinds: list[Kind]) -> Kind:
    numbers, intervals = kinds.count("number"), kinds.count("interval")
    if not numbers and not intervals:
        return "text"
    return "number" if numbers >= intervals else "interval"
