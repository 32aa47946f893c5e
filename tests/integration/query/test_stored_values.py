"""Whatever can be sent can be found: each type of OTLP at each place, by its name and value."""

from base64 import b64encode

import pytest

from tests.support.telemetry import (
    Encoding,
    Signal,
    attributes_json,
    log,
    logs_json,
    span,
    spans_json,
    stored,
)

RAW = b"\0\xffx"
BYTES_TEXT = f'"{b64encode(RAW).decode()}"'
TYPES = {
    "text": ("Oslo", [("", "Oslo"), ("", "Os*"), ("", "/^Os/")]),
    "empty": ("", [("", '""'), ("", "*")]),
    "whole": (42, [("", "42"), ("", ">=42"), ("", "4*")]),
    "large": (2**63 - 1, [("", str(2**63 - 1))]),
    "fraction": (-5.25, [("", "-5.25"), ("", "<-5")]),
    "round": (5.0, [("", "5"), ("", "5.0"), ("", "<=5")]),
    "true": (True, [("", "true"), ("", "*")]),
    "false": (False, [("", "false")]),
    "nan": (float("nan"), [("", "NaN")]),
    "bytes": (RAW, [("", BYTES_TEXT)]),
    "list": (
        ["u-7", 8, True, 2.5],
        [("", "u-7"), ("", "8"), ("", "true"), ("", "2.5"), ("", "u*")],
    ),
    "map": (
        {"city": "Rom", "deep": {"n": 3, "dotted.key": "x"}},
        [(".city", "Rom"), (".deep.n", "3"), (".deep.n", ">2"), (".deep.dotted.key", "x")],
    ),
    "maps": ([{"k": "one"}, {"k": "two"}], [(".k", "one"), (".k", "two"), (".k", "tw*")]),
}
"""A value of each type, and the terms (what follows its name, the value) that find it."""
VALUES = {name: value for name, (value, _) in TYPES.items()}


def exported(place):
    """(the export with all values at a place, its signal, the name of the place in queries)."""
    prefixed = {f"v.{name}": value for name, value in VALUES.items()}
    attributes = attributes_json(prefixed)
    match place:
        case "record":
            return logs_json(log(prefixed)), Signal.LOGS, "v."
        case "resource":
            return logs_json(log(), resource=prefixed), Signal.LOGS, "v."
        case "scope":
            scope = {"name": "s", "attributes": attributes}
            return logs_json(log(), scope=scope), Signal.LOGS, "scope.v."
        case "body":
            return logs_json(log(body=prefixed)), Signal.LOGS, "body.v."
        case "body in body":
            return logs_json(log(body={"in": [prefixed]})), Signal.LOGS, "body.in.v."
        case "span":
            return spans_json(span(prefixed)), Signal.TRACES, "v."
        case "event":
            event = {"name": "e", "timeUnixNano": "1", "attributes": attributes}
            return spans_json(span(events=[event])), Signal.TRACES, "span.events.attributes.v."
        case "link":
            link = {"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": attributes}
            return spans_json(span(links=[link])), Signal.TRACES, "span.links.attributes.v."
    raise AssertionError(place)


PLACES = ["record", "resource", "scope", "body", "body in body", "span", "event", "link"]


@pytest.mark.parametrize("place", PLACES)
async def test_each_value_is_found_where_it_is(store, server, place):
    body, signal, prefix = exported(place)
    for sent in (body, {Signal.LOGS: logs_json(log()), Signal.TRACES: spans_json(span())}[signal]):
        batch = stored(sent, signal, Encoding.JSON)
        (stream,) = batch.streams.values()
        await store.put(*batch.records, stream=stream)
    start = "2000-01-01T00:00:00Z"

    missing = []
    for name, (_, terms) in TYPES.items():
        for rest, wanted in terms:
            q = f"{prefix}{name}{rest}:{wanted}"
            found = (await server.page(q=q, start=start, end="2100-01-01T00:00:00Z"))["data"]
            if len(found) != 1:
                missing.append((q, len(found)))
    assert missing == []


STACK = "java.lang.NullPointerException: boom\n  at shop.Orders.place(Orders.java:17)"


@pytest.mark.parametrize(
    ("q", "places"),
    [
        ("exception:NullPointer", {"log", "event"}),
        ("exception:boom", {"log", "event"}),
        ('exception:"Orders.java:17"', {"log", "event"}),
        ('*:"orders.java:17"', {"log", "event"}),
        ("*:needle", {"message", "attribute", "map", "list", "body"}),
        ("body:needle", {"message", "body"}),
        ("-*:needle", {"log", "event", "span"}),
    ],
)
async def test_words_are_found_in_all_text(store, server, q, places):
    exception = {"exception.type": "NullPointerException", "exception.stacktrace": STACK}
    exception["exception.message"] = "boom"
    event = {"name": "exception", "timeUnixNano": "1", "attributes": attributes_json(exception)}
    sent = {
        "message": log(body="a needle in it", attributes={"case": "message"}),
        "attribute": log({"case": "attribute", "x": "one Needle"}),
        "map": log({"case": "map", "x": {"y": {"z": "needles"}}}),
        "list": log({"case": "list", "x": [1, [2, "needle"]]}),
        "body": log({"case": "body"}, body={"a": {"b": ["needle"]}}),
        "log": log({"case": "log", **exception}),
    }
    spans = [span({"case": "event"}, events=[event])]
    for body, signal in (
        (logs_json(*sent.values()), Signal.LOGS),
        (spans_json(*spans), Signal.TRACES),
    ):
        batch = stored(body, signal, Encoding.JSON)
        (stream,) = batch.streams.values()
        await store.put(*batch.records, stream=stream)

    page = await server.page(q=q, start="1970-01-01T00:00:00Z", end="2100-01-01T00:00:00Z")

    # the record derived from the event has no case of its own
    found = {item["metadata"]["attributes"].get("case") for item in page["data"]} - {None}
    assert found == places - {"span"}
