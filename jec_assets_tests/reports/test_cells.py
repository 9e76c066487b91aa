from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.evaluation.bins import Interval
from jec_assets.evaluation.number import Number
from jec_assets.reports.cells import Cell, parse_cell, parse_table
from jec_assets.reports.report import Table
from jec_assets.reports.text import count_text, interval_text, number_text, percent_text, value_text

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.234\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.005", {"value": "1.234", "uncertainty": "0.005"}),
        ("12,345", {"value": "12345"}),
        ("\N{MINUS SIGN}0.3", {"value": "-0.3"}),
        ("1e\N{MINUS SIGN}4", {"value": "1e-4"}),
        ("355.45k", {"value": "355.45e3"}),
        ("47.59M", {"value": "47.59e6"}),
        ("0.9 (n = 1)", {"value": "0.9", "note": "n = 1"}),
        ("30–100", {"low": "30", "high": "100"}),
        ("\N{MINUS SIGN}2.5–\N{MINUS SIGN}1.3", {"low": "-2.5", "high": "-1.3"}),
        ("≥\N{NO-BREAK SPACE}1000", {"low": "1000"}),
        ("<\N{NO-BREAK SPACE}30", {"high": "30"}),
        ("no jets", {"note": "no jets"}),
        ("2026-07-01 12:30", {"note": "2026-07-01 12:30"}),
        ("1,23", {"note": "1,23"}),
        ("–", {}),
        ("", {}),
    ],
)
def test_what_a_cell_means(text: str, parts: dict[str, str]):
    assert parse_cell(text) == Cell(text, **parts)
    assert parse_cell(text).parts == parts


@given(FINITE, st.floats(1e-6, 1e3))
def test_numbers_come_back_as_precisely_as_they_are_written(value: float, uncertainty: float):
    cell = parse_cell(number_text(Number(value, uncertainty, 10)))
    assert float(str(cell.value)) == pytest.approx(value, abs=uncertainty / 10)
    assert float(str(cell.uncertainty)) == pytest.approx(uncertainty, rel=0.06)


@given(FINITE)
def test_numbers_without_uncertainty_come_back(value: float):
    cell = parse_cell(number_text(Number(value, None, 1, "n = 1")))
    assert float(str(cell.value)) == pytest.approx(value, rel=1e-3)
    assert cell.note == "n = 1"
    assert float(str(parse_cell(value_text(value)).value)) == pytest.approx(value, rel=1e-2)


@given(st.integers(-(10**12), 10**12), st.floats(-10, 10))
def test_counts_and_shares_come_back(count: int, share: float):
    assert parse_cell(count_text(count)).value == str(count)
    assert float(str(parse_cell(percent_text(share)).value)) == pytest.approx(100 * share, abs=0.0051)


@given(st.integers(0, 9999), st.integers(1, 9999))
def test_intervals_come_back(low: int, width: int):
    cell = parse_cell(interval_text(Interval("", low, low + width)))
    assert (cell.low, cell.high) == (str(low), str(low + width))
    assert parse_cell(interval_text(Interval("", low, float("inf")))).parts == {"low": str(low)}


def test_a_column_is_of_what_its_cells_are_and_notes_do_not_count():
    table = Table(
        "T",
        ("Region", "pT", "x", "nothing"),
        (("barrel", "30–100", "no jets", "–"), ("endcap", "all", "1 ± 2", "–"), ("all", "≥ 100", "3", "–")),
    )
    columns, rows = parse_table(table)
    assert [column.kind for column in columns] == ["text", "interval", "number", "text"]
    assert [column.title for column in columns] == list(table.columns)
    assert rows[1][2] == Cell("1 ± 2", "1", "2")
