from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.networks.importance import MIN_TRIALS, importances


def drawn(trials: int) -> tuple[list[dict[str, int | float | str]], list[float]]:
    """The loss follows dropout, a little the optimizer, not the layers."""
    random = np.random.default_rng(1)
    tried: list[dict[str, int | float | str]] = [
        {
            "layers": int(random.integers(1, 4)),
            "dropout": float(random.uniform(0, 0.5)),
            "optimizer": str(random.choice(["Adam", "Ranger"])),
            "members": 4,
        }
        for _ in range(trials)
    ]
    return tried, [0.07 + 0.1 * float(each["dropout"]) ** 2 + 0.002 * (each["optimizer"] == "Adam") for each in tried]


def test_what_decides_the_loss_is_important():
    tried, losses = drawn(40)
    found = importances(tried, losses, seed=1)
    assert list(found) == ["layers", "dropout", "optimizer", "members"]
    shares = {name: share.value for name, share in found.items() if share.value is not None}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["dropout"] > 0.7
    assert shares["layers"] < 0.1
    assert found["members"].note == "the same in every trial"
    assert found == importances(tried, losses, seed=1)


def test_too_little_to_say():
    tried, losses = drawn(MIN_TRIALS)
    assert importances(tried[:-1], losses[:-1], 1)["dropout"].note == "n = 9: fewer than 10 trials"
    assert importances(tried, [0.07] * MIN_TRIALS, 1)["dropout"].note == "the same loss in every trial"
    alike = importances([tried[0]] * MIN_TRIALS, losses, 1)
    assert {each.note for each in alike.values()} == {"the same in every trial"}
    assert importances([], [], 1) == {}
