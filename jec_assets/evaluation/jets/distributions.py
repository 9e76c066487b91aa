"""How quantities are distributed in groups of jets: of every input feature per flavor, of pileup per split.

Belongs here: choosing bins, shares per bin, the bounded sample of jets whose particles are looked at. Does not belong
here: whether two distributions differ (`drift.py`) and counts of jets (`dataset.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.evaluation.bins import FLAVORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.jets.features import Feature

BINS = 25
MAX_LEVELS = 12  # whole numbers that span fewer than so many are drawn one by one
RANGE_QUANTILES = (0.005, 0.995)  # the bins of a continuous quantity span these: outliers don't flatten the rest
FEWEST_WITH_OUTLIERS = 1000  # of fewer values all are within the bins
PILEUP_UNITS = {"Pileup_nPU": "1", "PV_npvsGood": "1", "rhoAll": "GeV"}


@dataclass(frozen=True)
class Distribution:
    """A quantity's distribution in several groups.

    edges: (bins + 1,), in `unit`; shares: per group the share of its entries in each bin, (bins,), zeros for a group
    without entries, below 1 in sum where entries lie outside the edges; entries: how many, per group; levels: whether
    each bin holds one whole number, as for flags and charges.
    """

    name: str
    unit: str
    edges: NDArray[np.float64]
    shares: dict[str, NDArray[np.float64]]
    entries: dict[str, int]
    levels: bool


@dataclass(frozen=True)
class Sample:
    """At most so many jets, drawn at random from this seed."""

    max_jets: int = 50_000
    seed: int = 1

    def rows(self, jets: int) -> NDArray[np.int64]:
        """Rows of the sampled jets of so many, ascending."""
        if jets <= self.max_jets:
            return np.arange(jets)
        return np.sort(np.random.default_rng(self.seed).choice(jets, self.max_jets, replace=False))


@dataclass(frozen=True)
class FeatureDistributions:
    """Every feature that networks see, per flavor, of so many sampled jets; jets of unknown flavor are left out."""

    jets: int
    of_jets: tuple[Distribution, ...]
    of_particles: tuple[Distribution, ...]


def feature_distributions(jets: SplitJets, sample: Sample) -> FeatureDistributions:
    """Distributions of all features of the jets' feature set, per flavor, in a sample of the jets."""
    rows = sample.rows(len(jets.packed))
    packed, flavor = jets.packed.take(rows), jets.table["flavor"].to_numpy()[rows]
    flavor_of_particle = np.repeat(flavor, packed.counts)
    return FeatureDistributions(
        len(rows),
        _per_flavor(jets.features.jet_features, packed.jets, flavor),
        _per_flavor(jets.features.particle_features, packed.particles, flavor_of_particle),
    )


def pileup_distributions(splits: Mapping[str, pl.DataFrame]) -> tuple[Distribution, ...]:
    """Pileup interactions, good primary vertices and rho of each split's jets; columns as in `PILEUP_UNITS`."""
    return tuple(
        distribution(name, unit, {split: table[name].to_numpy() for split, table in splits.items()})
        for name, unit in PILEUP_UNITS.items()
    )


def distribution(name: str, unit: str, groups: Mapping[str, NDArray[Any]]) -> Distribution:
    """A quantity's distribution from its values in each group; bins are those of all groups together."""
    together = np.concatenate([np.asarray(values, np.float64) for values in groups.values()])
    edges, levels = _binning(together)
    return Distribution(
        name,
        unit,
        edges,
        {group: _shares(values, edges) for group, values in groups.items()},
        {group: len(values) for group, values in groups.items()},
        levels,
    )


def _per_flavor(
    features: Sequence[Feature], values: NDArray[np.float32], flavor: NDArray[np.int32]
) -> tuple[Distribution, ...]:
    of_flavor = {name: flavor == code for name, code in FLAVORS.items()}
    return tuple(
        distribution(feature.name, feature.unit, {name: values[chosen, column] for name, chosen in of_flavor.items()})
        for column, feature in enumerate(features)
    )


def _binning(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Edges for these values, and whether each bin holds one whole number."""
    if len(values) == 0:
        return np.array([0.0, 1.0]), False
    low, high = np.quantile(values, RANGE_QUANTILES if len(values) >= FEWEST_WITH_OUTLIERS else (0.0, 1.0))
    if not np.array_equal(values, np.floor(values)):
        return np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5]), False
    levels = bool(np.ptp(values) < MAX_LEVELS)
    if levels:
        low, high = values.min(), values.max()
    # Halfway between whole numbers, a whole number wide: no bin holds more of them than another.
    width = 1.0 if levels else np.ceil((high - low + 1) / BINS)
    bins = np.ceil((high - low + 1) / width)
    return np.floor(low) - 0.5 + width * np.arange(bins + 1), levels


def _shares(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(np.asarray(values, np.float64), edges)
    return counts / max(len(values), 1)
