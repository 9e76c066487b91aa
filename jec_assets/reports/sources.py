"""What each report is made of, and whether it still is.

Belongs here: the sources of each report, recorded as its provenance and compared when the page is put together. Does
not belong here: the digests themselves (`jec_assets.evaluation.provenance`) and the reports.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

from jec_assets.evaluation.alternative import load_alternative_record
from jec_assets.evaluation.calibrate import load_calibrated_record
from jec_assets.evaluation.provenance import require_current, split_digest, weights_digests
from jec_assets.jets.standard_correction import load_standard_correction
from jec_assets.reports.report import report_asset
from jec_assets.search.best import load_best
from jec_assets.serving.repository import ModelRepository
from jec_assets.storage import code_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.reports.publishing import PublishedReport
    from jec_assets.reports.report import JsonValue
    from jec_assets.storage import Storage


@dataclass(frozen=True)
class Present:
    """What reports are made of: what is in storage for these families, and the resampling behind uncertainties.

    experiment: what the runs that make them belong to
    alternative: whether there is a sample of another generator
    """

    storage: Storage
    families: tuple[str, ...]
    resampling: Resampling
    experiment: str
    alternative: bool = False


@cache
def _code_version() -> str:
    """Digest of the sources that turn calibrated jets into reports."""
    from jec_assets import evaluation, plots, reports

    return code_digest(evaluation, plots, reports)


_READERS: Mapping[str, Callable[[Present], JsonValue]] = {
    "code": lambda _: _code_version(),
    "experiment": lambda present: present.experiment,
    "resampling": lambda present: asdict(present.resampling),
    "train_jets": lambda present: split_digest(present.storage, "train"),
    "validation_jets": lambda present: split_digest(present.storage, "validation"),
    "test_jets": lambda present: split_digest(present.storage, "test"),
    "best_models": lambda present: weights_digests(present.storage, present.families),
    "candidates": lambda present: {
        each: list(load_best(present.storage, each).candidates) for each in present.families
    },
    "calibrated_test_jets": lambda present: load_calibrated_record(present.storage, present.families).digest,
    "calibrated_validation_jets": lambda present: (
        load_calibrated_record(present.storage, present.families, "validation").digest
    ),
    "calibrated_alternative_jets": lambda present: load_alternative_record(present.storage, present.families).digest,
    "standard_correction": lambda present: load_standard_correction(present.storage).digest,
    "served_models": lambda present: {
        each.family: each.onnx_digest for each in ModelRepository(present.storage).served(present.families)
    },
}
# In the order of the page: what a physicist looks at first comes first.
_SOURCES = {
    "loss": ("calibrated_test_jets", "best_models", "train_jets", "resampling"),
    "flavor": ("calibrated_test_jets", "best_models", "resampling"),
    "response": ("calibrated_test_jets", "calibrated_validation_jets", "best_models", "resampling"),
    "resolution": ("calibrated_test_jets", "best_models", "resampling"),
    "jet_resolution": ("calibrated_test_jets", "best_models", "resampling"),
    "generator": ("calibrated_test_jets", "calibrated_alternative_jets", "best_models", "resampling"),
    "search": ("best_models", "candidates", "test_jets", "resampling"),
    "complexity": ("calibrated_test_jets", "best_models"),
    "latency": ("served_models", "test_jets"),
    "dataset": ("train_jets", "validation_jets", "test_jets", "resampling"),
    "correction": ("standard_correction", "test_jets", "resampling"),
}
OF_ALTERNATIVE = ("generator",)


def page_reports(alternative: bool) -> tuple[str, ...]:
    """Names of the reports on the page; some only with a sample of another generator."""
    return tuple(name for name in _SOURCES if alternative or name not in OF_ALTERNATIVE)


def sources(report: str, present: Present) -> dict[str, JsonValue]:
    """What a report of this name would be made of now, code and experiment included: to be read before its data are.

    ArtifactMissingError or StaleArtifactError names the asset that has to be materialized first.
    """
    return {source: _READERS[source](present) for source in (*_SOURCES[report], "code", "experiment")}


def require_current_report(published: PublishedReport, present: Present) -> None:
    """Raise StaleArtifactError where a report was made of something else than there is now."""
    name = published.report.name
    require_current(report_asset(name), published.provenance, sources(name, present))
