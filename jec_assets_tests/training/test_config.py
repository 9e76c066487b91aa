from __future__ import annotations

import pytest

from jec_assets.training.config import TrainingConfig


def test_impossible_trainings_are_refused() -> None:
    with pytest.raises(ValueError, match="choose one of AdaGrad, Adam, AdamW, Ranger, RMSProp"):
        TrainingConfig("SGD", 0.1, epochs=1, batch_size=2, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="epochs=0"):
        TrainingConfig("Adam", 0.1, epochs=0, batch_size=2, seed=0)
    with pytest.raises(ValueError, match="batch_size=1"):
        TrainingConfig("Adam", 0.1, epochs=1, batch_size=1, seed=0)
