"""Triton's configuration of a model, written through Triton's own protobuf.

Belongs here: `config.pbtxt` and what it is made from. Does not belong here: where it lies (`repository.py`).

The configuration is also the pointer to the version that is served: its version policy names exactly one, and it is
replaced in one piece after that version is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.serving.tensors import JETS, OUTPUTS, PARTICLE_COUNT, PARTICLES, output_tensors

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import ModelConfig

BACKEND = "onnxruntime"
# Parameters as Triton's own ONNX Runtime backend calls them, so that it serves the same repository.
THREADS_PARAMETER = "intra_op_thread_count"
# JSON that says what is served, for clients that know nothing but the server's address.
RECORD_PARAMETER = "model_record"
ANY_LENGTH = -1


class ModelConfigError(ValueError):
    """A config.pbtxt that this project didn't write or that somebody damaged."""


@dataclass(frozen=True)
class InstanceSettings:
    """How a model is run by the server.

    threads: of one instance, for one batch (0: one per core). instances: batches computed at once.
    max_batch_size: jets in a batch.
    """

    threads: int = 1
    instances: int = 1
    max_batch_size: int = 100_000


@dataclass(frozen=True)
class ModelWidths:
    """Numbers per particle and per jet that a model takes, and per jet that it gives."""

    particle_features: int
    jet_features: int
    outputs: int = 1


def config_pbtxt(family: str, version: int, widths: ModelWidths, settings: InstanceSettings, record: str) -> bytes:
    """`config.pbtxt` of a family that serves one version; record: what its clients are told of it, JSON."""
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

    config = ModelConfig(name=family, backend=BACKEND, max_batch_size=settings.max_batch_size)
    config.version_policy.specific.versions.append(version)
    config.input.add(name=PARTICLES, data_type=DataType.TYPE_FP32, dims=[ANY_LENGTH, widths.particle_features])
    config.input.add(name=PARTICLE_COUNT, data_type=DataType.TYPE_INT64, dims=[1])
    config.input.add(name=JETS, data_type=DataType.TYPE_FP32, dims=[widths.jet_features])
    for name in output_tensors(widths.outputs):
        config.output.add(name=name, data_type=DataType.TYPE_FP32, dims=[OUTPUTS[name]])
    config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=settings.instances)
    # Requests that wait while an instance computes go into one batch; none waits for others to come.
    config.dynamic_batching.max_queue_delay_microseconds = 0
    config.parameters[THREADS_PARAMETER].string_value = str(settings.threads)
    config.parameters[RECORD_PARAMETER].string_value = record
    return str(text_format.MessageToString(config)).encode()


def served_version(config: bytes) -> int:
    """The version that a config.pbtxt names; ModelConfigError if it names none or several."""
    versions = list(_parsed(config).version_policy.specific.versions)
    if len(versions) != 1:
        raise ModelConfigError(f"its version policy must name one version, not {versions}")
    return int(versions[0])


def _parsed(config: bytes) -> ModelConfig:
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    try:
        return text_format.Parse(config, ModelConfig())
    except text_format.ParseError as error:
        raise ModelConfigError(f"not a Triton model configuration: {error}") from error
