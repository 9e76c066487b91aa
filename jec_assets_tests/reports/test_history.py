from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jec_assets.evaluation.number import Number
from jec_assets.reports.history import (
    HISTORIES,
    Outcome,
    Version,
    history_table,
    load_versions,
    publish_history,
    publish_version,
    version_keys,
)
from jec_assets.reports.report import ReportError
from jec_assets.storage import Storage
from jec_assets_tests.reports.pages import NOW

OUTCOME = Outcome(
    {"particle_net": 3, "gone": 1},
    {
        "particle_net": {"loss": Number(0.0712, 0.0004, 1200), "gain": Number(0.123, 0.004, 1200)},
        "gone": {"loss": Number.missing(0, "no jets")},
    },
)
VERSION = Version(OUTCOME, NOW, "0123456789abcdef")

NUMBERS = (
    "0.07120\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.00040",
    "12.30\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.40",
    *"––––",
)


def test_versions_come_back_in_their_order(storage: Storage):
    assert version_keys(storage, "default") == []
    later = replace(VERSION, published=NOW + timedelta(hours=1))
    publish_history(storage, "default", [publish_version(storage, each) for each in (VERSION, later)])
    versions = load_versions(storage, version_keys(storage, "default"))
    assert versions == (VERSION, later)
    assert list(versions[0].outcome.headlines) == ["particle_net", "gone"]


def test_the_history_knows_a_version_only_when_it_is_told(storage: Storage):
    publish_version(storage, VERSION)
    assert version_keys(storage, "default") == []


@pytest.mark.parametrize("entry", [{}, [], {"headlines": {"pfn": {"loss": {}}}}, {"headlines": {"pfn": 3}}])
def test_what_is_no_version_is_named_with_the_remedy(storage: Storage, entry: object):
    storage.publish_json("reports/objects/x.json", entry)
    with pytest.raises(ReportError, match=rf"objects/x\.json is no version of the page.*{HISTORIES}"):
        load_versions(storage, ["reports/objects/x.json"])


def test_the_table_begins_with_this_page_and_says_what_is_missing():
    ours = Outcome({"particle_net": 4}, {"particle_net": OUTCOME.headlines["particle_net"]})
    table = history_table(ours, NOW + timedelta(days=1), [VERSION])
    assert table.rows == (
        ("2026-07-02 12:30", "ParticleNet", "4", "1,200", *NUMBERS, "this page"),
        ("2026-07-01 12:30", "ParticleNet", "3", "1,200", *NUMBERS, "01234567"),
        ("2026-07-01 12:30", "gone", "1", "0", "no jets", *"–––––", "01234567"),
    )
