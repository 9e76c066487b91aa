"""The model repository as the settings want it, for assets and commands alike.

Belongs here: turning settings into values. Does not belong here: the settings' defaults and reasons
(`jec_assets.settings`) and what the values mean (`repository.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.repository import ModelRepository, Retention

if TYPE_CHECKING:
    from jec_assets.settings import Settings
    from jec_assets.storage import Storage


def repository_of(settings: Settings, storage: Storage) -> ModelRepository:
    """The repository under a storage root, which keeps and serves as many versions as is set."""
    return ModelRepository(storage, Retention(settings.kept_versions, settings.served_versions))
