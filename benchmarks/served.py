"""A real Triton that serves the published networks, for claims on serving.

Belongs here: publishing seasoned weights into a folder, starting the server, the same models in this process. Does not
belong here: what is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.jets import copy_weights, published, seasoned, synthetic_jets
from benchmarks.rounds import ENVIRONMENT

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.record import ModelCard
    from jec_assets.serving.runtime import JetSession

SLOTS, JETS = 100, 1024
THREADS = 1
TYPICAL_PT = 100.0  # GeV: clients send no jets of impossible momenta


@dataclass(frozen=True)
class ServedNetworks:
    """A server, and by family what it serves as sessions of this process; jets to ask for."""

    endpoint: Endpoint
    sessions: dict[str, JetSession]
    jets: PackedJets


@contextmanager
def served_networks(families: Sequence[str]) -> Iterator[ServedNetworks]:
    """Serve these families' published networks, one thread each, as long as the context lasts."""
    from jec_assets.jets.features import PAPER
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.config import InstanceSettings
    from jec_assets.serving.endpoint import load
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.runtime import inference_session
    from jec_assets.serving.triton import LocalTriton
    from jec_assets.storage import Storage

    os.environ.update(ENVIRONMENT)
    jets = synthetic_jets(JETS, SLOTS, seed=1)
    jets["jets"][:, PAPER.jet_names.index("log_pt")] += np.log(TYPICAL_PT)
    graphs = {family: _exported(family) for family in families}
    sessions = {family: inference_session(graph, THREADS) for family, graph in graphs.items()}
    with TemporaryDirectory() as name:
        repository = ModelRepository(Storage(str(Path(name) / "storage")))
        models = [
            repository.publish(_card(family, graph), graph, InstanceSettings(threads=THREADS))
            for family, graph in graphs.items()
        ]
        triton = LocalTriton(Path(name))
        try:
            endpoint = triton.start_or_reuse(repository.uri)
            load(endpoint, models)
            yield ServedNetworks(endpoint, sessions, PackedJets(jets["particles"], jets["offsets"], jets["jets"]))
        finally:
            triton.stop()


def random_jets(jets: PackedJets, size: int, seed: int) -> PackedJets:
    """So many of them, drawn with replacement."""
    return jets.take(np.random.default_rng((seed, size)).integers(len(jets), size=size))


def _exported(family: str) -> bytes:
    from jec_assets.serving.export import export_onnx

    network = published(family)
    copy_weights(network, seasoned(family, [synthetic_jets(64, SLOTS, seed) for seed in range(2, 8)]))
    return export_onnx(network)


def _card(family: str, graph: bytes) -> ModelCard:
    from jec_assets.jets.features import PAPER
    from jec_assets.serving.record import ModelCard
    from jec_assets.storage import digest_bytes

    return ModelCard(
        family=family,
        network_digest=digest_bytes(graph),
        feature_set=PAPER.name,
        particle_features=PAPER.particle_names,
        jet_features=PAPER.jet_names,
        data_digests={},
        losses={},
        export_difference=0.0,
        package_versions={},
    )
