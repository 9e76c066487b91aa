"""What goes with a model's versions: requests that Triton sends to each before it is ready, and labels of its answers.

Belongs here: their files and how a configuration names them. Does not belong here: the rest of the configuration
(`config.py`).

The first request of a shape pays for memory that later ones find. Triton 2.51 dies of a warm-up request that its model
refuses, so these must be ones that every model answers: jets of zeros, as the backend tries them before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.serving.layout import LABEL_FOLDER, WARM_UP_FOLDER
from jec_assets.serving.tensors import LOG_FACTOR, LOG_FACTOR_QUANTILES, PARTICLE_COUNT, output_tensors
from jec_assets.storage import digest_bytes

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import ModelConfig

WARM_UP_BATCHES = (1, 64)  # jets
WARM_UP_PARTICLES = 50  # of each jet, about as many as a real one has
# A line for each number; Triton adds it to answers as [value, index, label] where a client asks for classes.
LABELS = {
    LOG_FACTOR: ("log(genJetPt / jetPt)",),
    LOG_FACTOR_QUANTILES: ("16 % quantile of log(genJetPt / jetPt)", "84 % quantile of log(genJetPt / jetPt)"),
}


def label_file(tensor: str) -> tuple[str, bytes]:
    """Path below the model's folder and content of the labels of an output tensor."""
    content = "".join(f"{line}\n" for line in LABELS[tensor]).encode()
    return f"{LABEL_FOLDER}/{digest_bytes(content)}.txt", content


def attached_files(outputs: int) -> dict[str, bytes]:
    """All files that go with a model of so many outputs, by path below its folder; they are named by their digests."""
    count = _particle_count()
    return {f"{WARM_UP_FOLDER}/{digest_bytes(count)}": count, **dict(map(label_file, output_tensors(outputs)))}


def add_warm_up(config: ModelConfig) -> None:
    """Add the requests to a configuration that has its inputs."""
    for jets in WARM_UP_BATCHES:
        request = config.model_warmup.add(name=f"batch of {jets}", batch_size=jets, count=1)
        for tensor in config.input:
            given = request.inputs[tensor.name]
            given.data_type = tensor.data_type
            given.dims.extend(WARM_UP_PARTICLES if size < 0 else size for size in tensor.dims)
            if tensor.name == PARTICLE_COUNT:  # a jet without particles is refused
                given.input_data_file = digest_bytes(_particle_count())
            else:
                given.zero_data = True


def _particle_count() -> bytes:
    """One jet's; Triton repeats it for all of a batch."""
    return np.array([WARM_UP_PARTICLES], "<i8").tobytes()
