"""From a chosen network to a published version: export, comparison with torch, promotion.

Belongs here: the order of these steps for one family. Does not belong here: the steps themselves (`export.py`,
`promotion.py`, `repository.py`) and trying what was staged in a running server (`staged.py`, `rollout.py`).

A candidate that wants other features than there are, does not compute the same as ONNX, or gives no number, is an
error: nothing is published. One that is worse than what is served is a decision: the served version stays, and the
release says so. One that is not is stored and staged. A served version that cannot be evaluated keeps no candidate from
its place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.loss import jet_losses
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.prediction import predict
from jec_assets.search.best import load_best, load_best_description, load_best_network
from jec_assets.search.record import FinishedTrial, read_record, record_key
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.export import ExportCheck, compare_with_torch, export_onnx
from jec_assets.serving.promotion import Promotion, decide
from jec_assets.serving.record import ModelCard, PublishedModel
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import JetSession, UnusableModelError, inference_session
from jec_assets.serving.variants import SINGLE, try_variants
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import digest_bytes, package_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.jets.features import FeatureSet
    from jec_assets.jets.training_range import TrainingRange
    from jec_assets.models.network import JetNetwork
    from jec_assets.models.saving import NetworkDescription
    from jec_assets.search.best import BestModel
    from jec_assets.search.record import TrialRecord
    from jec_assets.serving.record import Setting
    from jec_assets.serving.variants import Numbers, Variant
    from jec_assets.storage import Storage

COMPARED_JETS = 1000  # with torch: each in several batches, more than enough to see a wrong graph
VERSIONED_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy")


class OtherFeaturesError(ValueError):
    """A candidate was trained with other features than the jets have that it is to be judged on."""


@dataclass(frozen=True)
class Candidate:
    """A chosen network, its description and the record of its choice.

    training_range: of the jets it was trained on. training: how it was trained, by setting, for its card.
    """

    best: BestModel
    network: JetNetwork
    description: NetworkDescription
    training_range: TrainingRange | None = None
    training: Mapping[str, Setting] = field(default_factory=dict)

    @classmethod
    def chosen(cls, storage: Storage, family: str, training_range: TrainingRange | None = None) -> Candidate:
        """A family's frozen choice, with all that its card tells; ArtifactMissingError where there is none."""
        best = load_best(storage, family)
        record = read_record(storage, record_key(family, best.trial))
        return cls(
            best,
            load_best_network(storage, best),
            load_best_description(storage, best),
            training_range,
            _settings_of(record, best),
        )


@dataclass(frozen=True)
class ReleasePolicy:
    """How a candidate is compared with what is served, and how it will run.

    numbers: that it is to compute in, if the physics survives them; else it computes in single precision.
    """

    resampling: Resampling
    instances: InstanceSettings
    numbers: Numbers = SINGLE


@dataclass(frozen=True)
class Release:
    """What came of a candidate: the decision, the comparison with torch, what is served now.

    candidate_digest: of the candidate's weights. model: what is served. staged: the candidate's version if it may take
    that one's place and has to prove itself beside it first. tried: what came of coarser numbers, if they were wanted.
    """

    candidate_digest: str
    model: PublishedModel
    promotion: Promotion
    export: ExportCheck
    staged: PublishedModel | None = None
    tried: Variant | None = None


@dataclass(frozen=True)
class _Exported:
    """A candidate's graph, what torch says of it, the numbers that it computes in."""

    onnx: bytes
    check: ExportCheck
    numbers: Numbers = SINGLE
    tried: Variant | None = None


@dataclass(frozen=True)
class _Opponent:
    """What is served, ready to compute."""

    model: PublishedModel
    session: JetSession

    def is_of(self, network_digest: str, exported: _Exported) -> bool:
        """Whether it is this network, in the same graph, or in numbers that were seen to make no difference."""
        card = self.model.card
        same_graph = self.model.onnx_digest == digest_bytes(exported.onnx)
        return card.network_digest == network_digest and (same_graph or card.numbers != exported.numbers)


