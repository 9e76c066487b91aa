"""Flavor dependence of the response: medians per flavor, their scatter SAE, and its improvement alpha.

Belongs here: Eqs. 2 and 3 of the paper in its regions and intervals of pT_gen. Jets of unknown flavor (0) don't enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.bootstrap import improvement, quantiles
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

MIN_JETS_PER_FLAVOR = 100


@dataclass(frozen=True)
class FlavorDependence:
    """One correction in one region and interval of pT_gen.

    medians: median response per flavor, in Eq. 2's order, each with its number of jets
    sae: sum over flavors of |median - mean of the medians| (Eq. 2); missing where a flavor has no jets
    alpha: 1 - SAE / SAE of the standard correction (Eq. 3); missing where a flavor has fewer than 100 jets
    """

    region: Interval
    interval: Interval
    correction: str
    medians: dict[str, Number]
    sae: Number
    alpha: Number


def flavor_dependence(
    jets: CalibratedJets,
    draws: NDArray[np.integer],
    intervals: tuple[Interval, ...] = (INCLUSIVE, *GEN_PT_INTERVALS),
) -> tuple[FlavorDependence, ...]:
    """Every region, interval and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    responses = {correction: jets.responses(correction) for correction in jets.corrections}
    results: list[FlavorDependence] = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in intervals:
            selected = in_region & interval.contains(jets.gen_pt)
            rows = {name: np.flatnonzero(selected & (jets.flavor == code)) for name, code in FLAVORS.items()}
            medians = {name: _medians(values, draws, rows) for name, values in responses.items()}
            results += _compare(region, interval, medians, {name: len(found) for name, found in rows.items()})
    return tuple(results)


def sum_of_absolute_errors(medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """SAE (Eq. 2) of median responses (..., flavors): (...)."""
    return np.asarray(np.abs(medians - medians.mean(axis=-1, keepdims=True)).sum(axis=-1))


def _medians(
    values: NDArray[np.float64], draws: NDArray[np.integer], rows: dict[str, NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Median of the values (jets,) at each flavor's rows in each resample: (1 + resamples, flavors)."""
    columns = [quantiles(values[found], draws[:, found], (0.5,))[:, 0] for found in rows.values()]
    return np.stack(columns, axis=-1)


def _compare(
    region: Interval, interval: Interval, medians: dict[str, NDArray[np.float64]], counts: dict[str, int]
) -> list[FlavorDependence]:
    errors = {name: sum_of_absolute_errors(values) for name, values in medians.items()}
    n = sum(counts.values())
    return [
        FlavorDependence(
            region,
            interval,
            correction,
            medians={
                flavor: Number.of(medians[correction][:, column], count)
                for column, (flavor, count) in enumerate(counts.items())
            },
            sae=_unless(_too_few(counts, 1), n) or Number.of(errors[correction], n),
            alpha=_unless(_too_few(counts, MIN_JETS_PER_FLAVOR), n)
            or improvement(errors[correction], errors[STANDARD], n),
        )
        for correction in medians
    ]


def _too_few(counts: dict[str, int], least: int) -> str:
    """Which flavors have fewer jets than `least`, in words; empty where none."""
    few = {flavor: count for flavor, count in counts.items() if count < least}
    if not any(counts.values()):
        return "no jets"
    if not few:
        return ""
    if least == 1:
        return f"no jets of {', '.join(few)}"
    return f"fewer than {least} jets of " + ", ".join(f"{flavor} ({count})" for flavor, count in few.items())


def _unless(reason: str, n: int) -> Number | None:
    return Number.missing(n, reason) if reason else None
