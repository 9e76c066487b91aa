"""Triton's configuration of a model, written through Triton's own protobuf.

Belongs here: `config.pbtxt` and what it is made from. Does not belong here: where it lies (`layout.py`) and what Triton
sends to warm a model up (`warm_up.py`).

The configuration is also the pointer to the version that is served: the highest that its version policy names, which
is the one that Triton answers with where a client names none. It is replaced in one piece after all that it names is
whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jec_assets.serving.graph_levels import DEFAULT_LEVEL, TRITON_LEVELS, GraphLevel
from jec_assets.serving.tensors import JETS, OUTPUTS, PARTICLE_COUNT, PARTICLES, output_tensors
from jec_assets.serving.warm_up import add_warm_up, label_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tritonclient.grpc.model_config_pb2 import ModelConfig

BACKEND = "onnxruntime"
# Parameters as Triton's own ONNX Runtime backend calls them, so that it serves the same repository.
THREADS_PARAMETER = "intra_op_thread_count"
# JSON that says what is served, for clients that know nothing but the server's address.
RECORD_PARAMETER = "model_record"
# JSON: versions that were served before, oldest first; digests of every file that Triton reads, by path.
HISTORY_PARAMETER = "served_before"
DIGESTS_PARAMETER = "file_digests"
# Labels say which execution providers compute a version, which only its process knows; the value, since when.
SESSION_METRIC = "jec_model_session"
ANY_LENGTH = -1


class ModelConfigError(ValueError):
    """A config.pbtxt that this project didn't write or that somebody damaged."""


@dataclass(frozen=True)
class InstanceSettings:
    """How a model is run by the server.

    threads: of one instance, for one batch (0: one per core). instances: batches computed at once.
    max_batch_size: jets in a batch. graph_level: how far ONNX Runtime may change the graph. on_gpus: so many instances
    on each of the server's GPUs; it must have one.
    """

    threads: int = 1
    instances: int = 1
    max_batch_size: int = 100_000
    graph_level: GraphLevel = DEFAULT_LEVEL
    on_gpus: bool = False


@dataclass(frozen=True)
class ModelWidths:
    """Numbers per particle and per jet that a model takes, and per jet that it gives."""

    particle_features: int
    jet_features: int
    outputs: int = 1


@dataclass(frozen=True)
class Pointer:
    """What a configuration points to.

    version: the one that is served. kept: lower ones that are served to whoever names them, rising. history: versions
    served before, the latest last. digests: of the files of all these versions and of what goes with them, by path
    below the model's folder.
    """

    version: int
    kept: tuple[int, ...] = ()
    history: tuple[int, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def versions(self) -> tuple[int, ...]:
        """All that are served, rising."""
        return (*self.kept, self.version)


def config_pbtxt(name: str, pointer: Pointer, widths: ModelWidths, settings: InstanceSettings, record: str) -> bytes:
    """`config.pbtxt` of a model; name: Triton's for it; record: what its clients are told of it, JSON."""
    from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

    config = ModelConfig(backend=BACKEND, max_batch_size=settings.max_batch_size)
    kind = ModelInstanceGroup.KIND_GPU if settings.on_gpus else ModelInstanceGroup.KIND_CPU
    config.instance_group.add(kind=kind, count=settings.instances)
    # Requests that wait while an instance computes go into one batch; none waits for others to come.
    config.dynamic_batching.max_queue_delay_microseconds = 0
    config.parameters[THREADS_PARAMETER].string_value = str(settings.threads)
    if settings.graph_level in TRITON_LEVELS:
        config.optimization.graph.level = TRITON_LEVELS[settings.graph_level]
    return _pointing(config, name, pointer, widths, record)


def repointed(config: bytes, name: str, pointer: Pointer, widths: ModelWidths, record: str) -> bytes:
    """The same settings for other versions, under this name; ModelConfigError if `config` is none."""
    return _pointing(_parsed(config), name, pointer, widths, record)


def pointer_of(config: bytes) -> Pointer:
    """What a config.pbtxt points to; ModelConfigError if it names no version."""
    parsed = _parsed(config)
    versions = sorted(map(int, parsed.version_policy.specific.versions))
    if not versions:
        raise ModelConfigError("its version policy must name the versions that are served")
    *kept, version = versions
    try:
        history = json.loads(parsed.parameters[HISTORY_PARAMETER].string_value or "[]")
        digests = dict(json.loads(parsed.parameters[DIGESTS_PARAMETER].string_value or "{}"))
        return Pointer(version, tuple(kept), tuple(map(int, history)), digests)
    except (ValueError, TypeError) as error:
        raise ModelConfigError(f"its parameters are damaged: {error}") from error


def _pointing(config: ModelConfig, name: str, pointer: Pointer, widths: ModelWidths, record: str) -> bytes:
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import DataType

    for part in ("version_policy", "input", "output", "model_warmup"):
        config.ClearField(part)
    config.name = name
    config.version_policy.specific.versions.extend(pointer.versions)
    config.input.add(name=PARTICLES, data_type=DataType.TYPE_FP32, dims=[ANY_LENGTH, widths.particle_features])
    config.input.add(name=PARTICLE_COUNT, data_type=DataType.TYPE_INT64, dims=[1])
    config.input.add(name=JETS, data_type=DataType.TYPE_FP32, dims=[widths.jet_features])
    for tensor in output_tensors(widths.outputs):
        labels, _ = label_file(tensor)
        config.output.add(name=tensor, data_type=DataType.TYPE_FP32, dims=[OUTPUTS[tensor]], label_filename=labels)
    add_warm_up(config)
    config.parameters[RECORD_PARAMETER].string_value = record
    config.parameters[HISTORY_PARAMETER].string_value = json.dumps(pointer.history)
    config.parameters[DIGESTS_PARAMETER].string_value = json.dumps(dict(pointer.digests), sort_keys=True)
    return str(text_format.MessageToString(config)).encode()


def _parsed(config: bytes) -> ModelConfig:
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    try:
        return text_format.Parse(config, ModelConfig())
    except text_format.ParseError as error:
        raise ModelConfigError(f"not a Triton model configuration: {error}") from error
