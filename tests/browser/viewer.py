"""A page of the viewer, with what a test of it needs to say."""

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.product import Product

# Machines that run the tests may be busy; what is awaited comes, if late.
expect.set_options(timeout=15_000)
PICTURES = Path(__file__).parents[2] / "docs" / "images"


TWO_FRAMES = """() => new Promise(done =>
    requestAnimationFrame(() => requestAnimationFrame(() => done())))"""
AT_REST = """() => !document.querySelector("[aria-busy=true]")
    && !document.getAnimations().some(one => one instanceof CSSTransition)"""
WATCH = """id => {
    const place = document.querySelector(`[data-testid=${id}]`)
    window.watched = []
    new MutationObserver(() => window.watched.push(place.textContent))
        .observe(place, { subtree: true, childList: true, characterData: true })
}"""


class Viewer:
    """One browser window, logged in as a role; it remembers everything that went wrong in it."""

    def __init__(self, browser: Browser, product: Product, **wishes: Any) -> None:
        self.product = product
        self.context: BrowserContext = browser.new_context(
            viewport={"width": wishes.pop("width", 1280), "height": wishes.pop("height", 800)},
            color_scheme=wishes.pop("theme", "light"),
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",  # colours are looked at, not their way there
            permissions=["clipboard-read", "clipboard-write"],
            accept_downloads=True,
            **wishes,
        )
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._on_console)
        self.page.set_default_timeout(15_000)

    def _on_console(self, message: Any) -> None:
        # Browsers report answers such as 400 there by themselves; tests look at those on the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def open(self, place: str = "/search", role: str = "SUPER_ADMIN") -> "Viewer":
        """Log in by the link that `opslog up` prints, then go to a place."""
        token = self.product.token(role)
        self.page.goto(f"{self.product.api_url}/#token={token}&go={quote(place, safe='')}")
        return self

    def go(self, place: str) -> "Viewer":
        """Go to a place of the page that is open."""
        self.page.evaluate("place => { location.hash = place }", place)
        return self

    def ask(self, question: str) -> "Viewer":
        """Write a question and send it."""
        field = self.page.get_by_role("combobox", name="Question")
        field.fill(question)
        field.press("Enter")
        return self

    def press(self, *keys: str) -> "Viewer":
        """Keys, one after the other, to whatever has the focus."""
        for key in keys:
            self.page.keyboard.press(key)
        return self

    @property
    def rows(self) -> Locator:
        """The lines that are in the document."""
        return self.page.get_by_test_id("records").locator("[role=row][aria-rowindex]")

    def row(self, text: str) -> Locator:
        """The first line with a text."""
        return self.rows.filter(has_text=text).first

    @property
    def record(self) -> Locator:
        """The panel of the open record."""
        return self.page.get_by_test_id("record")

    @property
    def total(self) -> int:
        """The figure above the histogram, once it is there."""
        place = self.page.get_by_test_id("total")
        expect(place).to_contain_text("record")
        return int("".join(filter(str.isdigit, place.inner_text())))

    @property
    def address(self) -> str:
        """What stands behind the # of the address."""
        return self.page.url.partition("#")[2]

    def watch(self, test_id: str) -> None:
        """Remember every text that a place shows from now on, however briefly."""
        self.page.evaluate(WATCH, test_id)

    def watched(self) -> list[str]:
        """What the watched place has shown."""
        return self.page.evaluate("window.watched")

    def clipboard(self) -> str:
        """What was copied last."""
        return self.page.evaluate("() => navigator.clipboard.readText()")

    def button(self, name: str, *, exact: bool = True) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=exact).first

    def complaints(self) -> list[str]:
        """What axe-core finds wrong for people with disabilities (WCAG 2.2 A and AA, practices)."""
        # Colours that are on their way when a theme changes have arrived after a frame, or when
        # their transition ends; what is being fetched anew is pale until it is there.
        self.page.evaluate(TWO_FRAMES)
        self.page.wait_for_function(AT_REST)
        found = Axe().run(self.page).response
        return [
            f"{rule['id']}: {node['html'][:200]}: {node['failureSummary'][-200:]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def wear(self, theme: Literal["light", "dark"]) -> None:
        """Let the system change its theme, and wait until the page has followed."""
        self.page.emulate_media(color_scheme=theme)
        expect(self.page.locator("html")).to_have_attribute("data-theme", theme)

    def picture(self, name: str) -> None:
        """A screenshot for docs/viewer.md, where OPSLOG_PICTURES asks for them."""
        if os.environ.get("OPSLOG_PICTURES"):
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"viewer-{name}.png", animations="disabled")

    def close(self) -> None:
        """Close the window; what went wrong in it fails the test."""
        self.context.close()
        assert not self.faults, "\n".join(self.faults)
