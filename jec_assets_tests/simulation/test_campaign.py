from __future__ import annotations

import dataclasses
import importlib.util
import json
import multiprocessing
import shutil
from pathlib import Path
from typing import NoReturn

import correctionlib
import numpy as np
import pytest
import uproot

from jec_assets.jets.schema import JET_ID, TREE
from jec_assets.simulation import (
    SampleExistsError,
    SimulationPackagesMissingError,
    SimulationPlan,
    SimulationSummary,
    simulate,
)
from jec_assets.simulation.campaign import MANIFEST, WORK_FOLDER
from jec_assets.storage import digest_file

pytestmark = pytest.mark.needs("pythia")


def plan_in(folder: Path, jobs: int) -> SimulationPlan:
    """As small as the correction allows."""
    return SimulationPlan(
        jets=130, folder=folder, seed=4, jobs=jobs, jets_per_file=50, derivation_jets=900, pileup_collisions=60
    )


def ignore(done: int, wanted: int, stage: str) -> None:
    pass


def never(done: int, wanted: int, stage: str) -> NoReturn:
    raise AssertionError(f"nothing was to be done, but {stage} began")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def heard() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, heard: list[tuple[int, int, str]]) -> SimulationSummary:
    folder = tmp_path_factory.mktemp("simulated") / "jets"
    return simulate(plan_in(folder, jobs=1), lambda *progress: heard.append(progress))


