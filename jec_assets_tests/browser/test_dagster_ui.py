"""The Dagster UI in a real browser: an asset is materialized by a click, and its figure is there to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jec_assets_tests.browser.conftest import SECONDS, View
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
SMALL = {"JEC_SEED": "1", "JEC_READING_PROCESSES": "1", "JEC_THREADS": "1"}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """`dagster dev` with this project's definitions and Dagster's settings, on toy jets, in a folder of its own."""
    write_jet_file(tmp_path / "jets" / "toy.root", toy_jets(300, seed=0))
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JEC_", "DAGSTER_"))}
    paths = {
        "DAGSTER_HOME": str(tmp_path),
        "JEC_SOURCE": str(tmp_path / "jets"),
        "JEC_STORAGE_ROOT": str(tmp_path / "storage"),
        "JEC_WORK_FOLDER": str(tmp_path / "work"),
    }
    port = free_port()
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-m", "jec_assets.definitions"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env={**own, **SMALL, **paths}, stdout=log, stderr=log)
        with ended(server):
            wait_for_port(port, SECONDS)
            yield f"http://127.0.0.1:{port}"


def wait_for_metadata(page: Page, log: Path) -> None:
    """Look at the asset again and again until its latest materialization has metadata."""
    deadline = time.monotonic() + SECONDS
    keys = page.get_by_placeholder("Filter metadata keys")
    while not keys.is_visible():
        assert time.monotonic() < deadline, log.read_text()[-5000:]
        assert page.get_by_text("Failed").count() == 0, log.read_text()[-5000:]
        page.wait_for_timeout(1000)
        page.reload()
        page.get_by_text("Latest materialization").wait_for(timeout=SECONDS * 1000)
        page.wait_for_timeout(1000)


def test_an_asset_is_materialized_by_a_click_and_its_figure_is_seen(
    view: Callable[..., View], address: str, tmp_path: Path
) -> None:
    page = view().page
    page.goto(f"{address}/assets/dataset_report?view=lineage&lineageScope=upstream&lineageDepth=9")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("tab", name="Overview").click()
    wait_for_metadata(page, tmp_path / "log")
    expect(page.get_by_role("row", name="summary")).to_contain_text("600 jets")
    page.get_by_role("row", name="Regression target").get_by_text("Show Markdown").click()
    figure = page.locator("img[src^='data:image/png;base64,']")
    expect(figure).to_be_visible()
    width, height = figure.evaluate("(image) => [image.naturalWidth, image.naturalHeight]")
    assert min(width, height) > 300
    assert "median" in str(figure.get_attribute("alt"))
