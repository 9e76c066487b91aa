"""What a committee is for: mirror images are one jet, members learn from jets of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from jec_assets.jets.features import EXTENDED
from jec_assets.jets.packed import PackedJets
from jec_assets.models.hyperparameters import PFNCommitteeHyperparameters
from jec_assets.models.inputs import MissingFeatureError, NetworkInputs, Standardization
from jec_assets.models.pfn_committee import PFNCommittee
from jec_assets.models.prediction import predict

INPUTS = NetworkInputs.of(EXTENDED)
SMALL = PFNCommitteeHyperparameters(members=3, phi_layers=2, phi_units=8, head_layers=1, head_units=8, dropout=0.0)
PARTICLE = {name: number for number, name in enumerate(EXTENDED.particle_names)}
JET = {name: number for number, name in enumerate(EXTENDED.jet_names)}


def some_jets(jets: int) -> PackedJets:
    random = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum(random.integers(1, 9, jets))])
    particles = random.normal(0.3, 1, (offsets[-1], len(PARTICLE))).astype(np.float32)
    features = random.normal(0.3, 1, (jets, len(JET))).astype(np.float32)
    return PackedJets(particles, offsets, features)


def committee() -> PFNCommittee:
    torch.manual_seed(4)
    network = PFNCommittee(SMALL, INPUTS, 1)
    network.set_standardization(Standardization.fit(some_jets(300)))
    return network


def mirrored(jets: PackedJets, of_particle: dict[str, float], of_jet: dict[str, float]) -> PackedJets:
    """The jets with features multiplied by factors."""
    particles, features = jets.particles.copy(), jets.jets.copy()
    for name, factor in of_particle.items():
        particles[:, PARTICLE[name]] *= factor
    for name, factor in of_jet.items():
        features[:, JET[name]] *= factor
    return replace(jets, particles=particles, jets=features)


@pytest.mark.parametrize(
    ("of_particle", "of_jet"),
    [
        pytest.param({"delta_eta": -1, "delta_theta": 0.2}, {"eta": -1}, id="across the beam"),
        pytest.param({"delta_phi": -1, "delta_theta": -1}, {"phi": -1}, id="along the beam"),
        pytest.param({"charge": -1}, {}, id="charges"),
        pytest.param({}, {"phi": 0.3}, id="turned about the beam"),
    ],
)
def test_mirror_images_are_the_same_jet(of_particle: dict[str, float], of_jet: dict[str, float]) -> None:
    network, jets = committee(), some_jets(50)
    image = mirrored(jets, of_particle, of_jet)
    np.testing.assert_array_equal(predict(network, image), predict(network, jets))


@pytest.mark.parametrize(
    ("of_particle", "of_jet"), [({"delta_eta": -1}, {}), ({}, {"eta": -1}), ({"log_pt": 0.9}, {}), ({}, {"rho": 0.9})]
)
def test_other_jets_are_not(of_particle: dict[str, float], of_jet: dict[str, float]) -> None:
    network, jets = committee(), some_jets(50)
    assert (predict(network, mirrored(jets, of_particle, of_jet)) != predict(network, jets)).all()


def test_in_training_each_member_learns_from_its_share_alone() -> None:
    network, jets = committee().train(), some_jets(10)
    outputs = network(*(torch.from_numpy(array) for array in (jets.particles, jets.offsets, jets.jets)))
    shares = [slice(0, 3), slice(3, 6), slice(6, 10)]
    for share, own in zip(shares, network.members, strict=True):
        network.zero_grad()
        outputs[share].sum().backward(retain_graph=True)
        learned = [any(bool(weight.grad.any()) for weight in member.parameters()) for member in network.members]
        assert learned == [member is own for member in network.members]


def test_more_members_than_jets_can_be_trained() -> None:
    network, jets = committee().train(), some_jets(2)
    network(*(torch.from_numpy(array) for array in (jets.particles, jets.offsets, jets.jets))).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@pytest.mark.parametrize(
    ("inputs", "named"), [(replace(INPUTS, jet_eta=None), "eta"), (replace(INPUTS, log_share=None), "log_relative_pt")]
)
def test_inputs_without_what_members_see_are_refused(inputs: NetworkInputs, named: str) -> None:
    with pytest.raises(MissingFeatureError, match=named):
        SMALL.build(inputs)
