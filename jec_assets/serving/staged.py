"""Versions that a release staged, from there to being served.

Belongs here: taking up what is staged, and settling the release by what came of it. Does not belong here: staging
(`release.py`) and the roll-out (`rollout.py`).

A roll-out that was interrupted leaves the version staged and what was served before in its place: the next attempt
begins anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jec_assets.serving.rollout_log import roll_out_recorded
from jec_assets.serving.served import load_release, publish_release_record, release_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.rollout import RolloutPolicy
    from jec_assets.serving.rollout_log import RolloutRecord


def roll_out_staged(
    endpoint: Endpoint,
    repository: ModelRepository,
    policies: Mapping[str, RolloutPolicy],
    jets: SplitJets,
    by: str,
) -> tuple[RolloutRecord, ...]:
    """Roll out what is staged of each family, by its policy, and settle the releases; what came of each roll-out.

    The endpoint must be the recorded one, see `deployment.promote`. A version that was promoted by hand since is not
    rolled out, nor one that was deleted.
    """
    records = []
    for family, policy in policies.items():
        staged = _staged(repository, family)
        if staged is None:
            continue
        if repository.current(family) == staged:
            _settle(repository, staged, "promoted by hand")
            continue
        record = roll_out_recorded(endpoint, repository, staged, jets, policy, by)
        _settle(repository, staged, f"roll-out of {record.summary}")
        records.append(record)
    return tuple(records)


def _staged(repository: ModelRepository, family: str) -> PublishedModel | None:
    """The version that waits for its roll-out; None where there is none."""
    if not repository.storage.exists(release_key(family)):
        return None
    version = load_release(repository.storage, family).staged
    return None if version not in repository.versions(family) else repository.model(family, version)


def _settle(repository: ModelRepository, staged: PublishedModel, outcome: str) -> None:
    """Nothing is staged any more; the record says what is served."""
    (served,) = repository.served([staged.family])
    record = load_release(repository.storage, staged.family)
    settled = replace(
        record,
        version=served.version,
        network_digest=served.card.network_digest,
        promoted=served == staged,
        reason=outcome,
        staged=None,
    )
    publish_release_record(repository.storage, settled)
