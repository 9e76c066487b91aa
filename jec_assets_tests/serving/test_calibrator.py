"""Calibrating arrays and files through the real Triton and without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from jec_assets.cli import app
from jec_assets.correction import Provenance, StandardCorrection, correctionlib_json
from jec_assets.correction.standard import ResponseCurve
from jec_assets.jets import extending
from jec_assets.jets.dataset import pack
from jec_assets.jets.features import EXTENDED
from jec_assets.jets.filtering import Recipe, filter_columns
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.reading import JetFileError, read_columns
from jec_assets.jets.records import RecordError
from jec_assets.jets.schema import TREE
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import JetFile
from jec_assets.jets.training_range import TrainingRange
from jec_assets.models.inputs import Standardization
from jec_assets.models.network import JetNetwork
from jec_assets.models.outputs import QUANTILES
from jec_assets.models.prediction import predict_outputs
from jec_assets.processes import free_ports
from jec_assets.serving.calibrated_file import RESIDUAL, calibrate_file
from jec_assets.serving.calibrator import Calibrator, ChangedFeaturesError
from jec_assets.serving.client import NoQuantilesError
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import load, unload
from jec_assets.serving.export import export_onnx
from jec_assets.serving.predictors import LocalPredictor
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.served import publish_endpoint
from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
from jec_assets.storage import Storage
from jec_assets_tests.serving.conftest import Served, card_of, small_network
from jec_assets_tests.toy_jets import Branches, toy_events, toy_jets, write_jet_file

TRUTH = ("gen", "Gen", "Flav", "isPhys", "isParton", "pthat", "eventWeight", "Pileup")
JETS = 300
# Jets 10 to 12 cannot be calibrated: one without constituents, one of no momentum, one with a NaN.
UNUSABLE = [10, 11, 12]
RANGE = TrainingRange((60.0, 500.0), (0.0, 2.0), (1, 35))


def jets_with_oddities() -> Branches:
    branches = toy_jets(JETS // 2, seed=4)
    branches["PF_fromAK4Jet"] = branches["PF_fromAK4Jet"] * (np.arange(JETS) != 10)
    branches["jetPt"][11] = 0.0
    branches["jetMass"][12] = np.nan
    return branches


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 jets, three of which no model can say anything about."""
    return write_jet_file(tmp_path_factory.mktemp("jets") / "in.root", jets_with_oddities())


@pytest.fixture(scope="module")
def usable(source: Path) -> PackedJets:
    """The others, by the way that jets go to training."""
    recipe = Recipe(EXTENDED.name, Selection(min_gen_pt=0.0, max_abs_gen_eta=9.0))
    (columns,) = read_columns(JetFile(str(source), 0, ""), recipe.branches)
    table, cutflow = filter_columns(columns, recipe)
    assert cutflow.kept == JETS - len(UNUSABLE)
    return pack(table, EXTENDED)


@pytest.fixture(scope="module")
def network(usable: PackedJets) -> JetNetwork:
    network = small_network("pfn_committee", seed=1, outputs=3)
    network.set_standardization(Standardization.fit(usable))
    return network.eval()


@dataclass(frozen=True)
class Both:
    """The same models behind a server and in a repository."""

    url: str
    repository: ModelRepository

    def calibrator(self, where: str, family: str = "pfn_committee") -> Calibrator:
        return Calibrator(self.url, family) if where == "served" else Calibrator.local(self.repository, family)


@pytest.fixture(scope="module")
def both(served: Served, network: JetNetwork) -> Iterator[Both]:
    onnx = export_onnx(network)
    card = replace(card_of("pfn_committee", onnx), outputs=QUANTILES, training_range=RANGE)
    load(served.endpoint, [served.repository.publish(card, onnx, InstanceSettings())])
    publish_endpoint(served.repository.storage, served.endpoint)
    yield Both(served.endpoint.url, served.repository)
    unload(served.endpoint, "pfn_committee")


@pytest.fixture(params=["served", "local"])
def calibrator(both: Both, request: pytest.FixtureRequest) -> Iterator[Calibrator]:
    with both.calibrator(request.param) as calibrator:
        yield calibrator


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def branches_in(path: Path) -> dict[str, ak.Array]:
    with uproot.open(path) as file:
        return dict(file[TREE].arrays(library="ak", how=dict))


