"""Every page: for people with disabilities, in both themes, on a telephone, by keyboard alone.

The screenshots of docs/viewer.md are made here.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.shop import TRACE_ID
from tests.browser.viewer import Viewer

PAGES = {
    "search": ("/search?q=order%20OR%20retry", "o-"),
    "patterns": ("/search?q=order&show=patterns", "order"),
    "wrapped": ("/search?q=order&wrap=1&cols=action,actorId", "o-"),
    "live": ("/live", "Waiting for lines"),
    "traces": ("/traces", "POST /orders"),
    "trace": (f"/trace/{TRACE_ID}", "charge"),
    "timeline": ("/timeline/resource/o-7?resourceType=order", "order o-7"),
    "statistics": ("/stats", "Errors by service"),
    "ingest": ("/operations/ingest", "Who sent it"),
    "health": ("/operations/health", "database"),
    "ledger": ("/operations/ledger", "it balances"),
    "segments": ("/operations/segments", "On disk"),
    "retention": ("/operations/retention", "What goes next"),
    "holds": ("/operations/holds", "New hold"),
    "dead-letters": ("/operations/dead-letters", re.compile("Rows that the database refused")),
    "redaction": ("/operations/redaction", "Nothing of it is stored"),
    "keys": ("/operations/keys", "New key"),
}
THEMES = ("light", "dark")
IN_BOTH_THEMES = ("search", "trace", "statistics")
"""Pictures of the others are in the light theme only."""


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barriers(viewer, name: str, theme: str) -> None:
    place, text = PAGES[name]
    page = viewer(theme=theme).open(place)
    expect(page.page.get_by_role("main")).to_contain_text(text)
    page.page.wait_for_load_state("networkidle") if name != "live" else None

    if theme == "light" or name in IN_BOTH_THEMES:
        page.picture(f"{name}-{theme}")
    assert page.complaints() == []


@pytest.mark.parametrize("theme", THEMES)
def test_login_record_menus_and_dialogs_have_no_barriers(viewer, theme: str) -> None:
    page = viewer(theme=theme)
    page.page.goto(page.product.api_url)
    expect(page.button("Log in")).to_be_visible()
    page.picture(f"login-{theme}")
    assert page.complaints() == []

    page.open("/search?q=needle")
    page.rows.first.click()
    for tab in ("JSON", "Around it", "Fields"):
        page.record.get_by_role("tab", name=tab).click()
        expect(page.record).to_contain_text("needle")
        assert page.complaints() == []
    page.picture(f"record-{theme}")
    page.button("Columns").click()
    expect(page.page.get_by_role("menu")).to_be_visible()
    assert page.complaints() == []
    page.press("Escape", "Escape", "?")
    expect(page.page.get_by_role("dialog")).to_be_visible()
    page.picture(f"help-{theme}")
    assert page.complaints() == []
    page.press("Escape", "Control+k")
    expect(page.page.get_by_role("dialog", name="Go to")).to_be_visible()
    assert page.complaints() == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_320_pixels(viewer, name: str) -> None:
    place, text = PAGES[name]
    page = viewer(width=320, height=640).open(place)
    expect(page.page.get_by_role("main")).to_contain_text(text)

    assert page.page.evaluate("document.documentElement.scrollWidth") <= 320
    if name in ("search", "trace"):
        page.picture(f"{name}-narrow")
    assert page.complaints() == []


def test_a_cause_is_found_by_keyboard_alone(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.press("/")
    page.page.keyboard.type('"card refused by the bank"')
    page.press("Enter", "Escape")
    expect(page.rows).to_have_count(1)
    page.page.locator("body").press("j")
    expect(page.record).to_contain_text("card refused by the bank")
    page.press("t")
    expect(page.page.get_by_test_id("waterfall")).to_be_visible()
    page.press("Escape", "g", "s")

    expect(page.page).to_have_url(re.compile("#/search"))


def test_lines_are_walked_with_keys_and_told_to_screen_readers(page: Viewer) -> None:
    page.open()
    grid = page.page.get_by_role("grid", name="Records")
    expect(page.rows.first).to_be_visible()
    grid.focus()
    page.press("ArrowDown", "ArrowDown", "ArrowUp")
    active = grid.get_attribute("aria-activedescendant")

    assert active == page.rows.first.get_attribute("id")
    page.press("End")
    expect(page.page.locator("[role=row][aria-selected=true]")).to_be_visible()
    page.press("w")
    expect(page.page).to_have_url(re.compile("wrap=1"))
    page.press("f")
    expect(page.page.get_by_role("combobox", name="Question")).to_have_count(0)
    page.press("Escape", "Escape")
    expect(page.page.get_by_role("combobox", name="Question")).to_be_visible()


def test_theme_and_zone_are_remembered(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    page.press("Shift+T", "Shift+Z")
    page.page.reload()

    expect(page.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.page.get_by_title(re.compile("Times are shown in this zone"))).to_contain_text(
        "UTC"
    )
