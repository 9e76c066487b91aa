from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from jec_assets.correction import StandardCorrection
from jec_assets.jets.schema import BRANCHES, TREE
from jec_assets.simulation.ntuple import CandidateChoice, Identity, JetTable, jet_table, join_tables, write_root
from jec_assets.simulation.reconstruction import Collisions
from jec_assets.simulation.selection import select

pytestmark = pytest.mark.needs("pythia")

ROOT_TYPES = {"float32": "float", "int32": "int32_t", "uint64": "uint64_t"}


def table_of(collisions: Collisions, correction: StandardCorrection, candidates: CandidateChoice) -> JetTable:
    return jet_table(collisions, select(collisions, correction), Identity(7, 3, 100), candidates)


@pytest.fixture(scope="module")
def table(collisions: Collisions, correction: StandardCorrection) -> JetTable:
    return table_of(collisions, correction, "members")


@pytest.fixture(scope="module")
def jets(table: JetTable, tmp_path_factory: pytest.TempPathFactory) -> ak.Array:
    path = tmp_path_factory.mktemp("ntuple") / "jets.root"
    write_root(table, path)
    with uproot.open({path: TREE}) as tree:
        return tree.arrays()


def test_the_file_has_exactly_the_schema(table: JetTable, tmp_path: Path) -> None:
    write_root(table, tmp_path / "jets.root")
    expected = {branch.name: ROOT_TYPES[branch.dtype] + ("[]" if branch.counter else "") for branch in BRANCHES}
    with uproot.open({tmp_path / "jets.root": TREE}) as tree:
        assert tree.typenames() == expected
        assert tree.num_entries == len(table)
        assert {branch.name: tree[branch.name].count_branch.name for branch in BRANCHES if branch.counter} == {
            branch.name: branch.counter for branch in BRANCHES if branch.counter
        }


def test_the_same_rows_give_the_same_bytes(table: JetTable, tmp_path: Path) -> None:
    content = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        write_root(table, tmp_path / folder / "jets.root")
        content.append((tmp_path / folder / "jets.root").read_bytes())
    assert content[0] == content[1]


def test_every_number_is_finite(jets: ak.Array) -> None:
    for name in jets.fields:
        assert np.all(np.isfinite(ak.to_numpy(ak.flatten(jets[name], axis=None)))), name


def test_counters_count(jets: ak.Array) -> None:
    assert ak.all(ak.num(jets.PF_pT) == jets.nPF)
    assert ak.all(ak.num(jets.genJetPF_pT) == jets.nGenJetPF)
    assert ak.all(jets.nPF == jets.jetMult)
    assert ak.all(jets.PF_fromAK4Jet == 1)


def test_members_add_up_to_the_raw_jet(jets: ak.Array) -> None:
    along = ak.sum(jets.PF_pT * np.cos(jets.PF_dPhi), axis=1)
    across = ak.sum(jets.PF_pT * np.sin(jets.PF_dPhi), axis=1)
    np.testing.assert_allclose(along, jets.jetRawPt, rtol=1e-4)
    np.testing.assert_allclose(across / jets.jetRawPt, 0, atol=1e-4)


def test_positions_are_consistent(jets: ak.Array) -> None:
    np.testing.assert_allclose(ak.flatten(np.hypot(jets.PF_dEta, jets.PF_dPhi)), ak.flatten(jets.PF_dR), atol=1e-5)
    angle = np.arctan2(jets.PF_dPhi, jets.PF_dEta)
    np.testing.assert_allclose(ak.flatten(angle), ak.flatten(jets.PF_dTheta), atol=1e-3)


def test_the_factor_scales_the_whole_four_momentum(jets: ak.Array) -> None:
    np.testing.assert_allclose(jets.jetPt / jets.jetRawPt, jets.jetMass / jets.jetRawMass, rtol=1e-4)