pytestmark = pytest.mark.needs("triton")


def test_a_file_keeps_all_its_jets_and_gets_what_torch_predicts(
    calibrator: Calibrator,
    network: JetNetwork,
    usable: PackedJets,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extending, "CHUNK_ROWS", 70)
    seen: list[tuple[int, int]] = []
    done = calibrate_file(str(source), tmp_path / "out.root", calibrator, lambda *now: seen.append(now))
    before, after = branches_in(source), branches_in(tmp_path / "out.root")
    for name, values in before.items():
        assert ak.array_equal(after[name], values, equal_nan=True), name
    assert seen == [(0, JETS), (70, JETS), (140, JETS), (210, JETS), (280, JETS), (JETS, JETS)]
    kept = np.setdiff1d(np.arange(JETS), UNUSABLE)
    expected = np.exp(predict_outputs(network, usable))
    factor = ak.to_numpy(after["jetFactor_pfn_committee"])
    np.testing.assert_allclose(factor[kept], expected[:, 0], rtol=2e-5)
    np.testing.assert_allclose(after["jetFactor16_pfn_committee"][kept], expected[:, 1], rtol=2e-5)
    np.testing.assert_allclose(after["jetFactor84_pfn_committee"][kept], expected[:, 2], rtol=2e-5)
    resolution = (np.log(expected[:, 2]) - np.log(expected[:, 1])) / 2
    np.testing.assert_allclose(after["jetResolution_pfn_committee"][kept], resolution, atol=1e-5)
    assert len(np.unique(factor[kept])) > 100
    for name in ("jetPt", "jetMass"):
        np.testing.assert_array_equal(after[f"{name}_pfn_committee"], factor * before[name])
    assert after["jetCalibrated_pfn_committee"].tolist() == [jet not in UNUSABLE for jet in range(JETS)]
    assert factor[UNUSABLE].tolist() == [1, 1, 1]
    assert after["jetResolution_pfn_committee"][UNUSABLE].tolist() == [-1, -1, -1]
    assert (done.jets, done.not_calibrated, done.left_out) == (JETS, 3, ())


def test_jets_unlike_those_of_the_training_are_flagged(calibrator: Calibrator, source: Path, tmp_path: Path) -> None:
    done = calibrate_file(str(source), tmp_path / "out.root", calibrator, silent)
    jets = branches_in(tmp_path / "out.root")
    pt, eta, constituents = jets["jetPt"], jets["jetEta"], ak.sum(jets["PF_fromAK4Jet"] == 1, axis=1)
    outside = (pt < 60) | (pt > 500) | (abs(eta) > 2) | (constituents > 35) | (constituents < 1)
    outside = ak.to_numpy(outside) | np.isin(np.arange(JETS), UNUSABLE)
    assert 20 < outside.sum() < JETS - 20
    np.testing.assert_array_equal(jets["jetOutsideRange_pfn_committee"], outside)
    assert done.outside_range == outside.sum()
    assert [line for line in done.remarks if "jetOutsideRange" in line]


def test_served_and_local_give_the_same_numbers(both: Both, source: Path, tmp_path: Path) -> None:
    found = []
    for where in ("served", "local"):
        with both.calibrator(where) as calibrator:
            calibrate_file(str(source), tmp_path / f"{where}.root", calibrator, silent)
        found.append(branches_in(tmp_path / f"{where}.root"))
    served, local = found
    assert served.keys() == local.keys()
    for name in served:
        if name.endswith("_pfn_committee"):
            np.testing.assert_allclose(served[name], local[name], rtol=1e-6, atol=1e-6, equal_nan=True, err_msg=name)


def test_the_file_says_which_model_it_was_and_what_data_still_need(
    calibrator: Calibrator, source: Path, tmp_path: Path
) -> None:
    calibrate_file(str(source), tmp_path / "out.root", calibrator, silent)
    with uproot.open(tmp_path / "out.root") as file:
        said = json.loads(str(file["calibration_pfn_committee"]))
    assert (said["family"], said["version"]) == ("pfn_committee", 1)
    assert said["network_digest"] == calibrator.model.card.network_digest
    assert said["note"] == RESIDUAL


