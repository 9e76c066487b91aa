"""What is served now, for the steps and people that come after: the endpoint's address and the last releases.

Belongs here: two small records in storage. Does not belong here: asking the server (`endpoint.py`) or the repository
(`repository.py`).

    served_endpoint.json
    releases/<family>.json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jec_assets.serving.endpoint import Endpoint

if TYPE_CHECKING:
    from jec_assets.serving.release import Release
    from jec_assets.storage import Storage

ENDPOINT_KEY = "served_endpoint.json"


@dataclass(frozen=True)
class ReleaseRecord:
    """How the last candidate of a family fared, and the version that is served since: of which network, is it it?

    staged: the candidate's version as long as it waits for its roll-out.
    """

    family: str
    version: int
    network_digest: str
    candidate_digest: str
    promoted: bool
    reason: str
    staged: int | None = None


def publish_endpoint(storage: Storage, endpoint: Endpoint) -> None:
    """Record where models are served."""
    storage.publish_json(ENDPOINT_KEY, {**asdict(endpoint), "url": endpoint.url})


def load_endpoint(storage: Storage) -> Endpoint:
    """The recorded endpoint; ArtifactMissingError where `served_endpoint` was not materialized."""
    record = dict(storage.read_json(ENDPOINT_KEY))
    del record["url"]
    return Endpoint(**record)


def publish_release(storage: Storage, release: Release) -> None:
    """Record how a candidate fared."""
    card, promotion, staged = release.model.card, release.promotion, release.staged
    record = ReleaseRecord(
        card.family,
        release.model.version,
        card.network_digest,
        release.candidate_digest,
        promotion.promoted and staged is None,
        promotion.reason if staged is None else f"{promotion.reason}; version {staged.version} waits for its roll-out",
        None if staged is None else staged.version,
    )
    publish_release_record(storage, record)


def publish_release_record(storage: Storage, record: ReleaseRecord) -> None:
    """Record what has become of a candidate since."""
    storage.publish_json(release_key(record.family), asdict(record))


def release_key(family: str) -> str:
    """Key of a family's last release."""
    return f"releases/{family}.json"


def load_release(storage: Storage, family: str) -> ReleaseRecord:
    """A family's last release; ArtifactMissingError where `onnx_repository` was not materialized."""
    return ReleaseRecord(**storage.read_json(release_key(family)))
