from __future__ import annotations

import pytest
from scipy.stats import beta

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, REGIONS
from jec_assets.evaluation.jets.dataset import BELOW_INTERVALS
from jec_assets.evaluation.number import Number
from jec_assets.reports.text import (
    ALL_OR_NONE,
    interval_text,
    listing,
    number_text,
    percent_text,
    shares_by_region,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "uncertainty", "scale", "text"),
    [
        (0.076054, 0.000383, 1, "0.07605 ± 0.00038"),
        (0.2345, 0.0321, 100, "23.4 ± 3.2"),
        (-0.04, 0.2, 100, "−4 ± 20"),
        (1234.5, 321.0, 1, "1234 ± 321"),
        (1.0, 0.0, 1, "1 ± 0"),
        (0.123456, None, 1, "0.1235 (n = 1)"),
    ],
)
def test_numbers(value: float, uncertainty: float | None, scale: float, text: str):
    number = Number(value, uncertainty, 1, "" if uncertainty is not None else "n = 1")
    assert number_text(number, scale) == text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")


def test_a_number_that_is_missing_says_why():
    assert number_text(Number.missing(0, "no jets"), 100) == "no jets"


def test_shares_and_values():
    assert [percent_text(share) for share in (0.0752, -0.001, None)] == ["7.52", "−0.10", "–"]
    assert [value_text(value) for value in ("Adam", 12345, 0.00108, 1e-5)] == ["Adam", "12,345", "0.00108", "1e−5"]


def test_intervals_and_lists():
    texts = [
        interval_text(interval).replace("\N{NO-BREAK SPACE}", " ") for interval in (BELOW_INTERVALS, *GEN_PT_INTERVALS)
    ]
    assert texts == ["< 30", "30–100", "100–300", "300–1000", "≥ 1000"]
    assert [listing(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_shares_are_told_region_by_region():
    alone, none = Number(0.5, None, 1, "n = 1"), Number.missing(0, "no jets")
    shares = [(REGIONS[0], "pfn", alone), (REGIONS[0], "standard", none), (REGIONS[1], "pfn", alone)]
    assert shares_by_region(shares) == (
        "barrel: PFN 50 (n = 1) %, Standard correction no jets; endcap: PFN 50 (n = 1) %"
    )
    assert shares_by_region([]) == ""


@pytest.mark.parametrize("jets", [500, 1000, 100_000])
def test_the_limit_on_a_share_of_none_of_the_jets_is_that_of_a_binomial_distribution(jets: int):
    limit = beta.ppf(0.68, 1, jets)  # Clopper and Pearson's upper limit for 0 of n
    assert f"{limit * jets:.2f} / n" in ALL_OR_NONE
