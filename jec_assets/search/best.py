"""The frozen choice: which trial's network is a family's best model, published for all that comes after.

Belongs here: the pointer to the chosen weights and reading them. Does not belong here: the rule (`choice.py`).

    best_models/<family>.json
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from jec_assets.search.provenance import InputDigests, present_inputs

if TYPE_CHECKING:
    from jec_assets.models.network import JetNetwork
    from jec_assets.models.saving import NetworkDescription
    from jec_assets.search.choice import Choice
    from jec_assets.storage import Storage


class BestModel(BaseModel):
    """A family's chosen network and what it was chosen from. `candidates` and the others are trial numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    trial: int
    weights_key: str
    weights_digest: str
    parameters: int
    validation_loss: float
    inputs: InputDigests
    candidates: tuple[int, ...]
    stale: tuple[int, ...]
    failed: tuple[int, ...]


def publish_best(storage: Storage, choice: Choice) -> BestModel:
    """Freeze a choice under its family's name."""
    best = BestModel(
        family=choice.best.family,
        trial=choice.best.number,
        weights_key=choice.best.weights_key,
        weights_digest=choice.best.weights_digest,
        parameters=choice.best.parameters,
        validation_loss=choice.best.validation_loss,
        inputs=choice.best.inputs,
        candidates=tuple(record.number for record in choice.candidates),
        stale=tuple(record.number for record in choice.stale),
        failed=tuple(record.number for record in choice.failed),
    )
    storage.publish_json(_key(best.family), best.model_dump(mode="json"))
    return best


def load_best(storage: Storage, family: str) -> BestModel:
    """The frozen choice; ArtifactMissingError where `best_model` was not materialized."""
    return BestModel.model_validate(storage.read_json(_key(family)))


def has_current_best(storage: Storage, family: str) -> bool:
    """Whether a family's frozen choice is of the present jets, features and code."""
    return storage.exists(_key(family)) and load_best(storage, family).inputs == present_inputs(storage)


def load_best_network(storage: Storage, best: BestModel) -> JetNetwork:
    """The chosen network, in evaluation mode."""
    from jec_assets.models.saving import load_network

    network, _ = load_network(storage.read_bytes(best.weights_key))
    return network.eval()


def load_best_description(storage: Storage, best: BestModel) -> NetworkDescription:
    """What the chosen network is: its family, hyperparameters and inputs."""
    from jec_assets.models.saving import load_network

    return load_network(storage.read_bytes(best.weights_key))[1]


def _key(family: str) -> str:
    return f"best_models/{family}.json"
