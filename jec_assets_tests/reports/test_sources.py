"""A report is put on the page only while it is made of what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrate import publish_calibrated
from jec_assets.evaluation.provenance import StaleArtifactError
from jec_assets.jets.alternative import alternative_storage
from jec_assets.jets.splits import SplitName
from jec_assets.jets.standard_correction import SourceCorrection, Use, publish_standard_correction
from jec_assets.reports.publishing import load, publish
from jec_assets.reports.report import Report
from jec_assets.reports.sources import Present, page_reports, require_current_report, sources
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.repository import ModelRepository
from jec_assets.storage import Storage
from jec_assets_tests.evaluation.stored import FAMILIES, split_of, store_best, store_inputs, store_split
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.serving.conftest import card_of

ALL_REPORTS = page_reports(alternative=True)


def present(storage: Storage, resamples: int = 5, experiment: str = "default") -> Present:
    return Present(storage, FAMILIES, Resampling(resamples, seed=1), experiment, alternative=True)


def serve(storage: Storage, onnx: bytes) -> None:
    for family in FAMILIES:
        ModelRepository(storage).publish(card_of(family, onnx), onnx, InstanceSettings())


def calibrate_again(storage: Storage, jets: int, split: SplitName = "test") -> None:
    publish_calibrated(storage, calibrated_table(jets), split_of(split, "first"), dict.fromkeys(FAMILIES, "first"))


def correct(storage: Storage, use: Use) -> None:
    publish_standard_correction(storage, SourceCorrection(use, None, 0, 1, ()))


def choose_among_more(storage: Storage) -> None:
    store_best(storage, "pfn", "first", candidates=(0, 1))


def choose_another(storage: Storage) -> None:
    store_best(storage, "particle_net", "second")


@pytest.fixture
def published(storage: Storage) -> Storage:
    """Storage that holds every report, made of what there is."""
    store_inputs(storage)
    calibrate_again(storage, 10)
    calibrate_again(storage, 10, "validation")
    store_split(alternative_storage(storage), "test", "first")
    calibrate_again(alternative_storage(storage), 10)
    correct(storage, "file")
    serve(storage, b"first")
    for name in ALL_REPORTS:
        publish(storage, Report(name, name, "Said.", (), (), {}), sources(name, present(storage)))
    return storage


ON_TEST_TABLE = {"loss", "flavor", "response", "resolution", "jet_resolution", "generator", "complexity"}
CHANGES: list[tuple[Callable[[Storage], None], set[str]]] = [
    (lambda _: None, set()),
    (lambda storage: store_split(storage, "train", "second"), {"loss", "dataset"}),
    (lambda storage: store_split(storage, "validation", "second"), {"response", "dataset"}),
    (lambda storage: calibrate_again(storage, 12), ON_TEST_TABLE),
    (lambda storage: calibrate_again(storage, 12, "validation"), {"response"}),
    (lambda storage: calibrate_again(alternative_storage(storage), 12), {"generator"}),
    (lambda storage: store_split(alternative_storage(storage), "test", "second"), {"generator"}),
    (lambda storage: correct(storage, "derived"), {"correction"}),
    (choose_among_more, {"search"}),
    (lambda storage: serve(storage, b"second"), {"latency"}),
    (
        lambda storage: store_split(storage, "test", "second"),
        {*ON_TEST_TABLE, "search", "latency", "dataset", "correction"},
    ),
    (choose_another, {*ON_TEST_TABLE, "search"}),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_what_changed_makes_its_reports_stale(
    published: Storage, change: Callable[[Storage], None], expected: set[str]
) -> None:
    change(published)
    stale = set()
    for name in ALL_REPORTS:
        try:
            require_current_report(load(published, name), present(published))
        except StaleArtifactError:
            stale.add(name)
    assert stale == expected


def test_other_code_makes_every_report_stale(published: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jec_assets.reports.sources._code_version", lambda: "other")
    for name in ALL_REPORTS:
        with pytest.raises(StaleArtifactError, match="made of another code"):
            require_current_report(load(published, name), present(published))


def test_another_experiment_makes_every_report_stale(published: Storage) -> None:
    for name in ALL_REPORTS:
        with pytest.raises(StaleArtifactError, match="made of another experiment"):
            require_current_report(load(published, name), present(published, experiment="other"))


def test_another_resampling_makes_what_has_uncertainties_stale(published: Storage) -> None:
    with pytest.raises(StaleArtifactError, match="another resampling"):
        require_current_report(load(published, "flavor"), present(published, resamples=6))
    require_current_report(load(published, "complexity"), present(published, resamples=6))


def test_the_asset_to_materialize_is_named(published: Storage) -> None:
    store_split(published, "train", "second")
    with pytest.raises(StaleArtifactError, match="another train_jets: materialize loss_report again"):
        require_current_report(load(published, "loss"), present(published))
    serve(published, b"second")
    with pytest.raises(StaleArtifactError, match="another served_models: materialize latency_benchmark again"):
        require_current_report(load(published, "latency"), present(published))


def test_a_report_without_provenance_is_stale(published: Storage) -> None:
    bare = replace(load(published, "flavor"), provenance={})
    with pytest.raises(StaleArtifactError, match="calibrated_test_jets, another best_models"):
        require_current_report(bare, present(published))
