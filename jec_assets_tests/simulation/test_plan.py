from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.simulation import InvalidPlanError, SimulationPlan, UnknownTuneError
from jec_assets.simulation.plan import shares

PLAN = SimulationPlan(jets=3000, folder=Path("jets"))


@given(st.integers(1, 100_000), st.integers(1, 5_000))
def test_shares_add_up(total: int, largest: int) -> None:
    found = shares(total, largest)
    assert sum(found) == total
    assert all(share == largest for share in found[:-1])
    assert 0 < found[-1] <= largest


def test_there_is_a_file_for_each_share() -> None:
    assert PLAN.file_sizes == (1250, 1250, 500)
    assert PLAN.file_names == ("jets_0000.root", "jets_0001.root", "jets_0002.root")


def test_the_recipe_does_not_depend_on_where_and_how_fast() -> None:
    elsewhere = dataclasses.replace(PLAN, folder=Path("elsewhere"), jobs=7)
    assert elsewhere.recipe == PLAN.recipe
    assert dataclasses.replace(PLAN, candidates="square").recipe != PLAN.recipe


def test_seeds_and_tunes_have_runs_of_their_own() -> None:
    plans = [SimulationPlan(10, Path(), seed=seed, tune=tune) for seed in range(50) for tune in ("cuetp8m1", "a14")]
    runs = {plan.run for plan in plans}
    assert len(runs) == 100
    assert all(0 < run < 2**31 for run in runs)


@pytest.mark.parametrize(
    ("field", "value"),
    [("jets", 0), ("jobs", 0), ("seed", -1), ("jets_per_file", 0), ("derivation_jets", 0), ("pileup_collisions", 0)],
)
def test_a_field_out_of_range_is_named(field: str, value: int) -> None:
    with pytest.raises(InvalidPlanError, match=f"{field} must be at least"):
        SimulationPlan(**{"jets": 10, "folder": Path(), field: value})


def test_unknown_words_are_refused() -> None:
    with pytest.raises(UnknownTuneError):
        dataclasses.replace(PLAN, tune="herwig")
    with pytest.raises(InvalidPlanError, match="'members' or 'square'"):
        dataclasses.replace(PLAN, candidates="all")  # type: ignore[arg-type]
