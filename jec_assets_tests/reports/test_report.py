from __future__ import annotations

import pytest

from jec_assets.reports.report import NOTHING, ReportError, Table, nested


def test_a_row_of_another_width_is_refused():
    with pytest.raises(ReportError, match="'Losses' has 2 columns, but a row of 1 cells"):
        Table("Losses", ("a", "b"), (("1",),))


def test_columns_without_content_go_but_names_of_rows_stay():
    table = Table("T", ("name", "x", "y"), ((NOTHING, NOTHING, "1"), (NOTHING, NOTHING, NOTHING)), ("note",))
    kept = table.without_empty_columns()
    assert kept == Table("T", ("name", "y"), ((NOTHING, "1"), (NOTHING, NOTHING)), ("note",))


def test_nested():
    assert nested([(("a", "b"), 1), (("a", "c"), None), (("d",), "x")]) == {"a": {"b": 1, "c": None}, "d": "x"}
    with pytest.raises(ReportError, match="a/b lies below a number"):
        nested([(("a",), 1), (("a", "b"), 2)])
