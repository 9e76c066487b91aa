"""Promotion, rollback and roll-outs with the real Triton."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np
import polars as pl
import psutil
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.dataset import SplitJets
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.splits import Split
from jec_assets.serving import rollout
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import Deployed, load_served, promote, rollback, running_endpoint, try_out
from jec_assets.serving.endpoint import EndpointError, load, unload
from jec_assets.serving.reachable import UnreachableRepositoryError
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository, NothingBeforeError
from jec_assets.serving.rollout import Mirrored, NotComparableError, Rollout, RolloutPolicy, compare, roll_out
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.served import ENDPOINT_KEY, publish_endpoint
from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import ConflictError, StorageError
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")
SETTINGS = InstanceSettings()
REFUSED = (RequestRefusedError, ServerUnavailableError)
# Latency is checked where it can't depend on the machine.
POLICY = RolloutPolicy(Resampling(20, seed=1), max_median_change=10.0, max_slowdown=1e6)


@pytest.fixture
def family(served: Served, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of its own, in the repository of the running server, which is recorded as long as the test lasts."""
    publish_endpoint(served.repository.storage, served.endpoint)
    yield request.node.name.split("[")[0][:60]
    served.repository.storage.remove(ENDPOINT_KEY)


def published(served: Served, family: str, onnx: bytes) -> PublishedModel:
    model = served.repository.publish(card_of(family, onnx), onnx, SETTINGS)
    load_served(served.endpoint, served.repository, [family])
    return model


@pytest.fixture
def networks(pfn_onnx: bytes, other_pfn_onnx: bytes) -> tuple[bytes, bytes]:
    return pfn_onnx, other_pfn_onnx


def like(onnx: bytes, jets: PackedJets) -> SplitJets:
    """Jets whose target is nearly what this model predicts: no other can be better on them."""
    target = inference_session(onnx, 1).predict(jets) + np.random.default_rng(1).normal(0, 1e-3, len(jets))
    columns = {"event_hash": np.arange(len(jets), dtype=np.uint64), "target": target.astype(np.float32)}
    number = len(jets)
    return SplitJets(Split("test", "digest", number, number, number, "key", "extended"), jets, pl.DataFrame(columns))


def answers(served: Served, name: str, jets: PackedJets, version: str = "") -> np.ndarray:
    with JetClient.of(served.endpoint, "http") as client:
        return client.log_factors(name, jets, version)


def versions(served: Served, family: str) -> tuple[int, ...]:
    with JetClient.of(served.endpoint, "http") as client:
        return client.model(family).versions


