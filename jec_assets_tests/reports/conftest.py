"""What the tests of reports share: every report once, and the page of them all."""

from __future__ import annotations

import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.jets.distributions import Sample
from jec_assets.evaluation.networks.complexity import Complexity
from jec_assets.evaluation.networks.search import EvaluatedTrial
from jec_assets.reports.complexity import complexity_report
from jec_assets.reports.dataset import dataset_report
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.latency import latency_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report
from jec_assets.reports.resolution import resolution_report
from jec_assets.reports.search import search_report
from jec_assets.training.result import EpochFigures
from jec_assets_tests.evaluation.networks.test_complexity import FOOTPRINT, THROUGHPUT
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.evaluation.synthetic_split import split_jets
from jec_assets_tests.plots.latencies import latency_table, level_table, load_table, served_level_table

RESAMPLING = Resampling(5, 1)
NAMES = ("loss", "flavor", "resolution", "search", "complexity", "latency", "dataset")


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


@pytest.fixture(scope="session")
def reports() -> dict[str, Report]:
    test, training = calibrated_table(4000), calibrated_table(3000, seed=2)
    made = (
        loss_report(test, training, RESAMPLING),
        flavor_report(test, RESAMPLING),
        resolution_report(test, RESAMPLING),
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
    )
    return {each.name: each for each in made}
