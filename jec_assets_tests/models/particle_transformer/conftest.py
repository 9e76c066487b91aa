"""What the tests of ParT share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jec_assets.training.reproducible import threads


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threads(1):
        yield
