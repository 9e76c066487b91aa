"""Hyperparameters are plain values with limits, and say what they cost."""

from __future__ import annotations

import dataclasses
import json

import pytest

from jec_assets.jets.features import EXTENDED
from jec_assets.models.families import FAMILIES
from jec_assets.models.hyperparameters import (
    HyperparameterError,
    ParticleNetHyperparameters,
    PFNCommitteeHyperparameters,
    PFNHyperparameters,
)
from jec_assets.models.inputs import NetworkInputs

INPUTS = NetworkInputs(particle_features=3, jet_features=2, points=(0, 1), log_pt=2, log_share=2, jet_eta=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_they_go_through_json(name: str) -> None:
    published = FAMILIES[name].optimum
    assert FAMILIES[name].hyperparameters.from_dict(json.loads(json.dumps(published.to_dict()))) == published
    assert published.family == FAMILIES[name].name == name


@pytest.mark.parametrize(
    "change",
    [
        {"phi_layers": 0},
        {"phi_units": 2.5},
        {"head_layers": True},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"dropout": "0"},
    ],
)
def test_impossible_values_are_refused_by_name(change: dict[str, int | float]) -> None:
    with pytest.raises(HyperparameterError, match=next(iter(change))):
        PFNHyperparameters.from_dict(FAMILIES["pfn"].optimum.to_dict() | change)


def test_missing_and_unknown_names_are_refused() -> None:
    values = FAMILIES["particle_net"].optimum.to_dict()
    with pytest.raises(HyperparameterError, match="neighbors"):
        ParticleNetHyperparameters.from_dict({name: value for name, value in values.items() if name != "neighbors"})
    with pytest.raises(HyperparameterError, match="learning_rate"):
        ParticleNetHyperparameters.from_dict(values | {"learning_rate": 0.1})


def test_another_familys_hyperparameters_are_refused() -> None:
    with pytest.raises(TypeError, match="PFNHyperparameters"):
        FAMILIES["pfn"].build(FAMILIES["particle_net"].optimum, INPUTS)


def test_pfn_counted_by_hand() -> None:
    hyperparameters = PFNHyperparameters(phi_layers=2, phi_units=4, head_layers=1, head_units=5, dropout=0.0)
    # Per particle (3 x 4 + bias + ReLU) and (4 x 4 + bias + ReLU); then (4 + 2) x 5 + bias + ReLU, and 5 + bias.
    assert hyperparameters.macs(INPUTS, 7) == 7 * ((12 + 4 + 4) + (16 + 4 + 4)) + (30 + 5 + 5) + (5 + 1)


def test_particle_net_counted_by_hand() -> None:
    hyperparameters = ParticleNetHyperparameters(
        blocks=2, neighbors=3, layers=1, units=32, head_layers=1, head_units=5, dropout=0.0
    )
    stem = 2 * 3 + 3 * 32 + 2 * 32 + 32
    block = 3 * (64 * 32 + 2 * 32 + 32) + 32  # as wide as the stem: no weights in the shortcut
    assert hyperparameters.macs(INPUTS, 7) == 7 * (stem + 2 * block) + (34 * 5 + 5 + 5) + (5 + 1)


def test_pfn_committee_counted_by_hand() -> None:
    hyperparameters = PFNCommitteeHyperparameters(
        members=3, phi_layers=2, phi_units=4, head_layers=1, head_units=5, dropout=0.0
    )
    inputs = dataclasses.replace(INPUTS, oriented=(2,), jet_oriented=(0,))
    # Particles: |eta|, dEta and dPhi remain; of the jet |eta| alone.
    weighted = 4
    member = 7 * ((3 * 4 + 4 + 4) + (4 * 4 + 4 + 4) + weighted) + ((2 * 4 + 1) * 5 + 5 + 5) + (5 + 1)
    assert hyperparameters.macs(inputs, 7) == 3 * member


def test_the_pfn_committee_costs_less_than_a_tenth_of_particle_net() -> None:
    ours, theirs = (FAMILIES[name].optimum for name in ("pfn_committee", "particle_net"))
    inputs = NetworkInputs.of(EXTENDED)
    assert 10 * ours.macs(inputs, 100) < theirs.macs(inputs, 100)


@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_acts_in_the_head(name: str) -> None:
    published = FAMILIES[name].optimum
    network = dataclasses.replace(published, dropout=0.25).build(INPUTS)
    heads = [module for path, module in network.named_modules() if path.split(".")[-1] == "head"]
    assert len(heads) == published.to_dict().get("members", 1)
    for head in heads:
        dropped = [module.p for module in head.modules() if type(module).__name__ == "Dropout"]
        assert dropped == [0.25] * published.to_dict()["head_layers"]
