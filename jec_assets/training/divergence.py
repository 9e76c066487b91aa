"""Which jets are to blame when a loss or a gradient is not finite.

Belongs here: finding and naming them. Does not belong here: noticing (`loop.py`) and the error (`faults.py`).

Every process finds its own jets and learns of the others', so all end with the same message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from jec_assets.models import group

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from jec_assets.jets.labels import JetLabels, LabeledJets
    from jec_assets.training.step import Step

MAX_NAMED = 10
JETS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class BadJets:
    """Jets, by their indices in a data set, whose input or output is not finite."""

    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]

    @classmethod
    def of(cls, finite_inputs: Tensor, outputs: Tensor, indices: NDArray[np.int64]) -> BadJets:
        """Those of some jets: finite_inputs, bool (jets,), outputs (jets, outputs), indices (jets,)."""
        found = (indices[~finite.cpu().numpy()] for finite in (finite_inputs, _rows_finite(outputs)))
        return cls(*found)


def step_fault(step: Step, labels: JetLabels) -> str:
    """What is not finite about a step, with the jets (run:lumi:event) that it began with; labels of the data set."""
    batch = step.batch
    finite_inputs = (
        _rows_finite(batch.jets)
        & batch.target.isfinite()
        & batch.weight.isfinite()
        & ~_any_of_segment(~_rows_finite(batch.particles), batch.offsets)
    )
    return fault(BadJets.of(finite_inputs, step.outputs, batch.indices), labels, step.outputs.device)


def fault(bad: BadJets, labels: JetLabels, device: torch.device) -> str:
    """The same of jets that were found; all processes ask together, with tensors on such a device."""
    inputs, outputs = (_joined(indices, device) for indices in (bad.inputs, bad.outputs))
    if len(inputs):
        return f"features, target or weight not finite of {_names(inputs, labels)}"
    if len(outputs):
        return f"predictions not finite of {_names(outputs, labels)}"
    return "all jets' features, targets and predictions are finite, only the loss or the gradient is not"


def features_fault(jets: LabeledJets) -> str:
    """The same of a whole data set's features; looks at some jets at a time."""
    bad = []
    for start in range(0, len(jets), JETS_AT_A_TIME):
        part = jets.packed.slice(start, start + JETS_AT_A_TIME)
        particles, offsets, features = (torch.tensor(values) for values in (part.particles, part.offsets, part.jets))
        finite = _rows_finite(features) & ~_any_of_segment(~_rows_finite(particles), offsets)
        bad.append(start + np.flatnonzero(~finite.numpy()))
    return f"features not finite of {_names(np.concatenate(bad), jets.labels)}"


def _names(indices: NDArray[np.int64], labels: JetLabels) -> str:
    named = labels.take(indices[:MAX_NAMED])
    rows = zip(named.run.tolist(), named.lumi.tolist(), named.event.tolist(), strict=True)
    names = ", ".join(f"{run}:{lumi}:{event}" for run, lumi, event in rows)
    further = len(indices) - MAX_NAMED
    return f"run:lumi:event {names}" + (f" and {further} more" if further > 0 else "")


def _joined(indices: NDArray[np.int64], device: torch.device) -> NDArray[np.int64]:
    """The indices that any process gave, process by process."""
    if group.size() == 1:
        return indices
    counts = torch.zeros(group.size(), dtype=torch.int64, device=device)
    counts[group.rank()] = len(indices)
    counts = group.sum_over_processes(counts)
    start = int(counts[: group.rank()].sum())
    every = torch.zeros(int(counts.sum()), dtype=torch.int64, device=device)
    every[start : start + len(indices)] = torch.from_numpy(indices).to(device)
    joined: NDArray[np.int64] = group.sum_over_processes(every).cpu().numpy()
    return joined


def _rows_finite(rows: Tensor) -> Tensor:
    return rows.isfinite().all(1)


def _any_of_segment(flags: Tensor, offsets: Tensor) -> Tensor:
    before = torch.cat([flags.new_zeros(1, dtype=torch.int64), flags.cumsum(0)])
    return before[offsets[1:]] > before[offsets[:-1]]
