"""What statistics alone make of the flavor dependence: the medians of jets whose flavors were shuffled.

Belongs here: the shuffling. Does not belong here: the statistic that is computed from the medians (`flavor.py`).

The sum of absolute errors can't be negative, so even a response without any flavor dependence has one above 0, the
larger the fewer the jets. Shuffled among the jets of a group, the flavors are as frequent as before and mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bootstrap import quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.evaluation.sample import Sample

SHUFFLES = 20


def shuffled_medians(jets: Sample, jets_per_flavor: Sequence[int], seed: int) -> dict[str, NDArray[np.float64]]:
    """Median response per flavor in each of SHUFFLES shuffles, (SHUFFLES, flavors), for each correction.

    The jets are those of all flavors, in any order; every correction sees the same shuffles. NaN for a flavor without
    jets.
    """
    member = _members(jets_per_flavor, seed)
    return {
        correction: quantiles(values, member, (0.5,), jets.weight).reshape(SHUFFLES, len(jets_per_flavor))
        for correction, values in jets.responses.items()
    }


def _members(jets_per_flavor: Sequence[int], seed: int) -> NDArray[np.uint8]:
    """Whether a jet belongs to a flavor, 0 or 1, (SHUFFLES * flavors, jets): like resamples, one for each flavor."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(jets_per_flavor), dtype=np.uint8), jets_per_flavor)
    member = np.zeros((SHUFFLES * len(jets_per_flavor), len(labels)), np.uint8, order="F")
    for first_row in range(0, len(member), len(jets_per_flavor)):
        random.shuffle(labels)
        member[first_row + labels, np.arange(len(labels))] = 1
    return member
