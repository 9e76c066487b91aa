from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.correction import CorrectionError, StandardCorrection
from jec_assets.correction.standard import SMALLEST_OFFSET_FACTOR, ResponseCurve

CURVE = ResponseCurve((30.0, 100.0, 1000.0), (1.2, 1.1, 1.05))
CORRECTION = StandardCorrection((0, 1.3, 5.2), (0.4, 0.5), (0, 2.0), (CURVE,), 30.0)


@given(st.floats(1, 1e4))
def test_a_curve_stays_between_its_factors(pt: float) -> None:
    assert 1.05 <= CURVE(np.array([pt]))[0] <= 1.2


def test_a_curve_is_linear_in_log_pt_and_constant_outside() -> None:
    middle = np.sqrt(30.0 * 100.0)
    np.testing.assert_allclose(CURVE(np.array([1, 30, middle, 100, 5000])), [1.2, 1.2, 1.15, 1.1, 1.05])


def test_a_curve_covers_what_lies_between_its_points() -> None:
    assert CURVE.covers(np.array([29.9, 30.0, 1000.0, 1000.1])).tolist() == [False, True, True, False]


def test_levels_apply_one_after_the_other() -> None:
    offset = 1 - 0.4 * 20 * 0.5 / 104
    np.testing.assert_allclose(CORRECTION.factor([104.0], [0.3], [20.0], [0.5]), [offset * 1.1])


@given(st.floats(22, 3000), st.floats(0, 5), st.floats(0, 40), st.floats(0.3, 0.7))
def test_both_sides_get_the_same_factor(pt: float, eta: float, rho: float, area: float) -> None:
    left, right = CORRECTION.factor([pt, pt], [-eta, eta], [rho, rho], [area, area])
    assert left == right > 0


def test_more_pileup_means_a_smaller_factor() -> None:
    factors = CORRECTION.factor(np.full(5, 60.0), np.zeros(5), np.linspace(0, 40, 5), np.full(5, 0.5))
    assert np.all(np.diff(factors) < 0)


def test_an_offset_larger_than_the_jet_leaves_a_little() -> None:
    assert CORRECTION.offset_factor(np.array([5.0]), np.zeros(1), np.array([100.0]), np.array([0.5]))[0] == (
        SMALLEST_OFFSET_FACTOR
    )


def test_the_digest_is_that_of_the_numbers() -> None:
    same = StandardCorrection((0, 1.3, 5.2), (0.4, 0.5), (0, 2.0), (ResponseCurve(CURVE.pts, CURVE.factors),), 30.0)
    other = dataclasses.replace(CORRECTION, offset_slopes=(0.4, 0.51))
    assert same.digest == CORRECTION.digest != other.digest
    assert CORRECTION.digest.startswith(CORRECTION.version)


def test_tables_come_back_from_json_to_the_last_bit() -> None:
    exact = dataclasses.replace(CORRECTION, offset_slopes=(0.1 + 0.2, 1 / 3))
    assert StandardCorrection.from_tables(json.loads(json.dumps(exact.tables))) == exact


@pytest.mark.parametrize("missing", ["response", "valid_from"])
def test_tables_that_lack_something_are_refused(missing: str) -> None:
    tables = {name: table for name, table in CORRECTION.tables.items() if name != missing}
    with pytest.raises(CorrectionError, match=f"{missing}.*derive it again"):
        StandardCorrection.from_tables(tables)


@pytest.mark.parametrize(
    ("pts", "factors", "complaint"),
    [
        ((), (), "at least one"),
        ((30.0,), (1.1, 1.2), "as many factors"),
        ((30.0, 30.0), (1.1, 1.2), "rise"),
        ((-1.0, 30.0), (1.1, 1.2), "positive"),
        ((30.0,), (float("nan"),), "positive numbers"),
        ((30.0,), (0.0,), "positive numbers"),
    ],
)
def test_senseless_curves_are_refused(pts: tuple[float, ...], factors: tuple[float, ...], complaint: str) -> None:
    with pytest.raises(CorrectionError, match=complaint):
        ResponseCurve(pts, factors)


@pytest.mark.parametrize("edges", [(0.1, 5.2), (0.0, 5.2, 3.0), (0.0,)])
def test_senseless_edges_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(CorrectionError, match="edges of the offset"):
        StandardCorrection(edges, (0.4,), (0.0, 2.0), (CURVE,), 30.0)


def test_an_offset_that_is_no_number_is_refused() -> None:
    with pytest.raises(CorrectionError, match="slopes"):
        StandardCorrection((0.0, 5.2), (float("inf"),), (0.0, 2.0), (CURVE,), 30.0)
