"""What a report is: a summary, tables, figures and numbers.

Belongs here: the dataclasses that every report is made of, and their JSON. Does not belong here: what any of them says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from jec_assets.plots.rendering import png_bytes, svg_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "–"  # a cell without meaning, such as a comparison with itself
JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


class ReportError(ValueError):
    """A report that can't be made from what was given, or can't be read back."""


@dataclass(frozen=True)
class Table:
    """A table of text; the first `labels` columns name the row. Every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    labels: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ReportError(
                    f"table {self.title!r} has {len(self.columns)} columns, but a row of {len(row)} cells"
                )

    def without_empty_columns(self) -> Table:
        """The table without those columns, row names apart, in which every cell is NOTHING."""
        kept = [
            place
            for place in range(len(self.columns))
            if place < self.labels or any(row[place] != NOTHING for row in self.rows)
        ]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )


@dataclass(frozen=True)
class ReportFigure:
    """A figure as SVG and as PNG. `name` is unique in its report; `alt` says in words what can be seen."""

    name: str
    title: str
    alt: str
    svg: bytes
    png: bytes

    @classmethod
    def of(cls, figure: Figure, name: str, title: str, alt: str) -> ReportFigure:
        """Render a matplotlib figure."""
        return cls(name, title, alt, svg_bytes(figure), png_bytes(figure))


@dataclass(frozen=True)
class Report:
    """A report. `numbers` is what it says as JSON; its top-level keys belong to this report alone."""

    name: str
    title: str
    summary: str
    tables: tuple[Table, ...]
    figures: tuple[ReportFigure, ...]
    numbers: dict[str, JsonValue]


def nested(entries: Iterable[tuple[tuple[str, ...], JsonValue]]) -> dict[str, JsonValue]:
    """A tree of dicts from pairs of (keys from the root to the leaf, leaf)."""
    root: dict[str, JsonValue] = {}
    for path, leaf in entries:
        branch = root
        for key in path[:-1]:
            child = branch.setdefault(key, {})
            if not isinstance(child, dict):
                raise ReportError(f"{'/'.join(path)} lies below a number")
            branch = child
        branch[path[-1]] = leaf
    return root


def report_asset(name: str) -> str:
    """The asset that publishes a report."""
    return "latency_benchmark" if name == "latency" else f"{name}_report"
