"""Messages of attackers are shown as plain text in every view."""

import re
import time
from urllib.parse import quote

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import expect

from tests.browser.shop import HOSTILE, SECOND_NS, export_of, log, text
from tests.browser.viewer import Viewer
from tests.support.product import Product

ODD = quote("onerror sourceModule:oddities")
HOSTILE_TRACE = "ee" * 16
HOSTILE_ID = "<b>o</b>\u202e<img src=x onerror=window.hacked=1>"

INLINE_SCRIPT = """() => { try {
    const script = document.createElement('script')
    script.textContent = 'window.inline = 1'
    document.body.append(script)
} catch { } }"""


@pytest.mark.parametrize("place", [f"/search?q={ODD}", f"/search?q={ODD}&wrap=1"])
def test_markup_and_control_characters_are_shown_literally(page: Viewer, place: str) -> None:
    page.open(place)
    row = page.rows.first
    expect(row).to_contain_text('<img src=x onerror="window.hacked=1">')
    row.click()
    expect(page.record).to_contain_text("<b>key</b>")
    for mark in ("ESC", "RLO", "BEL", "ZWSP", "LS"):
        expect(page.record.locator(".mark", has_text=re.compile(f"^{mark}$")).first).to_be_visible()
    for tab in ("JSON", "Context"):
        page.record.get_by_role("tab", name=tab).click()
        expect(page.record).to_contain_text("the end of it")

    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator("main img, main script, main iframe").count() == 0
    assert "\u202e" not in page.page.inner_text("main")


@pytest.mark.parametrize(
    "place",
    [
        "/search?q=onerror&show=patterns",
        "/stats?q=onerror",
        "/traces",
        f"/timeline/resource/{quote(HOSTILE_ID, safe='')}",
        "/operations/ingest",
        f"/trace/{HOSTILE_TRACE}",
        "/search?q=onerror&group=sourceModule",
        f"/operations/{quote(HOSTILE_ID, safe='')}",
    ],
)
def test_every_page_shows_hostile_names_as_text(page: Viewer, product: Product, place: str) -> None:
    at_ns = time.time_ns() - 60 * SECOND_NS
    fields = [
        text("resource.id", HOSTILE_ID),
        text("action", HOSTILE_ID),
        text("actor.id", HOSTILE_ID),
    ]
    product.export(export_of(HOSTILE_ID, [log(HOSTILE, at_ns, 17, *fields)]))
    product.export(_hostile_trace(at_ns), "traces")
    page.open(place)
    expect(page.page.get_by_role("main")).not_to_be_empty()
    page.page.wait_for_load_state("networkidle")

    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator("main img, main script, main iframe, main b").count() == 0
    assert "\u202e" not in page.page.inner_text("main")


def test_the_live_tail_shows_them_as_text(page: Viewer, product: Product) -> None:
    page.open("/live?q=onerror")
    expect(page.page.get_by_test_id("tail-state")).to_contain_text("live")
    product.export(export_of("live", [log(HOSTILE, time.time_ns() - 7200 * SECOND_NS, 17)]))

    expect(page.row("<img src=x")).to_be_visible()
    assert page.page.evaluate("window.hacked") is None
    assert "\u202e" not in page.page.inner_text("main")


def test_a_record_of_a_megabyte_does_not_block_the_page(page: Viewer) -> None:
    page.open("/search?q=sourceModule%3Aoddities%20level%3AWARN")
    page.rows.first.click()
    show_all = page.record.get_by_role("button", name=re.compile("Show all"))

    expect(show_all).to_be_visible()
    assert len(page.rows.first.inner_text()) < 2000
    show_all.click()
    expect(show_all).to_have_count(0)
    page.press("Escape")
    expect(page.record).to_have_count(0)


@pytest.mark.parametrize("place", ["/nowhere", "/record/<script>", "/trace/%00", "/timeline/x/y"])
def test_invalid_routes_show_a_message(page: Viewer, place: str) -> None:
    page.open(place)

    expect(page.page.get_by_role("main")).to_contain_text(
        re.compile("not found|Invalid request", re.IGNORECASE)
    )


def test_the_page_runs_under_its_strict_policy(page: Viewer) -> None:
    page.open()
    expect(page.rows.first).to_be_visible()
    policy = page.page.request.get(page.product.api_url).headers["content-security-policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page.page.evaluate(INLINE_SCRIPT)
    assert page.page.evaluate("window.inline") is None
    page.errors.clear()  # the browser's warning about the blocked script


def _hostile_trace(at_ns: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(text("service.name", HOSTILE_ID))
    times = {"start_time_unix_nano": at_ns, "end_time_unix_nano": at_ns + 10**6}
    trace_id = bytes.fromhex(HOSTILE_TRACE)
    span = Span(trace_id=trace_id, span_id=b"\x01" * 8, name=HOSTILE_ID, **times)
    resource.scope_spans.add(spans=[span])
    return request.SerializeToString()
