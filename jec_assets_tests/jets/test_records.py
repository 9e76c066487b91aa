"""Records of jets and of events become the columns that files become; what is missing is derived or named."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from jec_assets.jets.computed import ComputedFeatures, compute_features
from jec_assets.jets.features import EXTENDED, PAPER, Columns, FeatureSet
from jec_assets.jets.nanoaod import columns_of_events
from jec_assets.jets.quark_gluon import Constituents, quark_gluon
from jec_assets.jets.reading import read_columns
from jec_assets.jets.records import MissingBranchError, RecordError, branches_of, columns_of_records
from jec_assets.jets.schema import TREE
from jec_assets.jets.selection import select_particles
from jec_assets.jets.sources import JetFile
from jec_assets_tests.toy_jets import toy_events, toy_jets, write_jet_file

TRUTH = ("gen", "Gen", "Flav", "pthat", "eventWeight", "Pileup")


def features_of(columns: Columns, features: FeatureSet = EXTENDED) -> ComputedFeatures:
    return compute_features(select_particles(columns, features), features)


def assert_same(one: ComputedFeatures, other: ComputedFeatures) -> None:
    np.testing.assert_array_equal(one.offsets, other.offsets)
    for name in one.jets:
        np.testing.assert_allclose(one.jets[name], other.jets[name], rtol=1e-5, atol=1e-6, err_msg=name)
    for name in one.particles:
        np.testing.assert_allclose(one.particles[name], other.particles[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture
def file(tmp_path: Path) -> JetFile:
    return JetFile(str(write_jet_file(tmp_path / "jets.root", toy_jets(40, seed=2, outsiders=True))), 0, "")


@pytest.fixture
def records(file: JetFile) -> ak.Array:
    """The jets without any truth."""
    with uproot.open(file.url) as opened:
        names = [name for name in opened[TREE].keys() if not any(part in name for part in TRUTH)]  # noqa: SIM118
        return opened[TREE].arrays(names)


@pytest.mark.parametrize("features", [EXTENDED, PAPER])
def test_records_and_files_give_the_same_features(file: JetFile, records: ak.Array, features: FeatureSet) -> None:
    (chunk,) = read_columns(file, branches_of(features))
    columns = columns_of_records(records, records.fields, features, len(records))
    assert_same(features_of(columns, features), features_of(chunk, features))


def test_what_follows_from_constituents_is_computed(records: ak.Array) -> None:
    derived = ("QG_ptD", "QG_axis2", "QG_mult", "PF_dR", "PF_dTheta")
    fewer = records[[name for name in records.fields if name not in derived]]
    columns = columns_of_records(fewer, fewer.fields, EXTENDED, len(fewer))
    whole = columns_of_records(records, records.fields, EXTENDED, len(records))
    for name in ("PF_dR", "PF_dTheta"):
        np.testing.assert_allclose(columns.particles[name], whole.particles[name], rtol=1e-5)
    start, stop = whole.offsets[3:5]
    member = whole.particles["PF_fromAK4Jet"][start:stop] == 1
    alone = {name: values[start:stop][member] for name, values in whole.particles.items()}
    good = np.where(np.abs(alone["PF_id"]) == 211, alone["PF_fromPV"] >= 2, alone["PF_pT"] > 1)
    pt = alone["PF_pT"][good]
    assert columns.scalars["QG_mult"][3] == len(pt)
    assert columns.scalars["QG_ptD"][3] == pytest.approx(np.sqrt((pt**2).sum()) / pt.sum(), rel=1e-5)


def test_a_missing_branch_is_named(records: ak.Array) -> None:
    fewer = records[[name for name in records.fields if name not in ("jetArea", "PF_id")]]
    with pytest.raises(MissingBranchError, match="no branch jetArea, PF_id"):
        columns_of_records(fewer, fewer.fields, EXTENDED, len(fewer))


def test_branches_of_another_shape_or_length_are_named(records: ak.Array) -> None:
    wrong = ak.with_field(records, records.PF_pT, "jetPt")
    with pytest.raises(RecordError, match="branch jetPt has 1 axes"):
        columns_of_records(wrong, wrong.fields, EXTENDED, len(wrong))
    wrong = ak.with_field(records, records.PF_mass[:, 1:], "PF_mass")
    with pytest.raises(RecordError, match="differ in length"):
        columns_of_records(wrong, wrong.fields, EXTENDED, len(wrong))


@pytest.mark.parametrize("name", ["jetPt", "PF_mass"])
def test_missing_values_are_named(records: ak.Array, name: str) -> None:
    wrong = ak.with_field(records, ak.mask(records[name], records[name] > ak.mean(records[name])), name)
    with pytest.raises(RecordError, match=f"branch {name} has missing values"):
        columns_of_records(wrong, wrong.fields, EXTENDED, len(wrong))


def test_constituents_on_a_line_have_no_minor_axis() -> None:
    one = np.ones(3)
    line = Constituents(np.zeros(3, int), 2, 10 * one, np.array([-0.1, 0, 0.1]), 0 * one, 22 * one, 0 * one)
    found = quark_gluon(line)
    assert found["QG_axis2"][0] == pytest.approx(0, abs=1e-6)
    assert found["QG_ptD"][0] == pytest.approx(np.sqrt(1 / 3))
    assert found["QG_mult"].tolist() == [3, 0]
    assert (found["QG_ptD"][1], found["QG_axis2"][1]) == (0, 0)


@pytest.mark.parametrize("nested", [False, True])
def test_events_and_jets_give_the_same_features(nested: bool) -> None:
    branches = toy_jets(40, seed=3)
    branches["rhoAll"] = np.repeat(branches["rhoAll"][::2], 2)
    jets = ak.Array({name: values for name, values in branches.items() if not name.startswith("QG_")})
    expected = features_of(columns_of_records(jets, jets.fields, EXTENDED, len(jets)))
    assert_same(features_of(columns_of_events(toy_events(branches, nested), EXTENDED)), expected)


def test_events_without_jets_and_jets_without_constituents_are_kept() -> None:
    events = toy_events(toy_jets(3, seed=3))
    links = ak.Array([[0] * 5, [], []])
    events = ak.with_field(ak.with_field(events, links, "JetPFCands_jetIdx"), links, "JetPFCands_pFCandsIdx")
    for name in ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "Jet_area"):
        events = ak.with_field(events, ak.Array([events[name][0], events[name][1], []]), name)
    columns = columns_of_events(events, EXTENDED)
    assert np.diff(columns.offsets).tolist() == [5, 0, 0, 0]
    assert len(features_of(columns).packed()) == 4


@pytest.mark.parametrize("field", ["Jet_area", "PFCands_fromPV", "JetPFCands_jetIdx", "Rho_fixedGridRhoFastjetAll"])
def test_a_missing_field_of_an_event_is_named(field: str) -> None:
    events = toy_events(toy_jets(5, seed=3))
    fewer = events[[name for name in events.fields if name != field]]
    with pytest.raises(RecordError, match=f"there is no {field}"):
        columns_of_events(fewer, EXTENDED)


def test_links_that_point_nowhere_are_an_error() -> None:
    events = toy_events(toy_jets(5, seed=3))
    for name, wrong in (("JetPFCands_jetIdx", 2), ("JetPFCands_pFCandsIdx", -2), ("JetPFCands_pFCandsIdx", 10_000)):
        broken = ak.with_field(events, ak.full_like(events[name], wrong), name)
        with pytest.raises(RecordError, match="points to a jet or candidate that is not there"):
            columns_of_events(broken, EXTENDED)
    unequal = ak.with_field(events, events["JetPFCands_jetIdx"][:, 1:], "JetPFCands_jetIdx")
    with pytest.raises(RecordError, match="differ in length"):
        columns_of_events(unequal, EXTENDED)


@pytest.mark.parametrize("index", ["JetPFCands_jetIdx", "JetPFCands_pFCandsIdx"])
def test_links_to_nothing_are_passed_over(index: str) -> None:
    events = toy_events(toy_jets(5, seed=3))
    before = np.diff(columns_of_events(events, EXTENDED).offsets)
    of_first_jet = events["JetPFCands_jetIdx"] == 0
    without_first = ak.with_field(events, ak.where(of_first_jet, -1, events[index]), index)
    after = np.diff(columns_of_events(without_first, EXTENDED).offsets)
    assert after[::2].tolist() == [0] * 5
    assert after[1::2].tolist() == before[1::2].tolist()


def test_candidates_that_are_no_constituents_cannot_be_had_of_events() -> None:
    with pytest.raises(RecordError, match="the features paper look at all candidates"):
        columns_of_events(toy_events(toy_jets(5, seed=3)), PAPER)
