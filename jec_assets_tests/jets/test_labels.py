"""Jets stay with their labels."""

from __future__ import annotations

import numpy as np
import pytest

from jec_assets.jets.labels import JetLabels, LabeledJets, LabelsMismatchError
from jec_assets.jets.packed import PackedJets


def labels(jets: int) -> JetLabels:
    number = np.arange(jets)
    ids = (number.astype(np.int32), number.astype(np.int32), number.astype(np.uint64), number.astype(np.int32))
    return JetLabels(*ids, *(number.astype(np.float32) for _ in range(4)))


def packed(jets: int) -> PackedJets:
    number = np.arange(jets, dtype=np.float32)
    return PackedJets(number[:, None], np.arange(jets + 1), number[:, None])


def test_jets_are_taken_and_sliced_with_their_labels() -> None:
    jets = LabeledJets(packed(6), labels(6))
    for part, expected in ((jets.take(np.array([4, 0, 4])), [4, 0, 4]), (jets.slice(2, 5), [2, 3, 4])):
        assert len(part) == 3
        for values in (part.packed.jets[:, 0], part.packed.particles[:, 0], *vars(part.labels).values()):
            assert values.tolist() == expected


def test_labels_of_other_jets_are_refused() -> None:
    with pytest.raises(LabelsMismatchError, match="6 jets cannot have 5 labels"):
        LabeledJets(packed(6), labels(5))
