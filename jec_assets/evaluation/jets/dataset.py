"""What the jets are: counts per split, region, interval of pT_gen and flavor, and the distributions of Figures 1 and 2.

Belongs here: numbers about jets before any network. Tables need the columns genJetPt (GeV), genJetEta, flavor, target.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, REGIONS, UNKNOWN_FLAVOR, Interval
from jec_assets.jets.training_range import TrainingRange
from jec_assets.training.config import MAX_ABS_TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hist import Hist

BELOW_INTERVALS = Interval("<30", -inf, GEN_PT_INTERVALS[0].low)
COUNTED_INTERVALS = (BELOW_INTERVALS, *GEN_PT_INTERVALS)
FLAVOR_NAMES = {code: name for name, code in FLAVORS.items()} | {UNKNOWN_FLAVOR: "unknown"}

GEN_PT_EDGES = np.geomspace(20.0, 4000.0, 51)
ABS_GEN_ETA_BINS = 25
TARGET_BINS = 100


@dataclass(frozen=True)
class TargetSummary:
    """The target's distribution in words: quartiles, and how many jets carry no loss. None where there are no jets."""

    jets: int
    without_loss: int
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None


@dataclass(frozen=True)
class OutsideRange:
    """How many of so many jets lie outside the training jets' range: in each criterion of it, and in any of them."""

    jets: int
    by_criterion: dict[str, int]
    any: int


def counts(splits: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Jets per split, region, interval and flavor.

    One row for each combination, also those without jets; columns split, region, interval, flavor (names), jets.
    """
    rows = []
    for split, table in splits.items():
        abs_eta = table["genJetEta"].abs().to_numpy()
        gen_pt, flavor = table["genJetPt"].to_numpy(), table["flavor"].to_numpy()
        for region in REGIONS:
            in_region = region.contains(abs_eta)
            for interval in COUNTED_INTERVALS:
                selected = in_region & interval.contains(gen_pt)
                rows += [
                    (split, region.name, interval.name, name, int(np.count_nonzero(selected & (flavor == code))))
                    for code, name in FLAVOR_NAMES.items()
                ]
    return pl.DataFrame(rows, schema=["split", "region", "interval", "flavor", "jets"], orient="row")


def target_summary(table: pl.DataFrame) -> TargetSummary:
    """Quartiles of the target and the number of jets with |target| >= 1."""
    target = table["target"].to_numpy().astype(np.float64)
    without_loss = int(np.count_nonzero(np.abs(target) >= MAX_ABS_TARGET))
    if len(target) == 0:
        return TargetSummary(0, 0, None, None, None)
    low, median, high = (float(value) for value in np.quantile(target, (0.25, 0.5, 0.75)))
    return TargetSummary(len(target), without_loss, low, median, high)


def outside_training_range(training: pl.DataFrame, table: pl.DataFrame) -> OutsideRange | None:
    """How many jets of a table lie outside the range of the training jets, None without training jets.

    Columns jetPt (GeV), jetEta, constituents; criteria are named as the fields of `TrainingRange`.
    """
    if training.is_empty():
        return None
    seen = TrainingRange.of(training)
    values = {
        "pt": table["jetPt"].to_numpy(),
        "abs_eta": table["jetEta"].abs().to_numpy(),
        "constituents": table["constituents"].to_numpy(),
    }
    ranges = {"pt": seen.pt, "abs_eta": seen.abs_eta, "constituents": seen.constituents}
    by_criterion = {
        name: int(np.count_nonzero((values[name] < low) | (values[name] > high)))
        for name, (low, high) in ranges.items()
    }
    outside = seen.outside(values["pt"], values["abs_eta"], values["constituents"])
    return OutsideRange(len(table), by_criterion, int(np.count_nonzero(outside)))


def gen_kinematics_histogram(table: pl.DataFrame) -> Hist[Any]:
    """Jets in logarithmic bins of pT_gen (GeV) and bins of |eta_gen| (Figure 1)."""
    from hist import Hist, axis

    histogram: Hist[Any] = Hist(
        axis.Variable(GEN_PT_EDGES, name="gen_pt"),
        axis.Regular(ABS_GEN_ETA_BINS, 0.0, REGIONS[-1].high, name="abs_gen_eta"),
    )
    return histogram.fill(gen_pt=table["genJetPt"].to_numpy(), abs_gen_eta=table["genJetEta"].abs().to_numpy())


def target_histogram(table: pl.DataFrame) -> Hist[Any]:
    """Jets in bins of the target between -1 and 1 (Figure 2); the rest is in the flow bins."""
    from hist import Hist, axis

    histogram: Hist[Any] = Hist(axis.Regular(TARGET_BINS, -MAX_ABS_TARGET, MAX_ABS_TARGET, name="target"))
    return histogram.fill(target=table["target"].to_numpy())
