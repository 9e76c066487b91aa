"""What the tests of reports share: every report once, and the page of them all."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.jets.distributions import Sample
from jec_assets.evaluation.networks.complexity import Complexity
from jec_assets.evaluation.networks.search import EvaluatedTrial
from jec_assets.reports.complexity import complexity_report
from jec_assets.reports.correction import correction_report
from jec_assets.reports.dataset import dataset_report
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.generator import generator_report
from jec_assets.reports.jet_resolution import jet_resolution_report
from jec_assets.reports.latency import latency_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report
from jec_assets.reports.resolution import resolution_report
from jec_assets.reports.response import response_report
from jec_assets.reports.search import search_report
from jec_assets.training.result import EpochFigures
from jec_assets_tests.evaluation.corrected_table import corrected_table, found_correction
from jec_assets_tests.evaluation.networks.test_complexity import FOOTPRINT, THROUGHPUT
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.evaluation.synthetic_split import split_jets
from jec_assets_tests.plots.latencies import latency_table, level_table, load_table, served_level_table

RESAMPLING = Resampling(5, 1)


def trials(family_loss: float) -> list[EvaluatedTrial]:
    losses = (1.00, 1.02, 1.01, 1.05)
    return [
        EvaluatedTrial(
            number,
            {"layers": number % 3 + 1, "dropout": 0.1 * number, "optimizer": "Adam"},
            family_loss * loss,
            family_loss * (1.1 if number == 0 else 1) * loss,
            tuple(EpochFigures(e, family_loss * (1 + 1 / e), family_loss * loss, 1e-3, 1.0, 1e4) for e in (1, 2)),
        )
        for number, loss in enumerate(losses)
    ]


def section_reports(table: Callable[[int, int], pl.DataFrame] = calibrated_table) -> dict[str, Report]:
    """Every report that can stand on the page, in its order, of calibrated jets: `table` of a number and a seed."""
    test, training = table(4000, 1), table(3000, 2)
    predicted = test.with_columns(
        quantile_16_pfn=pl.col("log_factor_pfn") - 0.1, quantile_84_pfn=pl.col("log_factor_pfn") + 0.1
    )
    made = (
        loss_report(test, training, RESAMPLING),
        flavor_report(test, RESAMPLING),
        response_report(test, table(3000, 3), RESAMPLING),
        resolution_report(test, RESAMPLING),
        jet_resolution_report(predicted, RESAMPLING),
        generator_report(test, table(3000, 4), RESAMPLING),
        search_report({"pfn": trials(0.07), "particle_net": trials(0.066)}, standard_loss=0.0781),
        complexity_report(
            [
                Complexity("pfn", 0.07, 355_351, 1_426_001, 4e5, FOOTPRINT, THROUGHPUT),
                Complexity("particle_net", 0.066, 123_469, 47_588_001, 1.3e7, FOOTPRINT, THROUGHPUT),
            ]
        ),
        latency_report(latency_table(), level_table(), load_table(), served_level_table().clear()),
        dataset_report(
            {"train": training, "validation": training.head(900), "test": test}, split_jets(test), Sample(1000)
        ),
        correction_report(corrected_table(4000), found_correction(), RESAMPLING),
    )
    return {each.name: each for each in made}


@pytest.fixture(scope="session")
def reports() -> dict[str, Report]:
    return section_reports()
