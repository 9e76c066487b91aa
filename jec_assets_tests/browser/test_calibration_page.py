"""The calibration page in a real browser, opened from a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from jec_assets.reports.sources import page_reports
from jec_assets_tests.browser.conftest import WIDTHS, View
from jec_assets_tests.browser.pages import CELLS, LONG, publish_sample, publish_tables

pytestmark = pytest.mark.needs("chromium")

# Luminances of text and of the ground behind it, and their ratio (WCAG 2.2), for every text that can be seen.
CONTRASTS = """() => {
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parts(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && [...each.childNodes].some((c) => c.nodeType === 3 && c.data.trim()))
    .filter((each) => !["SCRIPT", "STYLE"].includes(each.tagName))
    .map((each) => {
      const [low, high] = [parts(getComputedStyle(each).color), ground(each)].map(luminance).sort((a, b) => a - b);
      return [each.textContent.slice(0, 40), (high + 0.05) / (low + 0.05)];
    });
}"""
# Tables that stick out of their box, of those that are printed on such a sheet.
TOO_WIDE = """(across) => [...document.querySelectorAll("section table")]
  .filter((table) => Boolean(table.closest("section").querySelector(".wide")) === across)
  .filter((table) => table.offsetWidth > document.body.clientWidth)
  .map((table) => table.textContent.slice(0, 60))"""
# How wide the pictures inside a figure are, once decoded; it fails where one cannot be, or may not be under the policy.
WIDTHS_DECODED = """(figure) => Promise.all([...figure.querySelectorAll("image")].map(async (each) => {
  const picture = new Image();
  picture.src = each.href.baseVal;
  await picture.decode();
  return picture.naturalWidth;
}))"""
HIDE_PICTURES = (
    """(figure) => figure.querySelectorAll("image").forEach((each) => { each.style.visibility = "hidden"; })"""
)
PIXELS_PER_MM = 96 / 25.4


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return publish_sample(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def address_of_tables(tmp_path_factory: pytest.TempPathFactory) -> str:
    return publish_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture
def shown(view: Callable[..., View], address: str) -> Callable[..., View]:
    """Opens the page with every section in a window of its own."""
    return opening(view, address)


@pytest.fixture
def shown_tables(view: Callable[..., View], address_of_tables: str) -> Callable[..., View]:
    """Opens the page with few figures, which is there sooner."""
    return opening(view, address_of_tables)


def opening(view: Callable[..., View], address: str) -> Callable[..., View]:
    def show(width: int = WIDTHS["desktop"], **options: object) -> View:
        opened = view(width, **options)
        opened.page.goto(address)
        return opened

    return show


def table(page: Page, title: str) -> Locator:
    return page.get_by_role("table", name=title, exact=True)


def column(page: Page, title: str, place: int) -> list[str]:
    return table(page, title).locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()


def brightness(color: str) -> int:
    """Sum of the parts of `rgb(1, 2, 3)`, 0 to 765."""
    return sum(map(int, color[4:-1].split(",")))


def pixels(screenshot: bytes) -> NDArray[np.uint32]:
    """The color of every pixel, a number each, (height, width)."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB"), np.uint32), -1, 0)
    return (red << 16) + (green << 8) + blue


