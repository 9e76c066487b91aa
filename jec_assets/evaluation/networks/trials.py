"""All trials of a study on the test jets, after the choice is frozen.

Belongs here: reading each trial's network and its loss. Does not belong here: what the losses say (`search.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.networks.search import EvaluatedTrial
from jec_assets.evaluation.provenance import StaleArtifactError
from jec_assets.search.record import FinishedTrial, read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.search.best import BestModel
    from jec_assets.storage import Storage


def candidates(storage: Storage, best: BestModel) -> list[FinishedTrial]:
    """The trials that a best model was chosen from: finished, and on the jets, features and code of the choice.

    StaleArtifactError where trials were carried out anew since.
    """
    found = [
        record
        for record in read_records(storage, best.family)
        if isinstance(record, FinishedTrial) and record.number in best.candidates and record.inputs == best.inputs
    ]
    changed = set(best.candidates) - {record.number for record in found}
    if best.weights_digest not in {record.weights_digest for record in found}:
        changed.add(best.trial)
    if changed:
        numbers = ", ".join(f"{number:03d}" for number in sorted(changed))
        raise StaleArtifactError(
            f"trials {numbers} of {best.family} changed since the best was chosen: materialize {best.family}/best_model"
        )
    return found


def evaluate_trials(
    storage: Storage, trials: Sequence[FinishedTrial], test: SplitJets, report: Callable[[str], None]
) -> list[EvaluatedTrial]:
    """Each trial with its loss (Eq. 1) on the test jets; `report` gets a line per trial."""
    from jec_assets.models.prediction import on_best_device, predict
    from jec_assets.models.saving import load_network

    target = test.table["target"].to_numpy()
    evaluated = []
    for trial in trials:
        network, _ = load_network(storage.read_bytes(trial.weights_key))
        with on_best_device(network):
            loss = float(jet_losses(target, predict(network, test.packed)).mean())
        report(f"{trial.family} trial {trial.number:03d}: test loss {loss:.5f}")
        evaluated.append(EvaluatedTrial.of(trial, loss))
    return evaluated
