"""Versions of models: whole, numbered, never changed.

Belongs here: writing, reading, checking and removing a version's folder. Does not belong here: which version is served
(`repository.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jec_assets.serving.layout import MODEL, README, RECORD, ROOT, TOMBSTONE, check_name, version_folder, version_key
from jec_assets.serving.model_card import readme
from jec_assets.serving.record import PublishedModel
from jec_assets.storage import SECONDS_UNTIL_ABANDONED, ArtifactMissingError, Held, digest_bytes

if TYPE_CHECKING:
    from jec_assets.serving.record import ModelCard
    from jec_assets.storage import Storage

ABANDONED_AFTER = timedelta(seconds=SECONDS_UNTIL_ABANDONED)
_LOGGER = logging.getLogger(__name__)


class BrokenRepositoryError(RuntimeError):
    """The repository holds something that this project doesn't leave behind; the message names it and the remedy."""


@dataclass(frozen=True)
class VersionStore:
    """The versions under a storage root, for any number of readers. A number goes to one of several writers."""

    storage: Storage

    def families(self) -> tuple[str, ...]:
        """Families with at least one whole version, by name."""
        entries = self.storage.entries(ROOT)
        names = [name for name, is_folder in entries.items() if is_folder and name.isidentifier()]
        return tuple(name for name in names if self.versions(name))

    def versions(self, family: str) -> tuple[int, ...]:
        """Whole versions of a family, rising; a folder whose model was never written is none."""
        return tuple(number for number, files in self._folders(family).items() if _is_whole(files))

    def model(self, family: str, version: int) -> PublishedModel:
        """A version's record; BrokenRepositoryError where the version isn't whole."""
        key, record = version_key(family, version, MODEL), version_key(family, version, RECORD)
        if not self.storage.exists(key):
            raise BrokenRepositoryError(f"{self.storage.uri(key)} is missing: publish the family again")
        try:
            return PublishedModel.from_dict(self.storage.read_json(record))
        except (ArtifactMissingError, ValueError, KeyError, TypeError) as error:
            raise BrokenRepositoryError(
                f"{self.storage.uri(record)} is no model record ({error!r}): remove this version"
            ) from error

    def onnx(self, model: PublishedModel) -> bytes:
        """The model's ONNX file; BrokenRepositoryError if its digest isn't the published one."""
        key = version_key(model.family, model.version, MODEL)
        data = self.storage.read_bytes(key)
        if digest_bytes(data) != model.onnx_digest:
            raise BrokenRepositoryError(f"{self.storage.uri(key)} is damaged: its digest is not {model.onnx_digest}")
        return data

    def digests(self, model: PublishedModel) -> dict[str, str]:
        """Digests of a version's files by path below the family; BrokenRepositoryError if the model is damaged."""
        digests = {MODEL: digest_bytes(self.onnx(model))}
        for file in (RECORD, README):
            key = version_key(model.family, model.version, file)
            if self.storage.exists(key):
                digests[file] = digest_bytes(self.storage.read_bytes(key))
        return {f"{model.version}/{file}": digest for file, digest in digests.items()}

    def store(self, card: ModelCard, onnx: bytes) -> PublishedModel:
        """Keep a model as a version, which nothing serves by that.

        A network that is there already as the same ONNX file keeps its number; a version that is damaged since is left
        where it is, and the next number is used. What an interrupted attempt left is a whole version, which is found,
        or a folder without a model, whose number is not used again: another run may be writing there. Of several that
        take the same number at once one gets it, and the others get a ConflictError.
        """
        check_name(card.family)
        return self._find(card, onnx) or self._write(card, onnx)

    def _find(self, card: ModelCard, onnx: bytes) -> PublishedModel | None:
        for version in reversed(self.versions(card.family)):
            try:
                model = self.model(card.family, version)
                if model.card.network_digest == card.network_digest and self.onnx(model) == onnx:
                    return model
            except BrokenRepositoryError as error:
                _LOGGER.warning("version %d of %s is passed over: %s", version, card.family, error)
        return None

    def _write(self, card: ModelCard, onnx: bytes) -> PublishedModel:
        version = max(self.numbers(card.family), default=0) + 1
        published = PublishedModel(card, version, digest_bytes(onnx), datetime.now(UTC).isoformat(timespec="seconds"))
        self.storage.replace_json(version_key(card.family, version, RECORD), published.to_dict(), Held())
        self.storage.publish_bytes(version_key(card.family, version, README), readme(published).encode())
        self.storage.publish_bytes(version_key(card.family, version, MODEL), onnx)
        return published

    def remove(self, family: str, version: int) -> None:
        """Remove a version's files; its number is never used again, so that nobody gets another model by it."""
        deleted = {"version": version, "deleted": datetime.now(UTC).isoformat(timespec="seconds")}
        self.storage.publish_json(version_key(family, version, TOMBSTONE), deleted)
        for file in (MODEL, README, RECORD):
            self.storage.remove(version_key(family, version, file))

    def numbers(self, name: str) -> tuple[int, ...]:
        """All numbers that have a folder, rising: of whole versions, of deleted ones, of what was interrupted."""
        return tuple(self._folders(name))

    def clear(self, name: str, kept: set[int]) -> tuple[int, ...]:
        """Remove the folders of all other numbers, but for those that another run may be writing still.

        Which whole versions were removed.
        """
        others = {number: files for number, files in self._folders(name).items() if number not in kept}
        folders = {number: files for number, files in others.items() if self._is_done(name, number, files)}
        for number, files in folders.items():
            # Without the model it is no version; the record tells how old what is left is, should this be killed.
            for file in sorted(files, key=lambda file: (file != MODEL, file == RECORD)):
                self.storage.remove(version_key(name, number, file))
            self.storage.remove_folder(version_folder(name, number))
        return tuple(number for number, files in folders.items() if _is_whole(files))

    def _is_done(self, name: str, number: int, files: set[str]) -> bool:
        """Whether nobody writes there any more: the model or a tombstone is there, or the record is old."""
        if MODEL in files or TOMBSTONE in files:
            return True
        try:
            begun = datetime.fromisoformat(self.storage.read_json(version_key(name, number, RECORD))["published"])
            return datetime.now(UTC) - begun > ABANDONED_AFTER
        except (ArtifactMissingError, ValueError, KeyError, TypeError):
            return False

    def _folders(self, family: str) -> dict[int, set[str]]:
        """Names of the files in each numbered folder of a family, by rising number."""
        numbers = sorted(int(name) for name in self.storage.entries(f"{ROOT}/{family}") if name.isdecimal())
        return {number: set(self.storage.entries(version_folder(family, number))) for number in numbers}


def _is_whole(files: set[str]) -> bool:
    return MODEL in files and TOMBSTONE not in files
