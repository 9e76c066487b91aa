"""Triton's backend `onnxruntime`, in Python: serves the ONNX models of a repository where Triton has no native one.

Belongs here: what Triton calls. Does not belong here: sessions (`jec_assets.serving.runtime`) and checks of a batch
(`jec_assets.serving.tensors`), which this runs in the process that Triton starts for each instance of a model.

A copy of this file lies in Triton's folder of backends. It reads the same `config.pbtxt` as the native backend, so a
repository moves from one to the other unchanged.
"""

from __future__ import annotations

import ctypes
import gc
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]

from jec_assets.serving.config import DIGESTS_PARAMETER, SESSION_METRIC, THREADS_PARAMETER
from jec_assets.serving.graph_levels import level_in_triton
from jec_assets.serving.runtime import CPU, CUDA, JetSession, inference_session
from jec_assets.serving.tensors import INPUTS, JETS, OUTPUTS, PARTICLES, BatchError, PaddedJets, concatenate
from jec_assets.storage import digest_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.serving.graph_levels import GraphLevel

    Answer = dict[str, NDArray[np.float32]]

# Triton renames a consumed capsule otherwise than the DLPack standard says, and NumPy complains on every answer.
CPU_MEMORY = (1, 0)  # DLPack's number of a kind of device, and of the device: where Triton's Python has its inputs
CONSUMED = b"used_dltensor"
rename_capsule = ctypes.pythonapi.PyCapsule_SetName
rename_capsule.argtypes = (ctypes.py_object, ctypes.c_char_p)


class BrokenModelError(RuntimeError):
    """The model's file isn't what was published; the model isn't served."""


class SelfTestError(RuntimeError):
    """The backend can't answer what it should; the model isn't served."""


class TritonPythonModel:
    """One instance of one version of a model; the methods' names and arguments are Triton's."""

    session: JetSession
    # Triton drops a metric with the object that stands for it.
    metrics: tuple[pb_utils.MetricFamily, pb_utils.Metric]

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and try it; Triton reports an exception as the reason why it is not served."""
        config = json.loads(args["model_config"])
        file = config["default_model_filename"] or "model.onnx"
        model = _checked_file(config, args, file)
        threads = int(config["parameters"][THREADS_PARAMETER]["string_value"])
        providers = CUDA if args["model_instance_kind"] == "GPU" else CPU
        self.session = inference_session(model, threads, providers, _graph_level(config))
        self._check_configured(config)
        self._check_answers()
        self._check_providers(providers)
        self.metrics = self._published_session(args["model_name"], args["model_version"])
        gc.collect()
        gc.freeze()  # what is there by now stays: no collection between requests need look at it
        used = ", ".join(self.session.providers)
        pb_utils.Logger.log_info(f"{args['model_name']} version {args['model_version']}: {used}, {threads} threads")

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton put together with one run; one that is at fault gets an error of its own."""
        checked = [_checked_batch(request) for request in requests]
        batches = [batch for batch in checked if isinstance(batch, PaddedJets)]
        answers = iter(self._answers(batches))
        return [_response(next(answers)) if isinstance(batch, PaddedJets) else _refusal(batch) for batch in checked]

    def _answers(self, batches: list[PaddedJets]) -> list[Answer]:
        if len(batches) < 2:  # nothing to join or to split, which would cost a single jet a fifth of its time
            return [self.session.answers(batch) for batch in batches]
        # Triton puts requests together only where they have the same number of slots.
        together = self.session.answers(concatenate(batches))
        bounds = np.cumsum([len(batch) for batch in batches])[:-1]
        split = [np.split(values, bounds) for values in together.values()]
        return [dict(zip(together, parts, strict=True)) for parts in zip(*split, strict=True)]

    def _check_configured(self, config: dict[str, Any]) -> None:
        widths = {tensor["name"]: int(tensor["dims"][-1]) for tensor in config["input"]}
        configured = widths[PARTICLES], widths[JETS]
        if configured != self.session.feature_counts:
            raise SelfTestError(
                f"config.pbtxt says {configured} particle and jet features, the model has {self.session.feature_counts}"
            )

    def _published_session(self, model: str, version: str) -> tuple[pb_utils.MetricFamily, pb_utils.Metric]:
        """Say what computes, as a metric: when it began, so that the latest of several counts."""
        family = pb_utils.MetricFamily(SESSION_METRIC, "When it began, s since 1970", pb_utils.MetricFamily.GAUGE)
        providers = ",".join(self.session.providers)
        labels = {"model": model, "version": version, "providers": providers, "threads": str(self.session.threads)}
        metric = family.Metric(labels)
        metric.set(time.time())
        return family, metric

    def _check_providers(self, wanted: tuple[str, ...]) -> None:
        """ONNX Runtime goes on without the provider that it was asked for first, and says so only here."""
        if self.session.providers[:1] != wanted[:1]:
            raise SelfTestError(
                f"config.pbtxt wants {wanted[0]}, ONNX Runtime uses {', '.join(self.session.providers)}: install "
                "jec-assets[gpu] and its CUDA, or publish for KIND_CPU"
            )

    def _check_answers(self) -> None:
        """One small batch all the way that an answer goes: NumPy releases have broken parts of it without a word."""
        particle_features, jet_features = self.session.feature_counts
        batch = PaddedJets(
            np.zeros((2, 3, particle_features), np.float32),
            np.array([[1], [3]], np.int64),
            np.zeros((2, jet_features), np.float32),
        )
        for name, values in self.session.answers(batch).items():
            sent = _array(_output(name, values))
            if values.shape != (2, OUTPUTS[name]) or not np.isfinite(values).all() or not np.array_equal(sent, values):
                raise SelfTestError(
                    f"the model answers {name} {values.tolist()}, of which Triton would send {sent.tolist()}"
                )


