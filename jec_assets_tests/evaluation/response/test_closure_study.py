from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.response.closure_study import study_closure
from jec_assets_tests.evaluation.regressions import perfect_regression, scaled, some

# Ten times as many jets to derive from as to judge: what the gate allows for is the noise of the judged jets alone.
VALIDATION, TEST = perfect_regression(400_000, seed=4), perfect_regression(seed=3)
DRAWS = Resampling().draws(TEST.event)


def test_both_sides_of_a_biased_network():
    study = study_closure(scaled(TEST, 1.04), scaled(VALIDATION, 1.04), DRAWS)
    assert study.alone.verdicts["pfn"].outcome == "failed"
    assert study.with_residual.verdicts["pfn"].outcome == "passed"
    before, after = study.alone.losses["pfn"], study.with_residual.losses["pfn"]
    assert before.value == pytest.approx(jet_losses(TEST.target, scaled(TEST, 1.04).log_factors["pfn"]).mean())
    assert after.value < before.value
    assert study.with_residual.losses["standard"] == study.alone.losses["standard"]
    residual = study.residuals["pfn"]
    beyond = residual.held(np.exp(scaled(TEST, 1.04).log_factors["pfn"]) * TEST.jet_pt, TEST.abs_eta)
    assert study.held["pfn"].value == pytest.approx(beyond.mean())


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_told(jets: int):
    study = study_closure(some(TEST, slice(jets)), some(VALIDATION, slice(jets)), DRAWS[:, :jets])
    assert study.alone.losses["pfn"].note in ("no jets", "n = 1")
    assert study.held["pfn"].note in ("no jets", "n = 1")
    assert study.alone.verdicts["pfn"].judged == 0
