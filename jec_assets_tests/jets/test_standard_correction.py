"""The standard correction of a source: derived from training jets alone, used where jets come without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import correctionlib
import numpy as np
import polars as pl
import pytest

from jec_assets.correction import TooFewJetsError
from jec_assets.jets import derivation_sample, standard_correction
from jec_assets.jets.dataset import load_table
from jec_assets.jets.derivation_sample import sample_file, smallest_by_hash
from jec_assets.jets.filtering import Recipe
from jec_assets.jets.manifest import NoJetsError, SourceUnavailableError, update_manifest
from jec_assets.jets.reading import RemoteReadError
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files
from jec_assets.jets.splits import publish_split, rows_of_split
from jec_assets.jets.standard_correction import (
    MixedCorrectionsError,
    SourceCorrection,
    derive_from_files,
    load_standard_correction,
    publish_standard_correction,
    update_standard_correction,
)
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets_tests.toy_jets import Branches, toy_jets, write_jet_file


def uncorrected(events: int, seed: int) -> Branches:
    """Toy jets as they are without a standard correction."""
    branches = toy_jets(events, seed)
    return {**branches, "jetPt": branches["jetRawPt"], "jetRawMass": branches["jetMass"]}


def source(folder: Path, *files: Branches) -> Path:
    for place, branches in enumerate(files):
        write_jet_file(folder / f"{place}.root", branches)
    return folder


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def derived(folder: Path, executor: Executor) -> SourceCorrection:
    return derive_from_files(list_files(str(folder)), executor, lambda *_: None)


def test_only_matched_training_jets_from_50_gev_on_are_sampled(tmp_path: Path) -> None:
    branches = toy_jets(300, seed=1)
    branches["jetGenMatch"][::10] = 0
    branches["jetArea"][1] = np.nan
    branches["genJetPt"][:50] = 49.9
    (file,) = list_files(str(source(tmp_path, branches)))
    sample = sample_file(file).jets
    assert 0 < len(sample) < 600
    assert sample["gen_pt"].min() >= 50
    assert len(rows_of_split(sample, "train")) == len(sample)
    usable = (branches["jetGenMatch"] == 1) & (branches["genJetPt"] >= 50) & np.isfinite(branches["jetArea"])
    assert set(sample["raw_pt"]) <= set(np.float32(branches["jetRawPt"][usable]))
    assert sample["delta_r"].max() < 0.2
    assert len(sample) == pytest.approx(0.6 * np.count_nonzero(usable), rel=0.15)


def test_the_distance_is_taken_around_the_circle(tmp_path: Path) -> None:
    branches = toy_jets(50, seed=1)
    branches |= {"jetPhi": np.full(100, 3.14), "genJetPhi": np.full(100, -3.14), "genJetEta": branches["jetEta"]}
    (file,) = list_files(str(source(tmp_path, branches)))
    assert sample_file(file).jets["delta_r"].max() < 0.01


def test_chunks_files_and_their_order_make_no_difference(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = derived(source(tmp_path / "a", toy_jets(300, 1), toy_jets(300, 2)), executor)
    monkeypatch.setattr("jec_assets.jets.reading.CHUNK_JETS", 70)
    assert derived(source(tmp_path / "b", toy_jets(300, 2), toy_jets(300, 1)), executor) == together
    once_more = source(tmp_path / "c", toy_jets(300, 2), toy_jets(300, 1), toy_jets(300, 1))
    assert derived(once_more, executor).derived == together.derived, "jets of a file that was copied count once"


def test_no_more_jets_are_kept_than_wanted_and_always_the_same(tmp_path: Path, executor: Executor) -> None:
    (file,) = list_files(str(source(tmp_path, toy_jets(400, 1))))
    everything = sample_file(file).jets
    few = sample_file(file, max_jets=50).jets
    assert few.equals(everything.head(50))
    assert smallest_by_hash(pl.concat([everything, few]), 50).equals(few)


def test_memory_is_bounded_over_files(tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_correction, "MAX_JETS", 400)
    found = derived(source(tmp_path, *(toy_jets(200, seed) for seed in range(5))), executor)
    assert 350 < found.jets <= 400


def test_jets_that_come_corrected_keep_the_files_correction(tmp_path: Path, executor: Executor) -> None:
    found = derived(source(tmp_path, toy_jets(500, 1)), executor)
    assert (found.in_use, found.to_apply, found.errors, found.files) == ("file", None, (), 1)
    assert found.derived is not None
    assert found.derived.valid_from == 50


@pytest.mark.parametrize(("made", "in_use"), [(toy_jets, "file"), (uncorrected, "derived")])
def test_jets_without_pileup_have_a_correction_too(
    tmp_path: Path, executor: Executor, made: Callable[[int, int], Branches], in_use: str
) -> None:
    found = derived(source(tmp_path, {**made(500, 1), "rhoAll": np.zeros(1000)}), executor)
    assert (found.in_use, found.why_none) == (in_use, "")
    assert found.derived is not None
    assert set(found.derived.offset_slopes) == {0.0}
    factor = found.derived.offset_factor(*(np.array([value]) for value in (30.0, 1.0, 0.0, 0.5)))
    assert factor.tolist() == [1.0]


def test_jets_that_come_uncorrected_are_corrected_before_anything_else(
    storage: Storage, tmp_path: Path, executor: Executor
) -> None:
    folder = source(tmp_path / "jets", uncorrected(1500, 1), uncorrected(1500, 2))
    files = list_files(str(folder))
    found = derive_from_files(files, executor, lambda *_: None)
    assert found.in_use == "derived"
    assert found.to_apply is found.derived is not None
    update_manifest(storage, files, Recipe("extended", Selection(), found.to_apply), executor, lambda *_: None)
    publish_split(storage, "test", None)
    table = load_table(storage, "test")
    factor = found.derived.factor(*(table[name] for name in ("jetRawPt", "jetEta", "rhoAll", "jetArea")))
    np.testing.assert_allclose(table["jetPt"], factor * table["jetRawPt"], rtol=1e-6)
    np.testing.assert_allclose(table["jetMass"], 0.1 * table["jetPt"], rtol=1e-5)
    np.testing.assert_allclose(table["target"], np.log(table["genJetPt"] / table["jetPt"]), atol=1e-5)
    hard = table.filter(pl.col("genJetPt") > 80)
    raw, ours = (float((hard[name] / hard["genJetPt"]).median()) for name in ("jetRawPt", "jetPt"))
    assert raw < 0.95
    assert ours == pytest.approx(1, abs=0.02)


def test_a_derived_correction_makes_another_recipe_only_where_it_is_applied(tmp_path: Path, executor: Executor) -> None:
    first, second = (derived(source(tmp_path / str(seed), uncorrected(500, seed)), executor) for seed in (1, 2))
    recipes = [Recipe("extended", Selection(), found.to_apply).digest for found in (first, second)]
    corrected = derived(source(tmp_path / "corrected", toy_jets(500, 3)), executor)
    assert len({*recipes, Recipe("extended", Selection()).digest}) == 3
    assert Recipe("extended", Selection(), corrected.to_apply) == Recipe("extended", Selection())


@pytest.mark.parametrize("within_a_file", [True, False])
def test_both_kinds_in_one_source_are_named(tmp_path: Path, executor: Executor, within_a_file: bool) -> None:
    mixed = toy_jets(100, 1)
    mixed["jetPt"] = np.where(np.arange(200) < 100, mixed["jetRawPt"], mixed["jetPt"])
    folder = source(tmp_path, *([mixed] if within_a_file else [uncorrected(100, 1), toy_jets(100, 2)]))
    expected = r"0\.root: 100 of 200" if within_a_file else r"0\.root: 0 of 200\n.*1\.root: 200 of 200"
    with pytest.raises(MixedCorrectionsError, match=f"(?s)a source of its own.*{expected}"):
        derived(folder, executor)


def test_a_broken_file_is_named_and_left_out(tmp_path: Path, executor: Executor) -> None:
    whole = derived(source(tmp_path / "whole", toy_jets(500, 1)), executor)
    folder = source(tmp_path / "with", toy_jets(500, 1))
    (folder / "broken.root").write_bytes(b"no ROOT file")
    found = derived(folder, executor)
    assert (found.derived, found.files) == (whole.derived, 1)
    assert len(found.errors) == 1
    assert "broken.root" in found.errors[0]


def test_a_source_without_a_readable_jet_says_why(tmp_path: Path, executor: Executor) -> None:
    folder = source(tmp_path, {name: values[:0] for name, values in toy_jets(1, 1).items()})
    (folder / "broken.root").write_bytes(b"no ROOT file")
    with pytest.raises(NoJetsError, match=r"(?s)0\.root: it holds no jets.*broken\.root: it is not a ROOT file"):
        derived(folder, executor)


def test_a_servers_fault_ends_it(tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RemoteReadError("a.root: connection reset")

    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr(derivation_sample, "read_columns", fail)
    with pytest.raises(SourceUnavailableError, match=r"a\.root: connection reset"):
        derived(source(tmp_path, toy_jets(10, 1)), executor)


def test_too_few_jets_matter_only_where_ours_is_needed(storage: Storage, tmp_path: Path, executor: Executor) -> None:
    found = derived(source(tmp_path / "corrected", toy_jets(5, 1)), executor)
    assert (found.in_use, found.derived, found.jets) == ("file", None, 0)
    assert "needs 40 jets" in found.why_none
    publish_standard_correction(storage, found)
    assert load_standard_correction(storage) == found
    with pytest.raises(TooFewJetsError, match="needs 40 jets"):
        found.correctionlib_json()
    with pytest.raises(TooFewJetsError, match="needs 40 jets"):
        derived(source(tmp_path / "uncorrected", uncorrected(5, 1)), executor)


def test_what_was_published_comes_back_and_is_what_correctionlib_reads(
    storage: Storage, tmp_path: Path, executor: Executor
) -> None:
    files = list_files(str(source(tmp_path / "jets", uncorrected(500, 1))))
    with pytest.raises(ArtifactMissingError):
        load_standard_correction(storage)
    found = update_standard_correction(storage, files, executor, lambda *_: None)
    loaded = load_standard_correction(storage)
    assert loaded == found
    assert loaded.digest == found.digest
    pointer = storage.read_json(standard_correction.POINTER)
    assert pointer["derived"] == {"digest": found.derived.digest, "valid_from_gen_pt": 50.0}
    assert (pointer["in_use"], pointer["jets"]) == ("derived", found.jets)
    theirs = correctionlib.CorrectionSet.from_file(str(storage.local_file(pointer["correctionlib"])))
    random = np.random.default_rng(1)
    raw_pt = np.geomspace(5, 5000, 2000)
    eta, rho, area = random.uniform(-3, 3, 2000), random.uniform(0, 50, 2000), random.uniform(0.3, 0.7, 2000)
    np.testing.assert_allclose(
        theirs.compound["L1L2L3"].evaluate(raw_pt, eta, rho, area),
        loaded.derived.factor(raw_pt, eta, rho, area),
        rtol=1e-6,
    )
    description = json.loads(storage.read_bytes(pointer["correctionlib"]))["description"]
    assert "particle-level pT >= 50 GeV; below, the response is held constant" in description


def test_nothing_is_read_again_for_the_same_files(storage: Storage, tmp_path: Path, executor: Executor) -> None:
    files = list_files(str(source(tmp_path / "jets", toy_jets(300, 1))))
    read: list[str] = []

    def update() -> SourceCorrection:
        return update_standard_correction(storage, files, executor, lambda sample, _: read.append(sample.url))

    first = update()
    assert update() == first
    assert len(read) == 1
    files = list_files(str(source(tmp_path / "jets", toy_jets(300, 1), toy_jets(300, 2))))
    assert update().files == 2
    assert len(read) == 3
