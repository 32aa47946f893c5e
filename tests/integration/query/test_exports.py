"""Exports in every format: complete, selected fields, compressed, readable by a collector."""

import csv
import io
import json

import pytest

from query.render.records import MEMBERS
from storage.record.canonical import canonical
from tests.integration.query.test_search import FULL, record

EXPORT = "/api/v1/logs/export"


async def test_fields_narrow_every_form_and_search(store, server):
    await store.put(record(1, **FULL), record(2, message="=1+1"))
    fields = "createdAt,message"

    page = await server.page(fields=fields)
    ndjson = await (await server.get(EXPORT, fields=fields)).text()
    text = await (await server.get(EXPORT, fields=f"{fields},metadata", format="csv")).text()

    assert [list(item) for item in page["data"]] == [["message", "createdAt"]] * 2
    assert [list(json.loads(line)) for line in ndjson.splitlines()] == [
        ["message", "createdAt"]
    ] * 2
    head, *rows = csv.reader(io.StringIO(text))
    assert head == ["createdAt", "message", "metadata", "resource", "scope"]
    assert rows[0][1] == "'=1+1"
    only = await server.page(fields="metadata", limit=1)
    assert list(only["data"][0]) == ["metadata"]
    whole = await server.page(fields=",".join(MEMBERS))
    assert whole["data"] == (await server.page())["data"]
    for bad in ("colour", "", "message,"):
        assert (await server.get("/api/v1/logs", fields=bad)).status == 400
    assert (await server.get(EXPORT, fields="message", format="otlp")).status == 400


async def test_an_export_is_compressed_when_the_client_takes_that(store, server):
    await store.put(*(record(n, message=f"m{n}") for n in range(2500)))

    headers = {"Authorization": f"Bearer {server.token}", "Accept-Encoding": "gzip"}
    async with server.client.get(EXPORT, headers=headers) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert (await response.text()).count("\n") == 2500


async def test_otlp_lines_hold_what_was_sent(store, server):
    span = record(1, **{**FULL, "metadata": canonical({
        "attributes": {"n": 2**53 + 1, "f": 1.5, "t": True, "l": [1, "x"], "m": {"a": None}},
        "span": {
            "name": "pay", "kind": "SERVER", "status": {"code": "ERROR", "message": "no"},
            "events": [{"name": "exception", "time_ns": 5, "attributes": {"a": 1}}],
            "links": [{"trace_id": "aa" * 16, "span_id": "bb" * 8}],
        },
    })})  # fmt: skip
    log = record(
        2,
        message="said",
        trace_id=b"t" * 16,
        metadata=b'{"otel": {"observed_ns": 7, "severity_text": "Info", "severity_number": 9}}',
    )
    derived = record(3, metadata=b'{"otel": {}, "level_source": "exception"}')
    await store.put(span, log, derived)

    response = await server.get(EXPORT, format="otlp", order="asc")

    lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert 'filename="opslog-' in response.headers["Content-Disposition"]
    logs = [item for line in lines for item in line.get("resourceLogs", ())]
    spans = [item for line in lines for item in line.get("resourceSpans", ())]
    assert len(logs) == len(spans) == 1
    assert logs[0]["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "checkout"}}
    ]
    (sent,) = logs[0]["scopeLogs"][0]["logRecords"]
    assert sent["body"] == {"stringValue": "said"}
    assert (sent["severityText"], sent["observedTimeUnixNano"]) == ("Info", "7")
    assert sent["traceId"] == (b"t" * 16).hex()
    (given,) = spans[0]["scopeSpans"][0]["spans"]
    assert (given["name"], given["kind"], given["status"]) == (
        "pay", 2, {"code": 2, "message": "no"},
    )  # fmt: skip
    assert int(given["endTimeUnixNano"]) - int(given["startTimeUnixNano"]) == FULL["duration_ns"]
    assert given["parentSpanId"] == FULL["parent_span_id"].hex()
    assert given["events"][0]["attributes"] == [{"key": "a", "value": {"intValue": "1"}}]
    assert {"key": "n", "value": {"intValue": str(2**53 + 1)}} in given["attributes"]
    kinds = {item["key"]: next(iter(item["value"]), None) for item in given["attributes"]}
    assert kinds == {
        "n": "intValue", "f": "doubleValue", "t": "boolValue", "l": "arrayValue", "m": "kvlistValue",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/logs", "/api/v1/logs/stats", "/api/v1/logs/facets", "/api/v1/logs/patterns"),
        *("/api/v1/logs/resource/o-17", "/api/v1/traces"),
    ],
)
async def test_a_closed_range_has_a_tag_that_saves_its_body(store, server, path):
    span = {"start": "2026-09-01T00:00:00Z", "end": "2026-10-01T00:00:00Z"}
    root = FULL | {"parent_span_id": None}
    await store.put(record(1, **root))

    response = await server.get(path, **span)
    headers = {
        "Authorization": f"Bearer {server.token}",
        "If-None-Match": response.headers["ETag"],
    }
    same = await server.client.get(path, params=span, headers=headers)
    await store.put(record(2, **root | {"trace_id": b"2" * 16}))
    other = await server.client.get(path, params=span, headers=headers)

    assert (same.status, await same.read()) == (304, b"")
    assert other.status == 200
    assert "ETag" not in (await server.get(path)).headers
