import numpy as np
import polars as pl

from jec_assets.jets.training_range import TrainingRange

TRAINING = pl.DataFrame({"jetPt": [31.0, 500.0], "jetEta": [-2.4, 0.1], "constituents": [3, 60]})


def test_the_training_jets_themselves_are_inside() -> None:
    seen = TrainingRange.of(TRAINING)
    assert seen == TrainingRange((31.0, 500.0), (0.1, 2.4), (3, 60))
    columns = (TRAINING[name].to_numpy() for name in ("jetPt", "jetEta", "constituents"))
    assert not seen.outside(*columns).any()


def test_a_jet_beyond_any_edge_is_outside() -> None:
    pt = np.array([30.9, 500.1, 100, 100, 100, 100, np.nan, 100])
    eta = np.array([1.0, 1.0, -2.41, 0.0, 1.0, 1.0, 1.0, -1.0])
    constituents = np.array([10, 10, 10, 10, 2, 61, 10, 10])
    outside = TrainingRange.of(TRAINING).outside(pt, eta, constituents)
    assert outside.tolist() == [True] * 7 + [False]
