"""Feature formulas against the plain computation, jet by jet."""

import awkward as ak
import numpy as np
import pytest

from jec_assets.jets.features import EXTENDED, FEATURE_SETS, PAPER, Columns
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


def test_formulas_of_one_jet() -> None:
    branches = toy_jets(5, seed=3)
    columns = columns_of(branches, (*EXTENDED.branches, "PF_fromAK4Jet"))
    computed = {feature.name: feature.compute(columns) for feature in EXTENDED.particle_features}
    first = slice(0, columns.offsets[1])
    pt = np.asarray(branches["PF_pT"][0], np.float32)
    np.testing.assert_allclose(computed["log_pt"][first], np.log(pt), rtol=1e-6)
    np.testing.assert_allclose(computed["log_relative_pt"][first], np.log(pt / branches["jetPt"][0]), rtol=1e-5)
    np.testing.assert_array_equal(computed["is_photon"][first], np.asarray(branches["PF_id"][0]) == 22)


@pytest.mark.parametrize(("pdg", "charge"), [(211, 1), (-211, -1), (11, -1), (-13, 1), (22, 0), (130, 0), (1, 0)])
def test_charge_follows_the_pdg_convention(pdg: int, charge: int) -> None:
    columns = Columns({}, {"PF_id": np.array([pdg], np.int32)}, np.array([0, 1]))
    feature = next(feature for feature in EXTENDED.particle_features if feature.name == "charge")
    assert feature.compute(columns).tolist() == [charge]


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
