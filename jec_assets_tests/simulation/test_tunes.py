from __future__ import annotations

import pytest

from jec_assets.simulation import NOMINAL_TUNE, TUNES, UnknownTuneError
from jec_assets.simulation.tunes import tune_named


def test_tunes_are_found_by_name() -> None:
    assert tune_named(NOMINAL_TUNE).name == NOMINAL_TUNE
    assert all(tune_named(name).name == name for name in TUNES)


def test_there_is_an_alternative_with_a_reason() -> None:
    assert len(TUNES) >= 2
    assert all(tune.reason and tune.settings for tune in TUNES.values())


def test_an_unknown_tune_lists_the_known_ones() -> None:
    with pytest.raises(UnknownTuneError, match=r"'cp5'.*cuetp8m1.*monash"):
        tune_named("cp5")
