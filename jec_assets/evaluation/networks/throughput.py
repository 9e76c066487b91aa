"""How many jets a second a network predicts on this machine.

Belongs here: timing predictions, and keeping what was timed. Does not belong here: served networks
(`jec_assets.serving.latency`), training (`benchmarks/`) and counts that are the same everywhere (`footprint.py`).

    throughput/<digest>.json    by the digest of networks, jets, device and code

What is kept is not timed again: a report made twice of the same says the same.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.search.provenance import code_version
from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.storage import Storage


@dataclass(frozen=True)
class ThroughputPlan:
    """Time so many rounds, in each of which every network predicts the first `max_jets` jets in batches."""

    max_jets: int = 1024
    batch_size: int = 1024
    rounds: int = 5


@dataclass(frozen=True)
class Throughput:
    """Jets a second, the median over the rounds, and where and how that was measured."""

    jets_per_second: float
    device: str
    threads: int
    jets: int
    batch_size: int
    rounds: int


def throughputs(networks: Mapping[str, JetNetwork], jets: PackedJets, plan: ThroughputPlan) -> dict[str, Throughput]:
    """Throughput of each network in evaluation mode, on the best device, with at least one jet.

    Networks take turns, so that whatever else the machine does slows all of them; a first, untimed turn warms up.
    """
    import torch

    from jec_assets.models.prediction import on_best_device

    some = jets.slice(0, plan.max_jets)
    seconds: dict[str, list[float]] = {family: [] for family in networks}
    for turn in range(1 + plan.rounds):
        for family, network in networks.items():
            with on_best_device(network):
                taken = _seconds(network, some, plan.batch_size)
            if turn:
                seconds[family].append(taken)
    where = (device_name(), torch.get_num_threads(), len(some), plan.batch_size, plan.rounds)
    return {family: Throughput(len(some) / float(np.median(each)), *where) for family, each in seconds.items()}


def kept_throughputs(
    storage: Storage, weights: Mapping[str, str], networks: Mapping[str, JetNetwork], jets: PackedJets, jets_digest: str
) -> dict[str, Throughput]:
    """Throughputs as kept in storage, or else measured now and kept.

    weights: digest of each family's weights; jets_digest: of the split the jets are of.
    """
    measured_on = [dict(weights), jets_digest, asdict(ThroughputPlan()), device_name(), code_version()]
    key = f"throughput/{digest_of(measured_on)}.json"
    if not storage.exists(key):
        measured = throughputs(networks, jets, ThroughputPlan())
        storage.publish_json(key, {family: asdict(each) for family, each in measured.items()})
    return {family: Throughput(**each) for family, each in storage.read_json(key).items()}


def device_name() -> str:
    """The GPU's name, or that of the processor with how many cores this process may use."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


def _seconds(network: JetNetwork, jets: PackedJets, batch_size: int) -> float:
    """Of one prediction of all jets; it ends with an array on the CPU, so that a GPU has finished."""
    from jec_assets.models.prediction import predict_outputs

    start = time.perf_counter()
    predict_outputs(network, jets, batch_size)
    return time.perf_counter() - start


def _processor() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
