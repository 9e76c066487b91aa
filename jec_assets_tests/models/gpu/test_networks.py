"""Networks on a GPU give what they give on a CPU: outputs, gradients, running statistics, predictions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from jec_assets.models.prediction import predict
from jec_assets_tests.models.test_networks import FAMILY, MIXED, some_jets, tensors, trained

pytestmark = pytest.mark.needs("cuda")


@FAMILY
def test_outputs_gradients_and_statistics_in_training(family: str) -> None:
    on_cpu = trained(family).train()
    on_gpu = copy.deepcopy(on_cpu).cuda()
    jets = some_jets([*MIXED, 70, 130], seed=6)
    target = torch.linspace(-0.2, 0.2, len(jets))
    outputs = {}
    for network, device in ((on_cpu, "cpu"), (on_gpu, "cuda")):
        output = network(*(tensor.to(device) for tensor in tensors(jets)))
        (output[:, 0] - target.to(device)).abs().mean().backward()
        outputs[device] = output.detach().cpu()
    torch.testing.assert_close(outputs["cuda"], outputs["cpu"], atol=1e-4, rtol=1e-4)
    gradients = {
        network: torch.cat([weight.grad.flatten().cpu() for weight in network.parameters() if weight.grad is not None])
        for network in (on_cpu, on_gpu)
    }
    assert (gradients[on_gpu] - gradients[on_cpu]).norm() < 1e-4 * gradients[on_cpu].norm()
    for (name, buffer), expected in zip(on_gpu.named_buffers(), on_cpu.buffers(), strict=True):
        torch.testing.assert_close(buffer.cpu(), expected, atol=1e-4, rtol=1e-4, msg=name)


@FAMILY
def test_predictions(family: str) -> None:
    network, jets = trained(family), some_jets([*MIXED, 130], seed=5)
    expected = predict(network, jets)
    np.testing.assert_allclose(predict(network.cuda(), jets), expected, atol=1e-4)
    np.testing.assert_allclose(predict(network, jets, batch_size=1), expected, atol=1e-4)


@FAMILY
def test_jets_of_one_particle_can_be_trained_on(family: str) -> None:
    network = trained(family).train().cuda()
    network(*(tensor.cuda() for tensor in tensors(some_jets([1] * 6)))).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)
