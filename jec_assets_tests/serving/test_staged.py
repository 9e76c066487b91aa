"""From a release to a roll-out, with the real Triton: what is staged is served if it proves itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.packed import PackedJets
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.rollout import RolloutPolicy
from jec_assets.serving.rollout_log import RolloutRecord, roll_out_recorded, rollouts_of
from jec_assets.serving.served import (
    ENDPOINT_KEY,
    ReleaseRecord,
    load_release,
    publish_endpoint,
    publish_release_record,
)
from jec_assets.serving.staged import roll_out_staged
from jec_assets_tests.serving.conftest import Served, card_of
from jec_assets_tests.serving.rollouts import like, versions

pytestmark = pytest.mark.needs("triton")
# Latency is checked where it can't depend on the machine.
POLICY = RolloutPolicy(Resampling(20, seed=1), max_median_change=10.0, max_slowdown=1e6)


@pytest.fixture
def family(served: Served, request: pytest.FixtureRequest, pfn_onnx: bytes, other_pfn_onnx: bytes) -> Iterator[str]:
    """A family of its own, version 1 served and version 2 staged, in the repository of the running server."""
    family, repository = request.node.name[:60], served.repository
    publish_endpoint(repository.storage, served.endpoint)
    first = repository.publish(card_of(family, pfn_onnx), pfn_onnx, InstanceSettings())
    repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    load_served(served.endpoint, repository, [family])
    stage(repository, ReleaseRecord(family, 1, first.card.network_digest, "other", False, "waits", staged=2))
    yield family
    repository.storage.remove(ENDPOINT_KEY)


def stage(repository: ModelRepository, record: ReleaseRecord) -> None:
    publish_release_record(repository.storage, record)


def taken_up(
    served: Served, family: str, best: bytes, jets: PackedJets, policy: RolloutPolicy = POLICY
) -> tuple[RolloutRecord, ...]:
    """Roll out what is staged on jets of which this model predicts the target."""
    return roll_out_staged(served.endpoint, served.repository, {family: policy}, like(best, jets), by="a test")


def test_a_staged_version_that_proves_itself_is_served_and_settled(
    served: Served, family: str, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    storage = served.repository.storage
    policy = replace(POLICY, instances=InstanceSettings(graph_level="basic"))
    (record,) = taken_up(served, family, other_pfn_onnx, jets, policy)
    assert (record.result.promoted, record.by) == (True, "a test")
    assert versions(served, family) == (1, 2)
    assert b"level: -1" in (served.repository.configuration(family) or b"")
    settled = load_release(storage, family)
    assert (settled.version, settled.promoted, settled.staged) == (2, True, None)
    assert settled.reason == f"roll-out of version 2 beside version 1, {len(jets)} jets: promoted"
    assert rollouts_of(storage, family, 2) == (record,)
    assert rollouts_of(storage, family, 1) == ()
    assert taken_up(served, family, other_pfn_onnx, jets) == ()


def test_a_staged_version_that_fails_is_withdrawn_and_settled(
    served: Served, family: str, pfn_onnx: bytes, jets: PackedJets
) -> None:
    (record,) = taken_up(served, family, pfn_onnx, jets)
    assert not record.result.promoted
    assert versions(served, family) == (1,)
    settled = load_release(served.repository.storage, family)
    assert (settled.version, settled.promoted, settled.staged) == (1, False, None)
    assert "withdrawn (loss: worse than the served model" in settled.reason


def test_a_version_that_cannot_be_served_is_a_roll_out_that_failed(
    served: Served, family: str, pfn_onnx: bytes, jets: PackedJets
) -> None:
    repository = served.repository
    garbage = repository.store(card_of(family, b"garbage"), b"garbage")
    stage(repository, replace(load_release(repository.storage, family), staged=garbage.version))
    (record,) = taken_up(served, family, pfn_onnx, jets)
    assert [(check.name, check.passed) for check in record.result.checks] == [("served beside", False)]
    assert "can't load a model of 7 bytes" in record.summary
    assert versions(served, family) == (1,)
    assert candidate_of(repository, family) is None


def test_an_interrupted_roll_out_begins_anew_and_what_was_served_stays(
    served: Served, family: str, other_pfn_onnx: bytes, jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jec_assets.serving.rollout.mirror", killed)
        patched.setattr("jec_assets.serving.rollout.withdraw_candidate", lambda *_: None)  # nobody tidies up either
        with pytest.raises(KeyboardInterrupt):
            taken_up(served, family, other_pfn_onnx, jets)
    assert candidate_of(served.repository, family) == 2
    assert load_release(served.repository.storage, family).staged == 2
    load_served(served.endpoint, served.repository, [family])
    assert versions(served, family) == (1,)
    (record,) = taken_up(served, family, other_pfn_onnx, jets)
    assert record.result.promoted
    assert candidate_of(served.repository, family) is None


def test_what_people_did_meanwhile_stands(served: Served, family: str, pfn_onnx: bytes, jets: PackedJets) -> None:
    repository = served.repository
    repository.promote(family, 2)
    assert taken_up(served, family, pfn_onnx, jets) == ()
    settled = load_release(repository.storage, family)
    assert (settled.version, settled.promoted, settled.reason) == (2, True, "promoted by hand")
    repository.rollback(family)
    stage(repository, replace(settled, staged=2))
    repository.remove(family, 2)
    assert taken_up(served, family, pfn_onnx, jets) == ()
    load_served(served.endpoint, repository, [family])


def test_roll_outs_of_the_command_and_of_the_asset_are_on_one_record(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    repository = served.repository
    (first,) = taken_up(served, family, pfn_onnx, jets)
    candidate = repository.model(family, 2)
    second = roll_out_recorded(served.endpoint, repository, candidate, like(other_pfn_onnx, jets), POLICY, "a user")
    assert rollouts_of(repository.storage, family, 2) == (first, second)
    assert [each.result.promoted for each in (first, second)] == [False, True]
    assert (Path(repository.storage.root) / "rollouts" / family / f"{second.at}.json").exists()
