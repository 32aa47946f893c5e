"""Fixtures of the browser tests: Chromium, and the product with the records of a shop.

The tests are skipped, with a notice, if there is no browser; scripts/browser installs one.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.shop import LINES, bodies
from tests.browser.viewer import Viewer
from tests.support.product import Product

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Command names to look for, as in scripts/browser."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have 64 MB there
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per module: Playwright's event loop would block asynchronous tests."""
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The running product with the records of the shop."""
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    with Product.running() as product:
        for signal, body in bodies(time.time_ns()):
            status, _, response = product.export(body, signal)
            assert status == 200, response
        product.wait(lambda: _stored(product) >= LINES)
        yield product


def _stored(product: Product) -> int:
    return product.get("/api/v1/logs/stats?start=-1h&interval=auto&by=level")["total"]


@pytest.fixture
def viewer(browser: Browser, product: Product) -> Iterator[Callable[..., Viewer]]:
    """Open windows; all of them must be free of errors at the end."""
    windows: list[Viewer] = []

    def make(**options: Any) -> Viewer:
        windows.append(Viewer(browser, product, **options))
        return windows[-1]

    yield make
    for window in windows:
        window.close()


@pytest.fixture
def page(viewer: Callable[..., Viewer]) -> Viewer:
    """A window without a page."""
    return viewer()
