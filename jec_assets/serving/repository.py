"""Triton's model repository under the storage root: which version of each family is served.

Belongs here: publishing, promoting, rolling back, retention. Does not belong here: a version's files
(`version_store.py`), the decision to publish (`promotion.py`), trying a version (`rollout.py`) and having a server load
it (`deployment.py`). `layout.py` says where everything lies.

The pointer to what is served is Triton's own configuration, one object, replaced last. It names the version that is
served and lower ones that stay served to whoever names them, so a client that began with one ends with it.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jec_assets.serving.config import (
    InstanceSettings,
    ModelConfigError,
    Pointer,
    config_pbtxt,
    pointer_of,
    repointed,
)
from jec_assets.serving.layout import CONFIG, MODEL, ROOT, candidate_name, config_key
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.tags import remove_tag, tags_of
from jec_assets.serving.version_store import BrokenRepositoryError, VersionStore
from jec_assets.serving.warm_up import attached_files
from jec_assets.storage import ConflictError, Storage, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.serving.record import ModelCard
    from jec_assets.storage import Held

_LOGGER = logging.getLogger(__name__)
POLL = 0.2  # seconds
MOST_REPETITIONS = 10  # two seconds: S3's clock has gone on by then


class UnpublishedModelError(LookupError):
    """A family that should be served has no version in the repository, or not that version."""


class VersionInUseError(RuntimeError):
    """A version can't be removed because it is served, or about to be."""


class NothingBeforeError(LookupError):
    """There is no version to go back to."""


@dataclass(frozen=True)
class Retention:
    """How many versions of a family there are.

    stored: the newest so many are kept; beside them, always, those that are served, tried, tagged or next to go back
    to. served: the version that is served and the ones before it, for clients that name them; each takes memory.
    """

    stored: int = 5
    served: int = 2


