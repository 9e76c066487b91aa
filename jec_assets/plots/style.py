"""The look that all figures share: mplhep's CMS style at the size of a web page, colors, labels, axes.

Belongs here: everything that more than one figure needs. Does not belong here: what a single figure shows.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jec_assets.evaluation.baselines import CONSTANT, KINEMATICS
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.models.families import FAMILIES, family_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.number import Number

# Text, axes and the standard correction. `rendering.svg_bytes` turns it into the color of the page's own text.
INK = "#0b0b0b"

# M. A. Petroff, "Accessible color sequences for data visualization" (2021), as CMS recommends: color-blind people can
# tell them apart, on light and on dark ground.
COLORS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
MARKERS = ("s", "^", "D", "v", "P", "X")
GREY = "#9c9ca1"

WIDTH, HEIGHT = 6.4, 4.8  # inches
ENERGY = "13 TeV"

_SIZES: dict[RcKeyType, Any] = {
    "font.size": 14,
    "axes.labelsize": 15,
    "axes.linewidth": 1.2,
    "axes.unicode_minus": True,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
    "xtick.major.size": 7,
    "xtick.minor.size": 3.5,
    "ytick.major.size": 7,
    "ytick.minor.size": 3.5,
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
    "legend.fontsize": 13,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "errorbar.capsize": 0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Appearance:
    """How a correction is drawn and called in every figure and table."""

    title: str
    color: str
    marker: str


def appearance(correction: str) -> Appearance:
    """The appearance of a baseline or of a network's family; `UnknownFamilyError` for anything else."""
    if correction in _BASELINE_APPEARANCE:
        return _BASELINE_APPEARANCE[correction]
    family = family_named(correction)
    place = list(FAMILIES).index(correction)
    return Appearance(family.title, COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)])


_BASELINE_APPEARANCE = {
    STANDARD: Appearance("Standard correction", INK, "o"),
    CONSTANT: Appearance("Constant shift", GREY, "P"),
    KINEMATICS: Appearance("Kinematics only", GREY, "X"),
}


@contextmanager
def cms_style() -> Iterator[None]:
    """mplhep's CMS style at this package's sizes for figures made inside; matplotlib's settings stay as they were."""
    import matplotlib as mpl
    import mplhep

    with mpl.rc_context({**mplhep.style.CMS, **_SIZES}):
        yield


def new_figure(height: float = HEIGHT) -> Figure:
    """An empty figure, `height` inches high, whose layout leaves room for all labels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def label(axes: Axes, conditions: str = "", right: Axes | None = None) -> None:
    """Write above the axes that this is simulation, on the right under which conditions and at which energy.

    `right`: the axes in whose right corner to write, where several stand side by side.
    """
    import mplhep

    mplhep.add_text("Simulation", ax=axes, loc="over left", fontstyle="italic", fontsize=15)
    text = f"{conditions}   ({ENERGY})" if conditions else f"({ENERGY})"
    mplhep.add_text(text, ax=right or axes, loc="over right", fontsize=13)


def region_text(region: Interval) -> str:
    """A region for people, e.g. `Barrel, |eta_gen| < 1.3`."""
    bounds = rf"|\eta_\mathrm{{gen}}| < {region.high:g}"
    if region.low > 0:
        bounds = rf"{region.low:g} \leq {bounds}"
    return rf"{region.name.capitalize()}, ${bounds}$"


def interval_text(interval: Interval) -> str:
    """An interval of pT_gen for people, e.g. `30 <= pT_gen < 100 GeV`."""
    quantity = r"p_\mathrm{T,gen}"
    if interval.high == float("inf"):
        return rf"${quantity} \geq {interval.low:g}$ GeV"
    return rf"${interval.low:g} \leq {quantity} < {interval.high:g}$ GeV"


def readable_log_axis(axes: Axes, which: str) -> None:
    """Make the x or y axis logarithmic, labelled 20, 50, 100, 200 ... instead of by powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=100))
    axis.set_minor_formatter(NullFormatter())


def whole_numbers(axes: Axes) -> None:
    """Label the x axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.minorticks_off()


def draw_numbers(axes: Axes, x: Sequence[float], numbers: Sequence[Number], look: Appearance) -> None:
    """Points with error bars at `x`, as many as numbers; those without a value are left out."""
    present = [(at, each) for at, each in zip(x, numbers, strict=True) if each.value is not None]
    axes.errorbar(
        [at for at, _ in present],
        [each.value or 0.0 for _, each in present],
        [each.uncertainty or 0.0 for _, each in present],
        fmt=look.marker,
        color=look.color,
        label=look.title,
    )


def ends(numbers: Iterable[Number]) -> list[float]:
    """Both ends of the error bars of all numbers that have a value."""
    present = [(each.value, each.uncertainty or 0.0) for each in numbers if each.value is not None]
    return [value + sign * error for value, error in present for sign in (-1, 1)]


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """A legend of everything labelled in `axes`, below them, where it can't hide data, in so many columns or fewer."""
    handles, labels = axes.get_legend_handles_labels()
    rows = -(-len(labels) // columns)
    even = -(-len(labels) // rows) if rows else 1  # four entries stand two by two, not three and one
    figure.legend(handles, labels, loc="outside lower center", ncols=even)


def minus(text: str) -> str:
    """Numbers in text with minus signs instead of hyphens."""
    return text.replace("-", "\N{MINUS SIGN}")


def room(values: Sequence[float], above: float = 0.08) -> tuple[float, float]:
    """Limits of an axis that leave free the share `above` of the values' range on top, and a little below."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    span = (high - low) or abs(high) * 0.1 or 1.0
    return low - 0.08 * span, high + above * span
