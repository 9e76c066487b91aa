"""How jets are grouped: detector regions, intervals and bins of pT_gen, flavors.

Belongs here: the paper's groups (Sections 5.3 and 5.4) and which jets fall into them. All intervals are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """Values from `low` (included) to `high` (excluded); `name` is how tables, figures and JSON call it."""

    name: str
    low: float
    high: float

    def contains(self, values: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the values lie inside, same shape."""
        return (values >= self.low) & (values < self.high)


# |eta_gen|
REGIONS = (Interval("barrel", 0.0, 1.3), Interval("endcap", 1.3, 2.5))

# pT_gen in GeV: Table 4's rows, and all of them together (Figure 9)
GEN_PT_INTERVALS = (
    Interval("30-100", 30.0, 100.0),
    Interval("100-300", 100.0, 300.0),
    Interval("300-1000", 300.0, 1000.0),
    Interval(">1000", 1000.0, inf),
)
INCLUSIVE = Interval(">30", 30.0, inf)

# Files of jets keep those above a threshold in the corrected pT (jetPt > 30 GeV). Of jets with a pT_gen close to it,
# those that fluctuated upward remain: below this pT_gen, in GeV, how the response depends on pT_gen tells of that cut.
UNBIASED_GEN_PT = 50.0
UNBIASED_INCLUSIVE = Interval(">50", UNBIASED_GEN_PT, inf)
UNBIASED_LOWEST = Interval("50-100", UNBIASED_GEN_PT, GEN_PT_INTERVALS[0].high)

# Edges in GeV of the 19 logarithmic bins of pT_gen in Figure 10
RESOLUTION_EDGES = np.geomspace(20.0, 3000.0, 20)

# Flavors that enter the flavor dependence, in the order of Eq. 2, with their code in the table's column `flavor`
FLAVORS: dict[str, int] = {"u": 2, "d": 1, "s": 3, "c": 4, "b": 5, "g": 21}
UNKNOWN_FLAVOR = 0
ALL_FLAVORS = "all"  # unknown ones too


def bins_between(edges: NDArray[np.floating]) -> tuple[Interval, ...]:
    """The intervals between consecutive edges, named by them."""
    return tuple(Interval(f"{low:.0f}-{high:.0f}", float(low), float(high)) for low, high in pairwise(edges))


def of_flavor(codes: NDArray[np.integer], name: str) -> NDArray[np.bool_]:
    """Which jets, by their flavors' codes (jets,), have the flavor of this name or ALL_FLAVORS."""
    return np.ones(len(codes), bool) if name == ALL_FLAVORS else codes == FLAVORS[name]
