from __future__ import annotations

import pytest

from jec_assets.evaluation.networks import throughput
from jec_assets.evaluation.networks.throughput import ThroughputPlan, device_name, kept_throughputs, throughputs
from jec_assets.storage import Storage
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, learnable_jets, small_network

JETS = learnable_jets(50).packed


def test_the_median_of_turns_after_a_warm_up(monkeypatch: pytest.MonkeyPatch):
    taken = iter([9.0, 9.0, 0.5, 1.0, 2.0, 4.0, 1.0, 0.1])
    monkeypatch.setattr(throughput, "_seconds", lambda *_: next(taken))
    networks = {"pfn": small_network(), "particle_net": small_network(0, SMALL_PARTICLE_NET)}
    found = throughputs(networks, JETS, ThroughputPlan(max_jets=20, rounds=3))
    assert {family: each.jets_per_second for family, each in found.items()} == {"pfn": 20.0, "particle_net": 20.0}
    assert (found["pfn"].jets, found["pfn"].rounds, found["pfn"].device) == (20, 3, device_name())


def test_networks_are_really_timed():
    (found,) = throughputs({"pfn": small_network()}, JETS, ThroughputPlan(rounds=1)).values()
    assert found.jets == 50
    assert found.jets_per_second > 0


def test_what_was_measured_is_kept_until_something_changes(storage: Storage):
    networks = {"pfn": small_network()}
    first = kept_throughputs(storage, {"pfn": "weights"}, networks, JETS, "jets")
    assert kept_throughputs(storage, {"pfn": "weights"}, networks, JETS, "jets") == first
    assert len(storage.list("throughput")) == 1
    kept_throughputs(storage, {"pfn": "other weights"}, networks, JETS, "jets")
    kept_throughputs(storage, {"pfn": "weights"}, networks, JETS, "other jets")
    assert len(storage.list("throughput")) == 3
