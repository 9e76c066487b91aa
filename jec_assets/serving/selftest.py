"""Does the server answer what the published model computes?

Belongs here: the comparison, over every protocol. Does not belong here: loading models (`endpoint.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import EndpointError
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.transport import PROTOCOLS

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository

# Of the prediction. The same library on the same machine gives 0; another processor, a GPU among them, and another
# release of the library move the last digits.
TOLERANCE, TOLERANCE_ELSEWHERE = 1e-6, 1e-5


@dataclass(frozen=True)
class SelfTest:
    """What was compared: the served version and the largest |served - computed here| over so many jets."""

    family: str
    version: int
    jets: int
    max_abs_difference: float


def self_test(
    endpoint: Endpoint, repository: ModelRepository, model: PublishedModel, jets: PackedJets, name: str = ""
) -> SelfTest:
    """Compare the server's answers, over HTTP and gRPC, with ONNX Runtime in this process on the same published file.

    name: what the server calls the model, where that isn't its family. Raises EndpointError if another version is
    served or an answer differs by more than TOLERANCE, of a server elsewhere by more than TOLERANCE_ELSEWHERE.
    """
    name = name or model.family
    allowed = TOLERANCE if endpoint.kind == "local" else TOLERANCE_ELSEWHERE
    computed = inference_session(repository.onnx(model), threads=1).predict(jets)
    largest = 0.0
    for protocol in PROTOCOLS:
        with JetClient.of(endpoint, protocol) as client:
            versions = client.model(name).versions
            if max(versions) != model.version:
                raise EndpointError(
                    f"{endpoint.url} serves versions {versions} of {name}; published is {model.version}"
                )
            difference = float(np.abs(client.log_factors(name, jets, str(model.version)) - computed).max())
        if not difference <= allowed:  # NaN fails too
            raise EndpointError(
                f"{endpoint.url} answers {name} over {protocol} {difference:.3g} away from what the published "
                f"model computes (allowed: {allowed:g})"
            )
        largest = max(largest, difference)
    return SelfTest(model.family, model.version, len(jets), largest)
