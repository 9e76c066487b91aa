from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.reports.publishing import load, publish
from jec_assets.reports.report import Report, ReportError, ReportFigure, Table
from jec_assets.storage import ArtifactMissingError, Storage

REPORT = Report(
    "resolution",
    "Resolution",
    "It is β.",
    (Table("A table", ("a", "b"), (("1", "2"), ("3", "no jets")), ("A note",), labels=1),),
    (ReportFigure("barrel", "Barrel", "Points", b"<svg/>", b"\x89PNG"),),
    {"resolution": {"pfn": 0.1, "nothing": None}},
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_a_report_comes_back_as_it_was(storage: Storage):
    artifact = publish(storage, REPORT, {"jets": "abc"})
    published = load(storage, "resolution")
    assert published.report == REPORT
    assert published.provenance == {"jets": "abc"}
    assert published.digest == artifact.digest


def test_the_digest_follows_the_content_and_only_the_content(storage: Storage):
    first = publish(storage, REPORT, {"jets": "abc"})
    assert publish(storage, REPORT, {"jets": "other"}).digest == first.digest
    figure = replace(REPORT.figures[0], svg=b"<svg></svg>")
    assert publish(storage, replace(REPORT, figures=(figure,)), {}).digest != first.digest


def test_the_pointer_is_written_last(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    publish(storage, REPORT, {})
    written: list[str] = []
    original = Storage.publish_bytes

    def note(self: Storage, key: str, data: bytes) -> object:
        written.append(key)
        return original(self, key, data)

    monkeypatch.setattr(Storage, "publish_bytes", note)
    publish(storage, replace(REPORT, summary="Other", figures=(replace(REPORT.figures[0], svg=b"<svg> </svg>"),)), {})
    assert [Path(key).suffix for key in written] == [".svg", ".json", ".json"]
    assert written[-1] == "reports/resolution.json"


def test_a_report_that_was_never_made(storage: Storage):
    with pytest.raises(ArtifactMissingError, match=r"reports/flavor\.json"):
        load(storage, "flavor")


@pytest.mark.parametrize("pointer", [{}, {"key": "reports/half.json"}, []])
def test_a_pointer_that_is_none(storage: Storage, pointer: object):
    storage.publish_json("reports/flavor.json", pointer)
    storage.publish_json("reports/half.json", {"name": "flavor"})
    with pytest.raises(ReportError, match="materialize flavor_report again"):
        load(storage, "flavor")


def test_numbers_that_are_none_are_refused(storage: Storage):
    with pytest.raises(ValueError, match="JSON compliant"):
        publish(storage, replace(REPORT, numbers={"beta": float("nan")}), {})
    assert not storage.exists("reports/resolution.json")
