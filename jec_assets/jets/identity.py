"""The hash of an event's identity, which decides the split of its jets, and that of a jet's, which decides their order.

Belongs here: those two functions, so that files written years apart agree on them. They never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def event_hash(run: NDArray[Any], lumi: NDArray[Any], event: NDArray[Any]) -> NDArray[np.uint64]:
    """A uniform 64-bit hash of an event's identity, uint64 (jets,).

    Each number is mixed in by the finalizer of SplitMix64 (G. L. Steele et al., "Fast splittable pseudorandom number
    generators", OOPSLA 2014), whose every output bit depends on every input bit.
    """
    value = np.full(len(run), 0x9E3779B97F4A7C15, np.uint64)
    for part in (run, lumi, event):
        value = _mix(value ^ _mix(np.asarray(part).astype(np.uint64)))
    return value


def jet_hash(event: NDArray[np.uint64], rank: NDArray[Any]) -> NDArray[np.uint64]:
    """A uniform 64-bit hash of a jet's identity, uint64 (jets,): its event's hash and its rank in the event.

    Uniform also where event hashes are not: those of a split come from a part of their range.
    """
    return _mix(event ^ _mix(np.asarray(rank).astype(np.uint64)))


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        value = (value + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
