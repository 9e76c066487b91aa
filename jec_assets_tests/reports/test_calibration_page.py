from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jec_assets.reports.calibration_page import CalibrationPage, page_numbers, publish_page
from jec_assets.reports.rendering import content_security_policy, render
from jec_assets.reports.report import Report, ReportError
from jec_assets.reports.sources import page_reports
from jec_assets.storage import Storage, digest_bytes
from jec_assets_tests.reports.html_page import Element, parse
from jec_assets_tests.reports.pages import NOW, page_of

SECTIONS = ["comparison", *page_reports(alternative=True), "served", "history", "provenance"]

URL_ATTRIBUTES = ("src", "href", "xlink:href", "srcset", "action", "poster", "data")


@pytest.fixture(scope="module")
def page(reports: dict[str, Report]) -> CalibrationPage:
    return page_of(reports.values())


def html_of(page: CalibrationPage) -> str:
    return render(page, page.outcome, NOW, ())


@pytest.fixture(scope="module")
def html(page: CalibrationPage) -> str:
    return html_of(page)


@pytest.fixture(scope="module")
def root(html: str) -> Element:
    return parse(html)


def test_sections_come_in_the_order_of_the_reports_with_provenance_last(root: Element):
    assert [section.attributes["id"] for section in root.all("section")] == SECTIONS
    assert [link.attributes["href"] for link in root.all("nav")[0].all("a")] == [f"#{name}" for name in SECTIONS]


def test_every_report_begins_with_its_summary(root: Element, page: CalibrationPage):
    for report, section in zip(page.reports, root.all("section"), strict=False):
        assert section.all("p")[0].words() == report.summary


def test_each_network_has_a_card_with_its_headline_numbers(root: Element, page: CalibrationPage):
    cards = root.all("article")
    assert [card.all("h2")[0].words().split()[0] for card in cards] == ["PFN", "ParticleNet"]
    assert "version 3" in cards[1].words()
    gain = 100 * page.reports[1].numbers["gain"]["pfn"]["standard"]["value"]
    assert float(cards[0].all("p")[0].words().split()[0]) == pytest.approx(gain, abs=0.05)
    assert len(cards[0].all("tr")) == 3


def test_every_figure_is_there_with_words_for_those_who_do_not_see_it(root: Element, page: CalibrationPage):
    expected = {f"{report.name}-{figure.name}": figure for report in page.reports for figure in report.figures}
    figures = root.all("figure")
    assert [each.attributes["id"] for each in figures] == list(expected)
    for each in figures:
        figure = expected[each.attributes["id"]]
        (svg,) = each.all("svg")
        assert (svg.attributes["role"], svg.attributes["aria-label"]) == ("img", f"{figure.title}. {figure.alt}")
        assert "viewbox" in svg.attributes
        assert len(each.all("path")) > 10
        assert each.all("figcaption")[0].words() == figure.title


def test_every_table_is_there_cell_by_cell(root: Element, page: CalibrationPage):
    expected = [table for report in page.reports for table in report.tables]
    tables = [table for section in root.all("section") for table in section.all("table")][: len(expected)]
    titles = {each.attributes["id"]: each.words() for each in root.everything() if "id" in each.attributes}
    for table, element in zip(expected, tables, strict=True):
        assert titles[element.attributes["aria-labelledby"]] == table.title
        rows = [[*row.all("th"), *row.all("td")] for row in element.all("tr")]
        assert tuple(cell.text for cell in rows[0]) == table.columns
        assert tuple(tuple(cell.text for cell in row) for row in rows[1:]) == table.rows


def test_long_tables_are_folded_but_for_a_reports_first(root: Element, page: CalibrationPage):
    long = [table.title for report in page.reports for table in report.tables[1:] if len(table.rows) > 24]
    assert len(page.reports[0].tables[0].rows) > 24
    assert long
    folded = [each for section in root.all("section")[:-3] for each in section.all("details")]
    assert [each.all("span")[0].text for each in folded] == long


def test_the_provenance_of_the_page_and_of_each_report_is_there_to_unfold(root: Element, page: CalibrationPage):
    folded = {each.all("summary")[0].words(): each.words() for each in root.all("section")[-1].all("details")}
    assert list(folded) == ["Versions", "Settings", *(f"Sources of {each.title}" for each in page.reports)]
    assert "torch 2.13.0" in " ".join(folded["Versions"].split())
    assert "code of flavor" in folded["Sources of Flavor dependence"]
    assert "particle_net def" in " ".join(folded["Sources of Flavor dependence"].split())


def test_ids_are_unique_and_every_reference_has_its_target(html: str, root: Element):
    ids = [each.attributes["id"] for each in root.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids)) > 100
    referred = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html))
    assert referred
    assert {first or second for first, second in referred} <= set(ids)


def test_figures_of_one_name_in_two_reports_keep_their_ids_apart(page: CalibrationPage):
    one, other = page.reports[2], page.reports[4]
    same = replace(other, figures=tuple(replace(figure, name=one.figures[0].name) for figure in other.figures[:1]))
    root = parse(html_of(replace(page, reports=(*page.reports[:4], same))))
    ids = [each.attributes["id"] for each in root.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids)) > 100


