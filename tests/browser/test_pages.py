"""Every page: accessibility, both themes, phone width, keyboard only.

This module also takes the screenshots of docs/viewer.md.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.shop import LINES, TRACE_ID
from tests.browser.viewer import Viewer

PAGES = {
    "search": ("/search?q=order%20OR%20retry", "o-"),
    "patterns": ("/search?q=order&show=patterns", "order"),
    "wrapped": ("/search?q=order&wrap=1&cols=action,actorId", "o-"),
    "live": ("/live", "No data yet"),
    "traces": ("/traces", "POST /orders"),
    "trace": (f"/trace/{TRACE_ID}", "charge"),
    "timeline": ("/timeline/resource/o-7?resourceType=order", "order o-7"),
    "statistics": ("/stats", "Errors by service"),
    "ingest": ("/operations/ingest", "By service"),
    "health": ("/operations/health", "database"),
    "ledger": ("/operations/ledger", "balanced"),
    "segments": ("/operations/segments", "On disk"),
    "retention": ("/operations/retention", "Due next"),
    "holds": ("/operations/holds", "New hold"),
    "dead-letters": ("/operations/dead-letters", re.compile("Rows rejected by the database")),
    "redaction": ("/operations/redaction", "Nothing you enter is stored"),
    "keys": ("/operations/keys", "New key"),
}
THEMES = ("light", "dark")
IN_BOTH_THEMES = ("search", "trace", "statistics")
"""The others have a picture in the light theme only; test_live.py takes that of the tail."""
FIRST_LOAD_BYTES = 200_000
"""Gzipped size of everything that the first page needs."""
BUILD = Path(__file__).parents[2] / "query" / "static"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barriers_in_either_theme_and_fits_320_pixels(
    page: Viewer, name: str
) -> None:
    place, text = PAGES[name]
    main = page.open(place).page.get_by_role("main")
    expect(main).to_contain_text(text)
    page.page.wait_for_load_state("networkidle") if name != "live" else None

    for theme in THEMES:
        page.set_theme(theme)
        if name in IN_BOTH_THEMES or (theme == "light" and name != "live"):
            page.picture(f"{name}-{theme}")
        assert page.violations() == []
    page.set_theme("light")
    page.page.set_viewport_size({"width": 320, "height": 640})
    expect(main).to_contain_text(text)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 320
    if name in ("search", "trace"):
        page.picture(f"{name}-narrow")
    assert page.violations() == []


def test_the_first_load_is_at_most_200_kb(page: Viewer) -> None:
    loaded: set[str] = set()
    page.page.on("response", lambda response: loaded.add(urlsplit(response.url).path.lstrip("/")))
    page.open()
    expect(page.rows.first).to_be_visible()
    expect(page.page.locator(".u-over")).to_be_visible()

    files = [BUILD / (name or "index.html") for name in loaded if not name.startswith("api/")]
    sizes = {file.name: file.with_name(f"{file.name}.gz").stat().st_size for file in files}
    assert {"index.html", "favicon.svg"} & set(sizes)
    assert any(name.endswith(".css") for name in sizes)
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES, sizes


@pytest.mark.parametrize("theme", THEMES)
def test_login_record_menus_and_dialogs_have_no_barriers(viewer, theme: str) -> None:
    page = viewer(theme=theme)
    page.page.goto(page.product.api_url)
    expect(page.button("Log in")).to_be_visible()
    page.picture(f"login-{theme}")
    assert page.violations() == []

    page.open("/search?q=needle")
    page.rows.first.click()
    for tab in ("JSON", "Context", "Fields"):
        page.record.get_by_role("tab", name=tab).click()
        expect(page.record).to_contain_text("needle")
        assert page.violations() == []
    page.picture(f"record-{theme}")
    page.button("Columns").click()
    expect(page.page.get_by_role("menu")).to_be_visible()
    assert page.violations() == []
    page.press("Escape", "Escape", "?")
    expect(page.page.get_by_role("dialog")).to_be_visible()
    page.picture(f"help-{theme}")
    assert page.violations() == []
    page.press("Escape", "Control+k")
    expect(page.page.get_by_role("dialog", name="Go to")).to_be_visible()
    assert page.violations() == []


def test_dialogs_errors_and_empty_results_have_no_barriers(page: Viewer) -> None:
    page.open("/search?q=order")
    expect(page.rows.first).to_be_visible()
    page.button("Time range: Last hour").click()
    expect(page.page.get_by_label("From")).to_be_visible()
    assert page.violations() == []
    page.press("Escape")
    page.page.get_by_role("combobox", name="Query").fill("sour")
    expect(page.page.get_by_role("listbox")).to_be_visible()
    assert page.violations() == []
    page.press("Escape")
    page.button("More").click()
    page.page.get_by_role("menuitem", name="Purge these records …").click()
    expect(page.page.get_by_role("dialog")).to_be_visible()
    page.picture("purge-light")
    assert page.violations() == []
    page.press("Escape")
    for place, text in {
        "/search?q=level:(ERROR": "Syntax error",
        "/search?q=nobodyeversaidthis": "No records match",
        "/nowhere": "Page not found",
        f"/trace/{'ab' * 16}": "Trace not found",
        "/record/none": re.compile("not found|Invalid request"),
    }.items():
        page.go(place)
        expect(page.page.get_by_role("main")).to_contain_text(text)
        assert page.violations() == []


def test_an_open_record_fills_the_screen_of_a_phone(viewer) -> None:
    page = viewer(width=320, height=640).open("/search?q=needle")
    page.rows.first.click()

    expect(page.record).to_contain_text("CardRefusedError")
    expect(page.page.get_by_test_id("total")).to_have_count(0)
    box = page.record.bounding_box()
    assert box
    assert box["height"] > 400
    page.picture("record-narrow")
    assert page.violations() == []
    page.record.get_by_role("button", name="Close").click()
    expect(page.rows.first).to_be_visible()


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


def test_records_are_navigated_by_keys_and_announced_to_screen_readers(page: Viewer) -> None:
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
    expect(page.page.get_by_role("combobox", name="Query")).to_have_count(0)
    page.press("Escape", "Escape")
    expect(page.page.get_by_role("combobox", name="Query")).to_be_visible()


def test_statistics_count_records_and_link_to_them(page: Viewer) -> None:
    page.open("/stats?start=-1h")
    totals = page.page.get_by_test_id("totals").locator("dd[title]")
    expect(totals).to_have_count(6)
    total, *levels = [
        int((dd.get_attribute("title") or "").replace(",", "")) for dd in totals.all()
    ]
    assert total == sum(levels) >= LINES
    errors = page.page.get_by_role("table", name="Errors by service")
    expect(errors.get_by_role("row").first).to_contain_text("%")
    errors.get_by_role("link", name="checkout").click()

    expect(page.page).to_have_url(re.compile("#/search.*level%3A%3E%3DERROR"))
    expect(page.rows.first).to_contain_text("checkout")


def test_theme_and_zone_are_remembered(page: Viewer) -> None:
    page.open("/search?q=needle")
    here = _clock(page)
    page.press("Shift+T", "Shift+Z")
    expect(page.rows.first).not_to_contain_text(here)
    assert (int(here[:2]) - int(_clock(page)[:2])) % 24 in (1, 2)  # Berlin, winter and summer
    page.page.reload()

    expect(page.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.page.get_by_title(re.compile("Time zone"))).to_contain_text("UTC")


def _clock(page: Viewer) -> str:
    """Hours, minutes and seconds of the first record."""
    found = re.search(r"\d\d:\d\d:\d\d", page.rows.first.inner_text())
    assert found
    return found[0]