def test_every_jet_says_which_version_calibrated_it(calibrator: Calibrator, source: Path, tmp_path: Path) -> None:
    calibrate_file(str(source), tmp_path / "out.root", calibrator, silent)
    jets = branches_in(tmp_path / "out.root")
    assert str(jets["jetModelVersion_pfn_committee"].type) == f"{JETS} * int32"
    assert not jets["jetCalibrated_pfn_committee"][UNUSABLE].to_numpy().any()
    assert jets["jetModelVersion_pfn_committee"].tolist() == [1] * JETS


def test_versions_stay_apart_in_merged_files(
    repository: ModelRepository, pfn_onnx: bytes, other_pfn_onnx: bytes, source: Path, tmp_path: Path
) -> None:
    outs = []
    for version, onnx in ((1, pfn_onnx), (2, other_pfn_onnx)):
        repository.publish(card_of("pfn", onnx), onnx, InstanceSettings())
        outs.append(tmp_path / f"{version}.root")
        with Calibrator.local(repository, "pfn") as calibrator:
            calibrate_file(str(source), outs[-1], calibrator, silent)
    merged = uproot.concatenate([f"{out}:{TREE}" for out in outs], ["jetFactor_pfn", "jetModelVersion_pfn"])
    assert merged["jetModelVersion_pfn"].tolist() == [1] * JETS + [2] * JETS
    first, second = (merged["jetFactor_pfn"][merged["jetModelVersion_pfn"] == version] for version in (1, 2))
    assert ak.all((first != second)[np.setdiff1d(np.arange(JETS), UNUSABLE)])


def test_data_have_no_truth_and_are_calibrated_alike(calibrator: Calibrator, source: Path, tmp_path: Path) -> None:
    data = {name: values for name, values in jets_with_oddities().items() if not any(part in name for part in TRUTH)}
    recorded = write_jet_file(tmp_path / "data.root", data)
    assert not [name for name in branches_in(recorded) if "gen" in name.lower()]
    for path in (source, recorded):
        calibrate_file(str(path), tmp_path / f"{path.stem}_out.root", calibrator, silent)
    simulated, data_out = branches_in(tmp_path / "in_out.root"), branches_in(tmp_path / "data_out.root")
    np.testing.assert_array_equal(data_out["jetFactor_pfn_committee"], simulated["jetFactor_pfn_committee"])


