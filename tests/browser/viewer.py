"""A window of the viewer, with shortcuts for the tests."""

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.product import Product

# Test machines may be busy.
expect.set_options(timeout=15_000)
PICTURES = Path(__file__).parents[2] / "docs" / "images"


TWO_FRAMES = """() => new Promise(done =>
    requestAnimationFrame(() => requestAnimationFrame(() => done())))"""
IDLE = """() => !document.querySelector("[aria-busy=true]")
    && !document.getAnimations().some(one => one instanceof CSSTransition)"""
WATCH = """id => {
    const place = document.querySelector(`[data-testid=${id}]`)
    window.watched = []
    new MutationObserver(() => window.watched.push(place.textContent))
        .observe(place, { subtree: true, childList: true, characterData: true })
}"""


class Viewer:
    """One browser window, logged in as a role; it records errors of the page."""

    def __init__(self, browser: Browser, product: Product, **options: Any) -> None:
        self.product = product
        self.context: BrowserContext = browser.new_context(
            viewport={"width": options.pop("width", 1280), "height": options.pop("height", 800)},
            color_scheme=options.pop("theme", "light"),
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",  # no half-way colours in checks and pictures
            permissions=["clipboard-read", "clipboard-write"],
            accept_downloads=True,
            **options,
        )
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(f"error: {error}"))
        self.page.on("console", self._on_console)
        self.page.set_default_timeout(15_000)

    def _on_console(self, message: Any) -> None:
        # Browsers log responses such as 400 here; tests check those on the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.errors.append(f"{message.type}: {message.text}")

    def open(self, place: str = "/search", role: str = "SUPER_ADMIN") -> "Viewer":
        """Log in with the link that `opslog up` prints, then open a route."""
        token = self.product.token(role)
        self.page.goto(f"{self.product.api_url}/#token={token}&go={quote(place, safe='')}")
        return self

    def go(self, place: str) -> "Viewer":
        """Go to a route in the open page."""
        self.page.evaluate("place => { location.hash = place }", place)
        return self

    def search(self, query: str) -> "Viewer":
        """Type a query and run it."""
        field = self.page.get_by_role("combobox", name="Query")
        field.fill(query)
        field.press("Enter")
        return self

    def press(self, *keys: str) -> "Viewer":
        """Press keys, one after the other, with the current focus."""
        for key in keys:
            self.page.keyboard.press(key)
        return self

    @property
    def rows(self) -> Locator:
        """The rendered rows."""
        return self.page.get_by_test_id("records").locator("[role=row][aria-rowindex]")

    def row(self, text: str) -> Locator:
        """The first row with a text."""
        return self.rows.filter(has_text=text).first

    @property
    def record(self) -> Locator:
        """The panel of the open record."""
        return self.page.get_by_test_id("record")

    @property
    def total(self) -> int:
        """The total above the histogram, once it is loaded."""
        place = self.page.get_by_test_id("total")
        expect(place).to_contain_text("record")
        return int("".join(filter(str.isdigit, place.inner_text())))

    @property
    def address(self) -> str:
        """The URL fragment."""
        return self.page.url.partition("#")[2]

    def watch(self, test_id: str) -> None:
        """Record every text that an element shows from now on, however briefly."""
        self.page.evaluate(WATCH, test_id)

    def watched(self) -> list[str]:
        """The recorded texts."""
        return self.page.evaluate("window.watched")

    def clipboard(self) -> str:
        """The content of the clipboard."""
        return self.page.evaluate("() => navigator.clipboard.readText()")

    def button(self, name: str, *, exact: bool = True) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=exact).first

    def violations(self) -> list[str]:
        """Accessibility violations found by axe-core (WCAG 2.2 A and AA, best practices)."""
        # Wait for a theme change to finish: a frame, or the end of a transition; results that are
        # being reloaded are dimmed until the response arrives.
        self.page.evaluate(TWO_FRAMES)
        self.page.wait_for_function(IDLE)
        found = Axe().run(self.page).response
        return [
            f"{rule['id']}: {node['html'][:200]}: {node['failureSummary'][-200:]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """Change the system theme and wait until the page has followed."""
        self.page.emulate_media(color_scheme=theme)
        expect(self.page.locator("html")).to_have_attribute("data-theme", theme)

    def picture(self, name: str) -> None:
        """Take a screenshot for docs/viewer.md if OPSLOG_PICTURES is set."""
        if os.environ.get("OPSLOG_PICTURES"):
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"viewer-{name}.png", animations="disabled")

    def close(self) -> None:
        """Close the window; errors of the page fail the test."""
        self.context.close()
        assert not self.errors, "\n".join(self.errors)
