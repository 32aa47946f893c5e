"""Fixtures of the browser tests: Debian's Chromium, the product with the shop's records.

They are skipped, with a notice, where there is no browser or no Playwright:
`apt-get install chromium` and `pip install playwright` make them run.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.product import Product

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install playwright"
)

from tests.browser.shop import LINES, bodies  # noqa: E402 - only where Playwright is
from tests.browser.viewer import Viewer  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one module only: Playwright's loop would be in the way of asynchronous tests."""
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The product with the shop's records in it."""
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    with Product.running() as product:
        for signal, body in bodies(time.time_ns()):
            status, _, answer = product.export(body, signal)
            assert status == 200, answer
        product.wait(lambda: _stored(product) >= LINES)
        yield product


def _stored(product: Product) -> int:
    return product.get("/api/v1/logs/stats?start=-1h&interval=auto&by=level")["total"]


@pytest.fixture
def viewer(browser: Any, product: Product) -> Iterator[Callable[..., "Viewer"]]:
    """Makes windows; all of them must be free of errors in the end."""
    from tests.browser.viewer import Viewer

    windows: list[Viewer] = []

    def make(**wishes: Any) -> Viewer:
        windows.append(Viewer(browser, product, **wishes))
        return windows[-1]

    yield make
    for window in windows:
        window.close()


@pytest.fixture
def page(viewer: Callable[..., "Viewer"]) -> "Viewer":
    """One window, not opened yet."""
    return viewer()
