"""Timelines of resources, requests and actors; the context of a record; traces."""

import json
import uuid

from query.api.records.records import Context
from query.api.records.traces.one import TracePage
from query.api.records.traces.search import FoundTraces
from storage.record.correlation import stored_correlation
from tests.integration.query.test_search import BASE_NS, record
from tests.support.querying import make_token

TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
MS = 10**6


def messages(page):
    return [item["message"] for item in page["data"]]


async def test_a_things_timeline_runs_over_services_and_kinds(store, server):
    await store.put(
        record(1, message="event", resource_id="o/1", resource_type="order", source_module="shop"),
        record(2, message="span", resource_id="o/1", resource_type="order", kind="span"),
        record(3, message="audit", resource_id="o/1", resource_type="order", kind="audit"),
        record(4, message="other type", resource_id="o/1", resource_type="parcel"),
        record(5, message="other", resource_id="o-2", resource_type="order"),
    )
    path = "/api/v1/logs/resource/o%2F1"

    assert messages(await server.page(path, order="asc")) == [
        "event",
        "span",
        "audit",
        "other type",
    ]
    assert messages(await server.page(path, resourceType="parcel")) == ["other type"]
    noc = make_token("NOC")
    assert messages(await server.page(path, token=noc, resourceType="order")) == ["span", "event"]
    auditor = make_token("AUDITOR")
    assert messages(await server.page(path, token=auditor)) == ["audit"]


async def test_a_requests_records_are_found_by_its_id_or_its_traces(store, server):
    long = "c" * 50
    await store.put(
        record(1, message="a", correlation_id=stored_correlation(long)),
        record(2, message="b", trace_id=TRACE),
        record(3, message="c"),
    )

    assert messages(await server.page(f"/api/v1/logs/correlation/{long}")) == ["a"]
    assert messages(await server.page(f"/api/v1/logs/correlation/{TRACE.hex()}")) == ["b"]
    assert messages(await server.page(f"/api/v1/logs/correlation/{uuid.UUID(bytes=TRACE)}")) == [
        "b"
    ]
    assert messages(await server.page("/api/v1/logs/correlation/none")) == []


async def test_an_actors_records_are_found_as_they_are_stored(store, server):
    await store.put(record(1, actor_id="hmac:user.id"), record(2, actor_id="u-2"))

    assert len((await server.page("/api/v1/logs/actor/jane@example.com"))["data"]) == 1
    assert len((await server.page("/api/v1/logs/actor/u-2"))["data"]) == 1


async def test_the_context_of_a_record_is_of_its_service(store, server):
    records = [record(n, message=f"m{n}") for n in range(10)]
    other = record(5, message="other", source_module="bank")
    await store.put(*records, other)
    await store.roll("info")
    await store.put(record(4, message="m4 later"))
    wanted = uuid.UUID(bytes=records[4].id)

    response = await server.get(f"/api/v1/logs/{wanted}/context", before=2, after=3)

    context = Context.model_validate_json(await response.text())
    assert [item.message for item in context.before] == ["m2", "m3"]
    assert context.record.message == "m4"
    assert [item.message for item in context.after] == ["m4 later", "m5", "m6"]
    alone = await server.get(f"/api/v1/logs/{wanted}/context", before=0, after=0)
    assert json.loads(await alone.text())["before"] == []
    for bad in ({"before": "-1"}, {"after": "9999"}, {"q": "x"}):
        assert (await server.get(f"/api/v1/logs/{wanted}/context", **bad)).status == 400
    nowhere = await server.get(f"/api/v1/logs/{uuid.uuid4()}/context")
    assert nowhere.status == 404


def span(name, parent, start_ms, length_ms, **fields):
    return record(
        start_ms * MS,
        kind="span",
        trace_id=TRACE,
        span_id=name.encode().ljust(8, b"."),
        parent_span_id=None if parent is None else parent.encode().ljust(8, b"."),
        duration_ns=length_ms * MS,
        action=f"do {name}",
        **fields,
    )


SPANS = [
    span("a", None, 0, 100),
    span("b", "a", 10, 50, source_module="bank", level=3),
    span("c", "gone", 20, 5),
]


async def test_a_trace_comes_with_its_tree(store, server):
    await store.put(*SPANS, record(15 * MS, trace_id=TRACE, message="log", level=3))
    path = f"/api/v1/logs/trace/{TRACE.hex()}"

    response = await server.get(path)

    page = TracePage.model_validate_json(await response.text())
    trace = page.trace
    assert len(page.data) == 4
    assert (trace.spans, trace.logs, trace.errors, trace.duration_ns) == (3, 1, 2, 100 * MS)
    hexed = {name: name.encode().ljust(8, b".").hex() for name in ("a", "b", "c", "gone")}
    assert trace.missing_parents == [hexed["gone"]]
    assert [(node.span_id, node.depth, node.is_orphan) for node in trace.tree] == [
        (hexed["a"], 0, False),
        (hexed["b"], 1, False),
        (hexed["c"], 0, True),
    ]
    assert [(step.span_id, step.self_ns) for step in trace.critical_path] == [
        (hexed["a"], 50 * MS),
        (hexed["b"], 50 * MS),
    ]
    assert {item.service: (item.spans, item.errors) for item in trace.services} == {
        "checkout": (2, 0),
        "bank": (1, 1),
    }

    first = await server.page(path, limit=1)
    second = await server.page(path, limit=1, cursor=first["nextCursor"])
    assert first["trace"]["spans"] == 3
    assert "trace" not in second


async def test_traces_are_found_by_their_spans(store, server):
    other = record(
        200 * MS, kind="span", trace_id=b"o" * 16, span_id=b"o" * 8, duration_ns=5 * MS, level=3,
        source_module="mail", action="send",
    )  # fmt: skip
    await store.put(*SPANS, other, record(1, trace_id=TRACE))

    async def found(**given):
        response = await server.get("/api/v1/traces", start="2026-09-01T00:00:00Z", **given)
        page = FoundTraces.model_validate_json(await response.text())
        return [item.service for item in page.data], page

    assert (await found())[0] == ["mail", "checkout"]
    assert (await found(order="asc"))[0] == ["checkout", "mail"]
    services, page = await found(service="checkout")
    assert (services, page.data[0].spans, page.data[0].errors) == (["checkout"], 3, 1)
    assert page.data[0].services == ["checkout", "bank"]
    assert (await found(operation="send"))[0] == ["mail"]
    assert (await found(status="error"))[0] == ["mail", "checkout"]
    assert (await found(status="ok"))[0] == []
    assert (await found(rootStatus="error"))[0] == ["mail"]
    assert (await found(rootStatus="ok"))[0] == ["checkout"]
    assert (await found(minDuration="50ms"))[0] == ["checkout"]
    assert (await found(maxDuration="50ms"))[0] == ["mail"]
    services, page = await found(limit=1)
    assert (await found(limit=1, cursor=page.next_cursor))[0] == ["checkout"]
    assert (await server.get("/api/v1/traces", cursor=page.next_cursor, limit=1)).status == 400
    swapped = {"minDuration": "2s", "maxDuration": "1s"}
    for bad in (
        {"status": "x"},
        {"minDuration": "x"},
        {"limit": "500"},
        swapped,
    ):
        assert (await server.get("/api/v1/traces", **bad)).status == 400
    assert BASE_NS
