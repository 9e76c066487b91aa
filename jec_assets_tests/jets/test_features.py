"""Feature formulas against the plain computation, jet by jet."""

import awkward as ak
import numpy as np
import pytest

from jec_assets.jets.features import EXTENDED, FEATURE_SETS, PAPER, Columns, Feature
from jec_assets.jets.schema import BY_NAME
from jec_assets.jets.selection import select_particles
from jec_assets_tests.toy_jets import toy_jets


def columns_of(branches: dict, names: tuple[str, ...]) -> Columns:
    counts = ak.to_numpy(ak.num(branches["PF_pT"]))
    scalars, particles = {}, {}
    for name in names:
        if BY_NAME[name].counter is None:
            scalars[name] = np.asarray(branches[name], BY_NAME[name].dtype)
        else:
            particles[name] = ak.to_numpy(ak.flatten(branches[name])).astype(BY_NAME[name].dtype)
    return Columns(scalars, particles, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def test_paper_has_the_published_features() -> None:
    assert len(PAPER.particle_features) == 6
    assert len(PAPER.jet_features) == 8
    assert PAPER.max_particles == 100
    assert not PAPER.members_only
    assert PAPER.point_indices == (2, 3)


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_every_branch_is_declared(name: str) -> None:
    assert set(FEATURE_SETS[name].branches) <= set(BY_NAME)


def test_extended_contains_paper_and_particle_types() -> None:
    assert set(PAPER.particle_names) < set(EXTENDED.particle_names)
    assert set(EXTENDED.jet_names) - set(PAPER.jet_names) == {"rho"}


# Every type of candidate that the schema knows, and a nucleus that it doesn't.
PDG_IDS = np.array([211, -211, 130, 1, 22, 2, 11, -11, 13, -13, 1000010020])
CHARGES = np.array([1, -1, 0, 0, 0, 0, -1, 1, -1, 1, 0])
COUNTS = np.array([4, 7])


def distinct(names: set[str], size: int) -> dict[str, np.ndarray]:
    """Positive numbers, of which no two columns share one."""
    random = np.random.default_rng(8)
    return {name: (1 + place + random.random(size)).astype(np.float32) for place, name in enumerate(sorted(names))}


JET_BRANCHES = distinct({name for name in EXTENDED.branches if BY_NAME[name].counter is None}, len(COUNTS))
PARTICLE_BRANCHES = {
    **distinct({name for name in EXTENDED.branches if BY_NAME[name].counter == "nPF"}, len(PDG_IDS)),
    "PF_id": PDG_IDS,
}

JET_FORMULAS = {
    "log_pt": np.log(JET_BRANCHES["jetPt"]),
    "eta": JET_BRANCHES["jetEta"],
    "phi": JET_BRANCHES["jetPhi"],
    "mass": JET_BRANCHES["jetMass"],
    "area": JET_BRANCHES["jetArea"],
    "pt_d": JET_BRANCHES["QG_ptD"],
    "axis2": JET_BRANCHES["QG_axis2"],
    "multiplicity": JET_BRANCHES["QG_mult"],
    "rho": JET_BRANCHES["rhoAll"],
}

PARTICLE_FORMULAS = {
    "log_pt": np.log(PARTICLE_BRANCHES["PF_pT"]),
    "log_relative_pt": np.log(PARTICLE_BRANCHES["PF_pT"]) - np.log(np.repeat(JET_BRANCHES["jetPt"], COUNTS)),
    "delta_eta": PARTICLE_BRANCHES["PF_dEta"],
    "delta_phi": PARTICLE_BRANCHES["PF_dPhi"],
    "delta_theta": PARTICLE_BRANCHES["PF_dTheta"],
    "delta_r": PARTICLE_BRANCHES["PF_dR"],
    "is_charged_hadron": (PDG_IDS == 211) | (PDG_IDS == -211),
    "is_neutral_hadron": (PDG_IDS == 130) | (PDG_IDS == 1),
    "is_photon": (PDG_IDS == 22) | (PDG_IDS == 2),
    "is_electron": (PDG_IDS == 11) | (PDG_IDS == -11),
    "is_muon": (PDG_IDS == 13) | (PDG_IDS == -13),
    "charge": CHARGES,
    "vertex_association": PARTICLE_BRANCHES["PF_fromPV"],
    "mass": PARTICLE_BRANCHES["PF_mass"],
}

JET_CASES = [(features.name, feature) for features in FEATURE_SETS.values() for feature in features.jet_features]
PARTICLE_CASES = [
    (features.name, feature) for features in FEATURE_SETS.values() for feature in features.particle_features
]


def assert_computes(feature: Feature, expected: np.ndarray) -> None:
    """That the feature is this, of just the branches that it declares."""
    columns = Columns(
        {name: JET_BRANCHES[name] for name in feature.branches if name in JET_BRANCHES},
        {name: PARTICLE_BRANCHES[name] for name in feature.branches if name in PARTICLE_BRANCHES},
        np.concatenate([[0], np.cumsum(COUNTS)]),
    )
    np.testing.assert_allclose(feature.compute(columns), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "feature"), JET_CASES, ids=lambda value: getattr(value, "name", value))
def test_formula_of_a_jet_feature(name: str, feature: Feature) -> None:
    assert_computes(feature, JET_FORMULAS[feature.name])


@pytest.mark.parametrize(("name", "feature"), PARTICLE_CASES, ids=lambda value: getattr(value, "name", value))
def test_formula_of_a_particle_feature(name: str, feature: Feature) -> None:
    assert_computes(feature, PARTICLE_FORMULAS[feature.name])


def test_members_are_sorted_by_falling_pt_and_others_dropped() -> None:
    columns = columns_of(toy_jets(40, seed=5, outsiders=True), (*EXTENDED.branches, "PF_fromAK4Jet"))
    seen = select_particles(columns, EXTENDED)
    assert np.all(seen.particles["PF_fromAK4Jet"] == 1)
    for start, stop in zip(seen.offsets[:-1], seen.offsets[1:], strict=True):
        assert np.all(np.diff(seen.particles["PF_pT"][start:stop]) <= 0)
    members = columns.particles["PF_fromAK4Jet"] == 1
    assert np.sort(seen.particles["PF_pT"]).tolist() == np.sort(columns.particles["PF_pT"][members]).tolist()


def test_paper_takes_the_first_hundred_in_file_order() -> None:
    counts = np.array([150, 3])
    pt = np.arange(153, dtype=np.float32)
    columns = Columns({}, {"PF_pT": pt, "PF_fromAK4Jet": np.zeros(153)}, np.array([0, 150, 153]))
    seen = select_particles(columns, PAPER)
    assert np.diff(seen.offsets).tolist() == [100, 3]
    assert seen.particles["PF_pT"].tolist() == [*range(100), 150, 151, 152]
    assert counts.sum() == 153
