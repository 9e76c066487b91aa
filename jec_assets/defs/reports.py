"""Assets of the evaluation: test_jets, best models -> calibrated_test_jets -> reports -> calibration_report."""

import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from jec_assets import evaluation, plots, reports
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_at_hand, families_with_assets, present_of
from jec_assets.defs.metadata import report_metadata
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrate import calibrate, load_calibrated, publish_calibrated
from jec_assets.evaluation.complexity import complexity
from jec_assets.evaluation.distributions import Sample
from jec_assets.evaluation.footprint import footprint
from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.provenance import split_digest
from jec_assets.evaluation.throughput import kept_throughputs
from jec_assets.evaluation.trials import candidates, evaluate_trials
from jec_assets.jets.dataset import load_split, load_table
from jec_assets.jets.splits import SHARES
from jec_assets.reports.calibration_page import CalibrationPage, ServedVersion, publish_page
from jec_assets.reports.comparison import comparison_report
from jec_assets.reports.complexity import complexity_report as describe_complexity
from jec_assets.reports.dataset import dataset_report as describe_dataset
from jec_assets.reports.flavor import flavor_report as describe_flavor
from jec_assets.reports.loss import loss_report as describe_loss
from jec_assets.reports.publishing import PublishedReport, load, publish
from jec_assets.reports.report import JsonValue, Report, report_asset
from jec_assets.reports.resolution import resolution_report as describe_resolution
from jec_assets.reports.search import search_report as describe_search
from jec_assets.reports.sources import PAGE_REPORTS, require_current_report, sources
from jec_assets.search.best import load_best, load_best_description, load_best_network
from jec_assets.serving.served import load_endpoint, load_release
from jec_assets.settings import Settings
from jec_assets.storage import Storage, code_digest, package_versions

CODE_VERSION = code_digest(evaluation, plots, reports)
GROUP = "reports"
VERSIONED_PACKAGES = (
    *("dagster", "numpy", "optuna", "polars", "torch", "uproot"),
    *("nvidia-pytriton", "onnx", "onnxruntime", "onnxruntime-gpu", "tritonclient"),
)


def _report_asset(*deps: str | dg.AssetKey) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """What all reports have in common."""
    asset = dg.asset(group_name=GROUP, kinds={"matplotlib"}, code_version=CODE_VERSION, deps=deps)
    return lambda compute: asset(alive(compute))


def best_model_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets that read best models themselves: their lineage depends on which families there are."""
    best_models = [dg.AssetKey([family, "best_model"]) for family in families_with_assets(settings)]

    @dg.asset(
        group_name=GROUP,
        kinds={"pytorch", "parquet"},
        code_version=CODE_VERSION,
        deps=["test_jets", *best_models],
    )
    @alive
    def calibrated_test_jets(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
        """Test jets with the correction of every family's best model: the table behind all reports."""
        test = load_split(storage, "test")
        best = {family: load_best(storage, family) for family in families_at_hand(settings, storage)}
        networks = {family: load_best_network(storage, each) for family, each in best.items()}
        digests = {family: each.weights_digest for family, each in best.items()}
        table = publish_calibrated(storage, calibrate(test, networks), test.split, digests)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(table.digest), metadata={"jets": table.jets, "uri": storage.uri(table.key)}
        )

    @_report_asset("test_jets", *best_models)
    def search_report(
        context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
    ) -> dg.MaterializeResult:
        """What was tried, what it did to the loss, which trial was chosen, which one the study would have (Table 2)."""
        present = present_of(settings, storage)
        provenance = sources("search", present)
        test = load_split(storage, "test")
        tried = {family: candidates(storage, load_best(storage, family)) for family in present.families}
        trials = {family: evaluate_trials(storage, each, test, context.log.info) for family, each in tried.items()}
        target = test.table["target"].to_numpy()
        standard = float(jet_losses(target, 0.0 * target).mean())
        return _published(storage, describe_search(trials, standard, settings.seed), provenance)

    return [calibrated_test_jets, search_report]


