"""The exported networks in ONNX Runtime, one thread, against weaver-core's own exports of the same weights.

`python -m benchmarks.onnx_vs_weaver`: published ParticleNet, PFN and ParT, 1, 64 and 1024 jets a call. The jets have
up to 100 particles, 35 on average (log-normal, see `jets.py`); in batches of 1 and 64 a round has 256 of these, of
ParT's 64. Each claim is the geometric mean of the three ratios.

Both graphs come from the same weights and moments, run in the same release of ONNX Runtime with all its optimizations,
and get arrays that are ready: what is timed is the session. Each is exported and fed in its own way. Ours: physical
features, padded to the longest jet of the call. weaver-core's: as its `train.py --export-onnx` exports, by torch's
tracing exporter, opset 15, any number of jets and of slots; its inputs have the fixed length of its data
configuration, here the study's 100 slots. CMS gives it jets of their own length, one at a time: that is timed first, on
single jets, as `..._own_length`. weaver-core's inputs are standardized by its loader, ours in the graph; ours counts
particles itself, weaver-core's gets masks and ParT's gets four-momenta ready.

weaver-core's ParticleNet is exported without the softmax that its export adds for classifiers, and gathers neighbors in
the faster of its two ways. Its PFN is its authors' example network. Its ParT gives NaN for a jet with four-momenta of
zeros, as its own loader pads them: here padding has a four-momentum, which its mask hides.

Outputs are compared before anything is timed. ParticleNet: in 99 of 100 jets of more than k particles, see
`particle_net_step_vs_weaver.py`. ParT: weaver-core takes the mass of a pair from a difference of rounded numbers, which
moves its outputs; they are compared with what that can do in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.jets import copy_weights, padded, published, seasoned, synthetic_jets
from benchmarks.rounds import Arrays, Claim, Side, Together, load_arrays, run, save_arrays

if TYPE_CHECKING:
    import onnxruntime
    from torch import nn

SLOTS, BATCHES = 100, (1, 64, 1024)
NEIGHBORS = 16  # k of ParticleNet
OPSET = 15  # weaver-core's choice
Feeds = list[dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Compared:
    """A family and how much of it is timed: `jets` in a round of batches smaller than that.

    tolerance: of outputs, in their spread, or absolutely where that is below 1; quantile: of jets that keep it.
    """

    family: str
    jets: int
    tolerance: float = 1e-5
    quantile: float = 1.0
    rounds: int = 7


PARTICLE_NET = Compared("particle_net", jets=256, quantile=0.99)
PFN = Compared("pfn", jets=256)
PART = Compared("particle_transformer", jets=64, tolerance=1e-3, rounds=3)


def prepare(folder: Path, compared: Compared, batch: int) -> None:
    """Jets, the weights and moments of a network that has seen some, and its export."""
    weights = _weights(compared.family)
    save_arrays(folder / "weights.npz", weights)
    (folder / "ours.onnx").write_bytes(_exported(compared.family))
    save_arrays(folder / "jets.npz", synthetic_jets(max(compared.jets, batch), SLOTS, seed=1))


def ours(folder: Path, batch: int) -> Side:
    """The project's export on jets padded to the longest of each call."""
    from jec_assets.serving.runtime import inference_session

    session = inference_session((folder / "ours.onnx").read_bytes(), threads=1).session
    feeds = []
    for jets in _calls(folder, batch):
        counts = np.diff(jets["offsets"])
        dense, _ = padded(jets, int(counts.max()))
        particles = np.ascontiguousarray(dense.transpose(0, 2, 1))
        feeds.append({"particles": particles, "particle_count": counts[:, np.newaxis], "jets": jets["jets"]})
    return _side(session, feeds)


def peer(folder: Path, compared: Compared, batch: int, own_length: bool = False) -> Side:
    """weaver-core's export on padded jets."""
    import onnxruntime

    make = {PARTICLE_NET: _particle_net, PFN: _pfn, PART: _part}[compared]
    feeds = []
    for jets in _calls(folder, batch):
        longest = int(np.diff(jets["offsets"]).max())
        dense, real = padded(jets, max(NEIGHBORS + 1, longest) if own_length else SLOTS)
        feeds.append({"particles": dense, "mask": real.astype(np.float32), "jets": jets["jets"]})
    model = make(load_arrays(folder / "weights.npz"), feeds)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return _side(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), feeds)


