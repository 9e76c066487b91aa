"""What a network really computes and holds in memory: counted while it predicts jets, on the CPU.

Belongs here: counts that are the same on every machine. Does not belong here: the published study's convention
(`jec_assets.models.complexity`) and times (`throughput.py`).
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork

BATCH_SIZE = 1024  # jets, as `jec_assets.models.prediction.predict` takes them


@dataclass(frozen=True)
class Footprint:
    """Of one network in evaluation mode, predicting one batch of `jets` jets with so many particles on average.

    macs: multiply-accumulates a jet in products of matrices: real particles only, no biases and activations, and with
    whatever spares work; in ParticleNet the distances behind its graphs are among them
    weights_bytes: parameters, and buffers such as the constants that standardize
    activation_bytes: the most that tensors took at a time, beyond weights and inputs
    """

    jets: int
    mean_particles: float
    macs: float
    weights_bytes: int
    activation_bytes: int


def footprint(network: JetNetwork, jets: PackedJets) -> Footprint:
    """Count what a network, on the CPU and in evaluation mode, does with the first `BATCH_SIZE` jets, at least one."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    batch = jets.slice(0, BATCH_SIZE)
    inputs = [torch.tensor(array) for array in (batch.particles, batch.offsets, batch.jets)]
    # A copy whose weights want no gradients: the counter would hook onto those that do.
    network = deepcopy(network).requires_grad_(False)
    products = FlopCounterMode(display=False)
    with torch.no_grad():
        with products:
            network(*inputs)
        with _watched() as memory:
            network(*inputs)
    return Footprint(
        len(batch),
        float(batch.counts.mean()),
        products.get_total_flops() / 2 / len(batch),
        sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers())),
        memory.most,
    )


@dataclass
class _Memory:
    """Bytes that tensors hold now, and the most they held."""

    now: int = 0
    most: int = 0

    def take(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)

    def free(self, size: int) -> None:
        self.now -= size


@contextmanager
def _watched() -> Iterator[_Memory]:
    """The memory of what torch's operators return inside, taken when a storage is made and freed when it is let go."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    memory = _Memory()

    def storages(values: Any) -> dict[int, Any]:
        tensors = (each for each in tree_leaves(values) if isinstance(each, Tensor))
        return {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors}

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            given, result = storages((args, kwargs)), func(*args, **(kwargs or {}))
            for place, storage in storages(result).items():
                if place not in given:
                    memory.take(storage.nbytes())
                    weakref.finalize(storage, memory.free, storage.nbytes())
            return result

    with Watch():  # type: ignore[no-untyped-call]
        yield memory
