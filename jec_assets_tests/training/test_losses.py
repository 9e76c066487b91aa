from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jec_assets.training.losses import calibration_loss

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
