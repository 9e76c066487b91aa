from __future__ import annotations

import pytest
import torch

from jec_assets.training.faults import TrainingMemoryError, memory_faults


def test_what_does_not_fit_on_the_cpu_is_a_training_fault() -> None:
    with pytest.raises(TrainingMemoryError, match="128 jets a batch: lower"), memory_faults(128):
        torch.empty(10**14)


@pytest.mark.parametrize("error", [MemoryError("no"), torch.OutOfMemoryError("CUDA out of memory")])
def test_other_words_for_out_of_memory(error: Exception) -> None:
    with pytest.raises(TrainingMemoryError) as raised, memory_faults(2):
        raise error
    assert raised.value.__cause__ is error


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="a bug"), memory_faults(2):
        raise RuntimeError("a bug")
