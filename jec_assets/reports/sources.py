"""What each report is made of, and whether it still is.

Belongs here: the sources of each report, recorded as its provenance and compared when the page is put together. Does
not belong here: the digests themselves (`jec_assets.evaluation.provenance`) and the reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.calibrate import load_calibrated_record
from jec_assets.evaluation.provenance import require_current, split_digest, weights_digests
from jec_assets.search.best import load_best
from jec_assets.serving.repository import ModelRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jec_assets.reports.publishing import PublishedReport
    from jec_assets.reports.report import JsonValue
    from jec_assets.storage import Storage

_READERS: Mapping[str, Callable[[Storage, Sequence[str]], JsonValue]] = {
    "train_jets": lambda storage, _: split_digest(storage, "train"),
    "validation_jets": lambda storage, _: split_digest(storage, "validation"),
    "test_jets": lambda storage, _: split_digest(storage, "test"),
    "best_models": weights_digests,
    "candidates": lambda storage, families: {each: list(load_best(storage, each).candidates) for each in families},
    "calibrated_test_jets": lambda storage, families: load_calibrated_record(storage, families).digest,
    "served_models": lambda storage, families: {
        each.family: each.onnx_digest for each in ModelRepository(storage).served(families)
    },
}
_SOURCES = {
    "loss": ("calibrated_test_jets", "best_models", "train_jets"),
    "flavor": ("calibrated_test_jets", "best_models"),
    "resolution": ("calibrated_test_jets", "best_models"),
    "search": ("best_models", "candidates", "test_jets"),
    "complexity": ("calibrated_test_jets", "best_models"),
    "latency": ("served_models", "test_jets"),
    "dataset": ("train_jets", "validation_jets", "test_jets"),
}
# In the order of the page: what a physicist looks at first comes first.
PAGE_REPORTS = tuple(_SOURCES)


def report_asset(name: str) -> str:
    """The asset that publishes a report."""
    return "latency_benchmark" if name == "latency" else f"{name}_report"


def sources(storage: Storage, report: str, families: Sequence[str]) -> dict[str, JsonValue]:
    """Digests of what a report of this name would be made of now: to be read before its data are.

    ArtifactMissingError or StaleArtifactError names the asset that has to be materialized first.
    """
    return {source: _READERS[source](storage, families) for source in _SOURCES[report]}


def require_current_report(storage: Storage, published: PublishedReport, families: Sequence[str]) -> None:
    """Raise StaleArtifactError where a report was made of something else than there is now."""
    name = published.report.name
    require_current(report_asset(name), published.provenance, sources(storage, name, families))
