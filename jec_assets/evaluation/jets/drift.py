"""Whether splits are samples of the same jets: each column of one split compared with the training jets'.

Belongs here: the test, its correction for the number of columns, and which columns stand out. Does not belong here:
distributions to look at (`distributions.py`).

The statistic is Kolmogorov's and Smirnov's, the largest distance of two empirical distribution functions. Jets of an
event are not independent (they share pileup, and balance in pT), and the test's p-value is for independent values: so
one jet of each event is drawn at random. Whole events belong to one split, so what is left is independent. Where values
tie, as in counts, the p-value is too large rather than too small.

The p-values of all columns and splits are adjusted together so that the expected share of false alarms among flagged
columns is bounded, whatever the dependence between columns: Y. Benjamini, D. Yekutieli, Ann. Statist. 29 (2001) 1165.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.number import NO_JETS, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

COLUMNS = (
    *("jetPt", "jetEta", "jetPhi", "jetMass", "jetArea", "constituents"),
    *("genJetPt", "genJetEta", "target", "flavor"),
    *("rhoAll", "Pileup_nPU", "PV_npvsGood"),
)
FEATURE_PREFIX = "jet_"  # columns of jet features, where the tables have them
MAX_EXACT = 100  # events a side; of more, the limit of many events gives the p-value
FALSE_ALARMS = 0.01  # bound on the expected share of flagged columns that are false alarms


@dataclass(frozen=True)
class ColumnDrift:
    """One column of one split against the reference.

    statistic: Kolmogorov-Smirnov distance, n counts the events of both; p_value: of that distance or a larger one,
    adjusted: after the correction for the number of comparisons; both None where either side has no jets.
    """

    column: str
    split: str
    statistic: Number
    p_value: float | None
    adjusted: float | None

    @property
    def flagged(self) -> bool:
        """Whether the column differs between the splits beyond chance."""
        return self.adjusted is not None and self.adjusted < FALSE_ALARMS


def drift(splits: Mapping[str, pl.DataFrame], seed: int) -> tuple[ColumnDrift, ...]:
    """Every column of each split against the first one's, which is the reference: train.

    Tables need event_hash; of `COLUMNS` and those that begin with `FEATURE_PREFIX`, whatever the reference has is
    compared. The seed draws one jet of each event.
    """
    from scipy.stats import false_discovery_control

    drawn = {name: one_jet_an_event(table, seed) for name, table in splits.items()}
    reference = next(iter(drawn.values()))
    columns = [name for name in reference.columns if name in COLUMNS or name.startswith(FEATURE_PREFIX)]
    found = [
        _compare(column, split, reference, table)
        for split, table in islice(drawn.items(), 1, None)
        for column in columns
    ]
    tested = [each for each in found if each.p_value is not None]
    if not tested:
        return tuple(found)
    adjusted = false_discovery_control([each.p_value for each in tested], method="by")
    compared = (replace(each, adjusted=float(value)) for each, value in zip(tested, adjusted, strict=True))
    return (*compared, *(each for each in found if each.p_value is None))


def one_jet_an_event(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """One row of each event_hash, drawn at random from this seed; rows keep their order."""
    shuffled = np.random.default_rng(seed).permutation(len(table))
    _, first = np.unique(table["event_hash"].to_numpy()[shuffled], return_index=True)
    return table[np.sort(shuffled[first])]


def _compare(column: str, split: str, reference: pl.DataFrame, table: pl.DataFrame) -> ColumnDrift:
    from scipy.stats import ks_2samp

    n = len(reference) + len(table)
    if not len(reference) or not len(table):
        return ColumnDrift(column, split, Number.missing(n, NO_JETS), None, None)
    method = "exact" if max(len(reference), len(table)) <= MAX_EXACT else "asymp"
    result = ks_2samp(reference[column].to_numpy(), table[column].to_numpy(), method=method)
    return ColumnDrift(column, split, Number(float(result.statistic), None, n), float(result.pvalue), None)
