"""A family that the running Triton serves, and what it answers."""

from __future__ import annotations

import numpy as np
import polars as pl

from jec_assets.jets.dataset import SplitJets
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.splits import Split
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
from jec_assets_tests.serving.conftest import Served, card_of

SETTINGS = InstanceSettings()
REFUSED = (RequestRefusedError, ServerUnavailableError)


def published(served: Served, family: str, onnx: bytes) -> PublishedModel:
    model = served.repository.publish(card_of(family, onnx), onnx, SETTINGS)
    load_served(served.endpoint, served.repository, [family])
    return model


def like(onnx: bytes, jets: PackedJets) -> SplitJets:
    """Jets whose target is nearly what this model predicts: no other can be better on them."""
    target = inference_session(onnx, 1).predict(jets) + np.random.default_rng(1).normal(0, 1e-3, len(jets))
    columns = {"event_hash": np.arange(len(jets), dtype=np.uint64), "target": target.astype(np.float32)}
    number = len(jets)
    return SplitJets(Split("test", "digest", number, number, number, "key", "extended"), jets, pl.DataFrame(columns))


def answers(served: Served, name: str, jets: PackedJets, version: str = "") -> np.ndarray:
    with JetClient.of(served.endpoint, "http") as client:
        return client.log_factors(name, jets, version)


def versions(served: Served, family: str) -> tuple[int, ...]:
    with JetClient.of(served.endpoint, "http") as client:
        return client.model(family).versions
