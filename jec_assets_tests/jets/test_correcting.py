"""Whether jets come corrected, and correcting those that don't."""

import numpy as np
import pytest

from jec_assets.correction import StandardCorrection
from jec_assets.correction.standard import ResponseCurve
from jec_assets.jets.correcting import comes_corrected, corrected
from jec_assets.jets.features import Columns

CORRECTION = StandardCorrection((0.0, 2.5), (0.5,), (0.0, 2.5), (ResponseCurve((50.0, 500.0), (1.2, 1.1)),), 50.0)


def columns(**scalars: list[float]) -> Columns:
    jets = len(scalars["jetRawPt"])
    return Columns(
        {name: np.array(values, np.float32) for name, values in scalars.items()}, {}, np.zeros(jets + 1, int)
    )


def test_rounding_is_no_correction() -> None:
    raw = np.geomspace(1, 5000, 1000).astype(np.float32)
    rounded = np.nextafter(raw, np.float32(np.inf))
    assert not comes_corrected(columns(jetRawPt=raw.tolist(), jetPt=rounded.tolist())).any()
    assert comes_corrected(columns(jetRawPt=raw.tolist(), jetPt=(raw * np.float32(1.001)).tolist())).all()


def test_jets_without_a_momentum_do_not_tell() -> None:
    nan, inf = float("nan"), float("inf")
    told = comes_corrected(columns(jetRawPt=[0.0, 30.0, nan, inf, 40.0], jetPt=[0.0, nan, 30.0, inf, 44.0]))
    assert told.tolist() == [True]


def test_momentum_and_mass_get_the_same_factor() -> None:
    jets = columns(
        jetRawPt=[50.0, 400.0],
        jetRawMass=[5.0, 40.0],
        jetEta=[0.3, -2.0],
        rhoAll=[10.0, 20.0],
        jetArea=[0.5, 0.6],
        jetPt=[1.0, 1.0],
        jetMass=[1.0, 1.0],
    )
    result = corrected(jets, CORRECTION).scalars
    factor = CORRECTION.factor([50.0, 400.0], [0.3, -2.0], [10.0, 20.0], [0.5, 0.6])
    np.testing.assert_allclose(result["jetPt"], factor * [50.0, 400.0], rtol=1e-6)
    np.testing.assert_allclose(result["jetMass"], factor * [5.0, 40.0], rtol=1e-6)
    assert result["jetPt"].dtype == result["jetMass"].dtype == np.float32
    assert jets.scalars["jetPt"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("raw", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_momentum_stays_without_a_logarithm(raw: float) -> None:
    names = ("jetRawPt", "jetRawMass", "jetEta", "rhoAll", "jetArea", "jetPt", "jetMass")
    jets = columns(**{name: [raw if name == "jetRawPt" else 1.0] for name in names})
    pt = corrected(jets, CORRECTION).scalars["jetPt"]
    assert not (np.isfinite(pt) & (pt > 0)).any()
