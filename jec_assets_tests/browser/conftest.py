"""What browser tests share: a real headless Chromium, and windows that note what a page asks for and complains of."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

WIDTHS = {"phone": 360, "desktop": 1280}
SECONDS = 240.0  # for whatever is waited for, on a busy machine
expect.set_options(timeout=SECONDS * 1000)


@dataclass
class View:
    """A browser's window: its page, what was asked of hosts, what was complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium; in a container it has no sandbox of its own."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def view(chromium: Browser) -> Iterator[Callable[..., View]]:
    """Opens windows, `view(width, **context options)`, and closes them after the test."""
    contexts = []

    def open_window(width: int = WIDTHS["desktop"], **options: object) -> View:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(SECONDS * 1000)
        contexts.append(context)
        opened = View(context.new_page())
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on(
            "console",
            lambda message: opened.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )
        return opened

    yield open_window
    for context in contexts:
        context.close()
