from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jec_assets.training.config import LOSSES, LossName, output_names
from jec_assets.training.losses import CORE_WIDTH, calibration_loss, jet_losses

NUMBERS = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-3, 3, width=32))


def test_loss_by_hand() -> None:
    prediction = torch.tensor([0.5, 0.0, 9.0, 9.0])
    target = torch.tensor([0.25, -0.5, 1.0, -1.5])
    assert calibration_loss(prediction, target).item() == pytest.approx((0.25 + 0.5) / 4)


@given(target=NUMBERS, shift=st.floats(-2, 2, width=32))
def test_loss_is_the_papers_equation(target: np.ndarray, shift: float) -> None:
    prediction = target + np.float32(shift)
    terms = [abs(float(y) - float(p)) for y, p in zip(target, prediction, strict=True) if abs(y) < 1]
    expected = sum(terms) / len(target)
    assert calibration_loss(torch.tensor(prediction), torch.tensor(target)).item() == pytest.approx(expected, abs=1e-5)


def test_jets_outside_have_no_gradient() -> None:
    prediction = torch.zeros(3, requires_grad=True)
    calibration_loss(prediction, torch.tensor([0.5, 1.0, -2.0])).backward()
    assert prediction.grad is not None
    assert prediction.grad.tolist() == pytest.approx([-1 / 3, 0, 0])


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(broken: float) -> None:
    fine = torch.tensor([0.1, 2.0])
    assert not calibration_loss(torch.tensor([0.1, broken]), fine).isfinite()
    assert not calibration_loss(fine, torch.tensor([0.1, broken])).isfinite()


def losses_of(name: LossName, outputs: list[float], target: float) -> float:
    return jet_losses(name, torch.tensor([outputs], dtype=torch.float64), torch.tensor([target])).item()


@pytest.mark.parametrize("residual", [0.02, -0.3, 0.0, 1.5])
def test_huber_and_log_cosh_are_their_formulas(residual: float) -> None:
    width, size = CORE_WIDTH, abs(residual)
    huber = size**2 / (2 * width) if size < width else size - width / 2
    assert losses_of("huber", [0.25 - residual], 0.25) == pytest.approx(huber)
    log_cosh = width * math.log(math.cosh(residual / width))
    assert losses_of("log_cosh", [0.25 - residual], 0.25) == pytest.approx(log_cosh)


def test_log_cosh_does_not_overflow() -> None:
    assert losses_of("log_cosh", [-2000.0], 0.5) == pytest.approx(2000.5 - CORE_WIDTH * math.log(2))


def test_the_quantile_loss_by_hand() -> None:
    median, low, high = 0.1, -0.2, 0.3
    above, below = 0.5, -0.3
    # Twice: 0.5, 0.16 and 0.84 of what lies above a quantile, the rest of what lies below.
    expected = 2 * (0.5 * (above - median) + 0.16 * (above - low) + 0.84 * (above - high))
    assert losses_of("quantile", [median, low, high], above) == pytest.approx(expected)
    expected = 2 * (0.5 * (median - below) + 0.84 * (low - below) + 0.16 * (high - below))
    assert losses_of("quantile", [median, low, high], below) == pytest.approx(expected)


def test_the_quantile_loss_is_least_at_the_quantiles() -> None:
    target = torch.from_numpy(np.random.default_rng(0).normal(0.02, 0.1, 20_000)).clamp(-0.9, 0.9)
    outputs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], 0.01)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 400)
        optimizer.zero_grad()
        jet_losses("quantile", outputs.expand(len(target), 3), target).mean().backward()
        optimizer.step()
    expected = torch.quantile(target, torch.tensor([0.5, 0.16, 0.84], dtype=torch.float64))
    torch.testing.assert_close(outputs.detach(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_the_indicator_and_hides_nothing(name: LossName) -> None:
    outputs = torch.full((4, len(output_names(name))), 0.2, requires_grad=True)
    losses = jet_losses(name, outputs, torch.tensor([0.5, 1.0, -1.5, 0.2]))
    losses.sum().backward()
    assert losses[0] > 0
    assert losses[1:3].tolist() == [0, 0]
    assert outputs.grad is not None
    assert outputs.grad[1:3].abs().sum() == 0
    for broken in (math.nan, math.inf):
        assert not jet_losses(name, outputs, torch.tensor([0.1, broken, 0, 0]))[1].isfinite()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_slope_one_far_away(name: LossName) -> None:
    steps = [losses_of(name, [prediction] * len(output_names(name)), 0.0) for prediction in (5.0, 6.0)]
    slope = 1 if name != "quantile" else 2 * (0.5 + 0.84 + 0.16)
    assert steps[1] - steps[0] == pytest.approx(slope)
