from __future__ import annotations

import json

import numpy as np
import pytest

from jec_assets.evaluation.number import Number


def test_value_and_spread_of_the_resamples():
    number = Number.of(np.array([5.0, 4.0, 6.0, 5.0]), 10)
    assert number.value == 5.0
    assert number.uncertainty == pytest.approx(1.0)  # of 4, 6, 5 with one degree of freedom less
    assert number.note == ""


def test_no_jets_and_one_jet_say_so():
    assert Number.of(np.array([np.nan, np.nan]), 0) == Number(None, None, 0, "no jets")
    assert Number.of(np.array([1.5, 1.5, 1.5]), 1) == Number(1.5, None, 1, "n = 1")


def test_undefined_statistics_are_missing_not_nan():
    assert Number.of(np.array([np.nan, 1.0, 2.0]), 7) == Number(None, None, 7, "n = 7: undefined")
    assert Number.of(np.array([np.inf, 1.0, 2.0]), 7).value is None


def test_resamples_without_the_group_do_not_count():
    number = Number.of(np.array([1.0, np.nan, 0.0, 2.0]), 2)
    assert number.uncertainty == pytest.approx(np.sqrt(2))
    assert Number.of(np.array([1.0, np.nan, np.nan, 2.0]), 2) == Number(1.0, None, 2, "n = 2: too few events")


def test_a_spread_that_is_rounding_alone_is_0():
    samples = np.array([0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3])
    assert np.std(samples[1:]) > 0
    assert Number.of(samples, 4).uncertainty == 0


def test_json_holds_everything():
    assert json.loads(json.dumps(Number(1.0, None, 1, "n = 1").as_json())) == {
        "value": 1.0,
        "uncertainty": None,
        "n": 1,
        "note": "n = 1",
    }


@pytest.mark.parametrize("number", [Number(0.1, 0.01, 5), Number(1.0, None, 1, "n = 1"), Number.missing(0, "no jets")])
def test_json_comes_back(number: Number):
    assert Number.from_json(json.loads(json.dumps(number.as_json()))) == number


@pytest.mark.parametrize("entry", [{}, {"value": "1", "uncertainty": None, "n": 1, "note": ""}])
def test_other_json_is_refused(entry: dict[str, object]):
    with pytest.raises(ValueError, match="is no number with an uncertainty"):
        Number.from_json(entry)
