from __future__ import annotations

import os

import pytest
import torch

from jec_assets.training.reproducible import (
    CUBLAS_WORKSPACE,
    deterministic,
    random_states,
    seeded,
    set_random_states,
    threads,
)


def test_a_seed_is_local() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(7):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(2), first)


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(AssertionError, match="inside"), threads(before + 1):
        assert torch.get_num_threads() == before, "inside"
    assert torch.get_num_threads() == before


def test_zero_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    with threads(0):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("workspace", [None, ":16:8"])
def test_determinism_is_asked_for_and_restored(workspace: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, value = CUBLAS_WORKSPACE
    monkeypatch.delenv(variable, raising=False)
    if workspace is not None:
        monkeypatch.setenv(variable, workspace)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ[variable] == (workspace or value)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert os.environ.get(variable) == workspace


def test_without_asking_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CUBLAS_WORKSPACE[0], raising=False)
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
        assert CUBLAS_WORKSPACE[0] not in os.environ


def test_random_numbers_go_on_where_they_were() -> None:
    cpu = torch.device("cpu")
    with seeded(3):
        torch.rand(5)
        states = random_states(cpu)
        expected = torch.rand(5)
        torch.rand(7)
        set_random_states(states, cpu)
        assert torch.equal(torch.rand(5), expected)
    assert states.shape[0] == 1
