"""Which model families there are assets of, and which of them an asset takes up.

Belongs here: the two rules. `calibration` trains the families of JEC_FAMILIES; costly ones are trained by
`calibration_full` alone, and from then on stand in every report, until the jets, the features or the code change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.models.families import FAMILIES
from jec_assets.reports.sources import Present
from jec_assets.search.best import has_current_best, load_best, load_best_network

if TYPE_CHECKING:
    from jec_assets.models.network import JetNetwork
    from jec_assets.settings import Settings
    from jec_assets.storage import Storage


def families_with_assets(settings: Settings) -> tuple[str, ...]:
    """The families of the settings, then the costly ones of the registry."""
    return (*settings.families, *_costly(settings))


def families_at_hand(settings: Settings, storage: Storage) -> tuple[str, ...]:
    """The families of the settings, and each costly one that has a best model of the present jets and code."""
    return (*settings.families, *(name for name in _costly(settings) if has_current_best(storage, name)))


def present_of(settings: Settings, storage: Storage) -> Present:
    """What reports are made of, with these settings."""
    resampling = Resampling(settings.bootstrap_resamples, settings.seed)
    alternative = settings.alternative_source is not None
    return Present(storage, families_at_hand(settings, storage), resampling, settings.experiment, alternative)


def networks_of(settings: Settings, storage: Storage) -> tuple[dict[str, JetNetwork], dict[str, str]]:
    """The best network of each family at hand, and the digests of their weights."""
    best = {family: load_best(storage, family) for family in families_at_hand(settings, storage)}
    networks = {family: load_best_network(storage, each) for family, each in best.items()}
    return networks, {family: each.weights_digest for family, each in best.items()}


def _costly(settings: Settings) -> tuple[str, ...]:
    return tuple(name for name, family in FAMILIES.items() if family.costly and name not in settings.families)
