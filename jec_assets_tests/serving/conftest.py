"""What the tests of serving share: jets, small networks and their ONNX files, one real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from jec_assets.jets.features import EXTENDED
from jec_assets.jets.packed import PackedJets
from jec_assets.models.hyperparameters import (
    Hyperparameters,
    ParticleNetHyperparameters,
    ParticleTransformerHyperparameters,
    PFNCommitteeHyperparameters,
    PFNHyperparameters,
)
from jec_assets.models.inputs import NetworkInputs, Standardization
from jec_assets.models.network import JetNetwork
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint, load
from jec_assets.serving.export import export_onnx
from jec_assets.serving.record import ModelCard, PublishedModel
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.served import ENDPOINT_KEY, publish_endpoint
from jec_assets.serving.triton import LocalTriton
from jec_assets.storage import Storage, digest_bytes

SMALL: dict[str, Hyperparameters] = {
    "pfn": PFNHyperparameters(phi_layers=2, phi_units=16, head_layers=2, head_units=32, dropout=0.1),
    "particle_net": ParticleNetHyperparameters(
        blocks=2, neighbors=4, layers=2, units=16, head_layers=1, head_units=16, dropout=0.1
    ),
    "pfn_committee": PFNCommitteeHyperparameters(
        members=3, phi_layers=2, phi_units=16, head_layers=2, head_units=16, dropout=0.1
    ),
    "particle_transformer": ParticleTransformerHyperparameters(
        blocks=2,
        class_blocks=1,
        units=16,
        heads=4,
        pair_layers=2,
        pair_units=8,
        head_layers=1,
        head_units=16,
        dropout=0.1,
    ),
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_jets(jets: int, seed: int) -> PackedJets:
    """Jets of 1 to 60 particles with features that are spread like the extended set's."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 60, jets)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    inputs = NetworkInputs.of(EXTENDED)
    particles = random.normal(0.3, 1.5, (offsets[-1], inputs.particle_features)).astype(np.float32)
    features = random.normal(1.0, 4.0, (jets, inputs.jet_features)).astype(np.float32)
    # Of these, clients know what is possible: log pT, eta, phi.
    features[:, :3] = random.uniform([3.0, -2.5, -3.1], [7.0, 2.5, 3.1], (jets, 3))
    return PackedJets(particles, offsets, features)


def small_network(family: str, seed: int, outputs: int = 1) -> JetNetwork:
    """A network of few weights, standardized by other jets than it is shown later, and trained by nobody."""
    torch.manual_seed(seed)
    network = SMALL[family].build(NetworkInputs.of(EXTENDED), outputs)
    network.set_standardization(Standardization.fit(make_jets(200, seed)))
    return network.eval()


def card_of(family: str, onnx: bytes) -> ModelCard:
    """A card of a model of the extended features, whose identity is its ONNX file's digest."""
    return ModelCard(
        family=family,
        network_digest=digest_bytes(onnx),
        feature_set=EXTENDED.name,
        particle_features=EXTENDED.particle_names,
        jet_features=EXTENDED.jet_names,
        data_digests={"train_jets": "0123"},
        losses={"validation": 0.1},
        export_difference=1e-7,
        package_versions={"torch": "2"},
    )


@pytest.fixture(scope="session")
def jets() -> PackedJets:
    """500 jets; the first has one particle."""
    jets = make_jets(500, seed=7)
    return jets.take(np.argsort(jets.counts, kind="stable")[np.r_[0, np.random.default_rng(0).permutation(499) + 1]])


@pytest.fixture(scope="session")
def pfn_onnx() -> bytes:
    """A small PFN, exported."""
    return export_onnx(small_network("pfn", seed=1))


@pytest.fixture(scope="session")
def other_pfn_onnx() -> bytes:
    """The same network with other weights."""
    return export_onnx(small_network("pfn", seed=2))


@dataclass(frozen=True)
class Served:
    """A running Triton that serves one model."""

    triton: LocalTriton
    endpoint: Endpoint
    repository: ModelRepository
    model: PublishedModel


@contextmanager
def serving(folder: Path, family: str, onnx: bytes) -> Iterator[Served]:
    """A Triton of its own that serves one model, until the block is left."""
    repository = ModelRepository(Storage(str(folder / "storage")))
    model = repository.publish(card_of(family, onnx), onnx, InstanceSettings())
    triton = LocalTriton(folder)
    try:
        endpoint = triton.start_or_reuse(repository.uri)
        load(endpoint, [model])
        yield Served(triton, endpoint, repository, model)
    finally:
        triton.stop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, pfn_onnx: bytes) -> Iterator[Served]:
    """The real Triton, with the small PFN; tests leave it as they find it."""
    with serving(tmp_path_factory.mktemp("served"), "pfn", pfn_onnx) as served:
        yield served


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[LocalTriton]:
    """A Triton that a test may start and break."""
    triton = LocalTriton(tmp_path / "work")
    yield triton
    if endpoint := triton.running():
        process = psutil.Process(endpoint.pid)
        process.kill()  # quicker than asking; what it leaves is removed all the same
        process.wait()
    triton.stop()


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    """An empty model repository."""
    return ModelRepository(Storage(str(tmp_path / "storage")))


@pytest.fixture
def family(served: Served, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of its own, in the repository of the running server, which is recorded as long as the test lasts."""
    publish_endpoint(served.repository.storage, served.endpoint)
    yield request.node.name.split("[")[0][:60]
    served.repository.storage.remove(ENDPOINT_KEY)


@pytest.fixture
def networks(pfn_onnx: bytes, other_pfn_onnx: bytes) -> tuple[bytes, bytes]:
    return pfn_onnx, other_pfn_onnx
