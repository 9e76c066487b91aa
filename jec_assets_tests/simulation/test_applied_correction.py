from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jec_assets.correction import CorrectionFile, Provenance, StandardCorrection, correctionlib_json
from jec_assets.simulation import InvalidPlanError, SimulationPlan


@pytest.fixture
def path(correction: StandardCorrection, tmp_path: Path) -> Path:
    """A correction as a sample ships it."""
    file = tmp_path / "standard_correction.json"
    file.write_text(correctionlib_json(correction, Provenance("a test", 1, "none", {})))
    return file


def test_a_file_gives_the_factors_of_the_tables(correction: StandardCorrection, path: Path) -> None:
    jets = ([40.0, 90.0], [0.3, -2.7], [20.0, 25.0], [0.5, 0.55])
    np.testing.assert_allclose(CorrectionFile.read(path).factor(*jets), correction.factor(*jets), rtol=1e-6)


@pytest.mark.parametrize("content", [None, "no JSON", '{"schema_version": 2, "corrections": []}'])
def test_another_file_is_refused_with_its_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "else.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidPlanError, match=r"else\.json is no standard correction"):
        SimulationPlan(10, tmp_path, correction=path)


def test_the_recipe_knows_the_file_by_its_content(path: Path) -> None:
    plan, copy = SimulationPlan(10, Path(), correction=path), path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    assert SimulationPlan(10, Path(), correction=copy).recipe == plan.recipe
    assert plan.recipe != SimulationPlan(10, Path()).recipe
    assert "correction" not in SimulationPlan(10, Path()).recipe
