"""A trace: waterfall, logs on spans, orphans, errors, critical path, links from and to logs."""

import re

from playwright.sync_api import Locator, expect

from tests.browser.shop import TRACE_ID
from tests.browser.viewer import Viewer


def spans(page: Viewer) -> Locator:
    return page.page.get_by_test_id("waterfall").locator("[role=row][aria-level]")


def test_spans_are_a_tree_with_their_logs_as_marks(page: Viewer) -> None:
    page.open(f"/trace/{TRACE_ID}")

    expect(spans(page)).to_have_count(6)
    expect(spans(page).first).to_contain_text("POST /orders")
    expect(spans(page).filter(has_text="SELECT stock")).to_have_attribute("aria-level", "4")
    mark = page.page.get_by_role("button", name="ERROR log: card refused by the bank")
    mark.click()
    expect(page.record).to_contain_text("card refused by the bank")


def test_errors_orphans_and_services_are_shown(page: Viewer) -> None:
    page.open(f"/trace/{TRACE_ID}")

    expect(page.page.get_by_text("3 errors", exact=True)).to_be_visible()
    expect(spans(page).filter(has_text="enqueue mail")).to_contain_text("no parent")
    services = page.page.get_by_role("list", name="Services")
    expect(services.get_by_role("listitem")).to_have_count(5)
    expect(page.page.get_by_text("1 without a span")).to_be_visible()


def test_a_span_collapses_and_the_critical_path_is_shown_alone(page: Viewer) -> None:
    page.open(f"/trace/{TRACE_ID}")
    page.button("Collapse charge").click()
    expect(spans(page)).to_have_count(3)
    page.button("Expand charge").click()
    expect(spans(page)).to_have_count(6)
    page.press("p")

    expect(spans(page).filter(has_text="enqueue mail")).to_have_count(0)
    expect(spans(page).filter(has_text="POST /v1/charges")).to_be_visible()


def test_from_a_log_to_its_trace_and_back(page: Viewer) -> None:
    page.open("/search?q=%22card%20refused%20by%20the%20bank%22")
    page.rows.first.click()
    page.press("t")
    expect(page.page).to_have_url(re.compile(f"#/trace/{TRACE_ID}"))
    expect(page.record).to_contain_text("card refused by the bank")
    page.page.get_by_role("link", name="View logs").click()

    expect(page.row("token checked elsewhere")).to_be_visible()


def test_traces_are_found_by_filters(page: Viewer) -> None:
    page.open("/traces")
    page.page.get_by_label("Operation").fill("POST /orders")
    page.page.get_by_label("Status").select_option("error")
    page.button("Search").click()
    page.page.get_by_role("link", name="POST /orders").click()

    expect(page.page).to_have_url(re.compile(TRACE_ID))


def test_an_unknown_trace_is_not_found(page: Viewer) -> None:
    page.open(f"/trace/{'ab' * 16}")

    expect(page.page.get_by_text("Trace not found")).to_be_visible()