@dataclass(frozen=True)
class ModelRepository(VersionStore):
    """The repository under a storage root, for any number of readers.

    Of several that publish, promote or roll back a family at once, one gets through; the others get a ConflictError.
    """

    retention: Retention = Retention()

    @property
    def uri(self) -> str:
        """Address of the folder as Triton reads it: with the server where it is an S3 server other than Amazon's."""
        if self.storage.root.startswith("s3://"):
            server = str(self.storage.base.fs.s3.meta.endpoint_url)
            if not server.endswith("amazonaws.com"):
                return f"s3://{server}/{(self.storage.base / ROOT).path.strip('/')}"
        return self.storage.uri(ROOT)

    def pointer(self, family: str) -> Pointer | None:
        """What is served, None if the family was never published; BrokenRepositoryError if that can't be read."""
        return self._pointer_in(self.storage.read_held(config_key(family)), family)

    def _pointer_in(self, held: Held, family: str) -> Pointer | None:
        try:
            return None if held.data is None else pointer_of(held.data)
        except ModelConfigError as error:
            where = self.storage.uri(config_key(family))
            raise BrokenRepositoryError(f"{where}: {error}; remove it and publish again") from error

    def current(self, family: str) -> PublishedModel | None:
        """The version that is served, None if the family was never published; BrokenRepositoryError if it's damaged."""
        pointer = self.pointer(family)
        return None if pointer is None else self.model(family, pointer.version)

    def served(self, families: Sequence[str]) -> tuple[PublishedModel, ...]:
        """The version of each family that is served; UnpublishedModelError names families that were never published."""
        current = {family: self.current(family) for family in families}
        missing = [family for family, model in current.items() if model is None]
        if missing:
            raise UnpublishedModelError(
                f"{self.uri} holds no version of {', '.join(missing)}: materialize onnx_repository"
            )
        return tuple(model for model in current.values() if model is not None)

    def stored(self, family: str, version: int) -> PublishedModel:
        """A version that somebody asks for; UnpublishedModelError with those that there are."""
        there = self.versions(family)
        if version not in there:
            known = ", ".join(map(str, there)) or "no versions"
            raise UnpublishedModelError(f"there is no version {version} of {family}: there are {known}")
        return self.model(family, version)

    def check(self, name: str) -> None:
        """BrokenRepositoryError unless every file that Triton reads of a model has the digest in its configuration.

        name: a family or a candidate.
        """
        pointer = self.pointer(name)
        if pointer is None:
            raise UnpublishedModelError(f"{self.uri} holds no configuration of {name}: publish it")
        unnamed = [f"{each}/{MODEL}" for each in pointer.versions if f"{each}/{MODEL}" not in pointer.digests]
        if unnamed:
            raise BrokenRepositoryError(
                f"{self.storage.uri(config_key(name))} has no digests of {', '.join(unnamed)}: publish the family again"
            )
        for path, digest in pointer.digests.items():
            key = f"{ROOT}/{name}/{path}"
            if not self.storage.exists(key) or digest_bytes(self.storage.read_bytes(key)) != digest:
                raise BrokenRepositoryError(
                    f"{self.storage.uri(key)} is damaged or missing: its digest is not {digest}; promote another "
                    f"version or publish {name} again"
                )

    def publish(self, card: ModelCard, onnx: bytes, settings: InstanceSettings) -> PublishedModel:
        """Make this the version that is served; see `VersionStore.store` for its number."""
        model = self.store(card, onnx)
        self._serve(model, settings)
        self.make_room(card.family)
        return model

    def promote(self, family: str, version: int, settings: InstanceSettings | None = None) -> PublishedModel:
        """Make a stored version the one that is served; UnpublishedModelError without it.

        settings: how it is run; None: as the one before.
        """
        model = self.stored(family, version)
        self._serve(model, settings)
        return model

    def rollback(self, family: str) -> PublishedModel:
        """Serve what was served before; NothingBeforeError where there is no such version.

        The version that is withdrawn stays stored, and nobody gets it by its number until it is promoted again.
        """
        held = self.storage.read_held(config_key(family))
        pointer = self._pointer_in(held, family)
        history = [] if pointer is None else [each for each in pointer.history if each in self.versions(family)]
        if not history:
            raise NothingBeforeError(f"nothing was served as {family} before that is still stored: promote a version")
        model = self.model(family, history[-1])
        self._point(model, tuple(history[:-1]), None, held)
        return model

    def remove(self, family: str, version: int) -> None:
        """Remove a stored version and its tags; VersionInUseError where it is served or tried."""
        self.stored(family, version)
        pointers = self.pointer(family), self.pointer(candidate_name(family))
        if any(version in pointer.versions for pointer in pointers if pointer):
            raise VersionInUseError(
                f"version {version} of {family} is served or tried: promote another or roll back first"
            )
        for tag, tagged in tags_of(self.storage, family).items():
            if tagged == version:
                remove_tag(self.storage, family, tag)
        super().remove(family, version)

    def make_room(self, family: str) -> tuple[int, ...]:
        """Remove the versions that are beyond `retention`; which they were."""
        # The newest folder keeps its number from being used again, even if its version was deleted.
        newest = {*self.versions(family)[-self.retention.stored :], *self.numbers(family)[-1:]}
        removed = self.clear(family, self.in_use(family) | newest)
        if removed:
            _LOGGER.info("removed version %s of %s", ", ".join(map(str, removed)), family)
        return removed

    def configuration(self, name: str) -> bytes | None:
        """The configuration as it stands, to restore it; None where there is none."""
        return self.storage.read_held(config_key(name)).data

    def restore(self, withdrawn: PublishedModel, configuration: bytes | None) -> None:
        """Put a configuration back, so that what it names is served again in place of the version that is withdrawn.

        Where another run has pointed to something else since, that stays.
        """
        family, key = withdrawn.family, config_key(withdrawn.family)
        held = self.storage.read_held(key)
        try:
            pointer = self._pointer_in(held, family)
            if pointer is None or pointer.version != withdrawn.version:
                raise ConflictError(f"{self.storage.uri(key)}: another run replaced it")
            if configuration is None:
                self.storage.remove(key)
            else:
                self._replace_visibly(key, configuration, held)
        except (ConflictError, BrokenRepositoryError) as fault:
            _LOGGER.warning("what was served as %s before is not restored: %s", family, fault)

    def lay_out(
        self, name: str, model: PublishedModel, pointer: Pointer, settings: InstanceSettings | None, held: Held
    ) -> None:
        """Write all that Triton wants beside the versions, its configuration last.

        name: a family or a candidate. settings: None for those of what is served. digests of the pointer are those of
        the versions. held: the configuration that this one follows; ConflictError where it is another one by now.
        What is there already is not written again: Triton reloads a model whose files are newer.
        """
        attached = attached_files(model.card.widths.outputs)
        for path, content in attached.items():
            self._write_changed(f"{ROOT}/{name}/{path}", content)
        digests = {**pointer.digests, **{path: digest_bytes(content) for path, content in attached.items()}}
        pointing = name, replace(pointer, digests=digests), model.card.widths
        record = json.dumps(model.to_dict(), sort_keys=True)
        served = self.configuration(model.family) if settings is None else None
        if served is None:
            config = config_pbtxt(*pointing, settings or InstanceSettings(), record)
        else:
            config = repointed(served, *pointing, record)
        if held.data != config:
            self._replace_visibly(config_key(name), config, held)

    def _replace_visibly(self, key: str, config: bytes, held: Held) -> None:
        """Replace a configuration so that Triton notices it.

        Triton takes a file for changed where its time of modification is another one. S3 tells that in whole seconds:
        of two configurations of the same second Triton would go on with the first. So it is written again until the
        next second; whoever has it loaded sees whether that was enough (`endpoint.load`).
        """
        self.storage.replace_bytes(key, config, held)
        for _ in range(MOST_REPETITIONS):
            now = self.storage.read_held(key)
            if now.data != config or now.modified != held.modified:
                return
            time.sleep(POLL)
            self.storage.replace_bytes(key, config, now)

    def _write_changed(self, key: str, content: bytes) -> None:
        if not (self.storage.exists(key) and self.storage.read_bytes(key) == content):
            self.storage.publish_bytes(key, content)

    def _serve(self, model: PublishedModel, settings: InstanceSettings | None) -> None:
        """Point to a version and remember the one before."""
        held = self.storage.read_held(config_key(model.family))
        try:
            pointer = self._pointer_in(held, model.family)
        except BrokenRepositoryError as error:
            _LOGGER.warning("what was served before is not known: %s", error)
            pointer, settings = None, settings or InstanceSettings()
        stored = self.versions(model.family)
        earlier = () if pointer is None else (*pointer.history, pointer.version)
        latest_first = dict.fromkeys(each for each in reversed(earlier) if each != model.version and each in stored)
        self._point(model, tuple(reversed(latest_first)), settings, held)

    def _point(
        self, model: PublishedModel, history: tuple[int, ...], settings: InstanceSettings | None, held: Held
    ) -> None:
        digests = self.digests(model)
        kept = self._kept(model, history)
        for each in kept:
            digests |= self.digests(each)
        pointer = Pointer(model.version, tuple(sorted(each.version for each in kept)), history, digests)
        self.lay_out(model.family, model, pointer, settings, held)

    def _kept(self, model: PublishedModel, history: tuple[int, ...]) -> list[PublishedModel]:
        """The versions that stay served beside this one: lower ones that take and give the same, latest served first.

        Higher ones would be what Triton answers with where a client names none.
        """
        kept: list[PublishedModel] = []
        for version in (each for each in reversed(history) if each < model.version):
            if len(kept) == self.retention.served - 1:
                break
            try:
                earlier = self.model(model.family, version)
                self.onnx(earlier)
            except BrokenRepositoryError as error:
                _LOGGER.warning("version %d of %s is not served on: %s", version, model.family, error)
                continue
            if _tensors(earlier.card) == _tensors(model.card):
                kept.append(earlier)
        return kept

    def in_use(self, family: str) -> set[int]:
        """Versions that must stay: served, tried, tagged, or next to go back to."""
        pointers = self.pointer(family), self.pointer(candidate_name(family))
        named = {version for pointer in pointers if pointer for version in (*pointer.versions, *pointer.history[-1:])}
        return named | set(tags_of(self.storage, family).values())


def is_configured(repository: str, name: str) -> bool:
    """Whether a repository, by its address as Triton has it (`ModelRepository.uri`), has a configuration of a model.

    An S3 server is the one that the environment names.
    """
    place = repository.removeprefix("s3://")
    if "://" in place:
        repository = f"s3://{place.split('/', 3)[3]}"
    return Storage(repository).exists(f"{name}/{CONFIG}")


def _tensors(card: ModelCard) -> tuple[tuple[str, ...], ...]:
    return card.particle_features, card.jet_features, card.outputs
