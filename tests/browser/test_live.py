"""The live tail: new records, pause, clear, reconnect without a gap."""

import re

from playwright.sync_api import expect

from tests.browser.shop import fresh_lines
from tests.browser.viewer import Viewer
from tests.support.product import Product


def open_tail(page: Viewer, query: str) -> None:
    page.open(f"/live?q={query}")
    expect(page.page.get_by_test_id("tail-state")).to_contain_text("live")


def test_records_appear_as_they_arrive(page: Viewer, product: Product) -> None:
    open_tail(page, "arrival")
    product.export(fresh_lines("arrival", 5))

    expect(page.row("arrival 4")).to_be_visible()
    expect(page.rows).to_have_count(5)


def test_pause_buffers_new_records(page: Viewer, product: Product) -> None:
    open_tail(page, "pausing")
    product.export(fresh_lines("pausing first", 1))
    expect(page.row("pausing first 0")).to_be_visible()
    page.button("Pause").click()
    product.export(fresh_lines("pausing second", 3))

    expect(page.page.get_by_test_id("tail-state")).to_contain_text("3 new records")
    expect(page.row("pausing second")).to_have_count(0)
    page.button("Resume").click()
    expect(page.row("pausing second 2")).to_be_visible()
    page.press("x")
    expect(page.page.get_by_text("No data yet")).to_be_visible()


def test_scrolling_up_pauses_and_scrolling_down_resumes(page: Viewer, product: Product) -> None:
    open_tail(page, "scrolling")
    product.export(fresh_lines("scrolling", 200))
    expect(page.row("scrolling 199")).to_be_visible()
    page.picture("live-light")
    page.page.get_by_test_id("records").hover()
    page.page.mouse.wheel(0, -600)
    expect(page.button("Resume")).to_be_visible()
    page.page.mouse.wheel(0, 10_000)

    expect(page.button("Pause")).to_be_visible()


def test_a_lost_connection_is_restored_without_a_gap(page: Viewer, product: Product) -> None:
    open_tail(page, "gap")
    product.export(fresh_lines("gap before", 1))
    expect(page.row("gap before 0")).to_be_visible()
    page.watch("tail-state")
    product.kill("query")
    product.export(fresh_lines("gap while away", 3))

    expect(page.row("gap while away 2")).to_be_visible(timeout=40_000)
    expect(page.page.get_by_test_id("tail-state")).to_contain_text("live")
    expect(page.rows).to_have_count(4)
    assert any("connection lost" in text for text in page.watched())


def test_a_record_of_the_tail_opens_and_can_be_filtered(page: Viewer, product: Product) -> None:
    open_tail(page, "opening")
    product.export(fresh_lines("opening", 2))
    page.row("opening 1").click()
    expect(page.record).to_contain_text("opening 1")
    page.record.get_by_role("button", name="Exclude Service", exact=True).click()

    expect(page.page).to_have_url(re.compile("-sourceModule%3Alive"))
