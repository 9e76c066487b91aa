"""What a Triton server says of its models, made from the protocol's JSON.

Belongs here: records of it. Does not belong here: how it is asked (`transport.py`, `async_transport.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jec_assets.serving.config import RECORD_PARAMETER
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.tensors import JETS, PARTICLES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ServedModel:
    """What a server says of a model: its versions, rising, the widths of its inputs, how many numbers it answers."""

    versions: tuple[int, ...]
    particle_features: int
    jet_features: int
    outputs: int

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> ServedModel:
        """From the protocol's metadata of a model, which names a version at least."""
        widths = {tensor["name"]: int(tensor["shape"][-1]) for tensor in metadata["inputs"]}
        outputs = sum(int(tensor["shape"][-1]) for tensor in metadata["outputs"])
        versions = sorted(map(int, metadata["versions"]))
        if not versions:
            raise ValueError("no version of the model is served")
        return cls(tuple(versions), widths[PARTICLES], widths[JETS], outputs)

    @property
    def latest(self) -> str:
        """The version that who names none is answered by."""
        return str(self.versions[-1])


@dataclass(frozen=True)
class ServerStatistics:
    """What a model has done since it was loaded; times in seconds, summed over requests."""

    requests: int
    queue: float
    compute: float

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> ServerStatistics:
        """From Triton's statistics of a model, all its versions together."""
        models = [model["inference_stats"] for model in statistics["model_stats"]]
        # JSON made from a protobuf leaves zeros out and writes large numbers as text.
        requests = sum(int(model["success"].get("count", 0)) for model in models)
        queue, compute = (
            sum(int(model[kind].get("ns", 0)) for model in models) * 1e-9 for kind in ("queue", "compute_infer")
        )
        return cls(requests, queue, compute)

    def __add__(self, other: ServerStatistics) -> ServerStatistics:
        return ServerStatistics(self.requests + other.requests, self.queue + other.queue, self.compute + other.compute)

    def __sub__(self, earlier: ServerStatistics) -> ServerStatistics:
        return ServerStatistics(
            self.requests - earlier.requests, self.queue - earlier.queue, self.compute - earlier.compute
        )


def record_in(config: Mapping[str, Any]) -> PublishedModel | None:
    """The record that a model was published with, by its configuration; None where that has none."""
    parameters = config.get("parameters", {})
    if RECORD_PARAMETER not in parameters:
        return None
    return PublishedModel.from_dict(json.loads(parameters[RECORD_PARAMETER]["string_value"]))
