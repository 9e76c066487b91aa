"""Searching the repository: which versions there are, what they are, how two of them differ.

Belongs here: entries, conditions and differences, for commands and services alike. Does not belong here: printing them
(`jec_assets.cli`) and sending them (`repository_service.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.tags import UnknownTagError, tags_of
from jec_assets.serving.version_store import BrokenRepositoryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository

State = Literal["served", "kept", "candidate", "stored"]
SPLIT = "validation"  # whose loss is compared


class DateError(ValueError):
    """Text that is no date."""


@dataclass(frozen=True)
class Entry:
    """A version and what it is now.

    state: served; kept: served to who names it; candidate: tried beside what is served; stored: none of these
    """

    model: PublishedModel
    state: State
    tags: tuple[str, ...]

    @property
    def loss(self) -> float | None:
        """The validation loss, None where nobody recorded it."""
        return self.model.card.losses.get(SPLIT)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**self.model.to_dict(), "state": self.state, "tags": list(self.tags)}


@dataclass(frozen=True)
class Query:
    """Conditions that all must hold; None holds for every version.

    since: published then or later. max_loss: of the validation jets. data_digest: the beginning of the digest of
    anything that the model was trained or chosen on.
    """

    family: str | None = None
    since: datetime | None = None
    max_loss: float | None = None
    data_digest: str | None = None
    tag: str | None = None

    def admits(self, entry: Entry) -> bool:
        """Whether a version fulfills the conditions; without a loss on record it fulfills none on losses."""
        card = entry.model.card
        return (
            (self.family is None or card.family == self.family)
            and (self.since is None or datetime.fromisoformat(entry.model.published) >= self.since)
            and (self.max_loss is None or (entry.loss is not None and entry.loss <= self.max_loss))
            and (self.data_digest is None or any(map(self._begins, card.data_digests.values())))
            and (self.tag is None or self.tag in entry.tags)
        )

    def _begins(self, digest: str) -> bool:
        return self.data_digest is not None and digest.startswith(self.data_digest)


@dataclass(frozen=True)
class Difference:
    """A field that two versions have different values of; None where one has none."""

    field: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Found:
    """Versions that were found, by family and number, and what can't be read, each with the remedy."""

    entries: tuple[Entry, ...]
    damaged: tuple[str, ...]


def moment(text: str) -> datetime:
    """A date or time in ISO 8601, in UTC where it names no zone; DateError for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise DateError(f"{text!r} is no date: write it as 2026-07-31 or 2026-07-31T12:00") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def search(repository: ModelRepository, query: Query) -> Found:
    """Every version that the conditions admit."""
    entries, damaged = [], []
    for family in repository.families():
        for version in repository.versions(family):
            try:
                entries.append(entry_of(repository, family, version))
            except BrokenRepositoryError as error:
                damaged.append(str(error))
    return Found(tuple(filter(query.admits, entries)), tuple(damaged))


def entry_of(repository: ModelRepository, family: str, version: int) -> Entry:
    """A version; UnpublishedModelError where there is none, BrokenRepositoryError where it can't be read."""
    tags = tuple(sorted(tag for tag, each in tags_of(repository.storage, family).items() if each == version))
    return Entry(repository.stored(family, version), _state(repository, family, version), tags)


def version_named(repository: ModelRepository, family: str, name: str) -> int:
    """The version that a number, a tag or `served` means; UnpublishedModelError or UnknownTagError without one."""
    if name.isdecimal():
        return repository.stored(family, int(name)).version
    if name == "served":
        return repository.served([family])[0].version
    tags = tags_of(repository.storage, family)
    if name not in tags:
        known = ", ".join(tags) or "no tags"
        raise UnknownTagError(
            f"{family} has no version {name!r}: give its number, `served`, or a tag; there are {known}"
        )
    return tags[name]


def differences(first: PublishedModel, second: PublishedModel) -> tuple[Difference, ...]:
    """Every field of the records that differs: hyperparameters, losses, data, settings, features."""
    one, other = dict(_flat(first.to_dict())), dict(_flat(second.to_dict()))
    fields = dict.fromkeys((*one, *other))
    return tuple(
        Difference(field, one.get(field), other.get(field)) for field in fields if one.get(field) != other.get(field)
    )


def _state(repository: ModelRepository, family: str, version: int) -> State:
    pointer = repository.pointer(family)
    if pointer is not None and version in pointer.versions:
        return "served" if version == pointer.version else "kept"
    return "candidate" if candidate_of(repository, family) == version else "stored"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}".removeprefix("card."), value
