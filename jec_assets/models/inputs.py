"""What a network is given: how many features, where the points are, and the constants that standardize them.

Belongs here: the two plain descriptions that a network is built with, without torch. Does not belong here: the features
themselves (`jec_assets.jets.features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.features import FeatureSet
    from jec_assets.jets.packed import PackedJets

# Quantiles of a normal distribution at one standard deviation below and above the mean.
ONE_SIGMA_QUANTILES = (0.158655, 0.841345)

# Names of the features, beside points and eta, that a jet's mirror images do not share.
ORIENTED = ("delta_theta", "charge")
JET_ORIENTED = ("phi",)

# Quantiles of so many jets are known to half a percent of the spread; one feature of their particles is some 30 MB.
MAX_FITTED_JETS = 200_000
FITTED_RUN = 250  # consecutive jets, so that few pages of a mapped file are touched in vain


class MissingFeatureError(ValueError):
    """A feature set without a feature that a network cannot do without."""


@dataclass(frozen=True)
class NetworkInputs:
    """Number of features per particle and per jet, and which of them networks know the meaning of.

    points: the particle features that span the plane of the first graph, relative pseudorapidity and azimuth. log_pt:
    the logarithm of a particle's pT in GeV, log_share: that of pT over jetPt, mass: its mass in GeV, jet_eta: the jet's
    pseudorapidity; None where the feature set lacks them. oriented, jet_oriented: other features that a mirror image of
    the same jet does not share.
    """

    particle_features: int
    jet_features: int
    points: tuple[int, int]
    log_pt: int | None = None
    mass: int | None = None
    log_share: int | None = None
    jet_eta: int | None = None
    oriented: tuple[int, ...] = ()
    jet_oriented: tuple[int, ...] = ()

    @property
    def folded_particle_features(self) -> int:
        """Features per particle without orientation, see `jec_assets.models.folding`: |eta| comes in addition."""
        return self.particle_features - len(self.oriented) + 1

    @property
    def folded_jet_features(self) -> int:
        """Features per jet without orientation."""
        return self.jet_features - len(self.jet_oriented)

    @classmethod
    def of(cls, feature_set: FeatureSet) -> NetworkInputs:
        """The inputs that a feature set gives."""
        index = {name: number for number, name in enumerate(feature_set.particle_names)}
        of_jet = {name: number for number, name in enumerate(feature_set.jet_names)}
        return cls(
            len(feature_set.particle_features),
            len(feature_set.jet_features),
            feature_set.point_indices,
            index.get("log_pt"),
            index.get("mass"),
            index.get("log_relative_pt"),
            of_jet.get("eta"),
            tuple(index[name] for name in ORIENTED if name in index),
            tuple(of_jet[name] for name in JET_ORIENTED if name in of_jet),
        )


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
        the standard deviation; where that vanishes too (a constant) 1.

        Of more than `MAX_FITTED_JETS` jets so many are looked at, in runs of consecutive jets that are evenly spread:
        always the same ones. Memory holds one feature of them at a time; jets may be memory-mapped.

        Raises ValueError without jets or without particles.
        """
        if len(jets) == 0:
            raise ValueError("no jets to fit a standardization to: give it the training jets")
        parts = [jets.slice(start, stop) for start, stop in _runs(len(jets))]
        if not any(len(part.particles) for part in parts):
            raise ValueError(f"none of the {len(jets)} jets has a particle to fit a standardization to")
        particles = _center_and_scale([part.particles for part in parts])
        return cls(*particles, *_center_and_scale([part.jets for part in parts]))


def _runs(jets: int) -> list[tuple[int, int]]:
    """Where the runs of jets that are looked at begin and end (half-open)."""
    if jets <= MAX_FITTED_JETS:
        return [(0, jets)]
    runs = MAX_FITTED_JETS // FITTED_RUN
    return [
        (start, start + FITTED_RUN) for start in (number * (jets - FITTED_RUN) // (runs - 1) for number in range(runs))
    ]


def _center_and_scale(parts: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each feature of the parts together, which are (entries, features)."""
    columns = range(parts[0].shape[1])
    centers, scales = zip(*(_of_column(np.concatenate([part[:, c] for part in parts])) for c in columns), strict=True)
    return np.array(centers, np.float32), np.array(scales, np.float32)


def _of_column(values: NDArray[np.float32]) -> tuple[float, float]:
    low, center, high = np.quantile(values, [ONE_SIGMA_QUANTILES[0], 0.5, ONE_SIGMA_QUANTILES[1]], overwrite_input=True)
    if high > low:
        return float(center), float((high - low) / 2)
    # A constant is compared, not computed: rounding can leave it a tiny standard deviation.
    constant = values.min() == values.max()
    return float(center), 1.0 if constant else float(values.std(dtype=np.float64))
