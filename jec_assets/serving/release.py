"""From a chosen network to a published version: export, comparison with torch, promotion.

Belongs here: the order of these steps for one family. Does not belong here: the steps themselves (`export.py`,
`promotion.py`, `repository.py`).

A candidate that does not compute the same as ONNX, or gives no number, is an error: nothing is published. One that is
worse than what is served is a decision: the served version stays, and the release says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.loss import jet_losses
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.export import ExportCheck, compare_with_torch, export_onnx
from jec_assets.serving.promotion import Promotion, decide
from jec_assets.serving.repository import ModelCard, ModelRepository, PublishedModel
from jec_assets.serving.runtime import inference_session
from jec_assets.storage import package_versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.search.best import BestModel

COMPARED_JETS = 1000  # with torch: each in several batches, more than enough to see a wrong graph
VERSIONED_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy")


@dataclass(frozen=True)
class Candidate:
    """A chosen network and the record of its choice."""

    best: BestModel
    network: JetNetwork


@dataclass(frozen=True)
class ReleasePolicy:
    """How a candidate is compared with what is served, and how it will run."""

    resampling: Resampling
    instances: InstanceSettings


@dataclass(frozen=True)
class Release:
    """What came of a candidate: the version that is served now, the decision, the comparison with torch."""

    model: PublishedModel
    promotion: Promotion
    export: ExportCheck


def release(repository: ModelRepository, candidate: Candidate, validation: SplitJets, policy: ReleasePolicy) -> Release:
    """Publish a candidate if it may replace what is served; both are evaluated on the same validation jets.

    Raises ExportMismatchError where ONNX computes something else than torch.
    """
    onnx = export_onnx(candidate.network)
    check = compare_with_torch(onnx, candidate.network, validation.packed.slice(0, COMPARED_JETS))
    served = repository.current(candidate.best.family)
    losses = _losses(onnx, validation)
    if served is None:
        promotion = Promotion.unopposed("nothing is served yet")
    elif _features(served) != (validation.features.particle_names, validation.features.jet_names):
        promotion = Promotion.unopposed("the served model wants other features, so they cannot be compared")
    else:
        events = validation.table["event_hash"].to_numpy()
        served_losses = _losses(repository.onnx(served), validation)
        promotion = decide(served_losses, losses, policy.resampling.multiplicities(events))
        if not promotion.promoted:
            return Release(served, promotion, check)
    card = _card(candidate, validation, float(losses.mean()), check)
    return Release(repository.publish(card, onnx, policy.instances), promotion, check)


def _losses(onnx: bytes, jets: SplitJets) -> NDArray[np.float64]:
    return jet_losses(jets.packed.target, inference_session(onnx, threads=0).predict(jets.packed))


def _features(model: PublishedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return model.card.particle_features, model.card.jet_features


def _card(candidate: Candidate, validation: SplitJets, loss: float, check: ExportCheck) -> ModelCard:
    best = candidate.best
    return ModelCard(
        family=best.family,
        network_digest=best.weights_digest,
        feature_set=validation.features.name,
        particle_features=validation.features.particle_names,
        jet_features=validation.features.jet_names,
        data_digests={"train": best.inputs.training_jets, "validation": best.inputs.validation_jets},
        losses={"validation": loss},
        export_difference=check.max_abs_difference,
        package_versions=package_versions(*VERSIONED_PACKAGES),
    )
