"""ONNX Runtime in this process: the one place that makes sessions.

Belongs here: session options with their reasons. Does not belong here: where models come from (`repository.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.serving.graph_levels import DEFAULT_LEVEL, GraphLevel, runtime_level
from jec_assets.serving.guard import check_onnxruntime
from jec_assets.serving.tensors import INPUTS, LOG_FACTOR, OUTPUTS, check_jets, padded_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.tensors import PaddedJets

CPU = ("CPUExecutionProvider",)
CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")
ERRORS_ONLY = 3  # ONNX Runtime's severity


class UnusableModelError(ValueError):
    """Bytes that are not an ONNX model with the tensors of `tensors.py`."""


@dataclass(frozen=True)
class JetSession:
    """An ONNX model ready to compute. `providers` are those in use, which may be fewer than those asked for."""

    session: onnxruntime.InferenceSession
    providers: tuple[str, ...]
    threads: int

    @property
    def feature_counts(self) -> tuple[int, int]:
        """Number of particle features and of jet features."""
        widths = {tensor.name: tensor.shape[-1] for tensor in self.session.get_inputs()}
        particles, _, jets = (int(widths[name]) for name in INPUTS)
        return particles, jets

    @cached_property  # asking ONNX Runtime takes a tenth of a single jet's time
    def outputs(self) -> tuple[str, ...]:
        """The tensors that it gives, in the order of `tensors.OUTPUTS`."""
        given = {tensor.name for tensor in self.session.get_outputs()}
        return tuple(name for name in OUTPUTS if name in given)

    def answers(self, batch: PaddedJets) -> dict[str, NDArray[np.float32]]:
        """All outputs by name, float32 (jets, numbers per jet)."""
        names = self.outputs
        answers = self.session.run(list(names), batch.arrays)
        return {name: np.asarray(answer, np.float32) for name, answer in zip(names, answers, strict=True)}

    def log_factors(self, batch: PaddedJets) -> NDArray[np.float32]:
        """Predicted log(genJetPt / jetPt), float32 (jets, 1)."""
        (answer,) = self.session.run([LOG_FACTOR], batch.arrays)
        return np.asarray(answer, np.float32)

    def predict(self, jets: PackedJets) -> NDArray[np.float32]:
        """Predicted log(genJetPt / jetPt) of any number of jets, float32 (jets,), in their order."""
        factors = np.empty(len(jets), np.float32)
        for indices, batch in padded_batches(jets):
            factors[indices] = self.log_factors(batch)[:, 0]
        return factors

    def predict_outputs(self, jets: PackedJets) -> NDArray[np.float32]:
        """All outputs of any number of jets, float32 (jets, numbers per jet), in their order; BatchError."""
        check_jets(jets)
        outputs = np.empty((len(jets), sum(OUTPUTS[name] for name in self.outputs)), np.float32)
        for indices, batch in padded_batches(jets):
            outputs[indices] = np.concatenate(list(self.answers(batch).values()), axis=1)
        return outputs


def inference_session(
    model: bytes, threads: int, providers: Sequence[str] = CPU, level: GraphLevel = DEFAULT_LEVEL
) -> JetSession:
    """A session for an ONNX model, computing on so many threads (0: one per core), its graph optimized to that level.

    Raises OnnxRuntimeInstallationError, and UnusableModelError if the model doesn't load or has other tensors.
    """
    check_onnxruntime()
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.graph_optimization_level = runtime_level(level)
    # Idle threads that spin double the latency of whoever shares the cores with them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        names = {tensor.name for tensor in session.get_inputs()}, {tensor.name for tensor in session.get_outputs()}
    except (
        UnicodeDecodeError,  # names in the model, or in what ONNX Runtime says of it, that aren't text
        errors.Fail,
        errors.InvalidProtobuf,
        errors.InvalidGraph,
        errors.InvalidArgument,
        errors.NotImplemented,
    ) as error:
        raise UnusableModelError(f"ONNX Runtime can't load a model of {len(model)} bytes: {error}") from error
    if names[0] != set(INPUTS) or not {LOG_FACTOR} <= names[1] <= set(OUTPUTS):
        raise UnusableModelError(
            f"the model maps {sorted(names[0])} to {sorted(names[1])}, not {INPUTS} to {LOG_FACTOR} or {tuple(OUTPUTS)}"
        )
    return JetSession(session, tuple(session.get_providers()), threads)
