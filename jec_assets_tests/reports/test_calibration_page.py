from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.reports.calibration_page import CalibrationPage, page_numbers, publish_page, render_page
from jec_assets.reports.report import ReportError
from jec_assets.storage import Storage, digest_bytes
from jec_assets_tests.reports.conftest import NAMES
from jec_assets_tests.reports.html_page import Element, parse

URL_ATTRIBUTES = ("src", "href", "xlink:href", "srcset", "action", "poster", "data")


@pytest.fixture(scope="module")
def html(page: CalibrationPage) -> str:
    return render_page(page)


@pytest.fixture(scope="module")
def root(html: str) -> Element:
    return parse(html)


def test_sections_come_in_the_order_of_the_reports_with_provenance_last(root: Element):
    assert [section.attributes["id"] for section in root.all("section")] == [*NAMES, "served", "provenance"]
    links = [link.attributes["href"] for link in root.all("nav")[0].all("a")]
    assert links == [f"#{name}" for name in (*NAMES, "served", "provenance")]


def test_the_loss_against_every_baseline_is_the_first_thing_said(root: Element, page: CalibrationPage):
    first = root.all("section")[0].all("p")[0].words()
    assert first == page.reports[0].summary
    for words in ("PFN's loss", "ParticleNet's loss", "standard correction", "constant shift", "(log pT, eta)"):
        assert words in first


def test_every_figure_is_there_with_words_for_those_who_do_not_see_it(root: Element, page: CalibrationPage):
    expected = {f"{report.name}-{figure.name}": figure for report in page.reports for figure in report.figures}
    figures = root.all("figure")
    assert [each.attributes["id"] for each in figures] == list(expected)
    for each in figures:
        figure = expected[each.attributes["id"]]
        assert each.attributes["aria-label"] == f"{figure.title}. {figure.alt}"
        assert len(each.all("path")) > 10
        assert "viewbox" in each.all("svg")[0].attributes


def test_every_table_is_there_cell_by_cell(root: Element, page: CalibrationPage):
    expected = [table for report in page.reports for table in report.tables]
    tables = root.all("table")[: len(expected)]
    for table, element in zip(expected, tables, strict=True):
        assert element.all("caption")[0].words() == table.title
        rows = [[*row.all("th"), *row.all("td")] for row in element.all("tr")]
        assert tuple(cell.text for cell in rows[0]) == table.columns
        assert tuple(tuple(cell.text for cell in row) for row in rows[1:]) == table.rows


def test_long_tables_are_folded(root: Element, page: CalibrationPage):
    long = [table.title for report in page.reports for table in report.tables if len(table.rows) > 12]
    assert long
    assert [each.all("caption")[0].text for each in root.all("details")] == long


def test_ids_are_unique_and_every_reference_has_its_target(html: str, root: Element):
    ids = [each.attributes["id"] for each in root.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids)) > 100
    referred = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', html))
    assert referred
    assert {first or second for first, second in referred} <= set(ids)


def test_figures_of_one_name_in_two_reports_keep_their_ids_apart(page: CalibrationPage):
    one, other = page.reports[1], page.reports[2]
    same = replace(other, figures=tuple(replace(figure, name=one.figures[0].name) for figure in other.figures[:1]))
    root = parse(render_page(replace(page, reports=(one, same))))
    ids = [each.attributes["id"] for each in root.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids)) > 100


def test_nothing_is_asked_of_another_host(html: str, root: Element):
    for element in root.everything():
        assert element.tag not in ("script", "link", "iframe", "object", "embed")
        for name in URL_ATTRIBUTES:
            assert element.attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "://" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_what_others_wrote_is_escaped(html: str):
    assert "&lt;by far&gt;" in html
    assert "<by far>" not in html
    assert "data &amp; more" in html


def test_published_numbers_are_marked(root: Element):
    for section in root.all("section"):
        if "Published" in section.words():
            assert "not comparable: " in section.words()


def test_promotion_is_told(root: Element):
    rows = [row.words() for row in root.all("section")[-2].all("tr")]
    assert rows[1] == "PFN 1 promoted: nothing is served yet"
    assert rows[2].startswith("ParticleNet 3 refused, the earlier version stays (the figures above")


def test_numbers(page: CalibrationPage):
    numbers = json.loads(json.dumps(page_numbers(page), allow_nan=False))
    assert set(numbers["loss"]) == {"standard", "constant", "kinematics", "pfn", "particle_net"}
    assert all(isinstance(loss, float) for loss in numbers["loss"].values())
    assert numbers["splits"] == {"train": 3000, "validation": 900, "test": 4000}
    assert numbers["versions"]["torch"] == "2.13.0"
    assert numbers["promotion"]["particle_net"]["promoted"] is False
    assert set(numbers["latency"]["headline"]["pfn"]) == {"http", "grpc"}
    assert numbers["flavor"]["alpha"]["pfn"]["barrel"][">30"]["n"] > 1000
    assert numbers["resolution"]["intervals"]["beta"]["pfn"]["endcap"]["30-100"]["uncertainty"] > 0
    assert numbers["search"]["pfn"]["chosen"] == 0
    assert numbers["complexity"]["pfn"]["parameters"] == 355_351


def test_two_reports_may_not_claim_the_same_numbers(page: CalibrationPage):
    twice = replace(page, reports=(*page.reports, page.reports[0]))
    with pytest.raises(ReportError, match="'loss' has numbers under 'loss'"):
        page_numbers(twice)


def test_versions_are_required(page: CalibrationPage):
    with pytest.raises(ReportError, match="no section `versions`"):
        page_numbers(replace(page, provenance={}))


def test_published_page_and_numbers(page: CalibrationPage, html: str, tmp_path: Path):
    storage = Storage(str(tmp_path))
    published = publish_page(storage, page)
    assert Path(published.page.uri).read_text() == html
    assert storage.read_json(published.numbers.key)["page_digest"] == digest_bytes(html.encode())
    assert storage.exists(f"reports/objects/{digest_bytes(html.encode())}.html")
    assert publish_page(storage, page) == published


@pytest.mark.needs("chromium")
def test_a_browser_shows_it_without_a_complaint(page: CalibrationPage, tmp_path: Path):
    published = publish_page(Storage(str(tmp_path)), page)
    command = [str(shutil.which("chromium")), "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=400,3000", "--enable-logging=stderr"]
    shot = tmp_path / "page.png"
    command += [f"--screenshot={shot}", Path(published.page.uri).as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    assert shot.stat().st_size > 20_000
