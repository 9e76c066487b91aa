"""What assets are handed: the settings and the storage root.

Belongs here: turning settings into resources. Plain objects are enough: the settings are read once, by definitions.py,
and every step of a run, in this process or in a pod, reads the same ones.
"""

from __future__ import annotations

import dagster as dg

from jec_assets.settings import Settings
from jec_assets.storage import S3Access, Storage

SettingsParam = dg.ResourceParam[Settings]
StorageParam = dg.ResourceParam[Storage]


def resources(settings: Settings) -> dict[str, object]:
    """Resources by name, as assets ask for them."""
    s3 = S3Access(settings.s3_addressing, settings.s3_attempts, read_seconds=settings.s3_seconds)
    storage = Storage(settings.storage_root, settings.work_folder / "cache", s3)
    return {"settings": settings, "storage": storage}
