"""Generator uncertainty: how far the median response moves where another generator makes the jets.

Belongs here: the comparison of nominal jets with those of an alternative tune, which the same detector saw and the same
corrections calibrated. Does not belong here: making and calibrating the alternative jets
(`jec_assets.evaluation.alternative`).

An experiment derives its corrections from one generator; what another one would have given is a systematic uncertainty
of the jet energy scale (CMS, JINST 12 (2017) P02014: "jet flavor"), largest in the difference between light
quarks and gluons. A network sees more of a jet than the standard correction does and could lean on what only one
generator does: `Shift.added` is what its factor moves by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.bootstrap import quantiles
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets, CalibratedJetsError
from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.bootstrap import Resampling

LIGHT, GLUON = "uds", "g"
LIGHT_MINUS_GLUON = "uds-g"
# What is looked at: the median response of each flavor, and R_uds - R_g, the median of all light quarks' jets
# together minus that of the gluons'.
QUANTITIES = (*FLAVORS, LIGHT_MINUS_GLUON)

_GROUPS: Mapping[str, tuple[int, ...]] = {
    **{flavor: (code,) for flavor, code in FLAVORS.items()},
    LIGHT: tuple(FLAVORS[flavor] for flavor in LIGHT),
}


@dataclass(frozen=True)
class Shift:
    """One quantity under one correction, in the jets of both generators.

    nominal, alternative: its value in each sample, with that sample's number of jets
    shift: alternative - nominal; n is the smaller number of jets
    added: the shift minus the standard correction's: what the correction's own factor moves by; exactly 0 for the
    standard correction. Its uncertainty is smaller than the shift's, because both corrections see the same jets
    """

    nominal: Number
    alternative: Number
    shift: Number
    added: Number


@dataclass(frozen=True)
class GeneratorShifts:
    """One correction in one region and interval of pT_gen; `shifts` has a Shift for each of `QUANTITIES`."""

    region: Interval
    interval: Interval
    correction: str
    shifts: dict[str, Shift]


def generator_shifts(
    nominal: CalibratedJets,
    alternative: CalibratedJets,
    resampling: Resampling,
    intervals: tuple[Interval, ...] = (INCLUSIVE, *GEN_PT_INTERVALS),
) -> tuple[GeneratorShifts, ...]:
    """Every region, interval and correction, in this order of nesting.

    The two samples are independent, and so are their resamples; within a sample all corrections see the same ones.
    Raises CalibratedJetsError where they were calibrated by different networks.
    """
    if set(nominal.corrections) != set(alternative.corrections):
        raise CalibratedJetsError(
            f"the nominal jets have the corrections {', '.join(nominal.corrections)}, the alternative ones "
            f"{', '.join(alternative.corrections)}: calibrate both by the same networks"
        )
    elsewhere = replace(resampling, seed=resampling.seed + 1)
    samples = (
        _Sample(nominal, resampling.draws(nominal.event)),
        _Sample(alternative, elsewhere.draws(alternative.event)),
    )
    results: list[GeneratorShifts] = []
    for region in REGIONS:
        for interval in intervals:
            pairs = _pairs(region, interval, samples)
            results += [
                GeneratorShifts(
                    region,
                    interval,
                    correction,
                    {name: _shift(each[name], pairs[STANDARD][name]) for name in QUANTITIES},
                )
                for correction, each in pairs.items()
            ]
    return tuple(results)


@dataclass(frozen=True)
class _Resampled:
    """A quantity on a sample of `n` jets and on its resamples: (1 + resamples,)."""

    values: NDArray[np.float64]
    n: int


@dataclass(frozen=True)
class _Sample:
    """One generator's jets with their draws (1 + resamples, jets)."""

    jets: CalibratedJets
    draws: NDArray[np.uint8]

    def quantities(self, region: Interval, interval: Interval, correction: str) -> dict[str, _Resampled]:
        """Each of `QUANTITIES` in a region and interval."""
        inside = region.contains(self.jets.abs_gen_eta) & interval.contains(self.jets.gen_pt)
        responses = self.jets.responses(correction)
        medians = {
            name: self._median(responses, np.flatnonzero(inside & np.isin(self.jets.flavor, codes)))
            for name, codes in _GROUPS.items()
        }
        light, gluon = medians.pop(LIGHT), medians[GLUON]
        return medians | {LIGHT_MINUS_GLUON: _Resampled(light.values - gluon.values, min(light.n, gluon.n))}

    def _median(self, responses: NDArray[np.float64], rows: NDArray[np.intp]) -> _Resampled:
        weight = None if self.jets.weight is None else self.jets.weight[rows]
        return _Resampled(quantiles(responses[rows], self.draws[:, rows], (0.5,), weight)[:, 0], len(rows))


_Pair: TypeAlias = "tuple[_Resampled, _Resampled]"  # in the nominal and in the alternative jets


def _pairs(region: Interval, interval: Interval, samples: tuple[_Sample, _Sample]) -> dict[str, dict[str, _Pair]]:
    """Each correction's quantities in both samples."""
    pairs = {}
    for correction in samples[0].jets.corrections:
        nominal, alternative = (each.quantities(region, interval, correction) for each in samples)
        pairs[correction] = {name: (nominal[name], alternative[name]) for name in QUANTITIES}
    return pairs


def _shift(pair: _Pair, standard: _Pair) -> Shift:
    nominal, alternative = pair
    moved, standard_moved = (after.values - before.values for before, after in (pair, standard))
    return Shift(
        Number.of(nominal.values, nominal.n),
        Number.of(alternative.values, alternative.n),
        _difference(moved, pair),
        _difference(moved - standard_moved, pair),
    )


def _difference(values: NDArray[np.float64], pair: _Pair) -> Number:
    empty = [name for name, side in zip(("nominal", "alternative"), pair, strict=True) if side.n == 0]
    if len(empty) == 1:
        return Number.missing(0, f"no {empty[0]} jets")
    return Number.of(values, min(side.n for side in pair))