def test_girth_is_the_mean_distance_in_rapidity_and_azimuth(jets: ak.Array) -> None:
    def rapidity(pt: ak.Array, eta: ak.Array, mass: ak.Array) -> ak.Array:
        return np.arcsinh(pt * np.sinh(eta) / np.hypot(pt, mass))

    members = rapidity(jets.PF_pT, jets.PF_dEta + jets.jetEta, jets.PF_mass)
    distance = np.hypot(members - rapidity(jets.jetRawPt, jets.jetEta, jets.jetRawMass), jets.PF_dPhi)
    np.testing.assert_allclose(jets.jetGirth, ak.sum(jets.PF_pT * distance, axis=1) / jets.jetPt, rtol=1e-3, atol=1e-4)


def test_unmatched_jets_have_no_particle_level_jet(collisions: Collisions, correction: StandardCorrection) -> None:
    from dataclasses import replace

    lonely = replace(collisions, match=np.full_like(collisions.match, -1))
    columns = table_of(lonely, correction, "members").columns
    for name in ("jetGenMatch", "genJetPt", "genJetEta", "genJetPhi", "genJetMass", "nGenJetPF"):
        assert not columns[name].any()
    assert len(columns["genJetPF_pT"]) == 0


def test_particles_of_the_particle_level_jet_fall_in_pt_and_add_up(jets: ak.Array) -> None:
    matched = jets[jets.jetGenMatch == 1]
    assert ak.all(matched.genJetPF_pT[:, 1:] <= matched.genJetPF_pT[:, :-1])
    assert ak.all(ak.sum(matched.genJetPF_pT, axis=1) >= 0.999 * matched.genJetPt)
    assert ak.all(ak.sum(matched.genJetPF_pT, axis=1) < 1.2 * matched.genJetPt)


def test_identity(jets: ak.Array) -> None:
    assert set(jets.run.to_list()) == {7}
    assert set(jets.lumi.to_list()) == {3}
    assert ak.min(jets.event) > 100
    identifiers = list(zip(jets.event.to_list(), jets.jetPtOrder.to_list(), strict=True))
    assert len(set(identifiers)) == len(jets)


def test_the_square_holds_the_members_and_more(
    collisions: Collisions, correction: StandardCorrection, table: JetTable
) -> None:
    square = table_of(collisions, correction, "square").columns
    members = table.columns
    assert np.all(square["nPF"] > members["nPF"])
    assert np.abs(square["PF_dEta"]).max() < 1
    assert np.abs(square["PF_dPhi"]).max() < 1
    # A soft massive member's rapidity may be within 0.4 of the axis while its pseudorapidity is out of the square.
    owner = np.repeat(np.arange(len(table)), members["nPF"])
    inside = (np.abs(members["PF_dEta"]) < 1) & (np.abs(members["PF_dPhi"]) < 1)
    owner_in_square = np.repeat(np.arange(len(table)), square["nPF"])
    found = np.bincount(owner_in_square, square["PF_fromAK4Jet"])
    assert np.array_equal(found, np.bincount(owner, inside))
    assert found.sum() > 0.98 * len(owner)
    removed = square["PF_fromPV"] == 0
    assert removed.any()
    assert not square["PF_fromAK4Jet"][removed].any()


def test_the_first_rows_keep_their_particles(table: JetTable) -> None:
    again = join_tables([table.first(5), table.first(0)])
    assert len(again) == 5
    assert len(again.columns["PF_pT"]) == table.columns["nPF"][:5].sum()
    np.testing.assert_array_equal(again.columns["PF_pT"], table.columns["PF_pT"][: len(again.columns["PF_pT"])])


def test_events_end_where_their_number_changes(table: JetTable) -> None:
    ends = table.ends_of_events()
    event = table.columns["event"]
    assert ends[-1] == len(table)
    assert len(ends) == len(np.unique(event))
    assert all(event[end - 1] != event[end] for end in ends[:-1])
