"""A network is one safetensors file that says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jec_assets.models.inputs import NetworkInputs, Standardization
from jec_assets.models.prediction import predict
from jec_assets.models.saving import NetworkDescription, UnreadableNetworkError, load_network, network_bytes
from jec_assets_tests.models.test_networks import EXTENDED, FAMILY, MIXED, SMALL, some_jets, trained


@FAMILY
def test_a_saved_network_is_the_same_network(family: str, tmp_path: Path) -> None:
    network = trained(family)
    description = NetworkDescription(family, SMALL[family], "extended", NetworkInputs.of(EXTENDED))
    data = network_bytes(network, description)
    assert data == network_bytes(trained(family), description)
    path = tmp_path / "network.safetensors"
    path.write_bytes(data)
    for source in (data, path):
        loaded, found = load_network(source)
        assert found == description
        assert not loaded.training
        np.testing.assert_array_equal(predict(loaded, some_jets(MIXED)), predict(network, some_jets(MIXED)))


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a network")
    with pytest.raises(UnreadableNetworkError, match=r"notes\.txt"):
        load_network(path)


def test_standardization_is_robust_and_never_divides_by_zero() -> None:
    jets = some_jets([20] * 50)
    jets.particles[:, 0] = 5.0
    jets.particles[0, 1] = 1e6
    fitted = Standardization.fit(jets)
    assert (fitted.particle_center[0], fitted.particle_scale[0]) == (5.0, 1.0)
    assert fitted.particle_scale[1] < 2
    rare = some_jets([20] * 50)
    rare.particles[:, 6] = 0.0
    rare.particles[:30, 6] = 1.0
    assert 0 < Standardization.fit(rare).particle_scale[6] < 1