def test_a_promotion_reaches_the_running_server(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    published(served, family, pfn_onnx)
    second = served.repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    deployed = promote(served.repository, family, second.version)
    assert deployed.endpoint is not None
    assert deployed.endpoint.http == served.endpoint.http
    expected = inference_session(other_pfn_onnx, 1).predict(jets)
    np.testing.assert_array_equal(answers(served, family, jets), expected)
    np.testing.assert_array_equal(answers(served, family, jets, "2"), expected)
    np.testing.assert_array_equal(answers(served, family, jets, "1"), inference_session(pfn_onnx, 1).predict(jets))
    assert rollback(served.repository, family).model.version == 1
    np.testing.assert_array_equal(answers(served, family, jets), inference_session(pfn_onnx, 1).predict(jets))
    with pytest.raises(REFUSED):
        answers(served, family, jets, "2")
    with pytest.raises(NothingBeforeError):
        rollback(served.repository, family)


def test_clients_that_name_a_version_are_answered_all_along(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    published(served, family, pfn_onnx)
    served.repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    few, done = jets.slice(0, 10), Event()
    expected = inference_session(pfn_onnx, 1).predict(few)

    def ask() -> int:
        asked = 0
        with JetClient.of(served.endpoint, "http") as client:
            while not done.is_set() or asked == 0:
                np.testing.assert_array_equal(client.log_factors(family, few, "1"), expected)
                asked += 1
        return asked

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            promote(served.repository, family, 2)
            rollback(served.repository, family)
        finally:
            done.set()
        assert asking.result() >= 1


def test_a_version_that_cannot_be_served_changes_nothing(served: Served, family: str, pfn_onnx: bytes) -> None:
    repository = served.repository
    first = published(served, family, pfn_onnx)
    before = repository.configuration(family)
    repository.store(card_of(family, b"garbage"), b"garbage")
    with pytest.raises(EndpointError, match="can't load a model of 7 bytes"):
        promote(repository, family, 2)
    assert repository.configuration(family) == before
    assert versions(served, family) == (1,)
    load(served.endpoint, [first])


def test_a_damaged_file_is_never_given_to_the_server(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes
) -> None:
    repository = served.repository
    published(served, family, pfn_onnx)
    repository.publish(card_of(family, other_pfn_onnx), other_pfn_onnx, SETTINGS)
    (Path(repository.uri) / family / "2/model.onnx").write_bytes(pfn_onnx)  # a fine model, but not this one
    with pytest.raises(EndpointError, match=r"2/model.onnx is damaged or missing"):
        load_served(served.endpoint, repository, [family])
    assert versions(served, family) == (1,)
    with pytest.raises(BrokenRepositoryError, match="is damaged"):
        promote(repository, family, 2)
    rollback(repository, family)
    load_served(served.endpoint, repository, [family])


@pytest.mark.parametrize(
    ("damaged", "content"), [("config.pbtxt", b"\xff"), ("1/model.json", b"{}"), ("config.pbtxt", None)]
)
def test_one_family_that_is_damaged_keeps_no_other_from_being_served(
    served: Served, family: str, damaged: str, content: bytes | None, pfn_onnx: bytes
) -> None:
    repository, whole = served.repository, f"{family[:50]}_whole"
    for each in (family, whole):
        repository.publish(card_of(each, pfn_onnx), pfn_onnx, SETTINGS)
    file = Path(repository.uri) / family / damaged
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(EndpointError, match=f"holds no version of {family}" if content is None else f"^{file}"):
        load_served(served.endpoint, repository, [family, whole])
    assert versions(served, whole) == (1,)
    unload(served.endpoint, whole)


@pytest.mark.parametrize("act", [partial(promote, version=2), rollback])
def test_a_server_that_hangs_is_not_taken_for_none(
    served: Served, family: str, act: Callable[..., Deployed], networks: tuple[bytes, bytes]
) -> None:
    repository = served.repository
    published(served, family, networks[0])
    repository.store(card_of(family, networks[1]), networks[1])
    before, server = repository.configuration(family), psutil.Process(served.endpoint.pid)
    server.suspend()
    try:
        with pytest.raises(EndpointError, match=f"{served.endpoint.url} is there and isn't ready"):
            act(repository, family)
    finally:
        server.resume()
    assert repository.configuration(family) == before
    assert running_endpoint(repository.storage) == served.endpoint


@pytest.mark.parametrize("fault", [UnreachableRepositoryError("gone"), StorageError("gone"), KeyboardInterrupt()])
def test_whatever_interrupts_a_promotion_or_rollback_leaves_what_was_served(
    repository: ModelRepository, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(card_of("pfn", b"one"), b"one", SETTINGS)
    repository.publish(card_of("pfn", b"two"), b"two", SETTINGS)
    repository.store(card_of("pfn", b"three"), b"three")
    before = repository.configuration("pfn")

    def failing(*_: object) -> None:
        raise fault

    monkeypatch.setattr(ModelRepository, "check", failing)
    for act in (partial(promote, version=3), rollback):
        with pytest.raises(type(fault)):
            act(repository, "pfn")
        assert repository.configuration("pfn") == before


@pytest.mark.parametrize("damage", ["another model", "no digest"])
def test_the_server_itself_refuses_what_was_not_published(
    served: Served, family: str, damage: str, pfn_onnx: bytes, other_pfn_onnx: bytes
) -> None:
    family = f"{family[:50]}_{damage[:2]}"
    first = published(served, family, pfn_onnx)
    second = served.repository.publish(card_of(family, other_pfn_onnx), other_pfn_onnx, SETTINGS)
    folder = Path(served.repository.uri) / family
    if damage == "another model":
        (folder / "2/model.onnx").write_bytes(pfn_onnx)
        said = rf"2/model.onnx of {family} is damaged: its digest is not the published {second.onnx_digest}; publish"
    else:
        config = (folder / "config.pbtxt").read_text()
        (folder / "config.pbtxt").write_text(config.replace("2/model.onnx", "3/model.onnx"))
        said = rf"config.pbtxt has no digest of 2/model.onnx: publish {family} again"
    with pytest.raises(EndpointError, match=said):
        load(served.endpoint, [second])
    assert versions(served, family) == (first.version,)


def test_without_a_running_server_the_repository_alone_changes(repository: ModelRepository) -> None:
    repository.publish(card_of("pfn", b"one"), b"one", SETTINGS)
    repository.store(card_of("pfn", b"two"), b"two")
    assert running_endpoint(repository.storage) is None
    assert promote(repository, "pfn", 2).endpoint is None
    assert rollback(repository, "pfn").model.version == 1


def rolled_out(
    served: Served, models: tuple[bytes, bytes], family: str, jets: SplitJets, policy: RolloutPolicy
) -> Rollout:
    published(served, family, models[0])
    candidate = served.repository.store(card_of(family, models[1]), models[1])
    return roll_out(served.endpoint, served.repository, candidate, jets, policy)


def test_a_better_version_takes_the_place(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    result = rolled_out(served, (pfn_onnx, other_pfn_onnx), family, like(other_pfn_onnx, jets), POLICY)
    assert result.promoted
    assert [check.name for check in result.checks] == ["finite", "loss", "change", "latency"]
    assert (result.served, result.candidate, result.jets) == (1, 2, len(jets))
    assert versions(served, family) == (1, 2)
    assert candidate_of(served.repository, family) is None
    with pytest.raises(REFUSED):
        versions(served, f"{family}.candidate")


@pytest.mark.parametrize(
    ("policy", "failed"),
    [
        (POLICY, "loss"),
        (replace(POLICY, max_median_change=1e-9), "change"),
        (replace(POLICY, max_slowdown=0.0), "latency"),
    ],
)
def test_a_version_that_fails_a_check_is_withdrawn(
    served: Served,
    networks: tuple[bytes, bytes],
    jets: PackedJets,
    family: str,
    policy: RolloutPolicy,
    failed: str,
) -> None:
    family = f"{family[:40]}_{failed}"
    best = networks[0] if failed == "loss" else networks[1]
    result = rolled_out(served, networks, family, like(best, jets), policy)
    assert not result.promoted
    assert [check.name for check in result.checks if not check.passed] == [failed]
    assert versions(served, family) == (1,)
    assert candidate_of(served.repository, family) is None
    assert served.repository.versions(family) == (1, 2)


def test_what_is_tried_answers_under_its_own_name_alone(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    published(served, family, pfn_onnx)
    candidate = served.repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    name = try_out(served.endpoint, served.repository, candidate)
    np.testing.assert_array_equal(answers(served, family, jets), inference_session(pfn_onnx, 1).predict(jets))
    np.testing.assert_array_equal(answers(served, name, jets), inference_session(other_pfn_onnx, 1).predict(jets))
    assert rollback(served.repository, family).model.version == 1
    with pytest.raises(REFUSED):
        answers(served, name, jets)


def test_a_candidate_that_is_no_model_leaves_nothing_behind(
    served: Served, family: str, pfn_onnx: bytes, jets: PackedJets
) -> None:
    with pytest.raises(EndpointError, match="can't load a model of 7 bytes"):
        rolled_out(served, (pfn_onnx, b"garbage"), family, like(pfn_onnx, jets), POLICY)
    assert candidate_of(served.repository, family) is None
    assert versions(served, family) == (1,)


def test_what_cannot_be_compared_is_said(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    first = published(served, family, pfn_onnx)
    split = like(pfn_onnx, jets)
    with pytest.raises(NotComparableError, match="is what is served"):
        roll_out(served.endpoint, served.repository, first, split, POLICY)
    card = replace(card_of(family, other_pfn_onnx), jet_features=("log_pt",))
    other = served.repository.store(card, other_pfn_onnx)
    with pytest.raises(NotComparableError, match="wants other features than these jets have"):
        roll_out(served.endpoint, served.repository, other, split, POLICY)
    second = served.repository.store(card_of(family, b"another card"), pfn_onnx)
    with pytest.raises(NotComparableError, match="no jets"):
        roll_out(served.endpoint, served.repository, second, like(pfn_onnx, jets.slice(0, 0)), POLICY)


@pytest.mark.parametrize("step", ["self_test", "mirror"])
def test_a_version_is_not_promoted_for_what_another_answers(
    served: Served,
    family: str,
    networks: tuple[bytes, bytes],
    jets: PackedJets,
    step: Literal["self_test", "mirror"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While version 2, no better than what is served, is rolled out, somebody tries version 3, which is better."""
    repository, family = served.repository, f"{family[:50]}_{step}"
    published(served, family, networks[0])
    second = repository.store(card_of(family, b"another card"), networks[0])
    third = repository.store(card_of(family, networks[1]), networks[1])
    interrupted = getattr(rollout, step)

    def after_a_try_out(*arguments: object) -> object:
        try_out(served.endpoint, repository, third)
        return interrupted(*arguments)

    monkeypatch.setattr(rollout, step, after_a_try_out)
    with pytest.raises(ConflictError, match="version 1 is served, version 3 tried"):
        roll_out(served.endpoint, repository, second, like(networks[1], jets), POLICY)
    assert versions(served, family) == (1,)
    assert candidate_of(repository, family) == 3
    expected = inference_session(networks[1], 1).predict(jets)
    np.testing.assert_array_equal(answers(served, f"{family}.candidate", jets, "3"), expected)
    rollback(repository, family)


def test_a_version_is_not_promoted_over_one_that_it_was_not_compared_with(
    served: Served, family: str, networks: tuple[bytes, bytes], jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = served.repository
    published(served, family, networks[0])
    second = repository.store(card_of(family, b"another card"), networks[0])
    third = repository.store(card_of(family, networks[1]), networks[1])
    whole = rollout.mirror

    def before_a_promotion(*arguments: Any) -> Mirrored:
        mirrored = whole(*arguments)
        promote(repository, family, third.version)
        return mirrored

    monkeypatch.setattr(rollout, "mirror", before_a_promotion)
    with pytest.raises(ConflictError, match="version 3 is served, version 2 tried"):
        roll_out(served.endpoint, repository, second, like(networks[0], jets), POLICY)
    assert repository.current(family) == third
    assert candidate_of(repository, family) is None


def mirrored(served: np.ndarray, candidate: np.ndarray) -> Mirrored:
    return Mirrored(served.astype(np.float32), candidate.astype(np.float32), np.ones(20), np.full(20, 1.2))


def test_answers_that_are_no_numbers_fail_and_hide_nothing(pfn_onnx: bytes, jets: PackedJets) -> None:
    split = like(pfn_onnx, jets)
    good = split.table["target"].to_numpy()
    some = good.copy()
    some[3] = np.nan
    checks = compare(mirrored(good, some), split, RolloutPolicy(Resampling(20, seed=1)))
    assert [check.name for check in checks if not check.passed] == ["finite"]
    assert checks[0].finding == "1 of 500 answers are no number"
    (only,) = compare(mirrored(good, np.full_like(good, np.nan)), split, POLICY)
    assert not only.passed
    assert all(check.passed for check in compare(mirrored(some, good), split, POLICY))
    assert "1.20 times what is served" in checks[3].finding


def test_one_jet_is_enough(pfn_onnx: bytes, jets: PackedJets) -> None:
    checks = compare(mirrored(np.zeros(1), np.zeros(1)), like(pfn_onnx, jets.slice(0, 1)), POLICY)
    assert all(check.passed for check in checks)


def test_a_busy_machine_makes_no_model_slower() -> None:
    random, answers = np.random.default_rng(3), np.zeros(1)
    slow = [
        random.exponential(1.0, 60) * (random.random(60) < 0.5) for _ in range(2)
    ]  # half of the requests had to wait
    assert Mirrored(answers, answers, 0.01 + slow[0], 0.01 + slow[1]).slowdown == pytest.approx(1)
    assert Mirrored(answers, answers, 0.01 + slow[0], 0.02 + slow[1]).slowdown == pytest.approx(2)