def test_several_models_calibrate_one_file(both: Both, source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.root", tmp_path / "second.root"
    for family, read, write in (("pfn_committee", source, first), ("pfn", first, second)):
        with both.calibrator("local", family) as calibrator:
            done = calibrate_file(str(read), write, calibrator, silent)
    assert done.remarks[1] == "which jets the training had is not on record: all are flagged in jetOutsideRange"
    jets = branches_in(second)
    assert {"jetPt_pfn", "jetPt_pfn_committee", "jetFactor16_pfn_committee"} <= set(jets)
    assert "jetFactor16_pfn" not in jets  # it predicts no quantiles
    assert ak.all(jets["jetOutsideRange_pfn"])  # nobody recorded its range
    with uproot.open(second) as file:
        assert {"calibration_pfn", "calibration_pfn_committee"} <= set(file.keys(cycle=False))


def test_a_file_that_lacks_what_the_model_wants_is_named_and_nothing_is_written(
    calibrator: Calibrator, tmp_path: Path
) -> None:
    branches = toy_jets(10, seed=1)
    del branches["jetArea"]
    path = write_jet_file(tmp_path / "in.root", branches)
    with pytest.raises(JetFileError, match=r"in\.root: there is no branch jetArea; give files"):
        calibrate_file(str(path), tmp_path / "out.root", calibrator, silent)
    assert [each.name for each in tmp_path.iterdir()] == ["in.root"]


def test_momenta_in_other_units_are_refused_and_nothing_is_written(calibrator: Calibrator, tmp_path: Path) -> None:
    branches = toy_jets(10, seed=1)
    branches["jetPt"] = 1000 * branches["jetPt"]
    path = write_jet_file(tmp_path / "in.root", branches)
    with pytest.raises(ValueError, match="pT must be in GeV"):
        calibrate_file(str(path), tmp_path / "out.root", calibrator, silent)
    assert not (tmp_path / "out.root").exists()


def test_arrays_of_jets_and_of_events_get_the_same_factors(calibrator: Calibrator) -> None:
    branches = toy_jets(40, seed=3)
    branches["rhoAll"] = np.repeat(branches["rhoAll"][::2], 2)
    jets = ak.Array({name: values for name, values in branches.items() if not name.startswith("QG_")})
    of_jets, of_events = calibrator.factors(jets), calibrator.factors(toy_events(branches))
    assert str(of_jets.type) == "80 * float32"
    assert ak.num(of_events).tolist() == [2] * 40
    np.testing.assert_allclose(ak.flatten(of_events), of_jets, rtol=1e-4)
    low, high = np.log(ak.to_numpy(calibrator.quantiles(jets))).T
    np.testing.assert_allclose(calibrator.resolution(jets), (high - low) / 2, rtol=1e-5, atol=1e-7)
    assert calibrator.quantiles(toy_events(branches)).ndim == 3
    assert calibrator.outside_range(toy_events(branches)).type.content.content.primitive == "bool"


def test_no_jets_get_no_factors(calibrator: Calibrator) -> None:
    jets = ak.Array(toy_jets(1, seed=3))
    assert len(calibrator.factors(jets[:0])) == 0
    assert calibrator.factors(toy_events(toy_jets(2, seed=3))[:0]).tolist() == []


def test_a_single_jet_without_constituents_keeps_its_momentum(calibrator: Calibrator) -> None:
    jets = ak.Array(toy_jets(1, seed=3))
    jets["PF_fromAK4Jet"] = 0 * jets["PF_fromAK4Jet"]
    assert calibrator.factors(jets).tolist() == [1, 1]


def test_arrays_that_are_no_records_and_missing_fields_are_named(calibrator: Calibrator) -> None:
    with pytest.raises(RecordError, match="no records"):
        calibrator.factors(ak.Array([40.0, 50.0]))
    jets = ak.Array(toy_jets(2, seed=3))
    with pytest.raises(RecordError, match="no branch rhoAll"):
        calibrator.factors(jets[[name for name in jets.fields if name != "rhoAll"]])


def test_grpc_answers_the_same(both: Both, served: Served) -> None:
    jets = ak.Array(toy_jets(20, seed=3))
    with both.calibrator("served") as http, Calibrator(served.endpoint.grpc, protocol="grpc") as grpc:
        assert http.factors(jets).tolist() == grpc.factors(jets).tolist()


def test_an_answer_that_is_no_number_is_none(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(_: LocalPredictor, jets: PackedJets) -> np.ndarray:
        return np.array([[0.1, 0, 0.2], [np.nan, 0, 0], [0, 0, 1e9], [0.1, 0, 0.2]], np.float32)

    monkeypatch.setattr(LocalPredictor, "outputs", answers)
    with both.calibrator("local") as calibrator:
        jets = ak.Array(toy_jets(2, seed=3))
        assert calibrator.factors(jets).tolist() == pytest.approx([np.exp(0.1), 1, 1, np.exp(0.1)])
        assert calibrator.resolution(jets).tolist() == pytest.approx([0.1, -1, -1, 0.1])
        assert calibrator.outside_range(jets)[1]


def test_a_model_without_quantiles_says_so(both: Both) -> None:
    with both.calibrator("served", "pfn") as calibrator, pytest.raises(NoQuantilesError, match="pfn predicts no"):
        calibrator.resolution(ak.Array(toy_jets(2, seed=3)))


def test_a_server_that_is_not_there_or_lacks_the_model_is_named(both: Both) -> None:
    (port,) = free_ports(1)
    with pytest.raises(ServerUnavailableError, match=str(port)):
        Calibrator(f"127.0.0.1:{port}")
    with pytest.raises(RequestRefusedError, match="absent"):
        Calibrator(both.url, "absent")


def test_a_model_of_features_that_changed_since_is_refused(repository: ModelRepository, pfn_onnx: bytes) -> None:
    card = replace(card_of("pfn", pfn_onnx), jet_features=(*EXTENDED.jet_names[:-1], "girth"))
    repository.publish(card, pfn_onnx, InstanceSettings())
    with pytest.raises(ChangedFeaturesError, match="other features than 'extended'"):
        Calibrator.local(repository, "pfn")


def jec(*words: str, storage: Storage, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200", "JEC_STORAGE_ROOT": storage.root})
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("options", [(), ("--local",)])
def test_the_command_says_what_came_of_it(both: Both, source: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    out = tmp_path / "out.root"
    said = jec("calibrate", str(source), "-o", str(out), *options, storage=both.repository.storage)
    assert f"300 jets calibrated by pfn_committee version 1: {out}" in said
    assert "3 jets without constituents, or with numbers that are not finite, keep their momentum" in said
    assert "still need the residual correction" in said
    assert "jets: 300 of 300" in said
    refused = jec("calibrate", str(source), "-o", str(out), *options, storage=both.repository.storage, status=1)
    assert "is there already" in refused
    jec("calibrate", str(source), "-o", str(out), "--force", *options, storage=both.repository.storage)


def test_jets_without_a_standard_correction_are_refused_or_given_one(both: Both, source: Path, tmp_path: Path) -> None:
    scale, jets = 1.09, jets_with_oddities()
    bare = {name: jets[f"jet{name.removeprefix('jetRaw')}"] / scale for name in ("jetRawPt", "jetRawMass")}
    raw = write_jet_file(
        tmp_path / "raw.root", {**jets, **bare, "jetPt": bare["jetRawPt"], "jetMass": bare["jetRawMass"]}
    )
    words = ("calibrate", str(raw), "-o", str(tmp_path / "out.root"), "--local")
    assert "come without a standard correction" in jec(*words, storage=both.repository.storage, status=1)
    assert not (tmp_path / "out.root").exists()

    correction = StandardCorrection((0.0, 5.2), (0.0,), (0.0, 5.2), (ResponseCurve((100.0,), (scale,)),), 50.0)
    (tmp_path / "standard.json").write_text(correctionlib_json(correction, Provenance("a test", 1, "none", {})))
    jec(*words, "--correction", str(tmp_path / "standard.json"), storage=both.repository.storage)
    jec("calibrate", str(source), "-o", str(tmp_path / "as_it_comes.root"), "--local", storage=both.repository.storage)
    given, expected = branches_in(tmp_path / "out.root"), branches_in(tmp_path / "as_it_comes.root")
    calibrated = ak.to_numpy(given["jetCalibrated_pfn_committee"])
    assert np.flatnonzero(~calibrated).tolist() == [10, 11, 12]
    for name in ("jetPt_pfn_committee", "jetMass_pfn_committee", "jetFactor_pfn_committee"):
        values = (ak.to_numpy(each[name])[calibrated] for each in (given, expected))
        np.testing.assert_allclose(*values, rtol=1e-5)
    assert given["jetPt_pfn_committee"][11] == 0  # the raw momentum, for which there is no factor

    words = (*words[:-1], "--correction", str(source))
    assert "is no standard correction" in jec(*words, storage=both.repository.storage, status=1)


def test_the_command_names_what_is_wrong(both: Both, storage: Storage, source: Path, tmp_path: Path) -> None:
    words = ("calibrate", str(source), "-o", str(tmp_path / "out.root"))
    assert "served_endpoint" in jec(*words, storage=storage, status=1)
    assert "materialize onnx_repository" in jec(*words, "--local", storage=storage, status=1)
    assert "name it by --url" in jec(*words, "--certificates", str(source), storage=storage, status=1)
    secret = ("--url", both.url, "--token-file", str(tmp_path / "none"))
    assert "the token can't be read" in jec(*words, *secret, storage=storage, status=1)
    assert "exclude each other" in jec(*words, "--local", "--url", both.url, storage=storage, status=1)
    lost = ("calibrate", str(tmp_path / "lost.root"), "-o", str(tmp_path / "out.root"), "--url", both.url)
    assert "lost.root: it cannot be opened" in jec(*lost, storage=storage, status=1)
    (tmp_path / "text.root").write_text("no ROOT file")
    broken = ("calibrate", str(tmp_path / "text.root"), "-o", str(tmp_path / "out.root"), "--url", both.url)
    assert "not a ROOT file" in jec(*broken, storage=storage, status=1)
    assert not (tmp_path / "out.root").exists()
