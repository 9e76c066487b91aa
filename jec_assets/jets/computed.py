"""Features of jets as numbers: what a feature set makes of columns.

Belongs here: applying the formulas, once for jets that are filtered and for jets that are calibrated. Does not belong
here: the formulas (`features.py`), which particles are seen and what becomes of jets whose features are not finite
(`selection.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.jets.packed import PackedJets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.features import Columns, Feature, FeatureSet


@dataclass(frozen=True)
class ComputedFeatures:
    """Features of some jets, by name and in the set's order: per jet (jets,), per particle flat, all float32.

    offsets: int64 (jets + 1,), of the particles that the set sees
    """

    jets: dict[str, NDArray[np.float32]]
    particles: dict[str, NDArray[np.float32]]
    offsets: NDArray[np.int64]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Which jets have no feature that is NaN or infinite, their particles' included; (jets,)."""
        finite = np.ones(len(self.offsets) - 1, np.bool_)
        for values in self.jets.values():
            finite &= np.isfinite(values)
        jet = np.repeat(np.arange(len(finite)), np.diff(self.offsets))
        for values in self.particles.values():
            finite[jet[~np.isfinite(values)]] = False
        return finite

    def packed(self) -> PackedJets:
        """The same numbers as a network takes them."""
        particles, jets = (np.stack(list(values.values()), axis=1) for values in (self.particles, self.jets))
        return PackedJets(particles, self.offsets, jets)


def compute_features(seen: Columns, features: FeatureSet) -> ComputedFeatures:
    """The set's features of all jets, from the particles that it sees (`select_particles`).

    Zero and negative momenta give infinities and NaNs.
    """

    def values(wanted: tuple[Feature, ...]) -> dict[str, NDArray[np.float32]]:
        return {feature.name: np.asarray(feature.compute(seen), np.float32) for feature in wanted}

    with np.errstate(divide="ignore", invalid="ignore"):
        return ComputedFeatures(values(features.jet_features), values(features.particle_features), seen.offsets)
