"""Networks in coarser numbers, and whether the physics survives them.

Belongs here: making such a variant of a network's graph, and comparing it with the original on jets. Does not belong
here: publishing (`release.py`).

A variant holds if neither the loss nor the median of the response moves by more than a thousandth of itself on the same
jets, and a jet's answer doesn't depend on which jets share its batch: servers put requests together. That it is faster
is not a condition: on a processor without arithmetic of that kind it may be slower, and a file of half the size is a
reason too.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from jec_assets.evaluation.loss import jet_losses
from jec_assets.serving.export import dense_graph
from jec_assets.serving.graph_chunks import in_chunks
from jec_assets.serving.runtime import JetSession, UnusableModelError, inference_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import onnx
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork

Numbers = Literal["float32", "float16", "int8"]
SINGLE: Numbers = "float32"
LARGEST_CHANGE = 1e-3  # of loss and median response, relative
LARGEST_DRIFT = 1e-5  # of log factors; which jets are computed together moves the last digits
TIMED_JETS, TIMED_ROUNDS = 2048, 5
SINGLE_JETS = 100  # that are computed alone and among others


@dataclass(frozen=True)
class Variant:
    """What came of a variant.

    onnx: the model; None where ONNX Runtime has no way to compute it. loss_change, median_change: relative to the
    original's loss (Eq. 1) and median response, NaN without a model. drift: the largest difference that its company in
    a batch makes to a jet's log factor. speed: jets per CPU second over the original's.
    """

    name: str
    onnx: bytes | None
    loss_change: float
    median_change: float
    drift: float
    speed: float
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it may be served in the original's place."""
        changes = abs(self.loss_change), abs(self.median_change)
        return all(change <= LARGEST_CHANGE for change in changes) and self.drift <= LARGEST_DRIFT

    @property
    def finding(self) -> str:
        """What came of it, for people."""
        if self.onnx is None:
            return f"{self.name} can't be computed: {self.note}"
        changes = f"loss {100 * self.loss_change:+.4f} %, median response {100 * self.median_change:+.4f} %"
        verdict = "holds" if self.holds else "does not hold"
        return f"{self.name} {verdict}: {changes}, a jet's log factor moves by {self.drift:.1e} with its company"


def try_variants(
    network: JetNetwork, jets: PackedJets, target: NDArray[np.floating], names: Iterable[str] | None = None
) -> tuple[Variant, ...]:
    """Make these variants of a network, or all, and compare each with the original on jets; target: (jets,).

    Raises ValueError without jets that count in the loss.
    """
    losses = jet_losses(target, np.zeros(len(target)))
    if not losses.any():
        raise ValueError("no jets to compare variants on: give it test jets with generator-level truth")
    graph = dense_graph(network)
    original = _session(graph, network.slots_at_once)[1]
    comparison = (original, jets, target)
    makers = {name: VARIANTS[name] for name in (VARIANTS if names is None else names)}
    return tuple(_tried(name, make, graph, network.slots_at_once, comparison) for name, make in makers.items())


def _tried(
    name: str,
    make: Callable[[onnx.ModelProto], onnx.ModelProto],
    graph: onnx.ModelProto,
    slots_at_once: int,
    comparison: tuple[JetSession, PackedJets, NDArray[np.floating]],
) -> Variant:
    original, jets, target = comparison
    try:
        model, session = _session(make(graph), slots_at_once)
    except UnusableModelError as error:
        return Variant(name, None, np.nan, np.nan, np.nan, np.nan, str(error))
    loss, median = _figures(original, jets, target)
    variant_loss, variant_median = _figures(session, jets, target)
    speed = _speed(original, session, jets.slice(0, TIMED_JETS))
    return Variant(name, model, variant_loss / loss - 1, variant_median / median - 1, _drift(session, jets), speed)


def _session(graph: onnx.ModelProto, slots_at_once: int) -> tuple[bytes, JetSession]:
    model = in_chunks(graph, slots_at_once).SerializeToString(deterministic=True)
    return model, inference_session(model, threads=1)


def _figures(session: JetSession, jets: PackedJets, target: NDArray[np.floating]) -> tuple[float, float]:
    """Loss and median response."""
    log_factor = session.predict(jets).astype(np.float64)
    return float(jet_losses(target, log_factor).mean()), float(np.median(np.exp(log_factor - target)))


def _drift(session: JetSession, jets: PackedJets) -> float:
    some = jets.slice(0, SINGLE_JETS)
    alone = np.concatenate([session.predict(some.slice(place, place + 1)) for place in range(len(some))])
    return float(np.abs(session.predict(some) - alone).max())


def _speed(original: JetSession, session: JetSession, jets: PackedJets) -> float:
    """CPU time of the original over that of the other, the median over rounds in turns."""

    def seconds(each: JetSession) -> float:
        started = time.process_time()
        each.predict(jets)
        return time.process_time() - started

    return statistics.median(seconds(original) / seconds(session) for _ in range(TIMED_ROUNDS))


def _int8(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Products of 8-bit integers: weights are rounded once, by column; what they are multiplied with on the way.

    The range of the latter is that of the whole batch.
    """
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a preparation that these graphs don't need
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(graph, path, per_channel=True)
            return onnx.load(path)
    finally:
        root.setLevel(level)


def _float16(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Half precision throughout; inputs and outputs stay as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    converted = OnnxModel(convert_float_to_float16(copy, keep_io_types=True))
    converted.topological_sort()
    model: onnx.ModelProto = converted.model
    return model


VARIANTS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {"int8": _int8, "float16": _float16}
