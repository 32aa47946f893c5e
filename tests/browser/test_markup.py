"""T42, T43, T46: a hundred texts that ran as scripts elsewhere, wherever a record is shown."""

import time
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright.sync_api")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from playwright.sync_api import expect

from tests.browser.markup import MARKUP
from tests.browser.shop import SECOND_NS, export_of, log, text
from tests.browser.viewer import Viewer
from tests.support.product import Product

SERVICE = '"><img src=x onerror=window.hacked=1>'
TRACE_ID = "66" * 16
ALL_IN_ONE = "everything at once"
PLACES = (
    "/search?q=markup&wrap=1",
    "/search?q=markup",
    "/live?q=markup",
    "/stats",
    "/stats?q=markup&tab=patterns",
    "/traces",
    f"/trace/{TRACE_ID}",
    "/timeline/actor/markup",
)


@pytest.fixture(scope="module")
def hostile(product: Product) -> Product:
    """A record for each text, and one with all of them as keys and values."""
    now_ns = time.time_ns() - 120 * SECOND_NS
    records = list(_records(now_ns))
    assert product.export(export_of(SERVICE, records))[0] == 200
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(text("service.name", SERVICE))
    for place, payload in enumerate(MARKUP[:40], 1):
        group.scope_spans.add().spans.append(
            Span(
                trace_id=bytes.fromhex(TRACE_ID),
                span_id=place.to_bytes(8),
                parent_span_id=(1).to_bytes(8) if place > 1 else b"",
                name=payload,
                start_time_unix_nano=now_ns,
                end_time_unix_nano=now_ns + place * 10**6,
            )
        )
    assert product.export(request.SerializeToString(), "traces")[0] == 200
    product.wait(lambda: _count(product) >= len(records) + 40)
    return product


def _records(now_ns: int) -> Iterator[LogRecord]:
    for place, payload in enumerate(MARKUP):
        yield log(
            f"markup {payload}",
            now_ns + place,
            17,
            text("user.id", "markup"),
            text("action", payload),
            text("resource.id", payload),
            text("resource.type", payload),
            text("exception.stacktrace", payload),
        )
    everything = [text(payload, payload) for payload in MARKUP]
    yield log(f"markup {ALL_IN_ONE}", now_ns + 10**6, 17, *everything)


def _count(product: Product) -> int:
    module = "%22%3E%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E"
    return product.get(f"/api/v1/logs/stats?start=-1h&sourceModule={module}")["total"]


@pytest.fixture
def watched(page: Viewer) -> Iterator[Viewer]:
    """No script runs, no dialog opens and no other host is contacted."""
    requested: list[str] = []
    dialogs: list[str] = []
    page.page.on("request", lambda request: requested.append(request.url))
    page.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    assert page.page.evaluate("[window.hacked, ({}).hacked]") == [None, None]
    assert dialogs == []
    own = (page.product.api_url, "data:", "blob:")
    assert [url for url in requested if not url.startswith(own)] == []
    assert (
        page.page.locator(
            "main :is(script, iframe, object, embed, img, base, form[action])"
        ).count()
        == 0
    )
    links = page.page.locator("main a[href]").evaluate_all("all => all.map(a => a.href)")
    assert [link for link in links if not link.startswith(page.product.api_url)] == []


@pytest.mark.parametrize("place", PLACES)
def test_nothing_runs_on_any_page(hostile: Product, watched: Viewer, place: str) -> None:
    watched.open(place)

    expect(watched.page.get_by_role("main")).to_be_visible()
    if "live" not in place:
        watched.page.wait_for_load_state("networkidle")
    for _ in range(6):
        watched.page.mouse.move(400, 400)
        watched.page.mouse.wheel(0, 1500)
        watched.page.wait_for_timeout(50)


def test_nothing_runs_in_an_open_record(hostile: Product, watched: Viewer) -> None:
    watched.open(f'/search?q="{ALL_IN_ONE}"')
    watched.rows.first.click()

    expect(watched.record).to_contain_text("</title><script>")
    for tab in ("JSON", "Context"):
        watched.record.get_by_role("tab", name=tab).click()
        expect(watched.record).to_contain_text(ALL_IN_ONE)


def test_there_are_a_hundred() -> None:
    assert len(set(MARKUP)) >= 100
