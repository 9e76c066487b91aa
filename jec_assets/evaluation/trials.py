"""All trials of a study on the test jets, after the choice is frozen.

Belongs here: reading each trial's network and its loss. Does not belong here: what the losses say (`search.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.search import EvaluatedTrial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jec_assets.jets.packed import PackedJets
    from jec_assets.search.record import FinishedTrial
    from jec_assets.storage import Storage


def evaluate_trials(
    storage: Storage, trials: Sequence[FinishedTrial], test: PackedJets, report: Callable[[str], None]
) -> list[EvaluatedTrial]:
    """Each trial with its loss (Eq. 1) on the test jets; `report` gets a line per trial."""
    from jec_assets.models.prediction import predict
    from jec_assets.models.saving import load_network

    evaluated = []
    for trial in trials:
        network, _ = load_network(storage.read_bytes(trial.weights_key))
        loss = float(jet_losses(test.target, predict(network, test)).mean())
        report(f"{trial.family} trial {trial.number:03d}: test loss {loss:.5f}")
        evaluated.append(EvaluatedTrial.of(trial, loss))
    return evaluated