@_report_asset("train_jets", "validation_jets", "test_jets")
def dataset_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Which jets these are: counts, spectra, the target (Fig. 1, 2), every feature per flavor, drift between splits."""
    provenance = sources("dataset", present_of(settings, storage))
    tables: dict[str, pl.DataFrame] = {name: load_table(storage, name) for name in SHARES}
    sample = Sample(seed=settings.seed)
    return _published(storage, describe_dataset(tables, load_split(storage, "test"), sample), provenance)


@_report_asset("calibrated_test_jets", "train_jets")
def loss_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Each network's loss against the standard correction, its best constant shift, and (log pT, eta) alone."""

    def describe(jets: pl.DataFrame) -> Report:
        return describe_loss(jets, load_table(storage, "train"), _resampling(settings))

    return _on_calibrated(storage, settings, "loss", describe)


@_report_asset("calibrated_test_jets")
def flavor_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Median response per flavor, its scatter, and the networks' improvement (Fig. 9, Table 4)."""
    resampling = _resampling(settings)
    return _on_calibrated(storage, settings, "flavor", lambda jets: describe_flavor(jets, resampling))


@_report_asset("calibrated_test_jets")
def resolution_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Resolution against pT, and the networks' improvement (Fig. 10, Table 4)."""
    resampling = _resampling(settings)
    return _on_calibrated(storage, settings, "resolution", lambda jets: describe_resolution(jets, resampling))


@_report_asset("calibrated_test_jets")
def complexity_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Parameters, multiply-accumulates, memory and speed of the best models beside their loss (Table 3)."""
    present = present_of(settings, storage)
    provenance, table = sources("complexity", present), load_calibrated(storage, present.families)
    test = load_split(storage, "test")
    best = {family: load_best(storage, family) for family in present.families}
    networks = {family: load_best_network(storage, each) for family, each in best.items()}
    weights = {family: each.weights_digest for family, each in best.items()}
    speed = kept_throughputs(storage, weights, networks, test.packed, test.split.digest)
    target = table["target"].to_numpy()
    rows = [
        complexity(
            load_best_description(storage, best[family]),
            float(jet_losses(target, table[f"log_factor_{family}"].to_numpy()).mean()),
            best[family].parameters,
            test.packed.counts,
            footprint(networks[family], test.packed),
            speed[family],
        )
        for family in present.families
    ]
    return _published(storage, describe_complexity(rows), provenance)


@dg.asset(
    group_name=GROUP,
    kinds={"html"},
    code_version=CODE_VERSION,
    deps=[report_asset(name) for name in PAGE_REPORTS],
)
def calibration_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Everything on one page that needs nothing else, and the same numbers as JSON."""
    present, published = present_of(settings, storage), [load(storage, name) for name in PAGE_REPORTS]
    for each in published:
        require_current_report(each, present)
    served = [load_release(storage, family) for family in present.families]
    reports = {each.report.name: each.report for each in published}
    page = CalibrationPage(
        (comparison_report(reports), *reports.values()),
        tuple(ServedVersion(each.family, each.version, each.promoted, each.reason) for each in served),
        _provenance(settings, storage, published),
        {each.report.name: each.provenance for each in published},
    )
    result = publish_page(storage, page, datetime.now(UTC))
    paths = {"report": dg.MetadataValue.path(result.page.uri), "numbers": dg.MetadataValue.path(result.numbers.uri)}
    return dg.MaterializeResult(data_version=dg.DataVersion(result.page.digest), metadata=paths)


ASSETS = [dataset_report, loss_report, flavor_report, resolution_report, complexity_report, calibration_report]


def _provenance(
    settings: Settings, storage: Storage, published: Sequence[PublishedReport]
) -> dict[str, dict[str, JsonValue]]:
    return {
        "versions": {"python": platform.python_version(), **package_versions(*VERSIONED_PACKAGES)},
        "splits": {name: split_digest(storage, name) for name in SHARES},
        "reports": {each.report.name: each.digest for each in published},
        "settings": settings.model_dump(mode="json"),
        "endpoint": {"url": load_endpoint(storage).url},
    }


def _resampling(settings: Settings) -> Resampling:
    return Resampling(settings.bootstrap_resamples, settings.seed)


def _on_calibrated(
    storage: Storage, settings: Settings, report: str, describe: Callable[[pl.DataFrame], Report]
) -> dg.MaterializeResult:
    present = present_of(settings, storage)
    return _published(storage, describe(load_calibrated(storage, present.families)), sources(report, present))


def _published(storage: Storage, report: Report, provenance: Mapping[str, JsonValue]) -> dg.MaterializeResult:
    artifact = publish(storage, report, provenance)
    return dg.MaterializeResult(data_version=dg.DataVersion(artifact.digest), metadata=report_metadata(storage, report))
