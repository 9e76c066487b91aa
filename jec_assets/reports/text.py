"""Numbers as people read them.

Belongs here: rounding and signs, the same in all tables. Does not belong here: sentences of a single report.
"""

from __future__ import annotations

from math import floor, inf, log10
from typing import TYPE_CHECKING

from jec_assets.plots.style import appearance, minus
from jec_assets.reports.report import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.number import Number

PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
PERCENT = 100.0  # as `scale`
EVENT_WEIGHTS = (
    "Each jet counts as much as its event's weight, which turns the generated spectrum into a physical one. "
    "Effective jets: (Σw)² / Σw², how many jets of equal weight would tell as much."
)

ALL_OR_NONE = (
    "0 of n or n of n: none of the jets or all, of which resamples tell no uncertainty. At 68 % confidence 0 of n jets "
    "are a share below 1.14 / n, and n of n one above 1 - 1.14 / n (C. J. Clopper, E. S. Pearson, 1934)."
)


def number_text(number: Number, scale: float = 1.0) -> str:
    """`0.07612 ± 0.00041`: the uncertainty with two digits, the value with as many decimals; or the note."""
    if number.value is None:
        return number.note
    value = number.value * scale
    if number.uncertainty is None:
        return minus(f"{value:.4g}") + (f" ({number.note})" if number.note else "")
    uncertainty = number.uncertainty * scale
    if uncertainty == 0:
        return minus(f"{value:.4g}{PLUS_MINUS}0")
    decimals = max(0, 1 - floor(log10(uncertainty)))
    return minus(f"{value:z.{decimals}f}{PLUS_MINUS}{uncertainty:.{decimals}f}")


def percent_text(share: float | None) -> str:
    """A share as percent without the sign: `7.52`; a dash where there is none."""
    return NOTHING if share is None else minus(f"{share * PERCENT:.2f}")


def value_text(value: float | str) -> str:
    """A hyperparameter or setting: text as it is, numbers with at most three digits."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else minus(f"{value:.3g}".replace("e-0", "e-"))


def count_text(count: int) -> str:
    """A count with thousands separated: `355,351`."""
    return f"{count:,}"


def title(correction: str) -> str:
    """What people call a baseline or a family."""
    return appearance(correction).title


def interval_text(interval: Interval) -> str:
    """An interval of pT_gen without its unit: `30–100`, `≥ 1000`, `< 30`."""
    if interval.high == inf:
        return f"≥\N{NO-BREAK SPACE}{interval.low:g}"
    if interval.low == -inf:
        return f"<\N{NO-BREAK SPACE}{interval.high:g}"
    return f"{interval.low:.0f}–{interval.high:.0f}"


def shares_by_region(shares: Iterable[tuple[Interval, str, Number]]) -> str:
    """Shares of corrections in regions, as percent: `barrel: PFN 61.4 ± 5.5 %, ParticleNet no jets; endcap: ...`."""
    regions: dict[str, list[str]] = {}
    for region, correction, share in shares:
        sign = "" if share.value is None else " %"
        regions.setdefault(region.name, []).append(f"{title(correction)} {number_text(share, PERCENT)}{sign}")
    return "; ".join(f"{region}: {', '.join(told)}" for region, told in regions.items())


def listing(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last


def milliseconds_text(value: float | None) -> str:
    """Three digits, no decimals from 100 on; NOTHING for None."""
    if value is None:
        return NOTHING
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