def saved(page: Page, title: str, kind: str) -> tuple[str, str]:
    """Name and content of the file that a click on the table's button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save “{title}” as {kind}").click()
    return download.value.suggested_filename, Path(download.value.path()).read_text()


@pytest.mark.parametrize(("width", "scheme"), [(WIDTHS["phone"], "dark"), (WIDTHS["desktop"], "light")])
def test_it_shows_without_a_complaint_and_asks_nobody(
    shown: Callable[..., View], address: str, width: int, scheme: str
) -> None:
    opened = shown(width, color_scheme=scheme)
    opened.page.mouse.wheel(0, 20_000)
    opened.page.wait_for_load_state("networkidle")
    assert opened.complaints == []
    assert [each for each in opened.requests if not each.startswith("data:")] == [address]


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_figure_can_be_seen_and_nothing_sticks_out(shown: Callable[..., View], width: int) -> None:
    page = shown(width).page
    figures = page.locator("figure svg").all()
    assert len(figures) > 40
    for figure in figures:
        box = figure.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert min(box["width"], box["height"]) > 150
        assert len(str(figure.get_attribute("aria-label"))) > 20
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_section_is_there(shown: Callable[..., View]) -> None:
    sections = shown().page.locator("section").evaluate_all("(all) => all.map((each) => each.id)")
    reports = page_reports(alternative=True)
    assert sections == ["comparison", *reports, "cells", "served", "history", "provenance"]


def test_every_figure_paints(shown: Callable[..., View]) -> None:
    page = shown(WIDTHS["phone"]).page
    painted = pixels(page.screenshot(full_page=True))
    counts = {}
    for figure in page.locator("figure").all():
        x, y, width, height = (int(each) for each in (figure.locator("svg").bounding_box() or {}).values())
        counts[figure.get_attribute("id")] = len(np.unique(painted[y : y + height, x : x + width]))
    assert len(counts) > 40
    assert {name: count for name, count in counts.items() if count < 100} == {}


def test_pictures_inside_figures_are_decoded_and_painted(shown: Callable[..., View]) -> None:
    page = shown(WIDTHS["phone"]).page
    figures = page.locator("figure").filter(has=page.locator("image")).all()
    assert {"response-map", "dataset-gen_kinematics"} <= {figure.get_attribute("id") for figure in figures}
    for figure in figures:
        assert min(figure.evaluate(WIDTHS_DECODED)) > 0
        painted = figure.screenshot()
        figure.evaluate(HIDE_PICTURES)
        assert figure.screenshot() != painted


def test_wide_tables_scroll_in_their_box_and_their_first_columns_stay(shown_tables: Callable[..., View]) -> None:
    page = shown_tables(WIDTHS["phone"]).page
    compared = table(page, "Loss, gain, α and β beside the published study")
    names, first = (compared.locator(f"tbody tr:first-child > :nth-child({place})") for place in (1, 4))
    expect(compared).to_have_attribute("data-fixed", "3")
    before, moved = names.bounding_box(), first.bounding_box()
    compared.evaluate("(table) => table.parentElement.scrollTo({ left: 150 })")
    assert before is not None
    assert moved is not None
    assert names.bounding_box() == before
    assert (first.bounding_box() or moved)["x"] == pytest.approx(moved["x"] - 150)


def test_a_table_fades_where_it_goes_on_to_the_right(shown_tables: Callable[..., View]) -> None:
    page = shown_tables(WIDTHS["phone"]).page
    box = table(page, "Loss, gain, α and β beside the published study").locator("..")
    expect(box).to_have_attribute("data-more", "")
    assert "gradient" in box.evaluate("(box) => getComputedStyle(box).maskImage")
    box.evaluate("(box) => box.scrollTo({ left: box.scrollWidth })")
    expect(box).not_to_have_attribute("data-more", "")


@pytest.mark.parametrize(
    ("header", "ascending", "absent"),
    [
        ("pT,gen [GeV]", ["< 30", "30–100", "100–300", "300–1000", "≥ 1000"], []),
        ("Gain [%]", ["−0.3 ± 1.2", "9.5 ± 0.4", "9.5 (n = 1)", "10.25 ± 0.05"], ["no jets"]),
        ("Jets", ["1", "999", "1.5k", "12,345"], ["–"]),
        ("Remark", ["9 a", "10 b", "a, b", 'said "so"'], ["–"]),
    ],
)
def test_a_click_sorts_and_what_is_no_number_comes_last(
    shown_tables: Callable[..., View], header: str, ascending: list[str], absent: list[str]
) -> None:
    page, place = shown_tables().page, CELLS.columns.index(header)
    head = table(page, CELLS.title).get_by_role("columnheader", name=header)
    original = column(page, CELLS.title, place)
    expect(head).to_have_attribute("aria-sort", "none")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert column(page, CELLS.title, place) == ascending + absent
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    descending = column(page, CELLS.title, place)
    assert descending[-len(absent) :] == absent if absent else descending == ascending[::-1]
    assert descending[0] == ascending[-1]
    head.get_by_role("button").click()
    assert column(page, CELLS.title, place) == original


def test_the_keyboard_sorts_too_and_one_column_at_a_time(shown_tables: Callable[..., View]) -> None:
    page = shown_tables().page
    heads = table(page, CELLS.title).get_by_role("columnheader")
    heads.nth(2).get_by_role("button").click()
    heads.nth(2).get_by_role("button").press("Tab")
    page.keyboard.press("Enter")
    assert [head.get_attribute("aria-sort") for head in heads.all()] == ["none"] * 3 + ["ascending", "none"]
    page.keyboard.press("Space")
    assert column(page, CELLS.title, 3)[0] == "12,345"


def test_csv_has_values_and_uncertainties_in_columns_of_their_own(shown_tables: Callable[..., View]) -> None:
    name, text = saved(shown_tables().page, CELLS.title, "CSV")
    assert name == "cells-all-kinds-of-cells.csv"
    assert list(csv.reader(io.StringIO(text))) == [
        [
            *("Region", "pT,gen [GeV] from", "pT,gen [GeV] to", "Gain [%]", "Gain [%] uncertainty", "Gain [%] note"),
            *("Jets", "Remark"),
        ],
        ["barrel", "100", "300", "9.5", "0.4", "", "12345", "a, b"],
        ["barrel", "30", "100", "-0.3", "1.2", "", "999", 'said "so"'],
        ["endcap", "1000", "", "", "", "no jets", "", ""],
        ["endcap", "300", "1000", "10.25", "0.05", "", "1.5e3", "10 b"],
        ["endcap", "", "30", "9.5", "", "n = 1", "1", "9 a"],
    ]


def test_json_has_numbers_as_numbers_and_notes(shown_tables: Callable[..., View]) -> None:
    name, text = saved(shown_tables().page, CELLS.title, "JSON")
    table = json.loads(text)
    assert name == "cells-all-kinds-of-cells.json"
    assert (table["title"], table["notes"], len(table["rows"])) == (CELLS.title, ["One note."], 5)
    assert table["rows"][2] == {
        "Region": "endcap",
        "pT,gen [GeV] from": 1000,
        "pT,gen [GeV] to": None,
        "Gain [%]": None,
        "Gain [%] uncertainty": None,
        "Gain [%] note": "no jets",
        "Jets": None,
        "Remark": None,
    }
    assert table["rows"][3]["Jets"] == 1500


def test_every_table_can_be_saved_even_on_a_phone(shown_tables: Callable[..., View]) -> None:
    page = shown_tables(WIDTHS["phone"]).page
    for button in page.get_by_role("button", name="Save").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= WIDTHS["phone"]
    rows = list(csv.reader(io.StringIO(saved(page, "Loss, gain, α and β beside the published study", "CSV")[1])))
    assert {"PFN", "PFN uncertainty", "Published PFN"} <= set(rows[0])
    assert len({len(row) for row in rows}) == 1


def test_long_tables_open_with_a_click_and_contents_lead_to_sections(shown_tables: Callable[..., View]) -> None:
    page = shown_tables().page
    expect(table(page, LONG.title)).to_be_hidden()
    page.get_by_text(LONG.title).click()
    expect(table(page, LONG.title)).to_be_visible()
    link = page.get_by_role("navigation").get_by_role("link", name="Provenance")
    link.click()
    expect(page.locator("#provenance h2")).to_be_in_viewport()
    page.get_by_text("Sources of flavor").click()
    expect(page.get_by_text("code of flavor")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(shown: Callable[..., View], scheme: str) -> None:
    contrasts = shown(color_scheme=scheme).page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert [each for each in contrasts if each[1] < 4.5] == []


def test_the_ground_and_the_lines_of_figures_follow_the_scheme(shown_tables: Callable[..., View]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('figure svg [stroke=currentColor]')).color"
    light, dark = (shown_tables(color_scheme=scheme).page for scheme in ("light", "dark"))
    assert light.evaluate(ground) == "rgb(255, 255, 255)"
    assert brightness(light.evaluate(ink)) < 100
    assert brightness(dark.evaluate(ink)) > 600
    assert brightness(dark.evaluate(ground)) < 100


def test_on_paper_everything_is_unfolded_and_no_table_is_cut(shown: Callable[..., View]) -> None:
    page = shown(color_scheme="dark").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_role("button", name="Save").first).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for across, millimeters in ((False, 210 - 24), (True, 297 - 24)):
        page.set_viewport_size({"width": int(millimeters * PIXELS_PER_MM), "height": 900})
        assert page.evaluate(TOO_WIDE, across) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_it_prints_on_a_sheet_a_figure_with_the_tables_beside(shown: Callable[..., View]) -> None:
    page = shown().page
    sheets = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")
    assert 20 <= sheets <= 1.25 * page.locator("figure").count()


def test_without_javascript_everything_can_still_be_read(shown_tables: Callable[..., View]) -> None:
    page = shown_tables(WIDTHS["phone"], java_script_enabled=False).page
    expect(table(page, CELLS.title)).to_be_visible()
    assert page.get_by_role("button").count() == 0