def test_nothing_is_asked_of_another_host(html: str, root: Element):
    for element in root.everything():
        assert element.tag not in ("link", "iframe", "object", "embed")
        for name in URL_ATTRIBUTES:
            assert element.attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "://" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_only_the_page_s_own_style_and_script_may_be_used(root: Element):
    (style,), (script,) = root.all("style"), root.all("script")
    policies = [each for each in root.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert [each.attributes["content"] for each in policies] == [content_security_policy(style.text, script.text)]
    assert "default-src 'none'" in policies[0].attributes["content"]
    assert "unsafe" not in policies[0].attributes["content"]
    for element in root.everything():
        assert not {name for name in element.attributes if name == "style" or name.startswith("on")}


def test_what_others_wrote_is_escaped(html: str):
    assert "&lt;by far&gt;" in html
    assert "<by far>" not in html
    assert "data &amp; more" in html


def test_published_numbers_are_marked(root: Element):
    for section in root.all("section"):
        if "Published" in section.words():
            assert "not comparable: " in section.words()


def test_promotion_is_told(root: Element):
    rows = [" ".join(row.words().split()) for row in root.all("section")[-3].all("tr")]
    assert rows[1] == "PFN 1 promoted: nothing is served yet"
    assert rows[2].startswith("ParticleNet 3 refused, the earlier version stays (the figures above")


def test_numbers(page: CalibrationPage):
    numbers = json.loads(json.dumps(page_numbers(page), allow_nan=False))
    assert set(numbers["loss"]) == {"standard", "constant", "kinematics", "pfn", "particle_net"}
    assert all(isinstance(loss, float) for loss in numbers["loss"].values())
    assert numbers["splits"] == {"train": 3000, "validation": 900, "test": 4000}
    assert numbers["versions"]["torch"] == "2.13.0"
    assert numbers["promotion"]["particle_net"]["promoted"] is False
    assert set(numbers["latency"]["headline"]["pfn"]) == {"http", "grpc", "in_process"}
    assert numbers["flavor"]["alpha"]["pfn"]["barrel"][">30"]["n"] > 1000
    assert numbers["resolution"]["intervals"]["beta"]["pfn"]["endcap"]["30-100"]["uncertainty"] > 0
    assert numbers["search"]["pfn"]["chosen"] == 0
    assert numbers["complexity"]["pfn"]["parameters"] == 355_351


def test_two_reports_may_not_claim_the_same_numbers(page: CalibrationPage):
    twice = replace(page, reports=(*page.reports, page.reports[1]))
    with pytest.raises(ReportError, match="'loss' has numbers under 'loss'"):
        page_numbers(twice)


def test_versions_are_required(page: CalibrationPage):
    with pytest.raises(ReportError, match="no section `versions`"):
        page_numbers(replace(page, provenance={}))


def test_published_page_and_numbers(page: CalibrationPage, html: str, storage: Storage):
    published = publish_page(storage, page, NOW)
    assert Path(published.page.uri).read_text() == html
    assert storage.read_json(published.numbers.key)["page_digest"] == digest_bytes(html.encode())
    assert storage.exists(f"reports/objects/{digest_bytes(html.encode())}.html")


def test_publishing_the_same_page_later_changes_nothing(page: CalibrationPage, storage: Storage):
    published = publish_page(storage, page, NOW)
    objects = storage.list("reports/objects")
    assert publish_page(storage, page, NOW + timedelta(days=3)) == published
    assert storage.list("reports/objects") == objects


def test_the_page_shows_the_versions_before_it(page: CalibrationPage, storage: Storage):
    first = publish_page(storage, page, NOW)
    promoted = replace(page, served=(replace(page.served[0], version=2), page.served[1]))
    publish_page(storage, promoted, NOW + timedelta(days=3))
    section = parse(storage.read_bytes("reports/calibration.html").decode()).all("section")[-2]
    cells = [[cell.text for cell in (*row.all("th"), *row.all("td"))] for row in section.all("tr")[1:]]
    assert [row[:3] for row in cells] == [
        ["2026-07-04 12:30", "PFN", "2"],
        ["2026-07-04 12:30", "ParticleNet", "3"],
        ["2026-07-01 12:30", "PFN", "1"],
        ["2026-07-01 12:30", "ParticleNet", "3"],
    ]
    assert [row[-1] for row in cells] == ["this page"] * 2 + [first.page.digest[:8]] * 2
    assert cells[0][4] == cells[2][4]


def test_versions_of_another_experiment_are_not_among_them(page: CalibrationPage, storage: Storage):
    publish_page(storage, page, NOW)
    elsewhere = replace(page, experiment="other_loss")
    publish_page(storage, elsewhere, NOW + timedelta(days=1))
    publish_page(storage, replace(elsewhere, served=(page.served[1],)), NOW + timedelta(days=2))
    section = parse(storage.read_bytes("reports/calibration.html").decode()).all("section")[-2]
    dates = [row.all("th")[0].text for row in section.all("tr")[1:]]
    assert dates == [*["2026-07-03 12:30"] * 2, *["2026-07-02 12:30"] * 2]


def test_the_numbers_are_written_last(page: CalibrationPage, storage: Storage, monkeypatch: pytest.MonkeyPatch):
    written: list[str] = []
    original = Storage.publish_bytes

    def note(self: Storage, key: str, data: bytes) -> object:
        written.append(key)
        return original(self, key, data)

    monkeypatch.setattr(Storage, "publish_bytes", note)
    publish_page(storage, page, NOW)
    assert [key for key in written if "/objects/" not in key] == [
        "reports/calibration.html",
        "reports/history/default.json",
        "reports/calibration.json",
    ]
    assert all("/objects/" in key for key in written[:2])
