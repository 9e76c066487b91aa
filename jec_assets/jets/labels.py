"""What is known of each jet besides a network's input: whose it is, and its truth.

Belongs here: the container of labels, and jets together with theirs. Does not belong here: features
(`packed.py`), and where labels come from (`dataset.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets


@dataclass(frozen=True)
class JetLabels:
    """Labels of some jets, each of shape (jets,). Arrays may be memory-mapped and read-only.

    run, lumi: int32, event: uint64, the event's identity as in the files
    flavor: int32, 1 to 5, 21, or 0 where it is not known; see `jec_assets.jets.filtering.flavor`
    gen_pt: float32, GeV, pT of the matched particle-level jet; gen_eta: float32, its pseudorapidity
    event_weight: float32, turns the generated spectrum into a physical one
    target: float32, log(genJetPt / jetPt), what a network is to predict
    """

    run: NDArray[np.int32]
    lumi: NDArray[np.int32]
    event: NDArray[np.uint64]
    flavor: NDArray[np.int32]
    gen_pt: NDArray[np.float32]
    gen_eta: NDArray[np.float32]
    event_weight: NDArray[np.float32]
    target: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.run)

    def take(self, indices: NDArray[np.integer]) -> JetLabels:
        """The labels of the jets at `indices`, in that order."""
        return self._each(lambda values: values[indices])

    def slice(self, start: int, stop: int) -> JetLabels:
        """Those of jets start to stop (half-open), as views."""
        return self._each(lambda values: values[start:stop])

    def _each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> JetLabels:
        return JetLabels(*(change(getattr(self, field.name)) for field in fields(self)))


class LabelsMismatchError(ValueError):
    """Jets and labels that are not of the same jets."""


@dataclass(frozen=True)
class LabeledJets:
    """Jets with their labels, in the same order. Raises LabelsMismatchError where there are not as many of both."""

    packed: PackedJets
    labels: JetLabels

    def __post_init__(self) -> None:
        if len(self.packed) != len(self.labels):
            raise LabelsMismatchError(f"{len(self.packed)} jets cannot have {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.packed)

    def take(self, indices: NDArray[np.integer]) -> LabeledJets:
        """The jets at `indices`, in that order, copied."""
        return LabeledJets(self.packed.take(indices), self.labels.take(indices))

    def slice(self, start: int, stop: int) -> LabeledJets:
        """Jets start to stop (half-open), as views where NumPy gives views."""
        return LabeledJets(self.packed.slice(start, stop), self.labels.slice(start, stop))
