"""Flat spectra: how much each jet counts, so that no pT, pseudorapidity or flavor is learned at another's cost.

Belongs here: weights and probabilities from labels. Does not belong here: drawing and batches (`order.py`, `loader.py`)
and losses (`losses.py`).

The jets of each flavor are counted in bins of (pT_gen, eta_gen), and a jet's weight is one over the content of its bin:
then all bins of a flavor weigh the same. Bins are of equal width in log pT_gen and in eta_gen, so the spectrum is flat
in both. A flavor as a whole keeps its share of the jets. u, d, s, c, b and g are flavors of their own, and so are the
jets whose flavor is not known.

Either the loss is weighted (`loss_weights`), or jets are drawn with a probability that is proportional to the weight
(`probabilities`): the same expectation, in fewer steps of which each counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jec_assets.jets.labels import JetLabels

# As in `jec_assets.jets.filtering.flavor`: d, u, s, c, b, g; 0 is unknown.
FLAVORS = (0, 1, 2, 3, 4, 5, 21)

# Jets that are looked at in one go: memory beside the result is some 100 MB, however many there are.
CHUNK_JETS = 1 << 20


class ReweightingError(ValueError):
    """Bins or weights that no flat spectrum can be made with."""


@dataclass(frozen=True)
class FlatSpectrum:
    """What is made flat, and how far.

    gen_pt_edges: GeV, rising; gen_eta_edges: rising. Jets outside count in the nearest bin.
    max_weight: no jet counts more than so many times the average jet of its flavor, before weights are normalized:
        bins with too few jets for that weigh less than the others. Of jets that are drawn, at least about one in
        `max_weight` is.
    event_weights: start from the physical spectrum, in which each jet counts with its `event_weight`
    """

    gen_pt_edges: tuple[float, ...] = tuple(np.geomspace(20.0, 3000.0, 20).tolist())
    gen_eta_edges: tuple[float, ...] = tuple(np.linspace(-2.5, 2.5, 11).tolist())
    max_weight: float = 10.0
    event_weights: bool = False

    def __post_init__(self) -> None:
        for name in ("gen_pt_edges", "gen_eta_edges"):
            edges = getattr(self, name)
            if len(edges) < 2 or not np.all(np.diff(edges) > 0):
                raise ReweightingError(f"{name} must be two or more rising numbers, not {edges}")
        if not self.max_weight >= 1:
            raise ReweightingError(f"max_weight is {self.max_weight}, and must be at least 1")

    @property
    def bins(self) -> int:
        """How many bins there are over all flavors."""
        return len(FLAVORS) * (len(self.gen_pt_edges) - 1) * (len(self.gen_eta_edges) - 1)

    def bin_of(self, labels: JetLabels) -> NDArray[np.int64]:
        """The bin of each jet, of all flavors counted together: int64 (jets,). Flavors not in `FLAVORS` are unknown."""
        pt = _interval(labels.gen_pt, self.gen_pt_edges)
        eta = _interval(labels.gen_eta, self.gen_eta_edges)
        flavor = np.searchsorted(FLAVORS, labels.flavor).clip(max=len(FLAVORS) - 1)
        flavor = np.where(np.array(FLAVORS)[flavor] == labels.flavor, flavor, 0)
        return (flavor * (len(self.gen_pt_edges) - 1) + pt) * (len(self.gen_eta_edges) - 1) + eta


def loss_weights(labels: JetLabels, spectrum: FlatSpectrum) -> NDArray[np.float32]:
    """For `BatchPlan.weights`: float32 (jets,), of mean 1 over the jets of each flavor.

    Raises ReweightingError for event weights that are negative or not finite.
    """
    contents, jets = _histograms(labels, spectrum)
    counted = jets.reshape(len(FLAVORS), -1)
    # The mean of one over the content, jet by jet, is the number of filled bins per jet.
    filled = (contents.reshape(counted.shape) > 0).sum(axis=1)
    most = spectrum.max_weight * np.divide(filled, counted.sum(axis=1), where=filled > 0, out=np.zeros(len(FLAVORS)))
    per_bin = len(contents) // len(FLAVORS)
    scale = np.divide(1.0, contents, where=contents > 0, out=np.zeros(len(contents)))
    weights, sums = np.empty(len(labels), np.float32), np.zeros(len(FLAVORS))
    for start, part in _chunks(labels):
        bins = spectrum.bin_of(part)
        weight = np.minimum(_counting(part, spectrum) * scale[bins], most[bins // per_bin])
        weights[start : start + len(part)] = weight
        sums += np.bincount(bins // per_bin, weight, minlength=len(FLAVORS))
    norm = np.divide(counted.sum(axis=1), sums, where=sums > 0, out=np.zeros(len(FLAVORS)))
    for start, part in _chunks(labels):
        weights[start : start + len(part)] *= norm[spectrum.bin_of(part) // per_bin]
    return weights


def probabilities(labels: JetLabels, spectrum: FlatSpectrum) -> NDArray[np.float32]:
    """For `BatchPlan.sampling`: float32 (jets,), proportional to `loss_weights`, the largest of all jets is 1."""
    weights = loss_weights(labels, spectrum)
    weights /= weights.max(initial=np.finfo(np.float32).tiny)
    return weights


def _histograms(labels: JetLabels, spectrum: FlatSpectrum) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of what jets count before reweighting, and number of jets, in each bin."""
    contents, jets = np.zeros(spectrum.bins), np.zeros(spectrum.bins, np.int64)
    for _, part in _chunks(labels):
        bins, counting = spectrum.bin_of(part), _counting(part, spectrum)
        if not np.all((counting >= 0) & np.isfinite(counting)):
            raise ReweightingError(
                "event weights must be finite and not negative to make a spectrum flat: set event_weights to False"
            )
        contents += np.bincount(bins, counting, minlength=spectrum.bins)
        jets += np.bincount(bins, minlength=spectrum.bins)
    return contents, jets


def _counting(labels: JetLabels, spectrum: FlatSpectrum) -> NDArray[np.float64]:
    """What each jet counts before reweighting."""
    return labels.event_weight.astype(np.float64) if spectrum.event_weights else np.ones(len(labels))


def _interval(values: NDArray[np.float32], edges: tuple[float, ...]) -> NDArray[np.int64]:
    return (np.searchsorted(edges, values, side="right") - 1).clip(0, len(edges) - 2)


def _chunks(labels: JetLabels) -> Iterator[tuple[int, JetLabels]]:
    for start in range(0, len(labels), CHUNK_JETS):
        yield start, labels.slice(start, start + CHUNK_JETS)
