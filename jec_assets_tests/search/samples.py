"""A study small enough to run in a test: learnable jets, a feature set of their shape, small plans."""

from __future__ import annotations

from jec_assets.jets.features import Feature, FeatureSet
from jec_assets.search.provenance import InputDigests, TrainingBudget
from jec_assets.search.record import FailedTrial, FinishedTrial, PlannedTrial
from jec_assets.search.sampler import TrialPlan
from jec_assets.search.trial import Study, TrialInputs
from jec_assets.storage import Storage
from jec_assets.training.progress import Progress
from jec_assets.training.result import EpochFigures
from jec_assets_tests.training.samples import SMALL_PFN, learnable_jets


def _features(*names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name, "1", (), lambda columns: columns.offsets) for name in names)


FEATURES = FeatureSet(
    "sample",
    _features("delta_eta", "delta_phi", "first", "second"),
    _features("third", "fourth"),
    members_only=False,
    max_particles=None,
)
BUDGET = TrainingBudget(epochs=3, batch_size=32, seed=1)
INPUTS = TrialInputs(learnable_jets(203, seed=1), learnable_jets(61, seed=2), "training", "validation", FEATURES)
DIGESTS = InputDigests("training", "validation", "sample", "code")
EPOCH = EpochFigures(1, 0.08, 0.07, 1e-3, 0.5, 1e4)


def silent(_: Progress) -> None:
    pass


def study(storage: Storage, budget: TrainingBudget = BUDGET, inputs: TrialInputs = INPUTS) -> Study:
    return Study(storage, inputs, budget, threads=1)


def plan(number: int = 0, learning_rate: float = 0.01) -> TrialPlan:
    return TrialPlan(number, SMALL_PFN, "Adam", learning_rate)


def finished(number: int, loss: float, inputs: InputDigests = DIGESTS) -> FinishedTrial:
    return FinishedTrial(
        **dict(PlannedTrial.of(plan(number), BUDGET, inputs)),
        best_epoch=1,
        validation_loss=loss,
        history=(EPOCH,),
        weights_key=f"trials/pfn/weights/{number}.safetensors",
        weights_digest=str(number),
        parameters=100,
        device="cpu",
        seconds=1.0,
    )


def failed(number: int, inputs: InputDigests = DIGESTS) -> FailedTrial:
    return FailedTrial(**dict(PlannedTrial.of(plan(number), BUDGET, inputs)), error="loss nan", seconds=1.0)
