"""What a network is given: how many features, where the points are, and the constants that standardize them.

Belongs here: the two plain descriptions that a network is built with, without torch. Does not belong here: the features
themselves (`jec_assets.jets.features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.features import FeatureSet
    from jec_assets.jets.packed import PackedJets

# Quantiles of a normal distribution at one standard deviation below and above the mean.
ONE_SIGMA_QUANTILES = (0.158655, 0.841345)


@dataclass(frozen=True)
class NetworkInputs:
    """Number of features per particle and per jet; `points` are the particle features that span the first graph."""

    particle_features: int
    jet_features: int
    points: tuple[int, int]

    @classmethod
    def of(cls, feature_set: FeatureSet) -> NetworkInputs:
        """The inputs that a feature set gives."""
        return cls(len(feature_set.particle_features), len(feature_set.jet_features), feature_set.point_indices)


@dataclass(frozen=True)
class Standardization:
    """Center and scale of each feature, in the feature's unit: float32 (particle features,) and (jet features,)."""

    particle_center: NDArray[np.float32]
    particle_scale: NDArray[np.float32]
    jet_center: NDArray[np.float32]
    jet_scale: NDArray[np.float32]

    @classmethod
    def fit(cls, jets: PackedJets) -> Standardization:
        """Constants of the given jets, which are to be training jets only.

        The center is the median. The scale is half the distance between the quantiles at one standard deviation of a
        normal distribution, so that single outliers don't count; where that vanishes (a particle type that is rare)
        the standard deviation; where that vanishes too (a constant) 1. Raises ValueError without jets.
        """
        if len(jets) == 0:
            raise ValueError("no jets to fit a standardization to: give it the training jets")
        return cls(*_center_and_scale(jets.particles), *_center_and_scale(jets.jets))


def _center_and_scale(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    low, center, high = np.quantile(features, [ONE_SIGMA_QUANTILES[0], 0.5, ONE_SIGMA_QUANTILES[1]], axis=0)
    scale = (high - low) / 2
    scale = np.where(scale > 0, scale, features.std(axis=0, dtype=np.float64))
    scale = np.where(scale > 0, scale, 1.0)
    return center.astype(np.float32), scale.astype(np.float32)
