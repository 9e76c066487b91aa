"""Who rolled out which version when, what was compared, and what came of it.

Belongs here: keeping and reading these records. Does not belong here: rolling out (`rollout.py`).

    rollouts/<family>/<when it ended>.json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jec_assets.serving.endpoint import EndpointError
from jec_assets.serving.rollout import Check, Rollout, roll_out
from jec_assets.serving.transport import DeadlineError, RequestRefusedError, ServerUnavailableError
from jec_assets.serving.version_store import BrokenRepositoryError

if TYPE_CHECKING:
    from jec_assets.jets.dataset import SplitJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.rollout import RolloutPolicy
    from jec_assets.storage import Storage

UNTRIED = "served beside"  # the check that a candidate fails which can't be compared at all
FAULTS = (BrokenRepositoryError, DeadlineError, EndpointError, RequestRefusedError, ServerUnavailableError)


@dataclass(frozen=True)
class RolloutRecord:
    """A roll-out that ended. by: whoever ordered it; at: ISO 8601, UTC."""

    result: Rollout
    by: str
    at: str

    @property
    def summary(self) -> str:
        """What came of it, for people."""
        result = self.result
        failed = "; ".join(f"{check.name}: {check.finding}" for check in result.checks if not check.passed)
        compared = f"version {result.candidate} beside version {result.served}, {result.jets:,} jets"
        return f"{compared}: {f'withdrawn ({failed})' if failed else 'promoted'}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RolloutRecord:
        """The inverse of `to_dict`."""
        result = dict(values["result"])
        checks = tuple(Check(**check) for check in result.pop("checks"))
        return cls(Rollout(**result, checks=checks), values["by"], values["at"])


def roll_out_recorded(
    endpoint: Endpoint,
    repository: ModelRepository,
    candidate: PublishedModel,
    jets: SplitJets,
    policy: RolloutPolicy,
    by: str,
) -> RolloutRecord:
    """Roll out a version and keep a record, also of one that the server can't serve: that is a check that fails.

    NotComparableError where nothing was tried, of which there is no record.
    """
    (served,) = repository.served([candidate.family])
    try:
        result = roll_out(endpoint, repository, candidate, jets, policy)
    except FAULTS as fault:
        checks = (Check(UNTRIED, False, str(fault)),)
        result = Rollout(candidate.family, served.version, candidate.version, 0, checks, promoted=False)
    record = RolloutRecord(result, by, datetime.now(UTC).isoformat(timespec="milliseconds"))
    repository.storage.publish_json(f"{_folder(candidate.family)}/{record.at}.json", record.to_dict())
    return record


def rollouts_of(storage: Storage, family: str, version: int) -> tuple[RolloutRecord, ...]:
    """Every roll-out of a version, the latest last."""
    records = (RolloutRecord.from_dict(storage.read_json(key)) for key in storage.list(_folder(family)))
    return tuple(record for record in records if record.result.candidate == version)


def _folder(family: str) -> str:
    return f"rollouts/{family}"