def test_an_interrupted_simulation_goes_on_and_gives_the_same_bytes_with_two_processes(
    sample: SimulationSummary, tmp_path: Path
) -> None:
    plan = plan_in(tmp_path / "jets", jobs=2)

    def interrupt(done: int, wanted: int, stage: str) -> None:
        if stage == "jets" and any(plan.folder.glob("*.root")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(plan, interrupt)
    assert not multiprocessing.active_children()
    assert not (plan.folder / MANIFEST).exists()
    whole = sorted(plan.folder.glob("*.root"))
    assert len(whole) > 0
    assert all(path.read_bytes() == (sample.manifest.parent / path.name).read_bytes() for path in whole)
    stages: set[str] = set()
    first_heard: dict[str, int] = {}

    def listen(done: int, wanted: int, stage: str) -> None:
        stages.add(stage)
        first_heard.setdefault(stage, done)

    again = simulate(plan, listen)
    assert not again.reused
    assert first_heard["pileup"] == 60
    assert first_heard["correction"] == 900
    assert first_heard["jets"] >= 50 * len(whole) - 20
    assert content(plan.folder) == content(sample.manifest.parent)


def test_a_finished_sample_is_returned_at_once(sample: SimulationSummary) -> None:
    again = simulate(plan_in(sample.manifest.parent, jobs=2), never)
    assert again == dataclasses.replace(sample, reused=True)


def test_the_files_hold_the_jets_that_the_summary_counts(sample: SimulationSummary) -> None:
    counts = [uproot.open({path: TREE}).num_entries for path in sample.files]
    assert [path.name for path in sample.files] == ["jets_0000.root", "jets_0001.root", "jets_0002.root"]
    assert sum(counts) == sample.jets
    assert all(least <= count < least + 10 for least, count in zip((50, 50, 30), counts, strict=True))


def test_no_jet_and_no_event_occurs_twice(sample: SimulationSummary) -> None:
    columns = uproot.concatenate(dict.fromkeys(sample.files, TREE), [*JET_ID, "jetPt", "eventJetMult"], library="np")
    identifiers = set(zip(*(columns[name].tolist() for name in JET_ID), strict=True))
    assert len(identifiers) == sample.jets
    events = np.stack([columns[name].astype(np.int64) for name in ("run", "lumi", "event")], axis=1)
    _, counts = np.unique(events, axis=0, return_counts=True)
    assert counts.sum() == sample.jets
    assert columns["jetPt"].min() > 30
    _, event, rows = np.unique(events, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(columns["eventJetMult"], rows[event.ravel()])


def test_the_correction_beside_the_files_gives_their_jets(sample: SimulationSummary) -> None:
    names = ["jetPt", "jetRawPt", "jetEta", "rhoAll", "jetArea"]
    jets = uproot.concatenate(dict.fromkeys(sample.files, TREE), names, library="np")
    evaluator = correctionlib.CorrectionSet.from_file(str(sample.correction))
    inputs = (jets[name].astype(np.float64) for name in ("jetRawPt", "jetEta", "rhoAll", "jetArea"))
    factor = evaluator.compound["L1L2L3"].evaluate(*inputs)
    np.testing.assert_allclose(factor * jets["jetRawPt"], jets["jetPt"], rtol=1e-5)


def test_the_correction_of_another_sample_is_applied_and_shipped(sample: SimulationSummary, tmp_path: Path) -> None:
    plan = dataclasses.replace(plan_in(tmp_path / "jets", 1), tune="monash", correction=sample.correction)
    stages: list[str] = []
    other = simulate(plan, lambda *progress: stages.append(progress[-1]))
    assert set(stages) == {"pileup", "jets"}
    assert json.loads(other.manifest.read_text())["correction"]["jets"] is None
    assert other.correction.name == sample.correction.name
    assert other.correction.read_bytes() == sample.correction.read_bytes()
    test_the_correction_beside_the_files_gives_their_jets(other)
    assert simulate(plan, never).reused


def test_the_manifest_says_what_is_there(sample: SimulationSummary) -> None:
    manifest = json.loads(sample.manifest.read_text())
    assert manifest["recipe"] == plan_in(Path(), 1).recipe
    assert manifest["jets"] == sample.jets
    assert sample.correction.name == f"standard_correction_{manifest['correction']['digest'][:8]}.json"
    assert {record["name"]: record["digest"] for record in manifest["files"]} == {
        path.name: digest_file(path) for path in sample.files
    }
    assert manifest["versions"]["pythia8mc"].startswith("8.3")
    assert not (sample.manifest.parent / WORK_FOLDER).exists()


def test_progress_passes_all_stages_to_their_ends(sample: SimulationSummary, heard: list[tuple[int, int, str]]) -> None:
    assert list(dict.fromkeys(stage for _, _, stage in heard)) == ["pileup", "correction", "jets"]
    for stage, wanted in (("pileup", 60), ("correction", 900), ("jets", 130)):
        done = [count for count, total, name in heard if name == stage and total == wanted]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, wanted)


def test_another_sample_is_not_overwritten(sample: SimulationSummary) -> None:
    before = content(sample.manifest.parent)
    with pytest.raises(SampleExistsError, match="holds another sample"):
        simulate(dataclasses.replace(plan_in(sample.manifest.parent, 1), seed=5), never)
    assert content(sample.manifest.parent) == before


def unfinished(plan: SimulationPlan, code: str) -> Path:
    """A folder as an interrupted simulation leaves it: one file, and a note of what it belongs to."""
    work = plan.folder / WORK_FOLDER
    work.mkdir(parents=True)
    (work / "started.json").write_text(json.dumps({"recipe": plan.recipe, "code": code, "versions": {}}))
    (plan.folder / "jets_0000.root").write_bytes(b"half of a sample")
    return plan.folder


def test_an_unfinished_sample_of_other_settings_is_not_touched(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, 1)
    before = unfinished(dataclasses.replace(plan, seed=5), "0")
    with pytest.raises(SampleExistsError, match=r"unfinished sample .*'seed': 5"):
        simulate(plan, never)
    assert (before / "jets_0000.root").read_bytes() == b"half of a sample"


def test_an_unfinished_sample_of_other_code_begins_anew(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, 1)
    unfinished(plan, "code of yesterday")

    def look(done: int, wanted: int, stage: str) -> NoReturn:
        assert (done, wanted, stage) == (0, 60, "pileup")
        assert not list(plan.folder.glob("*.root"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(plan, look)


def test_a_sample_that_lost_a_file_says_so(sample: SimulationSummary, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(sample.manifest.read_bytes())
    with pytest.raises(SampleExistsError, match=r"has lost jets_0000\.root"):
        simulate(plan_in(tmp_path, 1), never)


def test_a_sample_whose_file_was_changed_says_so(sample: SimulationSummary, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sample.manifest.parent, folder)
    damaged = folder / sample.files[0].name
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(SampleExistsError, match=rf"has lost {damaged.name}, or they were changed"):
        simulate(plan_in(folder, 1), never)


def test_foreign_files_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "JetNtuple_1.root").write_bytes(b"somebody's")
    with pytest.raises(SampleExistsError, match=r"JetNtuple_1\.root"):
        simulate(plan_in(tmp_path, 1), never)
    assert content(tmp_path) == {"JetNtuple_1.root": b"somebody's"}


def test_missing_packages_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SimulationPackagesMissingError, match=r"pythia8mc and fastjet: pip install 'jec-assets\[sim"):
        simulate(plan_in(tmp_path / "jets", 1), never)
    assert not (tmp_path / "jets").exists()