def release(repository: ModelRepository, candidate: Candidate, validation: SplitJets, policy: ReleasePolicy) -> Release:
    """Stage a candidate that may replace what is served, or publish it at once where there is nothing it must beat.

    Both are evaluated on the same validation jets. Raises OtherFeaturesError, and ExportMismatchError where ONNX
    computes something else than torch.
    """
    _check_features(candidate, validation.features)
    digest, exported = candidate.best.weights_digest, _exported(candidate.network, validation, policy.numbers)
    check, tried = exported.check, exported.tried
    opponent = _opponent(repository, candidate.best.family, validation.features)
    losses = _losses(inference_session(exported.onnx, threads=0), validation)
    card = _card(candidate, validation, float(losses.mean()), exported)
    if isinstance(opponent, _Opponent) and opponent.is_of(digest, exported):
        opponent = Promotion.unopposed("is what is served")
    if isinstance(opponent, Promotion):
        model = repository.publish(card, exported.onnx, policy.instances)
        return Release(digest, model, opponent, check, tried=tried)
    events = validation.table["event_hash"].to_numpy()
    promotion = decide(_losses(opponent.session, validation), losses, policy.resampling.draws(events))
    if not promotion.promoted:
        return Release(digest, opponent.model, promotion, check, tried=tried)
    staged = repository.store(card, exported.onnx)
    repository.make_room(card.family)
    return Release(digest, opponent.model, promotion, check, staged, tried)


def _exported(network: JetNetwork, validation: SplitJets, numbers: Numbers) -> _Exported:
    compared = validation.packed.slice(0, COMPARED_JETS)
    onnx = export_onnx(network)
    check = compare_with_torch(onnx, network, compared)
    if numbers == SINGLE:
        return _Exported(onnx, check)
    (tried,) = try_variants(network, validation.packed, validation.table["target"].to_numpy(), [numbers])
    if tried.onnx is None or not tried.holds:
        return _Exported(onnx, check, tried=tried)
    difference = inference_session(tried.onnx, threads=0).predict(compared) - predict(network, compared)
    return _Exported(tried.onnx, replace(check, max_abs_difference=float(abs(difference).max())), numbers, tried)


def _check_features(candidate: Candidate, features: FeatureSet) -> None:
    """The card names the features of the jets: they must be those that the network was trained with."""
    description, family = candidate.description, candidate.best.family
    if (description.feature_set, description.inputs) != (features.name, NetworkInputs.of(features)):
        raise OtherFeaturesError(
            f"the best model of {family} was trained with {_inputs_text(description.feature_set, description.inputs)}, "
            f"the validation jets have {_inputs_text(features.name, NetworkInputs.of(features))}: "
            f"materialize {family}/trial_model and {family}/best_model"
        )


def _inputs_text(feature_set: str, inputs: NetworkInputs) -> str:
    return f"features {feature_set!r} ({inputs.particle_features} per particle, {inputs.jet_features} per jet)"


def _opponent(repository: ModelRepository, family: str, features: FeatureSet) -> _Opponent | Promotion:
    """What a candidate must be compared with, or why there is nothing."""
    try:
        model = repository.current(family)
        if model is None:
            return Promotion.unopposed("nothing is served yet")
        if (model.card.particle_features, model.card.jet_features) != (features.particle_names, features.jet_names):
            return Promotion.unopposed("the served model wants other features, so they cannot be compared")
        return _Opponent(model, inference_session(repository.onnx(model), threads=0))
    except (BrokenRepositoryError, UnusableModelError) as error:
        return Promotion.unopposed(f"the served version cannot be evaluated: {error}")


def _losses(session: JetSession, jets: SplitJets) -> NDArray[np.float64]:
    return jet_losses(jets.table["target"].to_numpy(), session.predict(jets.packed))


def _card(candidate: Candidate, validation: SplitJets, loss: float, exported: _Exported) -> ModelCard:
    best = candidate.best
    return ModelCard(
        family=best.family,
        network_digest=best.weights_digest,
        feature_set=validation.features.name,
        particle_features=validation.features.particle_names,
        jet_features=validation.features.jet_names,
        data_digests={"train": best.inputs.training_jets, "validation": best.inputs.validation_jets},
        losses={"validation": loss},
        export_difference=exported.check.max_abs_difference,
        package_versions=package_versions(*VERSIONED_PACKAGES),
        outputs=candidate.description.outputs,
        training_range=candidate.training_range,
        hyperparameters=candidate.description.hyperparameters.to_dict(),
        training=candidate.training,
        numbers=exported.numbers,
    )


def _settings_of(record: TrialRecord, best: BestModel) -> dict[str, Setting]:
    if not isinstance(record, FinishedTrial) or record.weights_digest != best.weights_digest:
        return {}  # the trial was trained anew since the choice: its settings aren't these
    return {
        "trial": record.number,
        "best_epoch": record.best_epoch,
        **asdict(record.terms),
        **asdict(record.optimization),
        "epochs": record.epochs,
    }
