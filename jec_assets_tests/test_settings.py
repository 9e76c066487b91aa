"""Settings: profiles give defaults, variables win, nonsense is refused."""

import pytest
from pydantic import ValidationError

from jec_assets.jets.features import FEATURE_SETS
from jec_assets.models.families import FAMILIES
from jec_assets.settings import PROFILES, Settings


def test_fast_is_the_default_and_bounded() -> None:
    settings = Settings()
    assert settings.profile == "fast"
    assert settings.trials == 3
    assert settings.max_training_jets == 20_000


def test_full_is_the_published_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_PROFILE", "full")
    settings = Settings()
    assert (settings.trials, settings.epochs, settings.batch_size) == (60, 50, 500)
    assert settings.max_training_jets is None


def test_a_variable_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_PROFILE", "full")
    monkeypatch.setenv("JEC_TRIALS", "7")
    monkeypatch.setenv("JEC_SOURCE", "")  # set but empty, as make passes it on: as if unset
    settings = Settings()
    assert settings.trials == 7
    assert settings.epochs == 50
    assert settings.source == "var/simulated_jets"


def test_defaults_name_what_exists() -> None:
    settings = Settings()
    assert settings.feature_set in FEATURE_SETS
    assert set(settings.families) <= set(FAMILIES)
    for profile in PROFILES.values():
        assert set(profile) <= set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "value"), [("JEC_TRIALS", "0"), ("JEC_PROFILE", "huge"), ("JEC_ENDPOINT", "moon"), ("JEC_BATCH_SIZE", "1")]
)
def test_nonsense_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("JEC_").lower()):
        Settings()
