"""Predictions for any number of jets, and the constants inside the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jec_assets.jets.packed import PackedJets
from jec_assets.models.inputs import Standardization
from jec_assets.models.network import CLIP, Standardizer
from jec_assets.models.prediction import on_best_device, predict, predict_outputs
from jec_assets_tests.models.test_networks import FAMILY, MIXED, SMALL, make, some_jets, tensors, trained


@FAMILY
def test_the_network_keeps_its_mode_and_its_statistics(family: str) -> None:
    network = make(family).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    predict(network, some_jets(MIXED))
    assert network.training
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@FAMILY
def test_no_jets_give_no_predictions(family: str) -> None:
    assert predict(make(family), some_jets(MIXED).slice(0, 0)).shape == (0,)


@FAMILY
def test_the_prediction_is_the_first_output(family: str) -> None:
    torch.manual_seed(3)
    network, jets = SMALL[family].build(make(family).inputs, 3), some_jets(MIXED)
    outputs = predict_outputs(network, jets)
    assert outputs.shape == (len(jets), 3)
    np.testing.assert_array_equal(predict(network, jets), outputs[:, 0])
    with torch.no_grad():
        raw = network.eval()(*tensors(jets)).numpy()
    np.testing.assert_array_equal(outputs[:, 0], raw[:, 0])
    np.testing.assert_array_equal(outputs[:, 1], np.minimum(raw[:, 1], raw[:, 0]))
    np.testing.assert_array_equal(outputs[:, 2], np.maximum(raw[:, 2], raw[:, 0]))


def test_jets_in_read_only_files_can_be_predicted(tmp_path: Path) -> None:
    network, jets = make("pfn"), some_jets(MIXED)
    arrays = {}
    for name, array in vars(jets).items():
        np.save(tmp_path / f"{name}.npy", array)
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    np.testing.assert_array_equal(predict(network, PackedJets(**arrays)), predict(network, jets))


def test_a_network_comes_back_from_the_best_device(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make("pfn")
    moved: list[torch.device] = []
    monkeypatch.setattr(network, "to", moved.append)
    monkeypatch.setattr("jec_assets.models.prediction.choose_device", lambda: torch.device("meta"))
    with pytest.raises(KeyError), on_best_device(network):
        raise KeyError
    assert moved == [torch.device("meta"), torch.device("cpu")]


def test_the_padded_particle_net_is_not_for_training() -> None:
    network = make("particle_net").train()
    jets = some_jets(MIXED)
    with pytest.raises(RuntimeError, match="eval"):
        network.forward_padded(
            torch.from_numpy(jets.padded()), torch.from_numpy(jets.counts[:, None]), torch.from_numpy(jets.jets)
        )


@FAMILY
def test_jets_can_be_differentiated_in_evaluation(family: str) -> None:
    """As attributions need it: a small step of the features moves the output as the derivative says."""
    network, jets = trained(family).double(), some_jets(MIXED)
    particles, offsets, features = tensors(jets)
    features = features.double().requires_grad_()
    network(particles.double(), offsets, features).sum().backward()
    assert features.grad is not None
    step = torch.full_like(features, 1e-6)
    with torch.no_grad():
        ends = [network(particles.double(), offsets, features + sign * step).sum() for sign in (1, -1)]
    torch.testing.assert_close((ends[0] - ends[1]) / 2, (features.grad * step).sum(), rtol=1e-4, atol=1e-12)


def test_outliers_are_clipped() -> None:
    standardizer = Standardizer(1)
    standardizer.set(np.array([10.0], np.float32), np.array([2.0], np.float32))
    found = standardizer(torch.tensor([[10.0], [12.0], [1e9], [-1e9]]))
    assert found.flatten().tolist() == [0.0, 1.0, CLIP, -CLIP]


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (15, 3), (16, 3), (100, 3), (4, 9, 3)])
def test_standardization_is_the_same_for_any_number_of_rows(shape: tuple[int, ...]) -> None:
    standardizer = Standardizer(3)
    standardizer.set(np.array([1, -20, 0.3], np.float32), np.array([2, 0.1, 7], np.float32))
    features = 10 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = ((features - standardizer.center) / standardizer.scale).clamp(-CLIP, CLIP)
    before = features.clone()
    assert torch.equal(standardizer(features), expected)
    assert torch.equal(standardizer(features.requires_grad_()), expected)
    assert torch.equal(features, before)


@FAMILY
def test_constants_that_do_not_fit_are_refused(family: str) -> None:
    network, fitted = SMALL[family].build(make(family).inputs), Standardization.fit(some_jets(MIXED))
    with pytest.raises(ValueError, match="features"):
        network.set_standardization(
            Standardization(fitted.jet_center, fitted.jet_scale, fitted.jet_center, fitted.jet_scale)
        )
    with pytest.raises(ValueError, match="positive"):
        network.set_standardization(
            Standardization(fitted.particle_center, 0 * fitted.particle_scale, fitted.jet_center, fitted.jet_scale)
        )
    with pytest.raises(ValueError, match="no jets"):
        Standardization.fit(some_jets(MIXED).slice(0, 0))
