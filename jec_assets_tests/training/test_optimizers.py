from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from jec_assets.training.config import OPTIMIZERS
from jec_assets.training.optimizers import make_optimizer, set_learning_rate

TORCH_CLASSES = {
    "AdaGrad": torch.optim.Adagrad,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "RMSProp": torch.optim.RMSprop,
}


def descend(name: str, steps: int, learning_rate: float) -> list[float]:
    """The path of a parameter on the parabola (x - 3)^2, from 0."""
    weight = Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = make_optimizer(name, [weight], learning_rate)
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        ((weight - 3.0) ** 2).backward()
        optimizer.step()
        path.append(weight.item())
    return path


def radam_with_lookahead(steps: int, rate: float) -> list[float]:
    """The two papers' equations, beta = (0.95, 0.999), epsilon = 1e-5, k = 6, alpha = 0.5."""
    fast = slow = first = second = 0.0
    length_limit = 2 / (1 - 0.999) - 1
    path = []
    for step in range(1, steps + 1):
        gradient = 2 * (fast - 3.0)
        first = 0.95 * first + 0.05 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        momentum = first / (1 - 0.95**step)
        length = length_limit - 2 * step * 0.999**step / (1 - 0.999**step)
        if length > 5:
            rectification = np.sqrt(
                (length - 4) * (length - 2) * length_limit / ((length_limit - 4) * (length_limit - 2) * length)
            )
            fast -= rate * rectification * momentum * np.sqrt(1 - 0.999**step) / (np.sqrt(second) + 1e-5)
        else:
            fast -= rate * momentum
        if step % 6 == 0:
            slow = fast = slow + 0.5 * (fast - slow)
        path.append(float(fast))
    return path


def test_ranger_is_lookahead_around_radam() -> None:
    assert descend("Ranger", 40, 0.05) == pytest.approx(radam_with_lookahead(40, 0.05), rel=1e-9)


@pytest.mark.parametrize("name", TORCH_CLASSES)
def test_the_others_are_torchs_with_its_defaults(name: str) -> None:
    optimizer = make_optimizer(name, [Parameter(torch.zeros(2))], 0.007)
    assert type(optimizer) is TORCH_CLASSES[name]
    expected = {**TORCH_CLASSES[name]([Parameter(torch.zeros(2))]).defaults, "lr": 0.007}
    assert {**optimizer.defaults, "fused": None} == {**expected, "fused": None}, "all but how it is computed"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends_and_obeys_a_later_rate(name: str) -> None:
    assert abs(descend(name, 30, 0.05)[-1] - 3.0) < 3.0
    weight = Parameter(torch.zeros(()))
    optimizer = make_optimizer(name, [weight], 0.1)
    set_learning_rate(optimizer, 0.0)
    (weight - 3.0).backward()
    optimizer.step()
    assert weight.item() == 0.0
