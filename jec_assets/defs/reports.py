"""Assets of the evaluation: calibrated jets -> a report each of loss, flavor, response, resolution, search, ...

Belongs here: reading what a report is made of and handing it to `jec_assets.reports`.
"""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg
import polars as pl

from jec_assets import evaluation, plots, reports
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_with_assets, present_of
from jec_assets.defs.kubernetes import EVALUATION
from jec_assets.defs.metadata import report_metadata
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.alternative import load_alternative
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrate import load_calibrated
from jec_assets.evaluation.jets.distributions import Sample
from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.networks.complexity import complexity
from jec_assets.evaluation.networks.footprint import footprint
from jec_assets.evaluation.networks.throughput import kept_throughputs
from jec_assets.evaluation.networks.trials import candidates, evaluate_trials
from jec_assets.evaluation.response.closure import Outcome
from jec_assets.jets.dataset import load_split, load_table
from jec_assets.jets.splits import SHARES
from jec_assets.jets.standard_correction import load_standard_correction
from jec_assets.reports.closure import GateCounts, gate_counts
from jec_assets.reports.complexity import complexity_report as describe_complexity
from jec_assets.reports.correction import correction_report as describe_correction
from jec_assets.reports.dataset import dataset_report as describe_dataset
from jec_assets.reports.flavor import flavor_report as describe_flavor
from jec_assets.reports.generator import generator_report as describe_generator
from jec_assets.reports.jet_resolution import jet_resolution_report as describe_jet_resolution
from jec_assets.reports.loss import loss_report as describe_loss
from jec_assets.reports.publishing import publish
from jec_assets.reports.report import JsonValue, Report
from jec_assets.reports.resolution import resolution_report as describe_resolution
from jec_assets.reports.response import response_report as describe_response
from jec_assets.reports.search import search_report as describe_search
from jec_assets.reports.sources import sources
from jec_assets.reports.text import title
from jec_assets.search.best import load_best, load_best_description, load_best_network
from jec_assets.settings import Settings
from jec_assets.storage import Storage, code_digest

CODE_VERSION = code_digest(evaluation, plots, reports)
GROUP = "reports"
CLOSURE = "networks_close"


CLOSURE_CHECK = dg.AssetCheckSpec(
    CLOSURE,
    asset="response_report",
    description="In bins of calibrated pT and |eta|, and of true pT from 50 GeV, the median of true over calibrated pT "
    "is that of a perfect network, within 1 % or three standard deviations. Passes only where every network has bins "
    "with enough jets to judge. Jets count alike: networks trained with JEC_WEIGHTING other than none aren't expected "
    "to close.",
)


def _report_asset(
    *deps: str | dg.AssetKey, checks: Sequence[dg.AssetCheckSpec] = ()
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """What all reports have in common."""
    asset = dg.asset(
        group_name=GROUP,
        kinds={"matplotlib"},
        code_version=CODE_VERSION,
        deps=deps,
        check_specs=checks or None,
        op_tags=EVALUATION,
    )
    return lambda compute: asset(alive(compute))


def report_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All reports but the latency benchmark; the lineage depends on families and on the alternative sample."""
    best_models = [dg.AssetKey([family, "best_model"]) for family in families_with_assets(settings)]

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

    return [search_report, *REPORTS, *([generator_report] if settings.alternative_source else [])]


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


@_report_asset("calibrated_test_jets", "calibrated_validation_jets", checks=(CLOSURE_CHECK,))
def response_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Median response against pT, eta and pileup, tails, whether networks close, and a residual correction."""
    present = present_of(settings, storage)
    provenance = sources("response", present)
    validation = load_calibrated(storage, present.families, "validation")
    report = describe_response(load_calibrated(storage, present.families), validation, present.resampling)
    return _published(storage, report, provenance, [_closure_check(report, settings.weighting)])


@_report_asset("calibrated_test_jets")
def jet_resolution_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """Whether the resolution that a network predicts for each jet is the one it has: pulls and coverage."""
    resampling = _resampling(settings)
    return _on_calibrated(storage, settings, "jet_resolution", lambda jets: describe_jet_resolution(jets, resampling))


@_report_asset("calibrated_test_jets", "calibrated_alternative_jets")
def generator_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """How far another generator moves the response of each flavor, under the standard correction and each network."""
    present = present_of(settings, storage)
    alternative = load_alternative(storage, present.families)
    return _on_calibrated(
        storage, settings, "generator", lambda jets: describe_generator(jets, alternative, present.resampling)
    )


@_report_asset("standard_correction", "test_jets")
def correction_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """The standard correction: the one that jets came with beside the one derived from them."""
    provenance = sources("correction", present_of(settings, storage))
    found, test = load_standard_correction(storage), load_table(storage, "test")
    return _published(storage, describe_correction(test, found, _resampling(settings)), provenance)


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


REPORTS = [
    loss_report,
    flavor_report,
    response_report,
    resolution_report,
    jet_resolution_report,
    complexity_report,
    dataset_report,
    correction_report,
]


def _resampling(settings: Settings) -> Resampling:
    return Resampling(settings.bootstrap_resamples, settings.seed)


def _on_calibrated(
    storage: Storage, settings: Settings, report: str, describe: Callable[[pl.DataFrame], Report]
) -> dg.MaterializeResult:
    present = present_of(settings, storage)
    return _published(storage, describe(load_calibrated(storage, present.families)), sources(report, present))


def _published(
    storage: Storage,
    report: Report,
    provenance: Mapping[str, JsonValue],
    checks: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult:
    artifact = publish(storage, report, provenance)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(artifact.digest),
        metadata=report_metadata(storage, report),
        check_results=checks,
    )


def _closure_check(report: Report, weighting: str) -> dg.AssetCheckResult:
    gate = gate_counts(report)
    told = (
        f"{title(family)} {each.outcome}: {each.failing} of {each.judged} judged bins fail, {each.too_few_jets} "
        "have too few jets"
        for family, each in gate.items()
    )
    return dg.AssetCheckResult(
        passed=bool(gate) and all(each.outcome == "passed" for each in gate.values()),
        check_name=CLOSURE,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(told) or "There is no network to judge.",
        metadata={
            "do not close": _titles(gate, "failed"),
            "not judged": _titles(gate, "not judged"),
            "bins judged": sum(each.judged for each in gate.values()),
            "bins with too few jets": sum(each.too_few_jets for each in gate.values()),
            "weighting of jets in training": weighting,
        },
    )


def _titles(gate: Mapping[str, GateCounts], outcome: Outcome) -> str:
    return ", ".join(title(family) for family, each in gate.items() if each.outcome == outcome) or "none"
