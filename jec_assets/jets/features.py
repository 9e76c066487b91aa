"""Feature sets, declared: which numbers a network sees of a jet and of its particles.

Belongs here: each feature's name, unit, branches and formula, and the sets; a new set is a few lines at the end. Does
not belong here: standardization, which is the network's own (its constants come from the training jets), and selection.

`paper` is exactly the published Table 1 (D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep
learning as a Kubeflow pipeline", Section 3.1): 8 + 6 features, candidates as they stand in the file, at most 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class Columns:
    """Branches of some jets: scalars (jets,), particles flat (particles,), offsets int64 (jets + 1,)."""

    scalars: dict[str, Array]
    particles: dict[str, Array]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def per_particle(self, name: str) -> Array:
        """A jet's scalar repeated for each of its particles, (particles,)."""
        return np.repeat(self.scalars[name], np.diff(self.offsets))


@dataclass(frozen=True)
class Feature:
    """One number per jet or per particle: `compute` maps `Columns` to a flat array and reads just `branches`."""

    name: str
    unit: str
    branches: tuple[str, ...]
    compute: Callable[[Columns], Array]


@dataclass(frozen=True)
class FeatureSet:
    """What a network sees. `points` are the particle features in which ParticleNet's first graph is built.

    members_only: only candidates with PF_fromAK4Jet == 1, by falling pT; otherwise all candidates of the square around
    the axis in file order. max_particles: the first so many of them, None for all.
    """

    name: str
    particle_features: tuple[Feature, ...]
    jet_features: tuple[Feature, ...]
    members_only: bool
    max_particles: int | None
    points: tuple[str, str] = ("delta_eta", "delta_phi")

    @property
    def branches(self) -> tuple[str, ...]:
        """Every branch the set reads, each once, in order of first use."""
        used = [name for feature in (*self.jet_features, *self.particle_features) for name in feature.branches]
        return tuple(dict.fromkeys(used))

    @property
    def particle_names(self) -> tuple[str, ...]:
        """Names of the particle features, in the order of the array's last axis."""
        return tuple(feature.name for feature in self.particle_features)

    @property
    def jet_names(self) -> tuple[str, ...]:
        """Names of the jet features, in the order of the array's last axis."""
        return tuple(feature.name for feature in self.jet_features)

    @property
    def point_indices(self) -> tuple[int, int]:
        """Positions of `points` among the particle features."""
        first, second = self.points
        return self.particle_names.index(first), self.particle_names.index(second)


def _branch(name: str, unit: str, branch: str) -> Feature:
    """A jet's branch as it stands."""
    return Feature(name, unit, (branch,), lambda columns: columns.scalars[branch])


def _particle_branch(name: str, unit: str, branch: str) -> Feature:
    """A particle's branch as it stands."""
    return Feature(name, unit, (branch,), lambda columns: columns.particles[branch])


def _is_type(name: str, *pdg_ids: int) -> Feature:
    """1 where |PF_id| is one of `pdg_ids`, else 0."""
    return Feature(name, "1", ("PF_id",), lambda columns: np.isin(np.abs(columns.particles["PF_id"]), pdg_ids))


def _charge(columns: Columns) -> Array:
    # A PDG id is positive for pi+ and for e-, mu-: leptons carry the opposite sign.
    pdg = columns.particles["PF_id"].astype(np.int32)
    orientation = np.select([np.abs(pdg) == 211, np.isin(np.abs(pdg), (11, 13))], [1, -1], 0)
    return np.asarray(np.sign(pdg) * orientation)


PAPER_PARTICLE_FEATURES = (
    Feature("log_pt", "log GeV", ("PF_pT",), lambda columns: np.log(columns.particles["PF_pT"])),
    Feature(
        "log_relative_pt",
        "1",
        ("PF_pT", "jetPt"),
        lambda columns: np.log(columns.particles["PF_pT"] / columns.per_particle("jetPt")),
    ),
    _particle_branch("delta_eta", "1", "PF_dEta"),
    _particle_branch("delta_phi", "rad", "PF_dPhi"),
    _particle_branch("delta_theta", "rad", "PF_dTheta"),
    _particle_branch("delta_r", "1", "PF_dR"),
)

PAPER_JET_FEATURES = (
    Feature("log_pt", "log GeV", ("jetPt",), lambda columns: np.log(columns.scalars["jetPt"])),
    _branch("eta", "1", "jetEta"),
    _branch("phi", "rad", "jetPhi"),
    _branch("mass", "GeV", "jetMass"),
    _branch("area", "1", "jetArea"),
    _branch("pt_d", "1", "QG_ptD"),
    _branch("axis2", "1", "QG_axis2"),
    _branch("multiplicity", "1", "QG_mult"),
)

PARTICLE_TYPE_FEATURES = (
    _is_type("is_charged_hadron", 211),
    _is_type("is_neutral_hadron", 130, 1),
    _is_type("is_photon", 22, 2),
    _is_type("is_electron", 11),
    _is_type("is_muon", 13),
    Feature("charge", "e", ("PF_id",), _charge),
    _particle_branch("vertex_association", "1", "PF_fromPV"),
    _particle_branch("mass", "GeV", "PF_mass"),
)

PAPER = FeatureSet("paper", PAPER_PARTICLE_FEATURES, PAPER_JET_FEATURES, members_only=False, max_particles=100)
EXTENDED = FeatureSet(
    "extended",
    (*PAPER_PARTICLE_FEATURES, *PARTICLE_TYPE_FEATURES),
    (*PAPER_JET_FEATURES, _branch("rho", "GeV", "rhoAll")),
    members_only=True,
    max_particles=None,
)

FEATURE_SETS: dict[str, FeatureSet] = {features.name: features for features in (PAPER, EXTENDED)}


class UnknownFeatureSetError(ValueError):
    """A feature set that is not declared."""


def feature_set_named(name: str) -> FeatureSet:
    """The declared set of that name; UnknownFeatureSetError, with the names there are, if there is none."""
    try:
        return FEATURE_SETS[name]
    except KeyError:
        raise UnknownFeatureSetError(
            f"there is no feature set {name!r}: choose from {', '.join(FEATURE_SETS)}"
        ) from None