def _checked_file(config: dict[str, Any], args: dict[str, str], file: str) -> bytes:
    """The model's bytes; BrokenModelError unless their digest is the one that the configuration was published with."""
    path = f"{args['model_version']}/{file}"
    published = json.loads(config["parameters"].get(DIGESTS_PARAMETER, {}).get("string_value") or "{}").get(path)
    if published is None:
        raise BrokenModelError(f"config.pbtxt has no digest of {path}: publish {args['model_name']} again")
    content = (Path(args["model_repository"]) / path).read_bytes()
    if digest_bytes(content) != published:
        raise BrokenModelError(
            f"{path} of {args['model_name']} is damaged: its digest is not the published {published}; publish the "
            "family again or promote another version"
        )
    return content


def _graph_level(config: dict[str, Any]) -> GraphLevel:
    """The level that the configuration names; a field that nobody set may come as 0."""
    return level_in_triton(config.get("optimization", {}).get("graph", {}).get("level") or None)


def _checked_batch(request: pb_utils.InferenceRequest) -> PaddedJets | BatchError:
    batch = PaddedJets(*(_array(pb_utils.get_input_tensor_by_name(request, name)) for name in INPUTS))
    try:
        batch.check()
    except BatchError as error:
        return error
    return batch


def _response(answer: Answer) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse([_output(name, values) for name, values in answer.items()])


def _refusal(error: BatchError) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))


class _Lent:
    """A tensor of Triton as NumPy asks for one.

    NumPy asks with arguments that Triton's tensors don't know, which takes them longer to say than all the rest.
    """

    def __init__(self, tensor: pb_utils.Tensor) -> None:
        self._tensor = tensor

    def __dlpack__(self, **_: object) -> Any:
        return self._tensor.to_dlpack()

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU_MEMORY


def _array(tensor: pb_utils.Tensor) -> NDArray[Any]:
    # With NumPy 2 as_numpy() gives the right shape filled with the tensor's first value.
    return np.from_dlpack(_Lent(tensor))


def _output(name: str, values: NDArray[np.float32]) -> pb_utils.Tensor:
    # With NumPy 2 Tensor(name, array) sends nothing at all, with HTTP status 200.
    capsule = values.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    rename_capsule(capsule, CONSUMED)
    return tensor