def check(ours: Arrays, peer: Arrays, compared: Compared) -> None:
    """Outputs are equal to the family's tolerance."""
    jets = ours["counts"] > NEIGHBORS if compared.family == "particle_net" else np.isfinite(ours["outputs"])
    differences = np.abs(ours["outputs"] - peer["outputs"])[jets]
    tolerance = compared.tolerance * max(1.0, float(ours["outputs"].std()))
    assert jets.sum() > 0.7 * len(jets), "too few jets to compare"
    assert np.quantile(differences, compared.quantile) < tolerance, f"outputs differ by {np.sort(differences)[-5:]}"


@cache
def _weights(family: str) -> dict[str, NDArray[Any]]:
    return seasoned(family, [synthetic_jets(64, SLOTS, seed) for seed in range(2, 8)])


@cache
def _exported(family: str) -> bytes:
    from jec_assets.serving.export import export_onnx

    network = published(family)
    copy_weights(network, _weights(family))
    return export_onnx(network)


def _calls(folder: Path, batch: int) -> list[dict[str, NDArray[Any]]]:
    """The jets in packed batches."""
    jets = load_arrays(folder / "jets.npz")
    offsets, calls = jets["offsets"], []
    for start in range(0, len(offsets) - 1, batch):
        own = offsets[start : start + batch + 1]
        calls.append(
            {
                "particles": jets["particles"][own[0] : own[-1]],
                "offsets": own - own[0],
                "jets": jets["jets"][start : start + batch],
            }
        )
    return calls


def _side(session: onnxruntime.InferenceSession, feeds: Feeds) -> Side:
    def work() -> int:
        for feed in feeds:
            session.run(None, feed)
        return sum(len(feed["jets"]) for feed in feeds)

    def results() -> Arrays:
        outputs = np.concatenate([session.run(None, feed)[0][:, 0] for feed in feeds])
        counts = [feed["particle_count"][:, 0] for feed in feeds if "particle_count" in feed]
        return {"outputs": outputs, "counts": np.concatenate(counts) if counts else np.empty(0)}

    return Side(work, results)


def _particle_net(weights: Arrays, feeds: Feeds) -> bytes:
    from benchmarks.weavers_particle_net import WeaversParticleNet, in_weavers_names

    network = WeaversParticleNet()
    copy_weights(network, in_weavers_names(weights))
    return _exported_by_weaver(network, feeds[0])


def _pfn(weights: Arrays, feeds: Feeds) -> bytes:
    from benchmarks.weavers_pfn import WeaversPFN

    network = WeaversPFN()
    copy_weights(network, dict(weights))
    return _exported_by_weaver(network, feeds[0])


def _part(weights: Arrays, feeds: Feeds) -> bytes:
    from benchmarks.weavers_part import WeaversParT, in_weavers_names, momenta

    for number, feed in enumerate(feeds):
        # Padding is a particle at the origin of the plane, of 1 GeV.
        vectors = momenta(feed["particles"]).astype(np.float32)
        feeds[number] = {name: {**feed, "momenta": vectors}[name] for name in ("particles", "momenta", "mask", "jets")}
    network = WeaversParT(dropout=0.1, for_inference=True)
    copy_weights(network, in_weavers_names(weights))
    return _exported_by_weaver(network, feeds[0])


def _exported_by_weaver(network: nn.Module, feed: dict[str, NDArray[Any]]) -> bytes:
    """As weaver-core's `train.py` exports, with inputs of ones and two where an axis may be of any size."""
    import torch

    axes = {name: {0: "N", 2: "n_pf"} if array.ndim == 3 else {0: "N"} for name, array in feed.items()}
    inputs = tuple(torch.ones((2, *array.shape[1:])) for array in feed.values())
    model = BytesIO()
    torch.onnx.export(
        network.eval(),
        inputs,
        model,
        input_names=list(feed),
        output_names=["output"],
        dynamic_axes={**axes, "output": {0: "N"}},
        opset_version=OPSET,
        dynamo=False,
    )
    return model.getvalue()


def _claim(name: str, compared: Compared, batch: int, own_length: bool = False) -> Claim:
    return Claim(
        f"{name}_{batch}{'_own_length' if own_length else ''}",
        partial(prepare, compared=compared, batch=batch),
        partial(ours, batch=batch),
        partial(peer, compared=compared, batch=batch, own_length=own_length),
        partial(check, compared=compared),
        rounds=compared.rounds if batch == max(BATCHES) else 15,
    )


def _claims(name: str, compared: Compared) -> tuple[Claim | Together, ...]:
    own_length = _claim(name, compared, 1, own_length=True)
    return own_length, Together(name, tuple(_claim(name, compared, batch) for batch in BATCHES))


if __name__ == "__main__":
    run(
        *_claims("particle_net_onnx_vs_weaver", PARTICLE_NET),
        *_claims("pfn_onnx_vs_weaver", PFN),
        *_claims("part_onnx_vs_weaver", PART),
    )
