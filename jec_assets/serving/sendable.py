"""Are jets such that a served network can answer them?

Belongs here: what is checked before anything is sent, whichever client sends. Does not belong here: the checks
themselves, of units (`units.py`) and of tensors (`tensors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.tensors import check_jets
from jec_assets.serving.units import check_units

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.metadata import ServedModel
    from jec_assets.serving.record import PublishedModel


class WrongFeaturesError(ValueError):
    """Jets don't have the features that the served network wants."""


def check_sendable(family: str, jets: PackedJets, served: ServedModel, model: PublishedModel | None) -> None:
    """WrongFeaturesError, UnitsError or BatchError, which names a tensor, if the network can't answer these jets.

    model: its record, if there is one.
    """
    wanted, given = (served.particle_features, served.jet_features), (jets.particles.shape[1], jets.jets.shape[1])
    if wanted != given:
        raise WrongFeaturesError(
            f"{family} wants {wanted[0]} particle and {wanted[1]} jet features, these jets have {given[0]} and "
            f"{given[1]}: compute the feature set that the model was trained with"
        )
    check_jets(jets)
    if model is not None:
        check_units(jets, model.card.jet_features, model.card.particle_features)
