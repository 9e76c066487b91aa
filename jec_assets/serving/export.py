"""A network as an ONNX file, and the proof that it still computes the same.

Belongs here: the export and the comparison with torch. Does not belong here: publishing (`repository.py`).
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.graph_chunks import in_chunks
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import INPUTS, PaddedJets, batches_by_length, output_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx
    from torch import Tensor

    from jec_assets.models.network import JetNetwork

TOLERANCE = 1e-5  # of the prediction, log(genJetPt / jetPt): far below any uncertainty of a jet's energy
OPSET = 20  # loads in ONNX Runtime from 1.17 on
SMALL_BATCH = 64
# What depends on weights alone, such as a folded normalization, is computed at export, whatever the weights' size.
FOLDED_NUMBERS = 1 << 40
TALKATIVE = ("torch.onnx._internal.exporter._registration", "onnxscript.optimizer._constant_folding")


class ExportMismatchError(RuntimeError):
    """The ONNX file computes something else than the network."""


@dataclass(frozen=True)
class ExportCheck:
    """The largest |ONNX - torch| of the outputs over so many jets, and in how many batches they went."""

    max_abs_difference: float
    jets: int
    batches: int


def export_onnx(network: JetNetwork) -> bytes:
    """The network in evaluation mode as ONNX; any number of jets and of particle slots.

    Normalizations are folded into the layers beside them, and jets are computed a few at a time, see `graph_chunks.py`.
    Inputs and outputs are those of `tensors.py`. The same weights give the same bytes. The network is left in the mode
    it was in.
    """
    model = in_chunks(dense_graph(network), network.slots_at_once)
    return bytes(model.SerializeToString(deterministic=True))


def dense_graph(network: JetNetwork) -> onnx.ModelProto:
    """The network's `forward_padded` alone: it computes all jets at once, each as if it were as long as the longest."""
    import torch
    from onnxscript.optimizer import optimize

    from jec_assets.serving.padded import PaddedNetwork

    was_training = network.training
    try:
        module = PaddedNetwork(network).eval()
        jets, slots = torch.export.Dim("jets"), torch.export.Dim("slots")
        with _quiet_exporter():
            program = torch.onnx.export(
                module,
                _example(network),
                input_names=list(INPUTS),
                output_names=list(output_tensors(network.outputs)),
                dynamic_shapes={"particles": {0: jets, 1: slots}, "particle_count": {0: jets}, "jets": {0: jets}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            if program is None:
                raise ExportMismatchError("torch.onnx.export gave no program")
            model = optimize(program.model_proto, input_size_limit=FOLDED_NUMBERS, output_size_limit=FOLDED_NUMBERS)
    finally:
        network.train(was_training)
    _remove_traces(model)
    return model


def compare_with_torch(model: bytes, network: JetNetwork, jets: PackedJets) -> ExportCheck:
    """Compare an exported model with the network's own `forward` on real jets, in batches of many shapes.

    Every jet goes in a large batch of like jets; the first of them also one by one, in a batch of unlike jets (much
    padding), and cut down to a single particle. Raises ExportMismatchError above TOLERANCE or where the model gives no
    number, and ValueError without jets.
    """
    from jec_assets.models.prediction import predict_outputs

    if len(jets) == 0:
        raise ValueError("no jets to compare the exported model on: give it validation jets")
    session = inference_session(model, threads=1)
    largest, batches = 0.0, 0
    for batch in _batches(jets):
        expected = predict_outputs(network, batch)
        answered = np.concatenate(list(session.answers(PaddedJets.of(batch)).values()), axis=1)
        difference = float(np.abs(answered.astype(np.float64) - expected).max())
        if not difference <= TOLERANCE:  # NaN is a mismatch too
            raise ExportMismatchError(
                f"ONNX and torch differ by {difference:.3g} on a batch of {len(batch)} jets of up to "
                f"{batch.counts.max()} particles (allowed: {TOLERANCE:g}); nothing is published"
            )
        largest, batches = max(largest, difference), batches + 1
    return ExportCheck(largest, len(jets), batches)


def _batches(jets: PackedJets) -> Iterator[PackedJets]:
    for indices in batches_by_length(jets.counts):
        yield jets.take(indices)
    few = jets.slice(0, SMALL_BATCH)
    yield few
    yield _first_particles(few)
    for jet in range(min(len(jets), 8)):
        yield jets.slice(jet, jet + 1)
    yield _first_particles(jets.slice(0, 1))


def _first_particles(jets: PackedJets) -> PackedJets:
    """The jets with nothing left but their first particle each."""
    offsets = np.arange(len(jets) + 1, dtype=np.int64)
    return PackedJets(jets.particles[jets.offsets[:-1]], offsets, jets.jets)


def _example(network: JetNetwork) -> tuple[Tensor, Tensor, Tensor]:
    import torch

    # Sizes 0 and 1 would be taken for constants.
    jets, slots = 2, 3
    device = next(network.parameters()).device
    return (
        torch.zeros(jets, slots, network.inputs.particle_features, device=device),
        torch.full((jets, 1), slots, dtype=torch.int64, device=device),
        torch.zeros(jets, network.inputs.jet_features, device=device),
    )


def _remove_traces(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: stack traces and class names of whoever exported."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    for function in model.functions:
        for part in (function, *function.node, *function.value_info):
            part.ClearField("metadata_props")


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says about itself: deprecations in its code, packages and foldings it does without."""
    levels = {logger: logger.level for logger in map(logging.getLogger, TALKATIVE)}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="# The axis name: ", category=UserWarning)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
