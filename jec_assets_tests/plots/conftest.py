"""What the tests of figures share: comparing with stored pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from jec_assets_tests.plots.pictures import BASELINES, UPDATE_OPTION, CheckPicture, Pictures


@pytest.fixture
def check_picture(request: pytest.FixtureRequest, tmp_path: Path) -> CheckPicture:
    """`check_picture(figure, name)` fails where the figure does not look like `baselines/<name>.png`."""
    return Pictures(BASELINES, tmp_path / "pictures", update=bool(request.config.getoption(UPDATE_OPTION))).check
