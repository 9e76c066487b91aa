"""Roll-outs with the real Triton: a version tried beside what is served, compared, promoted or withdrawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.dataset import SplitJets
from jec_assets.jets.packed import PackedJets
from jec_assets.serving import rollout
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.deployment import promote, rollback, try_out
from jec_assets.serving.endpoint import EndpointError
from jec_assets.serving.rollout import Mirrored, NotComparableError, Rollout, RolloutPolicy, compare, roll_out
from jec_assets.serving.runtime import inference_session
from jec_assets.storage import ConflictError
from jec_assets_tests.serving.conftest import Served, card_of
from jec_assets_tests.serving.rollouts import REFUSED, answers, like, published, versions

pytestmark = pytest.mark.needs("triton")
# Latency is checked where it can't depend on the machine.
POLICY = RolloutPolicy(Resampling(20, seed=1), max_median_change=10.0, max_slowdown=1e6)


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
