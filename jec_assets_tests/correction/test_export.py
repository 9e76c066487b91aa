from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import correctionlib
import numpy as np
import pytest
from correctionlib import schemav2

from jec_assets.correction import Binning, Provenance, StandardCorrection, correctionlib_json, derive
from jec_assets_tests.correction.toy_response import toy_matched_jets

PROVENANCE = Provenance("a toy", 5_000, "none", {"numpy": "2"})


@pytest.fixture(scope="module")
def correction() -> StandardCorrection:
    return derive(toy_matched_jets(5_000), Binning(response_edges=(0.0, 1.3, 3.5), offset_edges=(0.0, 1.3, 3.5)))


def test_correctionlib_gives_the_same_factors(correction: StandardCorrection) -> None:
    evaluator = correctionlib.CorrectionSet.from_string(correctionlib_json(correction, PROVENANCE))
    rng = np.random.default_rng(0)
    raw_pt = np.exp(rng.uniform(np.log(5), np.log(7000), 20_000))
    eta, rho, area = rng.uniform(-5.5, 5.5, 20_000), rng.uniform(0, 60, 20_000), rng.uniform(0, 1, 20_000)
    theirs = evaluator.compound["L1L2L3"].evaluate(raw_pt, eta, rho, area)
    np.testing.assert_allclose(theirs, correction.factor(raw_pt, eta, rho, area), rtol=1e-6)


def test_a_file_serves_jagged_events(correction: StandardCorrection, tmp_path: Path) -> None:
    """As an analysis with awkward arrays does: flatten, evaluate, unflatten."""
    path = tmp_path / "correction.json"
    path.write_text(correctionlib_json(correction, PROVENANCE))
    raw_pt = ak.Array([[120.0, 45.0], [], [33.0]])
    eta, rho, area = ak.Array([[0.3, -2.1], [], [1.4]]), ak.Array([12.0, 9.0, 30.0]), ak.full_like(raw_pt, 0.5)
    flat = [ak.to_numpy(ak.flatten(each)) for each in (raw_pt, eta, ak.broadcast_arrays(rho, raw_pt)[0], area)]
    theirs = correctionlib.CorrectionSet.from_file(str(path)).compound["L1L2L3"].evaluate(*flat)
    np.testing.assert_allclose(theirs, correction.factor(*flat), rtol=1e-6)
    assert ak.num(ak.unflatten(theirs, ak.num(raw_pt))).to_list() == [2, 0, 1]


def test_correctionlib_agrees_on_edges_and_points(correction: StandardCorrection) -> None:
    evaluator = correctionlib.CorrectionSet.from_string(correctionlib_json(correction, PROVENANCE))
    for edge in (0.0, 1.3, 3.5, 5.0):
        pts = np.array(correction.response[0].pts)
        eta = np.full(len(pts), -edge)
        theirs = evaluator["L2L3"].evaluate(pts, eta)
        np.testing.assert_allclose(theirs, correction.response_factor(pts, np.abs(eta)), rtol=1e-6)


def test_the_file_is_valid_and_says_where_it_comes_from(correction: StandardCorrection) -> None:
    text = correctionlib_json(correction, PROVENANCE)
    content = schemav2.CorrectionSet.model_validate_json(text)
    assert content.schema_version == 2
    assert content.description is not None
    assert "particle-level pT >= 30 GeV; below, the response is held constant" in content.description
    provenance = json.loads(content.description[content.description.index("{") :])
    assert provenance == {
        "digest": correction.digest,
        "valid_from_gen_pt": 30.0,
        "source": "a toy",
        "jets": 5_000,
        "selection": "none",
        "versions": {"numpy": "2"},
    }


def test_the_same_tables_give_the_same_text(correction: StandardCorrection) -> None:
    assert correctionlib_json(correction, PROVENANCE) == correctionlib_json(correction, PROVENANCE)
