from __future__ import annotations

import pytest
import torch

from jec_assets.training.precision import MixedPrecision, choose_dtype

CPU = torch.device("cpu")
GPU = torch.device("cuda")


def test_the_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16
    with MixedPrecision("auto", CPU).autocast():
        assert (torch.zeros(2, 2) @ torch.zeros(2, 2)).dtype == torch.float32


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_computes_in_bfloat16_if_it_can(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: supported)
    assert choose_dtype("auto", GPU) == (torch.bfloat16 if supported else torch.float32)
    assert choose_dtype("float32", GPU) == torch.float32


@pytest.mark.parametrize(("name", "dtype"), [("bfloat16", torch.bfloat16), ("float16", torch.float16)])
def test_products_are_in_the_numbers_asked_for(name: str, dtype: torch.dtype) -> None:
    with MixedPrecision(name, CPU).autocast():
        assert (torch.zeros(2, 2) @ torch.zeros(2, 2)).dtype == dtype


def stepped(precision: MixedPrecision, slope: float) -> float:
    weight = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([weight], 1.0)
    precision.backward(weight * slope)
    precision.unscale(optimizer)
    precision.step(optimizer)
    return weight.item()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_scaling_changes_no_gradient(name: str) -> None:
    assert stepped(MixedPrecision(name, CPU), 0.5) == -0.5


def test_a_step_that_overflows_is_left_out_and_lowers_the_scale() -> None:
    precision = MixedPrecision("float16", CPU)
    before = precision.state_dict()["scale"]
    assert precision.leaves_out_steps
    assert stepped(precision, float("inf")) == 0
    assert precision.state_dict()["scale"] < before
    assert not MixedPrecision("bfloat16", CPU).leaves_out_steps


def test_the_scale_is_restored() -> None:
    precision, other = MixedPrecision("float16", CPU), MixedPrecision("float16", CPU)
    stepped(precision, float("inf"))
    other.load_state_dict(precision.state_dict())
    assert other.state_dict() == precision.state_dict()
